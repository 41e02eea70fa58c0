#include "fs/service_manager.h"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace imgcachefs {
namespace {

// Left in the environment: who is told once is told more.
void tell(const std::string& what) {
  ::sd_notify(0, what.c_str());
}

uint64_t monotonic_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace

bool ServiceManager::listens() const {
  return std::getenv("NOTIFY_SOCKET") != nullptr;
}

void ServiceManager::ready() const {
  // In the background we are not the process that was started.
  tell(fmt::format("READY=1\nMAINPID={}", ::getpid()));
}

void ServiceManager::reloading() const {
  // Type=notify-reload holds the answer against the time it sent the signal at.
  tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_usec()));
}

void ServiceManager::stopping() const {
  tell("STOPPING=1");
}

void ServiceManager::status(const std::string& line) const {
  tell("STATUS=" + line);
}

}  // namespace imgcachefs
