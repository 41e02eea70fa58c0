#include "fs/named_files.h"

#include <utility>

namespace imgcachefs {

Status load_named_files(MountOptions& options) {
  if (!options.credentials.empty()) {
    auto credentials = Credentials::load(options.credentials);
    if (!credentials) return fail(credentials.error());
    options.upstream.secrets = std::move(*credentials);
  }
  if (!options.cloud.empty()) {
    auto cloud = load_cloud(options.cloud, CloudPlaces::standard());
    if (!cloud) return fail(cloud.error());
    options.upstream.cloud = std::move(*cloud);
  }
  if (options.where.kind == Source::Kind::kRegistry && options.credentials.empty()) {
    auto docker = DockerConfig::first_of(standard_docker_config_places());
    if (!docker) return fail(docker.error());
    options.upstream.docker = std::move(*docker);
  }
  // All that upstream says is believed as long as what it says of images.
  options.upstream.believe = options.store.revalidate;
  return {};
}

}  // namespace imgcachefs
