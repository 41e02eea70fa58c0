#include "cache/named_images.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace imgcachefs {
namespace {

// Names that were asked for, as a bound: those of a catalogue are kept beside it.
constexpr size_t kMostAsked = 4096;

bool newer(const CatalogueEntry& a, const CatalogueEntry& b) {
  return std::tie(a.created, a.id) > std::tie(b.created, b.id);
}

}  // namespace

bool NamedImages::believed(const Known& known) const {
  const auto age = Clock::now() - known.heard;
  if (!known.id) return age < config_.negative_ttl;
  return !config_.revalidate || age < *config_.revalidate;
}

void NamedImages::find(const std::string& name, Done done) {
  std::optional<Known> known;
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    if (auto at = known_.find(name); at != known_.end() && believed(at->second)) {
      known = at->second;
    } else {
      auto& waiting = waiting_[name];
      waiting.push_back(std::move(done));
      first = waiting.size() == 1;
    }
  }
  if (known) {
    if (known->id) return done(*known->id);
    return done(fail(ErrorKind::kNotFound, "upstream has no image of that name"));
  }
  if (first) askers_.submit([this, name] { ask(name); });
}

void NamedImages::ask(const std::string& name) {
  const auto answer = answered(name, upstream_->find_named(name, Patience::kFull, stop_));
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
  // Without the name, which can be any text.
  spdlog::warn("{}: found by its name as before, without asking upstream: {}", at->second.id->str(),
               said.error().message);
  return *at->second.id;
}

void NamedImages::catalogued(const std::vector<CatalogueEntry>& entries) {
  std::map<std::string, const CatalogueEntry*> newest;
  for (const CatalogueEntry& entry : entries) {
    if (entry.name.empty()) continue;
    auto [at, is_first] = newest.try_emplace(entry.name, &entry);
    if (!is_first && newer(entry, *at->second)) at->second = &entry;
  }
  const auto now = Clock::now();
  std::lock_guard lock(mutex_);
  std::erase_if(known_, [](const auto& known) { return known.second.catalogued; });
  for (const auto& [name, entry] : newest)
    known_.insert_or_assign(name, Known{entry->id, now, true});
}

std::vector<NamedImage> NamedImages::all() const {
  std::lock_guard lock(mutex_);
  std::vector<NamedImage> all;
  for (const auto& [name, known] : known_)
    if (known.catalogued && known.id) all.push_back({name, *known.id});
  return all;
}

}  // namespace imgcachefs
