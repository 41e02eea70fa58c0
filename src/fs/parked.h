// Parked: a request that waits for its answer without a thread, and whose asker may leave first.
//
// Exactly one of two replies is made: claim() gives the request to who has the answer, or leave()
// replies EINTR for an asker who leaves (departures.h) and claim() gives nothing. What libfuse
// asks of us, and where it is met:
//   - A request is gone with its reply. So who replies is decided first, by one exchange on
//     `decided_`, and who lost never touches the request again.
//   - An interrupt may be delivered while the reply is being made. Who replies therefore takes the
//     callback away before: that waits, on the request's own lock, for a callback that is running,
//     so the object outlives it.
//   - The callback runs under that lock, and inside fuse_req_interrupt_func() when an interrupt
//     came earlier: it only has the request watched, and never replies.
// No lock of ours is held across any of it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <memory>

#include "fs/departures.h"
#include "fs/fuse.h"
#include "fs/request_counters.h"

namespace imgcachefs {

class Parked : public std::enable_shared_from_this<Parked> {
 public:
  // `departures` outlives the request.
  static std::shared_ptr<Parked> park(fuse_req_t request, Departures& departures,
                                      RequestTimer timer);

  Parked(fuse_req_t request, Departures& departures, RequestTimer timer);
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;

  // The request, which the caller must now reply to; nullptr when the asker has left. Once.
  fuse_req_t claim();
  // For who has claimed it: to be kept until the reply is made.
  RequestTimer take_timer() { return std::move(timer_); }

  void leave();  // replies EINTR, unless the request was claimed
  bool waits() const { return !decided_; }
  pid_t asker() const { return asker_; }  // a thread's ID

 private:
  static void interrupted(fuse_req_t request, void* parked);

  const fuse_req_t request_;
  const pid_t asker_;
  Departures& departures_;
  RequestTimer timer_;  // of who claims it
  std::atomic<bool> decided_{false};
};

}  // namespace imgcachefs
