#include "fs/option_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/units.h"
#include "fs/option_values.h"

namespace imgcachefs {
namespace {

using Takes = Option::Takes;

// What a parser made of the text, into its place.
template <typename Field, typename Value>
Status into(Field& field, Result<Value> value) {
  if (!value) return fail(value.error());
  field = std::move(*value);
  return {};
}

Status set_list(MountOptions& options, const std::string& text) {
  if (text != "cached" && text != "all") return fail(ErrorKind::kInvalid, "is cached or all");
  options.store.list_all = text == "all";
  return {};
}

Status set_passthrough(MountOptions& options, const std::string& text) {
  if (text != "auto" && text != "off") return fail(ErrorKind::kInvalid, "is auto or off");
  options.passthrough = text == "auto";
  return {};
}

Status set_scrub(MountOptions&, const std::string& text) {
  if (text == "off") return {};
  if (auto period = parse_duration(text); !period)
    return fail(ErrorKind::kInvalid, "is a time or off");
  return fail(ErrorKind::kInvalid, "is not supported by this version");
}

Status set_metrics_listen(MountOptions& options, const std::string& text) {
  options.metrics_listen.reset();
  if (text.empty()) return {};
  auto address = ListenAddress::parse(text);
  if (!address) return fail(address.error());
  options.metrics_listen = std::move(*address);
  return {};
}

constexpr std::array kOptions = {
    Option{"cache_dir", Takes::kValue, "DIR", "/var/cache/imgcachefs",
           "the cache directory; one daemon per directory",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.cache_dir, parse_path(t));
           }},
    Option{
        "driver", Takes::kValue, "sqlite|xattr", "sqlite",
        "index driver; one that cannot be used here is sqlite, with a warning",
        [](MountOptions& o, const std::string& t) { return into(o.store.driver, parse_text(t)); }},
    Option{"max_size", Takes::kValue, "SIZE", "10G", "prune above it; counts incomplete images too",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.max_size, parse_size(t));
           }},
    Option{"min_free", Takes::kValue, "SIZE", "0", "keep that much of the cache's file system free",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.min_free, parse_size(t));
           }},
    Option{"stall_time", Takes::kValue, "TIME", "86400",
           "an incomplete image untouched so long is cleaned",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.stall_time, parse_duration(t));
           }},
    Option{"janitor_interval", Takes::kValue, "TIME", "300", "how often prune and clean run",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.janitor_interval, parse_positive_duration(t));
           }},
    Option{"fill", Takes::kValue, "auto|demand|full", "auto", "what opening and reading fetches",
           [](MountOptions& o, const std::string& t) { return into(o.store.fill, parse_fill(t)); }},
    Option{"verify", Takes::kValue, "complete|before-read", "complete",
           "when the checksum must be right: before the last byte, or before the first",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.verify, parse_verify(t));
           }},
    Option{"revalidate", Takes::kValue, "TIME|never", "300",
           "how long what upstream said of an image is believed",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.revalidate, parse_revalidate(t));
           }},
    Option{"negative_ttl", Takes::kValue, "TIME", "5", "how long \"no such image\" is believed",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.negative_ttl, parse_duration(t));
           }},
    Option{"list", Takes::kValue, "cached|all", "cached",
           "what ls shows: cached images, or upstream's catalogue too", set_list},
    Option{"chunk_size", Takes::kValue, "SIZE", "64K",
           "unit of presence in an incomplete image: a power of two, 4K to 64M",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.chunk_size, parse_chunk_size(t));
           }},
    Option{"connections", Takes::kValue, "N", "8", "parallel transfers",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.connections, parse_connections(t));
           }},
    Option{"limit_rate", Takes::kValue, "SIZE", "none", "bytes per second of background filling",
           [](MountOptions& o, const std::string& t) {
             return into(o.store.limit_rate, parse_rate(t));
           }},
    Option{"connect_timeout", Takes::kValue, "TIME", "10", "patience with a connection",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.connect_timeout, parse_positive_duration(t));
           }},
    Option{
        "low_speed_limit", Takes::kValue, "SIZE", "1K", "slower than this, in bytes per second ...",
        [](MountOptions& o, const std::string& t) {
          return into(o.upstream.http.low_speed_limit, parse_size(t));
        }},
    Option{"low_speed_time", Takes::kValue, "TIME", "30", "... for so long is a failed attempt",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.low_speed_time, parse_positive_duration(t));
           }},
    Option{"retries", Takes::kValue, "N", "5",
           "failed attempts in a row that are made good by another",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.retries, parse_count(t));
           }},
    Option{"ca_file", Takes::kValue, "FILE", "libcurl's", "certificates that are trusted",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.ca_file, parse_optional_path(t));
           }},
    Option{"cert", Takes::kValue, "FILE", "none", "client certificate",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.cert, parse_optional_path(t));
           }},
    Option{"key", Takes::kValue, "FILE", "none", "private key of the client certificate",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.key, parse_optional_path(t));
           }},
    Option{"proxy", Takes::kValue, "URL", "libcurl's", "proxy, as libcurl means it",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.proxy, parse_text(t));
           }},
    Option{"insecure", Takes::kFlag, "", "false", "do not check the server's certificate",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.http.insecure, parse_flag(t));
           }},
    Option{"credentials", Takes::kValue, "FILE", "none",
           "secrets; a regular file with mode 0600 or stricter",
           [](MountOptions& o, const std::string& t) {
             return into(o.credentials, parse_optional_path(t));
           }},
    Option{"cloud", Takes::kValue, "NAME", "none", "an entry of clouds.yaml, for Glance",
           [](MountOptions& o, const std::string& t) { return into(o.cloud, parse_text(t)); }},
    Option{"region", Takes::kValue, "NAME", "any", "region of Glance's endpoint in the catalogue",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.region, parse_text(t));
           }},
    Option{"interface", Takes::kValue, "NAME", "public",
           "interface of Glance's endpoint: public, internal or admin",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.interface_, parse_interface(t));
           }},
    Option{"platform", Takes::kValue, "OS/ARCH[/VARIANT]", "this machine's",
           "what an index of a registry's resolves to",
           [](MountOptions& o,
              const std::string& t) { return into(o.upstream.platform, parse_text(t)); }},
    Option{"redis", Takes::kValue, "URL", "none",
           "what is known of a registry's blobs, shared by hosts",
           [](MountOptions& o, const std::string& t) {
             return into(o.upstream.redis, parse_text(t));
           }},
    Option{"metrics_listen", Takes::kValue, "ADDR:PORT", "none",
           "Prometheus metrics (/metrics) and the status page (/) over HTTP, without login or TLS",
           set_metrics_listen},
    Option{"glance_conf", Takes::kValue, "FILE", "none",
           "take Glance's image_cache_* options from its own file",
           [](MountOptions& o, const std::string& t) {
             return into(o.glance_conf, parse_optional_path(t));
           }},
    Option{"scrub", Takes::kValue, "TIME", "off",
           "re-hash every cached image about that often; not in this version yet", set_scrub},
    Option{"passthrough", Takes::kValue, "auto|off", "auto", "kernel passthrough for cached images",
           set_passthrough},
    Option{"uid", Takes::kValue, "USER", "mounter", "owner of the files shown",
           [](MountOptions& o, const std::string& t) { return into(o.uid, parse_uid(t)); }},
    Option{"gid", Takes::kValue, "GROUP", "mounter", "group of the files shown",
           [](MountOptions& o, const std::string& t) { return into(o.gid, parse_gid(t)); }},
    Option{"mode", Takes::kValue, "OCTAL", "0444",
           "mode of the files shown; its write bits are dropped",
           [](MountOptions& o, const std::string& t) { return into(o.mode, parse_mode(t)); }},
    Option{
        "allow_other", Takes::kFlag, "", "false", "let all users in",
        [](MountOptions& o, const std::string& t) { return into(o.allow_other, parse_flag(t)); }},
    Option{"log_level", Takes::kValue, "LEVEL", "info",
           "trace, debug, info, warning, error, critical or off",
           [](MountOptions& o, const std::string& t) {
             return into(o.log.level, parse_log_level(t));
           }},
    Option{"log_file", Takes::kValue, "FILE", "stderr; syslog in the background",
           "where the log goes",
           [](MountOptions& o,
              const std::string& t) { return into(o.log.file, parse_optional_path(t)); }},
};

constexpr std::array<std::string_view, 22> kForeign = {
    "rw",    "ro",      "defaults", "auto",    "noauto", "user",   "nouser", "users",
    "owner", "group",   "dev",      "nodev",   "suid",   "nosuid", "exec",   "noexec",
    "atime", "noatime", "relatime", "_netdev", "nofail", "comment"};

}  // namespace

std::span<const Option> option_table() {
  return kOptions;
}

const Option* find_option(std::string_view name) {
  std::string key(name);
  std::replace(key.begin(), key.end(), '-', '_');
  auto option = std::find_if(kOptions.begin(), kOptions.end(),
                             [&](const Option& candidate) { return candidate.name == key; });
  return option == kOptions.end() ? nullptr : &*option;
}

bool is_foreign_option(std::string_view name) {
  return name.starts_with("x-") ||
         std::find(kForeign.begin(), kForeign.end(), name) != kForeign.end();
}

std::string option_help() {
  std::string text;
  for (const Option& option : option_table()) {
    std::string left(option.name);
    if (option.takes == Takes::kValue) left += fmt::format("={}", option.value);
    text += fmt::format("  {:<32} {} [{}]\n", left, option.help, option.standard);
  }
  return text;
}

}  // namespace imgcachefs
