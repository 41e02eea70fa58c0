#include "fs/departures.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "fs/parked.h"

namespace imgcachefs {
namespace {

constexpr std::chrono::milliseconds kLookAgain{100};

constexpr uint64_t set_of(std::initializer_list<int> signals) {
  uint64_t set = 0;
  for (int signal : signals) set |= uint64_t{1} << (signal - 1);
  return set;
}

uint64_t signal_set(std::string_view status, std::string_view name) {
  uint64_t set = 0;
  if (const size_t at = status.find(name); at != std::string_view::npos) {
    const char* digits = status.data() + at + name.size();
    std::from_chars(digits, status.data() + status.size(), set, 16);
  }
  return set;
}

std::string status_of(pid_t thread) {
  std::ifstream file(fmt::format("/proc/{}/status", thread));
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

bool is_leaving(std::string_view status) {
  constexpr uint64_t kAskToEnd = set_of({SIGINT, SIGTERM, SIGHUP, SIGQUIT});
  constexpr uint64_t kEndNobody =
      set_of({SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU});
  const uint64_t pending = (signal_set(status, "\nSigPnd:\t") | signal_set(status, "\nShdPnd:\t")) &
                           ~signal_set(status, "\nSigBlk:\t") & ~signal_set(status, "\nSigIgn:\t") &
                           ~kEndNobody;
  return (pending & (kAskToEnd | ~signal_set(status, "\nSigCgt:\t"))) != 0;
}

Departures::Departures() : thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "departures");
}

void Departures::watch(std::weak_ptr<Parked> interrupted) {
  {
    std::lock_guard lock(mutex_);
    watched_.push_back(std::move(interrupted));
    added_ = true;
  }
  wake_.notify_one();
}

void Departures::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Departures::run() {
  std::vector<std::weak_ptr<Parked>> watched;
  std::unique_lock lock(mutex_);
  while (true) {
    const auto woken = [this] { return added_ || stopping_; };
    if (watched.empty())
      wake_.wait(lock, woken);
    else
      wake_.wait_for(lock, kLookAgain, woken);
    if (stopping_) return;
    added_ = false;
    for (auto& parked : std::exchange(watched_, {})) watched.push_back(std::move(parked));
    lock.unlock();
    std::erase_if(watched, [](const std::weak_ptr<Parked>& entry) {
      const auto parked = entry.lock();
      if (!parked || !parked->waits()) return true;
      if (!is_leaving(status_of(parked->asker()))) return false;
      parked->leave();
      return true;
    });
    lock.lock();
  }
}

}  // namespace imgcachefs
