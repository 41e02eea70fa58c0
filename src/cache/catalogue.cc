#include "cache/catalogue.h"

#include <utility>

#include "base/log.h"

namespace imgcachefs {
namespace {

constexpr std::chrono::seconds kPauseAfterFailure{5};

}  // namespace

void Catalogue::refresh(std::function<void()> done) {
  {
    std::unique_lock lock(mutex_);
    if (!config_.list_all || (ask_again_ && Clock::now() < *ask_again_)) {
      lock.unlock();
      return done();
    }
    waiting_.push_back(std::move(done));
    if (waiting_.size() > 1) return;
  }
  lister_.submit([this] { ask(); });
}

void Catalogue::close() {
  lister_.close();
}

void Catalogue::ask() {
  const auto asked = Clock::now();
  auto said = upstream_.list(Patience::kOneTry, stop_);
  if (said) named_.catalogued(*said, asked);
  if (!said && said.error().kind != ErrorKind::kCancelled)
    spdlog::warn("the catalogue cannot be read, its last state is shown: {}", said.error().message);
  std::vector<std::function<void()>> waiting;
  {
    const auto now = Clock::now();
    std::lock_guard lock(mutex_);
    if (said) {
      said_.clear();
      for (CatalogueEntry& entry : *said) said_.emplace(std::move(entry.id), std::move(entry.info));
      when_ = asked;
      ask_again_ = config_.revalidate ? now + *config_.revalidate : Clock::time_point::max();
      if (asked < doubted_) doubt_held();
    } else {
      ask_again_ = now + kPauseAfterFailure;
    }
    waiting = std::exchange(waiting_, {});
  }
  for (const auto& done : waiting) done();
}

Result<NameList> Catalogue::ids() const {
  NameList ids;
  auto listed = layout_.each_name(Place::kCached, [&](const ImageId& id) { ids.add(id.str()); });
  if (!listed) return fail(listed.error());
  if (config_.list_all) {
    std::lock_guard lock(mutex_);
    for (const auto& [id, info] : said_) ids.add(id.str());
  }
  ids.sort();
  return ids;
}

std::vector<NamedImage> Catalogue::names() const {
  if (!config_.list_all || !named_.exist()) return {};
  return named_.all();
}

std::optional<Catalogue::Said> Catalogue::said_of(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = said_.find(id);
  if (at == said_.end() || !at->second) return std::nullopt;
  if (config_.revalidate && Clock::now() - when_ >= *config_.revalidate) return std::nullopt;
  return Said{*at->second, when_};
}

void Catalogue::doubt() {
  std::lock_guard lock(mutex_);
  doubted_ = Clock::now();
  doubt_held();
}

void Catalogue::doubt_held() {
  ask_again_.reset();
  for (auto& [id, info] : said_) info.reset();
}

void Catalogue::forget(const ImageId& id) {
  std::lock_guard lock(mutex_);
  if (auto at = said_.find(id); at != said_.end()) at->second.reset();
}

}  // namespace imgcachefs
