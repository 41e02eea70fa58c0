#include "cache/catalogue.h"

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {

void Catalogue::ask(std::stop_token stop) {
  using std::chrono::steady_clock;
  {
    std::lock_guard lock(mutex_);
    const bool fresh =
        asked_ && (!config_.revalidate || steady_clock::now() - *asked_ < *config_.revalidate);
    if (fresh) return;
  }
  auto said = upstream_.list(Patience::kOneTry, std::move(stop));
  std::lock_guard lock(mutex_);
  if (said) {
    said_ = std::move(*said);
    asked_ = steady_clock::now();
  } else {
    spdlog::warn("the catalogue cannot be read, its last state is shown: {}", said.error().message);
  }
}

Result<std::vector<ImageId>> Catalogue::names(std::stop_token stop) {
  auto names = layout_.names(Place::kCached);
  if (!names) return names;
  if (config_.list_all) {
    ask(std::move(stop));
    std::lock_guard lock(mutex_);
    names->insert(names->end(), said_.begin(), said_.end());
  }
  std::sort(names->begin(), names->end());
  names->erase(std::unique(names->begin(), names->end()), names->end());
  return names;
}

}  // namespace imgcachefs
