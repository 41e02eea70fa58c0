#include "cache/named_images.h"

#include <map>
#include <tuple>
#include <utility>

namespace imgcachefs {
namespace {

bool newer(const CatalogueEntry& a, const CatalogueEntry& b) {
  return std::tie(a.created, a.id) > std::tie(b.created, b.id);
}

}  // namespace

NamedImages::NamedImages(const StoreConfig& config, ImageNames* upstream, AskingThreads threads,
                         Gone gone, std::stop_token stop)
    : upstream_(upstream),
      meaning_(
          {.what = "images by their names",
           .revalidate = config.revalidate,
           .negative_ttl = config.negative_ttl,
           // That we may not ask says nothing of the name.
           .is_answer = [](const Error& error) { return error.kind == ErrorKind::kNotFound; },
           .wrong = std::move(gone)},
          threads, [this, stop = std::move(stop)](const std::string& name, Patience patience) {
            return upstream_->find_named(name, patience, stop).map([](const CatalogueEntry& found) {
              return found.id;
            });
          }) {}

void NamedImages::find(const std::string& name, Done done) {
  meaning_.find(name, [done = std::move(done)](const auto& known) {
    if (!known) return done(fail(known.error()));
    done(**known);
  });
}

void NamedImages::catalogued(const std::vector<CatalogueEntry>& entries, Clock::time_point asked) {
  std::map<std::string, const CatalogueEntry*> newest;
  for (const CatalogueEntry& entry : entries) {
    if (entry.name.empty()) continue;
    auto [at, is_first] = newest.try_emplace(entry.name, &entry);
    if (!is_first && newer(entry, *at->second)) at->second = &entry;
  }
  std::lock_guard lock(mutex_);
  // What was heard while its pages were turned is newer than it is, and stays.
  for (const std::string& name : catalogued_)
    if (!newest.contains(name)) meaning_.forget(name, asked);
  catalogued_.clear();
  for (const auto& [name, entry] : newest) {
    meaning_.put(name, entry->id, asked, true);
    catalogued_.insert(name);
  }
}

std::vector<NamedImage> NamedImages::all() const {
  std::lock_guard lock(mutex_);
  std::vector<NamedImage> all;
  for (const std::string& name : catalogued_)
    if (auto id = meaning_.known(name)) all.push_back({name, *id});
  return all;
}

}  // namespace imgcachefs
