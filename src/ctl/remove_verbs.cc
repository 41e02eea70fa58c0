#include "ctl/remove_verbs.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <set>
#include <thread>

#include "base/units.h"
#include "cache/eviction.h"
#include "cache/store_config.h"
#include "ctl/image_json.h"
#include "ctl/mount.h"
#include "ctl/shown_text.h"

namespace imgcachefs {
namespace {

// A daemon lets go of a file a moment after its last reader has closed it. So long this is waited
// for, by the whole command.
constexpr std::chrono::milliseconds kLetGo{1000};
constexpr std::chrono::milliseconds kTryAgain{20};

void print(const CommandLine& command, const Removals& removals, Json also) {
  if (command.json) {
    Json json = to_json(removals);
    json.update(also);
    std::fputs((to_text(json) + "\n").c_str(), stdout);
    return;
  }
  const char* did = command.dry_run ? "would remove" : "removed";
  for (const Removed& file : removals.files)
    fmt::print("{} {} ({}, {})\n", did, shown(file.id.str()), state_of(file.place),
               human_size(file.bytes));
  fmt::print("{} {} file{}, {}\n", did, removals.files.size(),
             removals.files.size() == 1 ? "" : "s", human_size(removals.bytes));
}

// Everything evict --all is about, once each.
Result<std::vector<ImageId>> all_ids(const CacheView& cache) {
  std::set<ImageId> ids;
  for (Place place : {Place::kCached, Place::kIncomplete}) {
    auto names = cache.layout().names(place);
    if (!names) return fail(names.error());
    ids.insert(names->begin(), names->end());
  }
  return std::vector<ImageId>(ids.begin(), ids.end());
}

// The limit the daemon keeps, which is not ours to guess while there is one: a smaller one would
// empty its cache.
Result<uint64_t> default_max_size(const CacheView& cache) {
  if (!cache.mountpoint()) {
    if (cache.is_served())
      return fail(ErrorKind::kInvalid,
                  "the cache is mounted where this program cannot see it, so its max_size is not "
                  "known: give --max-size");
    return StoreConfig{}.max_size;
  }
  auto text = mount_status(*cache.mountpoint());
  if (!text) return fail(text.error());
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("max_size") || !json["max_size"].is_number_unsigned())
    return fail(ErrorKind::kIo, *cache.mountpoint() + ": its status tells no max_size");
  return json["max_size"].get<uint64_t>();
}

bool is_pinned(const CacheView& cache, const ImageId& id) {
  if (!cache.index()) return false;
  auto row = cache.index()->find(id);
  return row && *row && (*row)->pinned;
}

// What is in use is tried again until `deadline`.
Result<Removals> evict_when_let_go(const CacheView& cache, const ImageId& id,
                                   std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    auto evicted = evict_files(cache.layout(), cache.index(), id);
    if (evicted || evicted.error().kind != ErrorKind::kBusy ||
        std::chrono::steady_clock::now() >= deadline || is_pinned(cache, id))
      return evicted;
    std::this_thread::sleep_for(kTryAgain);
  }
}

}  // namespace

Result<ExitCode> run_evict(const CommandLine& command, const CacheView& cache) {
  std::vector<ImageId> ids = command.ids;
  if (command.all) {
    auto all = all_ids(cache);
    if (!all) return fail(all.error());
    ids = std::move(*all);
  }
  Removals removals;
  Json errors = Json::array();
  ExitCode code = ExitCode::kDone;
  size_t forgotten = 0;
  const auto deadline = std::chrono::steady_clock::now() + kLetGo;
  for (const ImageId& id : ids) {
    auto evicted = evict_when_let_go(cache, id, deadline);
    if (evicted) {
      removals.files.insert(removals.files.end(), evicted->files.begin(), evicted->files.end());
      removals.bytes += evicted->bytes;
      if (removals.files.size() >= forgotten + kRowsAtOnce) {
        forget_rows(cache.layout(), cache.index(), removals.files, forgotten);
        forgotten = removals.files.size();
      }
      continue;
    }
    // With --all, one that went by itself meanwhile is what was asked for.
    if (command.all && evicted.error().kind == ErrorKind::kNotFound) continue;
    complain(evicted.error().message);
    const ExitCode failure = exit_code_of(evicted.error());
    errors.push_back({{"image_id", id.str()},
                      {"error", evicted.error().message},
                      {"exit_code", static_cast<int>(failure)}});
    if (code == ExitCode::kDone) code = failure;
  }
  forget_rows(cache.layout(), cache.index(), removals.files, forgotten);
  print(command, removals, {{"errors", errors}});
  return code;
}

Result<ExitCode> run_prune(const CommandLine& command, const CacheView& cache) {
  Result<uint64_t> max_size =
      command.max_size ? Result<uint64_t>(*command.max_size) : default_max_size(cache);
  if (!max_size) return fail(max_size.error());
  auto removals = prune(cache.layout(), cache.index(), *max_size, command.dry_run);
  if (!removals) return fail(removals.error());
  print(command, *removals, {{"max_size", *max_size}, {"dry_run", command.dry_run}});
  return ExitCode::kDone;
}

Result<ExitCode> run_clean(const CommandLine& command, const CacheView& cache) {
  const auto stall_time = command.stall_time.value_or(StoreConfig{}.stall_time);
  auto removals = clean(cache.layout(), stall_time, command.dry_run);
  if (!removals) return fail(removals.error());
  print(command, *removals, {{"stall_time", stall_time.count()}, {"dry_run", command.dry_run}});
  return ExitCode::kDone;
}

}  // namespace imgcachefs
