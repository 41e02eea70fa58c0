#include "ctl/prefetch_verb.h"

#include <fmt/format.h>

#include <algorithm>

#include "cache/image_queue.h"
#include "ctl/mount_figures.h"
#include "ctl/progress.h"
#include "ctl/report.h"
#include "ctl/signals.h"

namespace imgcachefs {
namespace {

constexpr int kLookEveryMs = 200;
// A row may come a moment after its file when Glance caches the image.
constexpr int kLooksForARow = 10;

struct Wanted {
  ImageId id;
  bool queued_by_us = false;
  unsigned attempts_before = 0;  // what failed before we came is not our answer
  bool settled = false;
  uint64_t size = 0;  // bytes, when it is cached
  int looks_for_a_row = 0;
};

class Prefetch {
 public:
  Prefetch(const CommandLine& command, const CacheView& cache)
      : command_(command),
        cache_(cache),
        queue_(cache.layout()),
        report_(command.json),
        progress_(command.json) {}

  Result<ExitCode> run() {
    auto before = mount_figures(*cache_.mountpoint());
    if (!before) return fail(before.error());
    const Signals signals{SIGINT, SIGTERM, SIGHUP};
    for (const ImageId& id : command_.ids) begin(id, *before);
    while (true) {
      auto figures = mount_figures(*cache_.mountpoint());
      for (Wanted& wanted : wanted_)
        if (!wanted.settled) look(wanted, figures ? *figures : MountFigures{});
      if (all_settled()) break;
      if (!figures) {
        give_up(fmt::format("the mount does not answer any more ({})", figures.error().message));
        break;
      }
      show(*figures);
      if (signals.wait(kLookEveryMs)) {
        give_up("interrupted");
        break;
      }
    }
    progress_.clear();
    return report_.finish();
  }

 private:
  void begin(const ImageId& id, const MountFigures& before) {
    if (std::any_of(wanted_.begin(), wanted_.end(), [&](auto& other) { return other.id == id; }))
      return;
    Wanted wanted{id};
    // Also one that is being cached for somebody: in the queue it is taken up again should that
    // fail.
    auto outcome = queue_.queue_image(id, false, command_.repository_of(id));
    if (!outcome) return report_.failed(id, outcome.error());
    wanted.queued_by_us = *outcome == ImageQueue::Outcome::kQueued;
    if (auto known = before.queue.find(id); known != before.queue.end()) {
      wanted.attempts_before = known->second.attempts;
      // It failed before, and waits: not while somebody is waiting for it.
      if (*outcome == ImageQueue::Outcome::kAlreadyQueued && !known->second.next_try.empty())
        if (auto renewed = queue_.renew(id);
            !renewed && renewed.error().kind != ErrorKind::kNotFound)
          return report_.failed(id, renewed.error());
    }
    wanted_.push_back(std::move(wanted));
  }

  void look(Wanted& wanted, const MountFigures& figures) {
    const ImageId& id = wanted.id;
    // In this order: an image that becomes cached leaves the queue after that.
    auto queued = queue_.is_queued(id);
    if (!queued) return failed(wanted, queued.error().message, ExitCode::kFailed);
    auto st = posix::stat_at(cache_.layout().dir(Place::kCached), id.str());
    const bool cached = st && S_ISREG(st->st_mode);
    if (cached && !*queued) return look_at_cached(wanted, static_cast<uint64_t>(st->st_size));
    if (!cached && !*queued)
      return failed(wanted,
                    fmt::format("{}: taken out of the queue by somebody, and not cached", id.str()),
                    ExitCode::kFailed);
    auto tried = figures.queue.find(id);
    const unsigned attempts = tried == figures.queue.end() ? 0 : tried->second.attempts;
    wanted.attempts_before = std::min(wanted.attempts_before, attempts);
    if (attempts > wanted.attempts_before && tried->second.error)
      fell(wanted, *tried->second.error);
  }

  void look_at_cached(Wanted& wanted, uint64_t size) {
    const ImageId& id = wanted.id;
    Result<std::optional<IndexRecord>> row = std::optional<IndexRecord>();
    if (cache_.index() != nullptr) row = cache_.index()->find(id);
    if (!row)
      return failed(wanted, fmt::format("{}: {}", id.str(), row.error().message),
                    ExitCode::kFailed);
    if (!*row && wanted.looks_for_a_row++ < kLooksForARow) return;
    if (!*row || !(*row)->verified)
      return failed(wanted,
                    fmt::format("{}: cached, but it could not be verified: no checksum is known "
                                "for it",
                                id.str()),
                    ExitCode::kFailed);
    wanted.settled = true;
    wanted.size = size;
    progress_.clear();
    report_.did(
        id, "cached and verified",
        {{"size", size},
         {"verified", true},
         {"checksum", (*row)->checksum ? Json((*row)->checksum->tagged()) : Json(nullptr)}});
  }

  void fell(Wanted& wanted, const Error& error) {
    ExitCode code = exit_code_of(error);
    // Of an upstream's error these would say something else.
    if (code == ExitCode::kUsage || code == ExitCode::kInUse) code = ExitCode::kFailed;
    std::string after = "it stays queued";
    if (code == ExitCode::kNotCached && wanted.queued_by_us && queue_.remove(wanted.id))
      after = "it is not queued any more";
    failed(wanted, fmt::format("{}; {}", error.message, after), code);
  }

  void failed(Wanted& wanted, const std::string& message, ExitCode code) {
    wanted.settled = true;
    progress_.clear();
    report_.failed(wanted.id, message, code);
  }

  void give_up(const std::string& why) {
    for (Wanted& wanted : wanted_)
      if (!wanted.settled)
        failed(wanted, fmt::format("{}: {}; it stays queued", wanted.id.str(), why),
               ExitCode::kFailed);
  }

  bool all_settled() const {
    return std::all_of(wanted_.begin(), wanted_.end(), [](auto& wanted) { return wanted.settled; });
  }

  void show(const MountFigures& figures) {
    if (!progress_.due()) return;
    ProgressFigures progress;
    progress.count = wanted_.size();
    for (const Wanted& wanted : wanted_) {
      if (wanted.settled) {
        ++progress.done;
        progress.bytes += wanted.size;
        progress.size += wanted.size;
        continue;
      }
      auto fill = figures.fills.find(wanted.id);
      if (fill == figures.fills.end()) {
        progress.more = true;
        continue;
      }
      progress.bytes += fill->second.cached_bytes;
      progress.size += fill->second.size;
      progress.rate += fill->second.rate;
      if (!progress.image.empty()) continue;
      progress.image = wanted.id.str();
      progress.image_bytes = fill->second.cached_bytes;
      progress.image_size = fill->second.size;
    }
    if (wanted_.size() == 1) progress.image = wanted_.front().id.str();
    progress_.show(progress);
  }

  const CommandLine& command_;
  const CacheView& cache_;
  const ImageQueue queue_;
  std::vector<Wanted> wanted_;
  Report report_;
  Progress progress_;
};

}  // namespace

Result<ExitCode> run_prefetch(const CommandLine& command, const CacheView& cache) {
  if (!cache.is_served())
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: no imgcachefs has it mounted, so nobody would fetch anything "
                            "(imgcachectl queue leaves an image for the next mount)",
                            cache.layout().path()));
  if (!cache.mountpoint())
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: it is mounted where this program cannot see it, so it cannot tell "
                            "how far a fetch is (imgcachectl queue needs no mount)",
                            cache.layout().path()));
  return Prefetch(command, cache).run();
}

}  // namespace imgcachefs
