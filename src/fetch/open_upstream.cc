#include "fetch/open_upstream.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "fetch/glance_images.h"
#include "fetch/http_directory.h"
#include "fetch/keystone.h"
#include "fetch/memory_layer_info.h"
#include "fetch/oci_registry.h"
#include "fetch/redis_layer_info.h"
#include "fetch/redis_url.h"
#include "fetch/registry_login.h"

namespace imgcachefs {
namespace {

// They say who is asked, and as whom: not to be passed over.
Status refuse_options_of_glance(std::string_view what, const UpstreamConfig& config) {
  for (const auto& [option, given] :
       {std::pair("cloud", config.cloud.has_value()), std::pair("region", !config.region.empty()),
        std::pair("interface", !config.interface_.empty())})
    if (given)
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}= is for Glance, and SOURCE is {}", option, what));
  return {};
}

// One config file may be for mounts of all kinds: what means nothing to this one is told, and is an
// error only when it is wrong.
Status pass_over_options_of_registries(std::string_view what, const UpstreamConfig& config) {
  if (!config.platform.empty())
    if (auto platform = Platform::parse(config.platform); !platform) return fail(platform.error());
  if (!config.redis.empty())
    if (auto url = RedisUrl::parse(config.redis); !url) return fail(url.error());
  for (const auto& [option, given] :
       {std::pair("platform", !config.platform.empty()), std::pair("redis", !config.redis.empty())})
    if (given)
      spdlog::warn("{}= is for registries, and means nothing where SOURCE is {}", option, what);
  return {};
}

// Of leave to pull a repository. Who asks believes the answer for `believe`; here it is only to be
// one question for the many blobs of a scan, and not to make that twice as long.
constexpr std::chrono::seconds kLeaveHolds{10};

// Of checksum lists, where images are believed for ever: a list may name images that come later.
constexpr std::chrono::seconds kListsHold{300};

Result<OpenedUpstream> open_directory(const Source& source, const UpstreamConfig& config) {
  if (auto refused = refuse_options_of_glance("a plain directory", config); !refused)
    return fail(refused.error());
  if (auto refused = pass_over_options_of_registries("a plain directory", config); !refused)
    return fail(refused.error());
  HttpConfig http = config.http;
  http.add_certificate(config.secrets);
  if (auto added = http.add_login(config.secrets); !added) return fail(added.error());
  auto upstream = open_http_directory(source.url, http, config.believe.value_or(kListsHold),
                                      config.memory.stats);
  if (!upstream) return fail(upstream.error());
  return OpenedUpstream{std::move(*upstream), source.url};
}

std::string keystone_without_version(std::string url) {
  for (std::string_view end : {"/", "/v3"})
    while (url.ends_with(end)) url.resize(url.size() - end.size());
  return url;
}

// What is said of a Glance in several places, put together: SOURCE, options, and the cloud.
struct Glance {
  std::string endpoint;  // "": Keystone's catalogue has it
  KeystoneConfig keystone;
};

std::string first_given(const std::string& a, const std::string& b) {
  return a.empty() ? b : a;
}

Result<Glance> glance_of(const Source& source, const UpstreamConfig& config) {
  if (config.cloud && !config.secrets.empty())
    return fail(ErrorKind::kInvalid, "both credentials= and cloud= say how to log in: give one");
  Glance glance;
  glance.keystone = {.secrets = config.secrets,
                     .endpoint = {},
                     .region = config.region,
                     .interface_ = config.interface_,
                     .http = config.http};
  KeystoneConfig& keystone = glance.keystone;
  if (const auto& cloud = config.cloud) {
    keystone.secrets = cloud->secrets;
    keystone.region = first_given(config.region, cloud->region);
    keystone.interface_ = first_given(config.interface_, cloud->interface_);
    HttpConfig& http = keystone.http;
    http.ca_file = first_given(http.ca_file, cloud->ca_file);
    http.cert = first_given(http.cert, cloud->cert);
    http.key = first_given(http.key, cloud->key);
    if (!cloud->verify) http.insecure = true;
    glance.endpoint = cloud->image_endpoint;
  }
  keystone.http.add_certificate(config.secrets);
  if (source.kind == Source::Kind::kGlance) {
    glance.endpoint = source.url;
  } else if (!source.url.empty()) {
    const std::string& known = keystone.secrets.get("auth_url");
    if (!known.empty() && keystone_without_version(known) != source.url)
      return fail(ErrorKind::kInvalid,
                  fmt::format("SOURCE says that Keystone is {}, the credentials that it is {}",
                              source.url, redacted_url(known)));
    keystone.secrets.set("auth_url", source.url);
  }
  keystone.endpoint = glance.endpoint;
  if (!glance.endpoint.empty() && !(config.region.empty() && config.interface_.empty()))
    spdlog::warn(
        "region= and interface= choose an endpoint of Keystone's catalogue: they mean nothing "
        "where "
        "it is said that Glance is {}",
        redacted_url(glance.endpoint));
  return glance;
}

bool wants_keystone(const Credentials& secrets) {
  for (const char* key : {"username", "user_id", "password", "application_credential_id",
                          "application_credential_name", "application_credential_secret"})
    if (!secrets.get(key).empty()) return true;
  return false;
}

Result<std::unique_ptr<Authenticator>> authenticator_of(const Glance& glance) {
  const Credentials& secrets = glance.keystone.secrets;
  const std::string& token = secrets.get("token");
  if (wants_keystone(secrets)) {
    if (!token.empty())
      return fail(ErrorKind::kInvalid,
                  "the credentials have both a token and what Keystone gives one for");
    return keystone_access(glance.keystone);
  }
  if (glance.endpoint.empty())
    return fail(ErrorKind::kInvalid,
                "glance: asks Keystone where Glance is, and needs credentials=FILE or cloud=NAME "
                "with a password or an application credential");
  return fixed_access(glance.endpoint, token);
}

Result<OpenedUpstream> open_glance_source(const Source& source, const UpstreamConfig& config) {
  if (auto refused = pass_over_options_of_registries("Glance", config); !refused)
    return fail(refused.error());
  auto glance = glance_of(source, config);
  if (!glance) return fail(glance.error());
  auto authenticator = authenticator_of(*glance);
  if (!authenticator) return fail(authenticator.error());
  auto upstream =
      open_glance(std::move(*authenticator), glance->keystone.http, config.memory.stats);
  if (!upstream) return fail(upstream.error());
  // Where a catalogue says it, it is the Keystone that counts: UUIDs are of one image in all its
  // regions, and which of them are asked may change.
  std::string record = "glance+" + glance->endpoint + "/";
  if (glance->endpoint.empty()) {
    record = "glance:" + keystone_without_version(glance->keystone.secrets.get("auth_url"));
  }
  return OpenedUpstream{std::move(*upstream), std::move(record)};
}

Result<Platform> platform_wanted(const UpstreamConfig& config) {
  if (config.platform.empty()) return Platform::of_this_machine();
  return Platform::parse(config.platform);
}

Result<LayerInfoCache> layer_info_of(const UpstreamConfig& config) {
  if (!config.redis.empty()) return open_redis_layer_info(config.redis);
  return memory_layer_info({.believe = config.believe});
}

Result<OpenedUpstream> open_registry_source(const Source& source, const UpstreamConfig& config) {
  if (auto refused = refuse_options_of_glance("a registry", config); !refused)
    return fail(refused.error());
  auto platform = platform_wanted(config);
  if (!platform) return fail(platform.error());
  auto layer_info = layer_info_of(config);
  if (!layer_info) return fail(layer_info.error());
  HttpConfig http = config.http;
  http.add_certificate(config.secrets);
  auto auth = registry_login(
      {.registry = source.url, .secrets = config.secrets, .docker = config.docker, .http = http});
  if (!auth) return fail(auth.error());
  auto upstream =
      open_registry({.url = source.url,
                     .auth = std::move(*auth),
                     .layer_info = std::move(*layer_info),
                     .platform = std::move(*platform),
                     .http = http,
                     .memory = config.memory,
                     .believe = std::min(config.believe.value_or(kLeaveHolds), kLeaveHolds)});
  if (!upstream) return fail(upstream.error());
  return OpenedUpstream{std::move(*upstream), "oci+" + source.url + "/"};
}

}  // namespace

Result<OpenedUpstream> open_upstream(const Source& source, const UpstreamConfig& config) {
  switch (source.kind) {
    case Source::Kind::kDirectory:
      return open_directory(source, config);
    case Source::Kind::kGlance:
    case Source::Kind::kCataloguedGlance:
      return open_glance_source(source, config);
    case Source::Kind::kRegistry:
      return open_registry_source(source, config);
  }
  return fail(ErrorKind::kInvalid, "SOURCE is of no kind");
}

}  // namespace imgcachefs
