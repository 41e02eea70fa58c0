#include "fs/parked.h"

#include <cerrno>

namespace imgcachefs {

Parked::Parked(fuse_req_t request, Departures& departures, RequestTimer timer)
    : request_(request),
      asker_(fuse_req_ctx(request)->pid),
      departures_(departures),
      timer_(std::move(timer)) {}

std::shared_ptr<Parked> Parked::park(fuse_req_t request, Departures& departures,
                                     RequestTimer timer) {
  auto parked = std::make_shared<Parked>(request, departures, std::move(timer));
  fuse_req_interrupt_func(request, &Parked::interrupted, parked.get());
  return parked;
}

fuse_req_t Parked::claim() {
  if (decided_.exchange(true)) return nullptr;
  fuse_req_interrupt_func(request_, nullptr, nullptr);
  return request_;
}

void Parked::leave() {
  if (fuse_req_t request = claim()) {
    const RequestTimer timer = take_timer();
    fuse_reply_err(request, EINTR);
  }
}

void Parked::interrupted(fuse_req_t, void* parked) {
  auto& self = *static_cast<Parked*>(parked);
  self.departures_.watch(self.weak_from_this());
}

}  // namespace imgcachefs
