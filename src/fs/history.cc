#include "fs/history.h"

#include <utility>

namespace imgcachefs {
namespace {

void append(std::deque<Traffic>& samples, const Traffic& sample, size_t most) {
  samples.push_back(sample);
  if (samples.size() > most) samples.pop_front();
}

}  // namespace

void History::add(const Traffic& total) {
  std::lock_guard lock(mutex_);
  append(fine_, total.since(std::exchange(last_, total)), kFineSamples);
  if (--until_coarse_ > 0) return;
  until_coarse_ = kCoarse / kFine;
  append(coarse_, total.since(std::exchange(last_coarse_, total)), kCoarseSamples);
}

std::vector<Traffic> History::fine() const {
  std::lock_guard lock(mutex_);
  return {fine_.begin(), fine_.end()};
}

std::vector<Traffic> History::coarse() const {
  std::lock_guard lock(mutex_);
  return {coarse_.begin(), coarse_.end()};
}

}  // namespace imgcachefs
