// Signals that are taken when one looks for them, so that the last word is ours: what is drawn is
// cleared, what is promised is said, a terminal is put back.
#pragma once

#include <signal.h>

#include <initializer_list>
#include <optional>

#include "base/posix.h"

namespace imgcachefs {

// While it lives, these signals do nothing by themselves. For one thread: the only one, or one that
// the others inherit from.
class Signals {
 public:
  explicit Signals(std::initializer_list<int> signals);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_.get(); }  // readable when one came; -1: it could not be made
  std::optional<int> take() const;      // one that came, without waiting
  bool wait(int milliseconds) const;    // true: one came, and is taken

 private:
  sigset_t set_, before_;
  UniqueFd fd_;
};

}  // namespace imgcachefs
