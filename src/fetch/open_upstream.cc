#include "fetch/open_upstream.h"

#include <fmt/format.h>

#include <utility>

#include "fetch/http_directory.h"

namespace imgcachefs {
namespace {

Result<OpenedUpstream> open_directory(const Source& source, const UpstreamConfig& config) {
  for (const auto& [option, value] :
       {std::pair("cloud", &config.cloud), std::pair("region", &config.region),
        std::pair("interface", &config.interface_)})
    if (!value->empty())
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}={} is for Glance, and {} is a plain directory", option, *value,
                              source.url));
  HttpConfig http = config.http;
  http.add_certificate(config.secrets);
  if (auto added = http.add_login(config.secrets); !added) return fail(added.error());
  auto upstream = open_http_directory(source.url, http, config.believe);
  if (!upstream) return fail(upstream.error());
  return OpenedUpstream{std::move(*upstream), source.url};
}

}  // namespace

Result<OpenedUpstream> open_upstream(const Source& source, const UpstreamConfig& config) {
  if (source.kind != Source::Kind::kDirectory)
    return fail(ErrorKind::kInvalid, "Glance is not supported by this version");
  return open_directory(source, config);
}

}  // namespace imgcachefs
