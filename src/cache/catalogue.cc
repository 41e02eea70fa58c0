#include "cache/catalogue.h"

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {
namespace {

constexpr std::chrono::seconds kPauseAfterFailure{5};

}  // namespace

void Catalogue::ask(std::stop_token stop) {
  using std::chrono::steady_clock;
  std::lock_guard asking(asking_);
  {
    std::lock_guard lock(mutex_);
    if (ask_again_ && steady_clock::now() < *ask_again_) return;
  }
  auto said = upstream_.list(Patience::kOneTry, std::move(stop));
  const auto now = steady_clock::now();
  std::lock_guard lock(mutex_);
  if (said) {
    said_ = std::move(*said);
    ask_again_ = config_.revalidate ? now + *config_.revalidate : steady_clock::time_point::max();
  } else {
    spdlog::warn("the catalogue cannot be read, its last state is shown: {}", said.error().message);
    ask_again_ = now + kPauseAfterFailure;
  }
}

Result<std::vector<ImageId>> Catalogue::names(std::stop_token stop) {
  auto names = layout_.names(Place::kCached);
  if (!names) return names;
  if (config_.list_all) {
    ask(std::move(stop));
    std::lock_guard lock(mutex_);
    for (const CatalogueEntry& entry : said_) names->push_back(entry.id);
  }
  std::sort(names->begin(), names->end());
  names->erase(std::unique(names->begin(), names->end()), names->end());
  return names;
}

}  // namespace imgcachefs
