#include "fs/reload.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/log.h"
#include "fs/named_files.h"

namespace imgcachefs {
namespace {

constexpr std::array<std::string_view, 23> kAtOnce = {"max_size",
                                                      "min_free",
                                                      "stall_time",
                                                      "janitor_interval",
                                                      "limit_rate",
                                                      "connect_timeout",
                                                      "low_speed_limit",
                                                      "low_speed_time",
                                                      "retries",
                                                      "ca_file",
                                                      "cert",
                                                      "key",
                                                      "proxy",
                                                      "insecure",
                                                      "credentials",
                                                      "cloud",
                                                      "region",
                                                      "interface",
                                                      "platform",
                                                      "redis",
                                                      "log_level",
                                                      "log_file",
                                                      "glance_conf"};

// Of the options that were given, with those that are given no more.
std::set<std::string> names_in(const MountOptions& a, const MountOptions& b) {
  std::set<std::string> names;
  for (const MountOptions* options : {&a, &b})
    for (const auto& [name, value] : options->given) names.insert(name);
  return names;
}

const std::string* value_of(const MountOptions& options, const std::string& name) {
  auto at = options.given.find(name);
  return at == options.given.end() ? nullptr : &at->second;
}

bool differs(const MountOptions& a, const MountOptions& b, const std::string& name) {
  const std::string *before = value_of(a, name), *after = value_of(b, name);
  return before && after ? *before != *after : before != after;
}

}  // namespace

bool changes_while_mounted(std::string_view option) {
  return std::find(kAtOnce.begin(), kAtOnce.end(), option) != kAtOnce.end();
}

Reload::Reload(MountOptions options, std::string record, RereadOptions reread, ImageStore& store,
               ExchangeableUpstream& upstream)
    : options_(std::move(options)),
      record_(std::move(record)),
      reread_(std::move(reread)),
      store_(store),
      upstream_(upstream) {}

void Reload::run() {
  spdlog::info("{}: options and secrets are read anew", options_.mountpoint);
  if (auto taken = take_over(); !taken) {
    spdlog::error("{}: nothing is changed by the new options: {}", options_.mountpoint,
                  taken.error().message);
    // logrotate has moved the file all the same.
    if (auto log = reopen_log(options_.log); !log) spdlog::error(log.error().message);
  }
  store_.doubt_upstream();
  spdlog::info("{}: the reload is over", options_.mountpoint);
}

Status Reload::take_over() {
  auto next = reread_();
  if (!next) return fail(next.error());
  next->upstream.memory = options_.upstream.memory;
  // What is mounted where is settled; a config file may say something else now.
  const bool elsewhere = next->source != options_.source || next->mountpoint != options_.mountpoint;
  next->source = options_.source;
  next->where = options_.where;
  next->mountpoint = options_.mountpoint;
  // How long it believes goes with the store's, which waits.
  next->store.revalidate = options_.store.revalidate;
  if (auto loaded = load_named_files(*next); !loaded) return loaded;
  auto opened = open_upstream(next->where, next->upstream);
  if (!opened) return fail(opened.error());
  if (opened->record != record_)
    return fail(ErrorKind::kInvalid,
                fmt::format("they mean {}, and the cache is of {}", opened->record, record_));
  if (auto log = reopen_log(next->log); !log) return log;

  for (const std::string& warning : next->warnings) spdlog::warn(warning);
  if (elsewhere) spdlog::warn("source or mountpoint changed: it waits for the next mount");
  tell_what_waits(*next);
  store_.set_limits(next->store);
  upstream_.exchange(std::move(opened->upstream));
  options_ = std::move(*next);
  return {};
}

void Reload::tell_what_waits(MountOptions& next) const {
  for (const std::string& name : names_in(options_, next)) {
    if (changes_while_mounted(name) || !differs(options_, next, name)) continue;
    spdlog::warn("option '{}' changed: it waits for the next mount", name);
    if (const std::string* mounted = value_of(options_, name))
      next.given[name] = *mounted;
    else
      next.given.erase(name);
  }
}

}  // namespace imgcachefs
