#include "real/http_call.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <stdexcept>

#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

// Of the last answer: there may be a "100 Continue" before it.
std::map<std::string, std::string> headers_of(const std::string& text) {
  std::map<std::string, std::string> headers;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("HTTP/")) headers.clear();
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    headers[name] = line.substr(colon + 2);
  }
  return headers;
}

}  // namespace

HttpReply http(const HttpCall& call) {
  TempDir dir;
  std::vector<std::string> argv = {"curl",
                                   "-s",
                                   "-S",
                                   "--noproxy",
                                   "*",
                                   "-m",
                                   "300",
                                   "-D",
                                   dir.file("headers"),
                                   "-o",
                                   dir.file("reply"),
                                   "-w",
                                   "%{http_code}",
                                   "-H",
                                   "Expect:"};
  // With -X HEAD it would wait for the body that the length speaks of.
  if (call.method == "HEAD")
    argv.push_back("--head");
  else
    argv.insert(argv.end(), {"-X", call.method});
  for (const auto& [name, value] : call.headers)
    argv.insert(argv.end(), {"-H", name + ": " + value});
  if (!call.upload_file.empty()) argv.insert(argv.end(), {"-T", call.upload_file});
  if (!call.body.empty())
    argv.insert(argv.end(), {"--data-binary", "@" + dir.write("body", call.body)});
  argv.push_back(call.url);
  const CommandResult result =
      run(argv, {.timeout = std::chrono::minutes(5), .env = {}, .directory = {}});
  HttpReply reply;
  reply.status = result.out.empty() ? 0 : std::stoi(result.out);
  reply.headers = headers_of(read_file(dir.file("headers")));
  // What curl writes for --head are the headers once more.
  if (call.method != "HEAD") reply.body = read_file(dir.file("reply"));
  if (reply.body.empty() && !result.ok()) reply.body = result.err;
  return reply;
}

HttpReply http_ok(const HttpCall& call) {
  HttpReply reply = http(call);
  if (reply.status < 200 || reply.status > 299)
    throw std::runtime_error(call.method + " " + call.url + ": " + std::to_string(reply.status) +
                             "\n" + reply.body);
  return reply;
}

}  // namespace imgcachefs::test
