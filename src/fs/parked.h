// Parked: a request that waits for its answer without a thread, and whose asker may leave first.
//
// Exactly one of two replies is made: claim() gives the request to who has the answer, or an
// interrupt (the asker got a signal) replies EINTR at once and claim() gives nothing. What libfuse
// asks of us, and where it is met:
//   - A request is gone with its reply. So who replies is decided first, by one exchange on
//     `state_`, and who lost never touches the request again.
//   - An interrupt may be delivered while the answer is being claimed. claim() therefore takes the
//     callback away before it returns: that waits, on the request's own lock, for a callback that
//     is running (it finds that it lost), so the object may go away afterwards.
//   - Inside fuse_req_interrupt_func() an interrupt that came earlier calls back at once, and a
//     reply from there would free the request under libfuse's feet. So while we register, the
//     callback only leaves a note, and park() replies when libfuse is out of the request.
// No lock of ours is held across any of it.
#pragma once

#include <atomic>
#include <memory>

#include "fs/fuse.h"

namespace imgcachefs {

class Parked {
 public:
  // nullptr: the asker has left already and was answered; there is nothing to be done for it.
  static std::shared_ptr<Parked> park(fuse_req_t request);

  explicit Parked(fuse_req_t request) : request_(request) {}
  Parked(const Parked&) = delete;
  Parked& operator=(const Parked&) = delete;

  // The request, which the caller must now reply to; nullptr when the asker has left. Once.
  fuse_req_t claim();

 private:
  enum class State { kRegistering, kLeftEarly, kWaiting, kDecided };
  static void interrupted(fuse_req_t request, void* parked);

  const fuse_req_t request_;
  std::atomic<State> state_{State::kRegistering};
};

}  // namespace imgcachefs
