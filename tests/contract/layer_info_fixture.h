// What the tests of layer info caches share.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <thread>

#include "base/digest.h"
#include "fetch/redis_pool.h"

namespace imgcachefs::test {

// For a Redis that answers: a machine that is busy is no fault.
inline const RedisPatience kUnhurried{
    .connect = std::chrono::seconds(30),
    .command = std::chrono::seconds(30),
    .pauses = {.first = std::chrono::milliseconds(1), .longest = std::chrono::milliseconds(5)}};
// For one that never does; and once is enough.
inline const RedisPatience kShort{
    .connect = std::chrono::milliseconds(50),
    .command = std::chrono::milliseconds(50),
    .pauses = {.first = std::chrono::hours(1), .longest = std::chrono::hours(1)}};

inline Digest blob(int number) {
  return Digest::parse(DigestAlgo::kSha256, fmt::format("{:064x}", number)).value();
}
inline Digest long_blob(int number) {
  return Digest::parse(DigestAlgo::kSha384, fmt::format("{:096x}", number)).value();
}

inline int occurrences(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// Whether `is_so` within half a minute.
template <typename IsSo>
bool soon(IsSo is_so) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace imgcachefs::test
