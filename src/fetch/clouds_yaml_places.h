// Where clouds.yaml and the files beside it are, as openstacksdk has it.
#pragma once

#include <string>
#include <vector>

namespace imgcachefs {

// Where to look, in this order; the first file there is of each kind is the one.
struct CloudPlaces {
  std::vector<std::string> clouds, secure, vendors;
  std::string home;  // for "~/" in paths; "": there is none

  // $OS_CLIENT_CONFIG_FILE ($OS_CLIENT_SECURE_FILE), then clouds.yaml, .yml and .json (secure.*,
  // clouds-public.*) in the working directory, $XDG_CONFIG_HOME/openstack, ~/.config/openstack and
  // /etc/openstack. Reads the environment: call it before there are threads that change it.
  static CloudPlaces standard();
};

}  // namespace imgcachefs
