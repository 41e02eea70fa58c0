#include "cache/named_images.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace imgcachefs {
namespace {

// Names that were asked for, as a bound: those of a catalogue are kept beside it.
constexpr size_t kMostAsked = 4096;
// After upstream did not answer, names mean what they meant, without asking, for so long.
constexpr std::chrono::seconds kOutagePause{10};

bool newer(const CatalogueEntry& a, const CatalogueEntry& b) {
  return std::tie(a.created, a.id) > std::tie(b.created, b.id);
}

}  // namespace

bool NamedImages::believed(const Known& known) const {
  const auto now = Clock::now();
  if (!known.id) return now - known.heard < config_.negative_ttl;
  if (now < silent_until_) return true;
  return (!config_.revalidate || now - known.heard < *config_.revalidate) && !gone_(*known.id);
}

void NamedImages::find(const std::string& name, Done done) {
  std::optional<ImageId> held;
  {
    std::unique_lock lock(mutex_);
    auto at = known_.find(name);
    if (at != known_.end()) held = at->second.id;
    if (at != known_.end() && believed(at->second)) {
      lock.unlock();
      if (held) return done(*held);
      return done(fail(ErrorKind::kNotFound, "upstream has no image of that name"));
    }
    auto& waiting = waiting_[name];
    waiting.push_back(std::move(done));
    if (waiting.size() > 1) return;
  }
  // What can be answered all the same must not wait for long.
  const Patience patience = held ? Patience::kOneTry : Patience::kFull;
  (held ? brief_ : patient_).submit([this, name, patience] { ask(name, patience); });
}

void NamedImages::ask(const std::string& name, Patience patience) {
  std::optional<ImageId> held;  // others have found upstream silent since this was asked
  {
    std::lock_guard lock(mutex_);
    if (auto at = known_.find(name); at != known_.end() && Clock::now() < silent_until_)
      held = at->second.id;
  }
  const Result<ImageId> answer =
      held ? Result<ImageId>(*held) : answered(name, upstream_->find_named(name, patience, stop_));
  std::vector<Done> waiting;
  {
    std::lock_guard lock(mutex_);
    waiting = std::move(waiting_.extract(name).mapped());
  }
  for (Done& done : waiting) done(answer);
}

Result<ImageId> NamedImages::answered(const std::string& name, const Result<CatalogueEntry>& said) {
  std::lock_guard lock(mutex_);
  auto at = known_.find(name);
  if (said || said.error().kind == ErrorKind::kNotFound) {
    if (at == known_.end()) {
      if (known_.size() >= kMostAsked)
        std::erase_if(known_, [this](const auto& known) {
          return !known.second.catalogued && !believed(known.second);
        });
      at = known_.try_emplace(name).first;
    }
    at->second.heard = Clock::now();
    at->second.id = said ? std::optional(said->id) : std::nullopt;
    if (!said) return fail(said.error());
    return said->id;
  }
  const bool silence =
      said.error().kind == ErrorKind::kTimeout || said.error().kind == ErrorKind::kUnavailable;
  if (!silence || at == known_.end() || !at->second.id) return fail(said.error());
  silent_until_ = Clock::now() + kOutagePause;
  // Without the name, which can be any text.
  spdlog::warn("{}: found by its name as before, without asking upstream: {}", at->second.id->str(),
               said.error().message);
  return *at->second.id;
}

void NamedImages::catalogued(const std::vector<CatalogueEntry>& entries, Clock::time_point asked) {
  std::map<std::string, const CatalogueEntry*> newest;
  for (const CatalogueEntry& entry : entries) {
    if (entry.name.empty()) continue;
    auto [at, is_first] = newest.try_emplace(entry.name, &entry);
    if (!is_first && newer(entry, *at->second)) at->second = &entry;
  }
  std::lock_guard lock(mutex_);
  // What was heard while its pages were turned is newer than it is.
  std::erase_if(known_, [&](const auto& known) {
    return known.second.catalogued && known.second.heard <= asked;
  });
  for (auto& [name, known] : known_) known.catalogued = false;
  for (const auto& [name, entry] : newest) {
    auto [at, is_new] = known_.try_emplace(name, Known{entry->id, asked, true});
    if (is_new) continue;
    if (at->second.heard <= asked) at->second = Known{entry->id, asked, true};
    at->second.catalogued = true;
  }
}

std::vector<NamedImage> NamedImages::all() const {
  std::lock_guard lock(mutex_);
  std::vector<NamedImage> all;
  for (const auto& [name, known] : known_)
    if (known.catalogued && known.id) all.push_back({name, *known.id});
  return all;
}

}  // namespace imgcachefs
