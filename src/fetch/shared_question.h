// A question to upstream that many need the answer to at the same time: one asks, the others wait
// for what it learns, and what it learnt is kept.
//
// - A failure is that of all who waited for it: not each of a crowd of readers shall go through all
//   the retries, one after the other. Of an attempt that was less patient than a waiter is, it is
//   not: that one asks anew.
// - Whoever asks may be told to stop. That fails nobody else: the next one asks.
// - Nothing is locked while upstream is asked, and everyone waits with a stop token of their own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "base/result.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe.
template <typename Answer>
class SharedQuestion {
 public:
  using Known = std::shared_ptr<const Answer>;

  struct Asker {
    bool fresh = false;  // only an answer to a question asked after the call counts
    Patience patience = Patience::kFull;
    std::stop_token stop = {};
  };

  // `what`: named in errors, e.g. a redacted URL.
  explicit SharedQuestion(std::string what) : what_(std::move(what)) {}

  // An answer that came during this call (asker.fresh: to a question asked during it), or the one
  // that is known if `will_do(const Answer&, bool being_asked)` and asker.fresh is not set; else
  // what `ask(const Known& old)` returns: a Result<Answer>. `will_do` is called with a lock held
  // and must be quick; `ask` runs in this thread, in one at a time.
  template <typename WillDo, typename Ask>
  Result<Known> answer(const Asker& asker, WillDo will_do, Ask ask) {
    // Who waits for others with Patience::kOneTry does so no longer than one try takes.
    const auto deadline = std::chrono::steady_clock::now() + kOneTryTime;
    std::unique_lock lock(mutex_);
    const uint64_t oldest_good = asker.fresh ? asked_ + 1 : answered_ + 1;
    const uint64_t failed_before = failed_;
    for (;;) {
      if (known_ && (answered_ >= oldest_good || (!asker.fresh && will_do(*known_, asking_))))
        return known_;
      if (failed_ > failed_before && (!asker.fresh || failed_ >= oldest_good) &&
          failure_is_of(asker))
        return fail(*error_);
      if (asking_) {
        auto over = [this] { return !asking_; };
        if (asker.patience == Patience::kFull)
          changed_.wait(lock, asker.stop, over);
        else if (!changed_.wait_until(lock, asker.stop, deadline, over) &&
                 !asker.stop.stop_requested())
          return fail(ErrorKind::kTimeout, what_ + ": no answer yet");
        if (asker.stop.stop_requested()) return fail(ErrorKind::kCancelled, what_ + ": cancelled");
        continue;
      }
      asking_ = true;
      const uint64_t number = ++asked_;
      const Known old = known_;
      lock.unlock();
      Result<Answer> got = ask(old);
      lock.lock();
      asking_ = false;
      changed_.notify_all();
      if (!got) {
        failed_ = number;
        failed_patience_ = asker.patience;
        error_ = got.error();
        return fail(got.error());
      }
      known_ = std::make_shared<const Answer>(std::move(*got));
      answered_ = number;
      return known_;
    }
  }

  Known known() const {  // null: nothing
    std::lock_guard lock(mutex_);
    return known_;
  }

  // Forgets what is known if `wrong(const Answer&)`; whether it did.
  template <typename Wrong>
  bool forget_if(Wrong wrong) {
    std::lock_guard lock(mutex_);
    if (!known_ || !wrong(*known_)) return false;
    known_.reset();
    return true;
  }

 private:
  bool failure_is_of(const Asker& asker) const {
    return error_->kind != ErrorKind::kCancelled &&
           (asker.patience == Patience::kOneTry || failed_patience_ == Patience::kFull);
  }

  const std::string what_;
  mutable std::mutex mutex_;  // protects what follows
  std::condition_variable_any changed_;
  bool asking_ = false;
  uint64_t asked_ = 0;     // number of the latest question
  uint64_t answered_ = 0;  // number of the one `known_` is from
  Known known_;
  uint64_t failed_ = 0;  // number of the one the next two are from
  std::optional<Error> error_;
  Patience failed_patience_ = Patience::kFull;
};

}  // namespace imgcachefs
