#include "ctl/signals.h"

#include <sys/signalfd.h>
#include <time.h>

namespace imgcachefs {

Signals::Signals(std::initializer_list<int> signals) {
  ::sigemptyset(&set_);
  for (int signal : signals) ::sigaddset(&set_, signal);
  ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  fd_.reset(::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK));
}

Signals::~Signals() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> Signals::take() const {
  const struct timespec now = {0, 0};
  const int signal = ::sigtimedwait(&set_, nullptr, &now);
  return signal > 0 ? std::optional(signal) : std::nullopt;
}

bool Signals::wait(int milliseconds) const {
  const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  return ::sigtimedwait(&set_, nullptr, &time) > 0;
}

}  // namespace imgcachefs
