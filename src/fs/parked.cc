#include "fs/parked.h"

#include <cerrno>

namespace imgcachefs {

std::shared_ptr<Parked> Parked::park(fuse_req_t request) {
  auto parked = std::make_shared<Parked>(request);
  fuse_req_interrupt_func(request, &Parked::interrupted, parked.get());
  State expected = State::kRegistering;
  if (parked->state_.compare_exchange_strong(expected, State::kWaiting)) return parked;
  fuse_reply_err(request, EINTR);
  return nullptr;
}

fuse_req_t Parked::claim() {
  State expected = State::kWaiting;
  if (!state_.compare_exchange_strong(expected, State::kDecided)) return nullptr;
  fuse_req_interrupt_func(request_, nullptr, nullptr);
  return request_;
}

void Parked::interrupted(fuse_req_t request, void* parked) {
  // After the exchange the object may be gone: nothing of it is used below.
  auto& state = static_cast<Parked*>(parked)->state_;
  State expected = State::kRegistering;
  if (state.compare_exchange_strong(expected, State::kLeftEarly)) return;
  if (expected == State::kWaiting && state.compare_exchange_strong(expected, State::kDecided))
    fuse_reply_err(request, EINTR);
}

}  // namespace imgcachefs
