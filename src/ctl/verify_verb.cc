#include "ctl/verify_verb.h"

#include <fmt/format.h>

#include <chrono>

#include "cache/verification.h"
#include "ctl/progress.h"
#include "ctl/report.h"
#include "ctl/signals.h"

namespace imgcachefs {
namespace {

struct Wanted {
  ImageId id;
  uint64_t size = 0;  // bytes, as far as known
};

Result<std::vector<Wanted>> wanted_images(const CommandLine& command, const CacheView& cache) {
  std::vector<Wanted> wanted;
  if (command.ids.empty()) {
    auto entries = cache.entries(Place::kCached);
    if (!entries) return fail(entries.error());
    for (const ImageEntry& entry : *entries)
      wanted.push_back({entry.file.id, static_cast<uint64_t>(entry.file.st.st_size)});
    return wanted;
  }
  for (const ImageId& id : command.ids) {
    auto st = posix::stat_at(cache.layout().dir(Place::kCached), id.str());
    wanted.push_back({id, st ? static_cast<uint64_t>(st->st_size) : 0});
  }
  return wanted;
}

Json also(const Verification& verification) {
  const auto or_null = [](const std::optional<Digest>& digest) {
    return digest ? Json(digest->tagged()) : Json(nullptr);
  };
  return {{"size", verification.size},
          {"verified", verification.verdict == Verdict::kRight},
          {"checksum", or_null(verification.expected)},
          {"actual", or_null(verification.actual)}};
}

}  // namespace

Result<ExitCode> run_verify(const CommandLine& command, const CacheView& cache) {
  auto wanted = wanted_images(command, cache);
  if (!wanted) return fail(wanted.error());
  const bool named = !command.ids.empty();
  ProgressFigures figures;
  figures.count = wanted->size();
  for (const Wanted& image : *wanted) figures.size += image.size;
  uint64_t done = 0;
  const auto start = std::chrono::steady_clock::now();
  const Signals signals{SIGINT, SIGTERM, SIGHUP};
  bool interrupted = false;
  Progress progress(command.json);
  Report report(command.json);
  for (const auto& [id, size] : *wanted) {
    const auto show = [&, &id = id, &size = size](uint64_t bytes) {
      interrupted = signals.take().has_value();
      if (interrupted || !progress.due()) return !interrupted;
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      figures.image = id.str();
      figures.image_bytes = bytes;
      figures.image_size = size;
      figures.bytes = done + bytes;
      figures.rate =
          static_cast<uint64_t>(static_cast<double>(figures.bytes) / std::max(took.count(), 0.001));
      progress.show(figures);
      return true;
    };
    auto verified = verify_cached(cache.layout(), cache.index(), id, show);
    progress.clear();
    done += size;
    ++figures.done;
    if (interrupted) {
      report.failed(id,
                    fmt::format("{}: interrupted, and {} behind it not looked at", id.str(),
                                wanted->size() - figures.done),
                    ExitCode::kFailed);
      break;
    }
    if (!verified) {
      // With --all, one that went meanwhile is nothing to complain of.
      const ErrorKind kind = verified.error().kind;
      if (named || (kind != ErrorKind::kNotFound && kind != ErrorKind::kStale))
        report.failed(id, verified.error());
      continue;
    }
    switch (verified->verdict) {
      case Verdict::kRight:
        report.did(id, "verified", also(*verified));
        break;
      case Verdict::kWrong:
        report.failed(
            id, wrong_checksum(id, *verified->expected, *verified->actual) + "; moved to invalid/",
            ExitCode::kVerificationFailed);
        break;
      case Verdict::kUnknown:
        if (named)
          report.failed(id, fmt::format("{}: no checksum is known for it", id.str()),
                        ExitCode::kFailed);
        else
          report.did(id, "skipped: no checksum is known for it", also(*verified));
        break;
    }
  }
  return report.finish();
}

}  // namespace imgcachefs
