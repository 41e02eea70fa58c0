// The layer info cache in this process's memory: bounded, and gone with it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>

#include "fetch/layer_info.h"

namespace imgcachefs {

struct MemoryLayerInfoOptions {
  using Clock = std::chrono::steady_clock;
  size_t most = 10'000;  // entries of either half; what was not asked for longest makes room
  // How long a membership is believed; nullopt: for ever. A size belongs to its digest and does
  // not age.
  std::optional<std::chrono::seconds> believe = std::nullopt;
  std::function<Clock::time_point()> now = &Clock::now;
};

LayerInfoCache memory_layer_info(MemoryLayerInfoOptions options = {});

}  // namespace imgcachefs
