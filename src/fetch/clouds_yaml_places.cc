#include "fetch/clouds_yaml_places.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace imgcachefs {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string home_directory() {
  if (std::string home = environment("HOME"); !home.empty()) return home;
  const passwd* user = ::getpwuid(::getuid());  // as systemd starts us there is no HOME
  return user == nullptr || user->pw_dir == nullptr ? "" : user->pw_dir;
}

}  // namespace

CloudPlaces CloudPlaces::standard() {
  CloudPlaces places;
  places.home = home_directory();
  std::vector<std::string> directories = {"."};
  if (const std::string xdg = environment("XDG_CONFIG_HOME"); !xdg.empty())
    directories.push_back(xdg + "/openstack");
  if (!places.home.empty()) directories.push_back(places.home + "/.config/openstack");
  directories.push_back("/etc/openstack");

  const std::string clouds = environment("OS_CLIENT_CONFIG_FILE"),
                    secure = environment("OS_CLIENT_SECURE_FILE");
  if (!clouds.empty()) places.clouds.push_back(clouds);
  if (!secure.empty()) places.secure.push_back(secure);
  for (const std::string& directory : directories)
    for (const char* end : {".yaml", ".yml", ".json"}) {
      places.clouds.push_back(directory + "/clouds" + end);
      places.secure.push_back(directory + "/secure" + end);
      places.vendors.push_back(directory + "/clouds-public" + end);
    }
  return places;
}

}  // namespace imgcachefs
