// How a start went, told by who starts the mount to who waits for it: the process in the terminal
// when the daemon is in the background, else the terminal itself.
#pragma once

#include <optional>
#include <string>

#include "base/posix.h"

namespace imgcachefs {

class StartSignal {
 public:
  StartSignal() = default;  // in the foreground
  explicit StartSignal(UniqueFd pipe) : pipe_(std::move(pipe)), background_(true) {}

  // The mount answers. In the background the terminal and the session are let go of; not before: an
  // automounter lets those mount that are of its process group, and all others wait for them.
  void ready();
  void failed(const std::string& reason);

  // The other end of the pipe: "" when the mount answers, else the reason; nullopt when who starts
  // ended without a word.
  static std::optional<std::string> wait(int pipe);

 private:
  void send(const std::string& text);

  UniqueFd pipe_;
  bool background_ = false;
};

}  // namespace imgcachefs
