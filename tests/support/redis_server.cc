#include "support/redis_server.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "support/process.h"

namespace imgcachefs::test {

RedisServer::RedisServer(RedisServerOptions options) : options_(std::move(options)) {
  start_at_free_port([this](uint16_t port) {
    port_ = port;
    start();
  });
}

void RedisServer::start() {
  std::vector<std::string> argv = {"redis-server",
                                   "--port",
                                   std::to_string(port_),
                                   "--bind",
                                   "127.0.0.1",
                                   "--unixsocket",
                                   socket(),
                                   "--dir",
                                   dir_.path().string(),
                                   "--save",
                                   "",
                                   "--appendonly",
                                   "no",
                                   "--daemonize",
                                   "no"};
  if (!options_.password.empty()) argv.insert(argv.end(), {"--requirepass", options_.password});
  argv.insert(argv.end(), options_.config.begin(), options_.config.end());
  server_.start({.argv = argv, .log = dir_.file("redis.log"), .ready = [this] {
                   try {
                     return answers(port_) && command({"PING"}) == "PONG";
                   } catch (const std::runtime_error&) {
                     return false;
                   }
                 }});
}

void RedisServer::stop() {
  if (!server_.running()) return;
  resume();  // a stopped process does not see SIGTERM
  server_.stop();
}

void RedisServer::pause() {
  ::kill(server_.pid(), SIGSTOP);
}

void RedisServer::resume() {
  ::kill(server_.pid(), SIGCONT);
}

std::string RedisServer::url(unsigned database) const {
  return fmt::format("redis://{}/{}", address(), database);
}

std::string RedisServer::address() const {
  return fmt::format("127.0.0.1:{}", port_);
}

std::string RedisServer::command(const std::vector<std::string>& words, unsigned database) const {
  std::vector<std::string> argv = {"redis-cli", "-e", "-s",
                                   socket(),    "-n", std::to_string(database)};
  if (!options_.password.empty())
    argv.insert(argv.end(), {"--no-auth-warning", "-a", options_.password});
  argv.insert(argv.end(), words.begin(), words.end());
  CommandResult result = run(argv);
  if (!result.ok()) throw std::runtime_error("redis-cli: " + result.describe());
  while (result.out.ends_with('\n')) result.out.pop_back();
  return result.out;
}

std::vector<std::string> RedisServer::lines(const std::vector<std::string>& words) const {
  std::vector<std::string> found;
  std::istringstream text(command(words));
  for (std::string line; std::getline(text, line);) found.push_back(line);
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace imgcachefs::test
