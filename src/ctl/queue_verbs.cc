#include "ctl/queue_verbs.h"

#include <fmt/format.h>

#include "cache/image_queue.h"
#include "ctl/mount_figures.h"
#include "ctl/report.h"
#include "ctl/shown_text.h"

namespace imgcachefs {
namespace {

std::string text_of(ImageQueue::Outcome outcome) {
  switch (outcome) {
    case ImageQueue::Outcome::kQueued:
      return "queued";
    case ImageQueue::Outcome::kAlreadyQueued:
      return "queued already";
    case ImageQueue::Outcome::kCached:
      return "cached already";
    case ImageQueue::Outcome::kBeingCached:
      return "being cached already";
  }
  return "";
}

Status set_pinned(const CacheView& cache, const ImageId& id, bool pinned) {
  auto st = posix::stat_at(cache.layout().dir(Place::kCached), id.str());
  if (!st || !S_ISREG(st->st_mode))
    return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
  if (cache.index() == nullptr)
    return fail(ErrorKind::kIo,
                fmt::format("{}: this cache has no index to note it in: mount it once", id.str()));
  Status done = cache.index()->set_pinned(id, pinned);
  if (!done && done.error().kind == ErrorKind::kNotFound) {
    // Glance may have put the file there just now, or lost its row.
    if (auto repaired = cache.index()->repair(cache.layout()); !repaired)
      return fail(ErrorKind::kIo, repaired.error().message);
    done = cache.index()->set_pinned(id, pinned);
  }
  // Not with its own kind: "busy" would say that the image is in use.
  if (!done && done.error().kind != ErrorKind::kNotFound)
    return fail(ErrorKind::kIo, fmt::format("{}: {}", id.str(), done.error().message));
  return done;
}

}  // namespace

Result<ExitCode> run_queue(const CommandLine& command, const CacheView& cache) {
  MountFigures figures;
  if (cache.mountpoint())
    if (auto told = mount_figures(*cache.mountpoint())) figures = std::move(*told);
  const ImageQueue queue(cache.layout());
  Report report(command.json);
  for (const ImageId& id : command.ids) {
    auto fill = figures.fills.find(id);
    const bool being_cached = fill != figures.fills.end() && fill->second.whole;
    if (auto outcome = queue.queue_image(id, being_cached, command.repository_of(id)))
      report.did(id, text_of(*outcome));
    else
      report.failed(id, outcome.error());
  }
  if (!cache.is_served())
    complain("no imgcachefs has this cache mounted: what is queued waits for one");
  return report.finish();
}

Result<ExitCode> run_unqueue(const CommandLine& command, const CacheView& cache) {
  const ImageQueue queue(cache.layout());
  Report report(command.json);
  if (command.all) {
    auto removed = queue.remove_all();
    if (!removed) return fail(removed.error());
    for (const ImageId& id : *removed) report.did(id, "unqueued");
  }
  for (const ImageId& id : command.ids) {
    auto removed = queue.remove(id);
    if (!removed)
      report.failed(id, removed.error());
    else if (*removed)
      report.did(id, "unqueued");
    else
      report.failed(id, fmt::format("{}: not queued", id.str()), ExitCode::kNotCached);
  }
  return report.finish();
}

Result<ExitCode> run_pin(const CommandLine& command, const CacheView& cache) {
  const bool pinned = command.verb == Verb::kPin;
  Report report(command.json);
  for (const ImageId& id : command.ids) {
    if (auto done = set_pinned(cache, id, pinned); done)
      report.did(id, pinned ? "pinned" : "unpinned", {{"pinned", pinned}});
    else
      report.failed(id, done.error());
  }
  return report.finish();
}

}  // namespace imgcachefs
