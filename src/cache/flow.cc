#include "cache/flow.h"

namespace imgcachefs {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// Segments, in bytes.
constexpr uint64_t kFirstSegment = 1 << 20;  // while nothing is known
constexpr uint64_t kLeastSegment = 256 << 10, kMostSegment = 4 << 20;
constexpr Flow::Seconds kSegmentTime{1.0 / 30};

// Among readers at random places.
constexpr milliseconds kDisturbedFor{100};  // since the last of them
constexpr uint64_t kMostDisturbedSegment = 1 << 20;
constexpr milliseconds kDisturbedPause{4};  // on a short way one read of ten meets a segment then

// One more connection.
constexpr Flow::Seconds kTrial{0.2};
constexpr double kFaster = 1.15;                            // is worth it
constexpr Flow::Seconds kFirstPause{5}, kLongestPause{80};  // after one that was not

double blend(double known, double seen) {
  return known == 0 ? seen : (known + seen) / 2;
}

}  // namespace

void Flow::transferred(uint64_t bytes, Seconds first_byte, Seconds took) {
  latency_ = Seconds(blend(latency_.count(), first_byte.count()));
  // Of a few bytes it only tells how they were bunched.
  const Seconds flowed = took - first_byte;
  if (bytes >= kLeastSegment && flowed.count() > 0)
    rate_ = blend(rate_, static_cast<double>(bytes) / flowed.count());
}

bool Flow::is_disturbed(Clock::time_point now) const {
  return disturbed_ != Clock::time_point{} && now - disturbed_ < kDisturbedFor;
}

uint64_t Flow::segment_bytes(Clock::time_point now) const {
  if (is_disturbed(now))
    return std::min(static_cast<uint64_t>(rate() * latency_.count() / 4), kMostDisturbedSegment);
  if (rate_ == 0) return kFirstSegment;
  const double bytes = rate() * std::max(kSegmentTime, latency_).count();
  return std::clamp(static_cast<uint64_t>(bytes), kLeastSegment, kMostSegment);
}

unsigned Flow::streams(Clock::time_point now) const {
  if (!is_disturbed(now)) return streams_;
  return now - background_ended_ < kDisturbedPause ? 0 : 1;
}

uint64_t Flow::lead(Clock::time_point now) const {
  if (is_disturbed(now)) return 0;
  return kLeastSegment / 2 + static_cast<uint64_t>(rate() * latency_.count() * 1.5);
}

void Flow::landed(uint64_t bytes, Clock::time_point now) {
  if (is_disturbed(now)) {
    trial_began_ = {};
    return;
  }
  if (trial_began_ == Clock::time_point{}) {
    trial_began_ = now;
    trial_bytes_ = 0;
    return;
  }
  trial_bytes_ += bytes;
  const Seconds took = now - trial_began_;
  if (took < kTrial) return;
  judge_trial(static_cast<double>(trial_bytes_) / took.count(), now);
  trial_began_ = now;
  trial_bytes_ = 0;
}

void Flow::judge_trial(double rate, Clock::time_point now) {
  if (rate_before_ > 0 && rate < rate_before_ * kFaster) {
    --streams_;
    rate_before_ = 0;
    trial_pause_ =
        trial_pause_.count() == 0 ? kFirstPause : std::min(trial_pause_ * 2, kLongestPause);
    next_trial_ = now + duration_cast<Clock::duration>(trial_pause_);
    return;
  }
  rate_before_ = 0;
  if (streams_ == most_streams_ || now < next_trial_) return;
  rate_before_ = rate;
  ++streams_;
}

}  // namespace imgcachefs
