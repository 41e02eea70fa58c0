#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "fetch/docker_config.h"

namespace imgcachefs {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string home_of_user() {
  if (std::string home = variable("HOME"); !home.empty()) return home;
  const passwd* user = ::getpwuid(::getuid());  // as systemd starts us there is no HOME
  return user == nullptr || user->pw_dir == nullptr ? "" : user->pw_dir;
}

}  // namespace

std::vector<std::string> docker_config_places(
    const std::function<std::string(const char*)>& environment, const std::string& home) {
  std::vector<std::string> places;
  auto add = [&](const std::string& directory, const char* file) {
    if (!directory.empty()) places.push_back(directory + file);
  };
  add(environment("REGISTRY_AUTH_FILE"), "");
  add(environment("XDG_RUNTIME_DIR"), "/containers/auth.json");
  add(environment("DOCKER_CONFIG"), "/config.json");
  add(home, "/.docker/config.json");
  return places;
}

std::vector<std::string> standard_docker_config_places() {
  return docker_config_places(&variable, home_of_user());
}

}  // namespace imgcachefs
