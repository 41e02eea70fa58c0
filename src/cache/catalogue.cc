#include "cache/catalogue.h"

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {
namespace {

constexpr std::chrono::seconds kPauseAfterFailure{5};

}  // namespace

void Catalogue::ask(std::stop_token stop) {
  std::lock_guard asking(asking_);
  {
    std::lock_guard lock(mutex_);
    if (ask_again_ && Clock::now() < *ask_again_) return;
  }
  const auto asked = Clock::now();
  auto said = upstream_.list(Patience::kOneTry, std::move(stop));
  if (said) named_.catalogued(*said);
  const auto now = Clock::now();
  std::lock_guard lock(mutex_);
  if (said) {
    said_.clear();
    for (CatalogueEntry& entry : *said) said_.emplace(std::move(entry.id), std::move(entry.info));
    when_ = asked;
    ask_again_ = config_.revalidate ? now + *config_.revalidate : Clock::time_point::max();
  } else {
    spdlog::warn("the catalogue cannot be read, its last state is shown: {}", said.error().message);
    ask_again_ = now + kPauseAfterFailure;
  }
}

Result<std::vector<ImageId>> Catalogue::ids(std::stop_token stop) {
  auto ids = layout_.names(Place::kCached);
  if (!ids) return ids;
  if (config_.list_all) {
    ask(std::move(stop));
    std::lock_guard lock(mutex_);
    for (const auto& [id, info] : said_) ids->push_back(id);
  }
  std::sort(ids->begin(), ids->end());
  ids->erase(std::unique(ids->begin(), ids->end()), ids->end());
  return ids;
}

std::vector<NamedImage> Catalogue::names(std::stop_token stop) {
  if (!config_.list_all || !named_.exist()) return {};
  ask(std::move(stop));
  return named_.all();
}

std::optional<Catalogue::Said> Catalogue::said_of(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = said_.find(id);
  if (at == said_.end() || !at->second) return std::nullopt;
  if (config_.revalidate && Clock::now() - when_ >= *config_.revalidate) return std::nullopt;
  return Said{*at->second, when_};
}

void Catalogue::forget(const ImageId& id) {
  std::lock_guard lock(mutex_);
  if (auto at = said_.find(id); at != said_.end()) at->second.reset();
}

}  // namespace imgcachefs
