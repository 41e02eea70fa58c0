// Histogram: how often something took how long, in fixed buckets, for the metrics.
//
// Made for paths that must not feel it: an observation is two relaxed additions, without a lock and
// without memory of its own. Thread-safe; figures that are read meanwhile may lack the observations
// of that moment.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace imgcachefs {

using Took = std::chrono::nanoseconds;

// Upper bounds of buckets, inclusive and ascending.
namespace buckets {
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Of answers: from a read of the page cache to an upstream's whole patience.
inline constexpr auto kAnswers = std::to_array<Took>(
    {microseconds(10),   microseconds(25),  microseconds(50),  microseconds(100),
     microseconds(250),  microseconds(500), milliseconds(1),   microseconds(2500),
     milliseconds(5),    milliseconds(10),  milliseconds(25),  milliseconds(50),
     milliseconds(100),  milliseconds(250), milliseconds(500), seconds(1),
     milliseconds(2500), seconds(5),        seconds(10),       seconds(30),
     seconds(60)});

// Of what moves a whole image.
inline constexpr auto kTransfers = std::to_array<Took>(
    {milliseconds(50), milliseconds(100), milliseconds(250), milliseconds(500), seconds(1),
     milliseconds(2500), seconds(5), seconds(10), seconds(30), seconds(60), seconds(120),
     seconds(300), seconds(600), seconds(1800), seconds(3600)});
}  // namespace buckets

struct HistogramFigures {
  std::span<const Took> bounds;
  std::vector<uint64_t> counts;  // of each bucket alone; one more than bounds, for what is above
  Took sum{0};

  // The bound that `share` of the observations do not exceed: Took::max() when that is above all
  // bounds, nullopt when there are no observations.
  std::optional<Took> quantile_bound(double share) const {
    uint64_t all = 0, below = 0;
    for (const uint64_t count : counts) all += count;
    if (all == 0) return std::nullopt;
    for (size_t i = 0; i < bounds.size(); ++i) {
      below += counts[i];
      if (static_cast<double>(below) >= share * static_cast<double>(all)) return bounds[i];
    }
    return Took::max();
  }
};

class Histogram {
 public:
  static constexpr size_t kMostBounds = buckets::kAnswers.size();

  Histogram() : Histogram(buckets::kAnswers) {}
  // `bounds`: kMostBounds at most; they outlive the histogram.
  explicit Histogram(std::span<const Took> bounds) : bounds_(bounds) {}

  void observe(Took took) {
    const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), took) - bounds_.begin();
    counts_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(took.count(), std::memory_order_relaxed);
  }

  HistogramFigures figures() const {
    HistogramFigures figures{bounds_, {}, Took(sum_.load(std::memory_order_relaxed))};
    figures.counts.reserve(bounds_.size() + 1);
    for (size_t i = 0; i <= bounds_.size(); ++i)
      figures.counts.push_back(counts_[i].load(std::memory_order_relaxed));
    return figures;
  }

 private:
  const std::span<const Took> bounds_;
  std::array<std::atomic<uint64_t>, kMostBounds + 1> counts_{};
  std::atomic<int64_t> sum_{0};  // nanoseconds
};

}  // namespace imgcachefs
