#include "fs/start_signal.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace imgcachefs {
namespace {

constexpr char kReady = 'R';
constexpr char kFailed = 'F';

}  // namespace

void StartSignal::send(const std::string& text) {
  std::string_view rest(text);
  while (!rest.empty()) {
    const ssize_t n = ::write(pipe_.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // nobody waits any more
    rest.remove_prefix(static_cast<size_t>(n));
  }
  pipe_.reset();
}

void StartSignal::ready() {
  if (!background_ || !pipe_) return;
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (int fd : {0, 1, 2}) ::dup2(null.get(), fd);
  ::setsid();
  send(std::string(1, kReady));
}

void StartSignal::failed(const std::string& reason) {
  if (background_)
    send(kFailed + reason);
  else
    std::fprintf(stderr, "imgcachefs: %s\n", reason.c_str());
}

std::optional<std::string> StartSignal::wait(int pipe) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t n = ::read(pipe, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  if (text.empty()) return std::nullopt;
  return text[0] == kReady ? std::string() : text.substr(1);
}

}  // namespace imgcachefs
