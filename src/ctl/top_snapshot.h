// What a mount is doing, at one moment and since the moment before.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/units.h"
#include "ctl/image_json.h"
#include "ctl/mount_figures.h"

namespace imgcachefs {

// Since the snapshot before.
struct TopRates {
  double requests = 0, bytes = 0, errors = 0;  // a second, of the upstream
  uint64_t hits = 0, misses = 0;               // opens
};

struct TopSnapshot {
  std::string mountpoint;
  WallTime when{};
  std::chrono::steady_clock::time_point clock{};
  MountFigures figures;
  std::optional<TopRates> rates;  // none of the first one, and of the first of a new daemon
};

// Reads the status page; `before`: the last one, if there was one.
Result<TopSnapshot> take_snapshot(const std::string& mountpoint, const TopSnapshot* before);

// Without its rates, or with those since `before`. (Counters that went back are a new daemon's.)
std::optional<TopRates> rates_since(const TopSnapshot& before, const TopSnapshot& now);

// Hits of all opens since the mount, in percent; nullopt: there was none.
std::optional<unsigned> hit_percent(uint64_t hits, uint64_t misses);

Json to_json(const TopSnapshot& snapshot);

}  // namespace imgcachefs
