// How an image is asked for in the background: how much at once, and over how many connections.
//
// A connection that flows is idle for a round trip between two requests, so the next request is
// sent when what is still to come covers that time (lead()). Whether more connections bring more is
// not to be known beforehand (a long way, a server that limits each): one more is tried now and
// then, and kept where the whole gets faster (streams()).
//
// Readers at random places come first. Their few bytes would queue behind a segment that fills the
// way from upstream, so while there are such readers the segments are small, one at a time and with
// pauses: what they add to a round trip is a fraction of it, and of many short round trips few meet
// one. Else a segment is what comes in a thirtieth of a second, for a reader who needs a byte in
// its midst waits for it rather than fetch it twice.
//
// Not thread-safe: the Fill's mutex protects it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace imgcachefs {

class Flow {
 public:
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;

  // `limit`: bytes per second that are taken of the background; 0: no limit.
  explicit Flow(unsigned most_streams, uint64_t limit = 0)
      : most_streams_(most_streams), limit_(static_cast<double>(limit)) {}

  // A transfer brought `bytes`: the first after `first_byte`, all after `took`.
  void transferred(uint64_t bytes, Seconds first_byte, Seconds took);
  // `bytes` came while a transfer ran in the background.
  void landed(uint64_t bytes, Clock::time_point now);
  void background_ended(Clock::time_point now) { background_ended_ = now; }
  // A reader at a random place waits for bytes.
  void disturbed(Clock::time_point now) { disturbed_ = now; }

  uint64_t segment_bytes(Clock::time_point now) const;  // about so many
  unsigned streams(Clock::time_point now) const;        // 0: not now
  // Another request may go out when no more than so many bytes are still to come; 0: one after the
  // other.
  uint64_t lead(Clock::time_point now) const;

 private:
  double rate() const { return limit_ > 0 ? std::min(rate_, limit_) : rate_; }
  bool is_disturbed(Clock::time_point now) const;
  void judge_trial(double rate, Clock::time_point now);

  const unsigned most_streams_;
  const double limit_;
  double rate_ = 0;     // bytes per second of one connection while it flows; 0: not known
  Seconds latency_{0};  // from a request to its first byte
  Clock::time_point disturbed_{}, background_ended_{};

  unsigned streams_ = 1;
  Clock::time_point trial_began_{};  // {}: none under way
  uint64_t trial_bytes_ = 0;
  double rate_before_ = 0;  // of all, with one stream less; 0: this is no trial of more
  Clock::time_point next_trial_{};
  Seconds trial_pause_{0};
};

}  // namespace imgcachefs
