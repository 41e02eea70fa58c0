// Fill: an upstream that sends no ranges is read in one pass over the whole image.
#include "base/log.h"
#include "cache/fill_sinks.h"

namespace imgcachefs {
namespace {

using std::chrono::steady_clock;

// How long a pass over an upstream without ranges stays open for a reader to go on.
constexpr std::chrono::seconds kPassLingers{5};

}  // namespace

// Called with mutex_ held.
void Fill::start_pass(Actions& actions) {
  pass_wanted_.notify_all();
  if (pass_running_ || dead_) return;
  pass_running_ = true;
  const Priority priority =
      waiting_.empty() && background_ ? Priority::kBackground : Priority::kDemand;
  actions.then.push_back([this, self = shared_from_this(), priority] {
    context_.transfers.submit(priority, this,
                              [this, self](std::stop_token stop) { pass(std::move(stop)); });
  });
}

bool Fill::wait_until_pass_wanted(uint32_t chunk, unsigned generation, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const auto over = [&] { return dead_ || generation != generation_; };
  const auto wanted = [&] {
    const uint32_t most = window_chunks();
    // Hashing is behind, and on its way.
    if (around_ && hashing_ && chunk >= frontier_ + most) return false;
    if (someone_waits_in({chunk, map_.count()})) return true;
    if (!around_) return background_;
    // A window takes some ahead of its readers, or of the digest when a read is held for it.
    return must_verify_ ? chunk < frontier_ + most : window_.size() < most;
  };
  pass_wanted_.wait_for(lock, stop, kPassLingers, [&] { return over() || wanted(); });
  return !over() && !stop.stop_requested() && wanted();
}

void Fill::pass(std::stop_token stop) {
  Result<ReadOutcome> outcome = fail(ErrorKind::kCancelled, "cancelled");
  Status ready;
  if (around()) ready = learn_digest_now();
  PassSink sink(*this, stop);
  if (!ready) {
    outcome = fail(ready.error());
  } else if (!stop.stop_requested()) {
    ImageInfo info = [this] {
      std::lock_guard lock(mutex_);
      if (started_ == steady_clock::time_point{}) started_ = sampled_ = steady_clock::now();
      return info_;
    }();
    outcome = context_.upstream.read(info, {0, info.size}, sink, stop);
    if (sink.error()) outcome = fail(*sink.error());
  }
  if (ends_the_fill(outcome)) return;
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    pass_running_ = false;
    attempts_ += outcome ? outcome->attempts : 1;
    const bool ended_by_us =
        !outcome && outcome.error().kind == ErrorKind::kCancelled && !stop.stop_requested();
    if (!outcome && !ended_by_us && sink.generation() == generation_ && !dead_) {
      last_error_ = outcome.error().message;
      background_ = false;
      if (outcome.error().kind != ErrorKind::kCancelled)
        spdlog::warn("{}: the pass over it ended: {}", info_.id.str(), outcome.error().message);
      fail_waiters(outcome.error(), actions);
      settle_wholes(fail(outcome.error()), actions);
    } else {
      settle_all(actions);  // who came when the pass had gone by
      pump_background(actions);
    }
  }
  perform(std::move(actions));
}

}  // namespace imgcachefs
