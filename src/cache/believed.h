// What upstream said of each of many things: what a name means, which tags a repository has.
//
// - It is believed for `revalidate`; "there is none" and "you may not" for `negative_ttl`.
// - One question about a thing is on its way, however many want to know.
// - What is known is asked about with the patience of one try, and while upstream is silent it is
//   what it was last. Then nothing known is asked about for a while, or until upstream speaks.
// - A bounded number of things is known: beyond it those are forgotten, and asked about again, that
//   are not believed any more, and then those that were heard of first.
#pragma once

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/worker_pool.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// For whom questions are asked: those with all patience do not hold up those of one try.
struct AskingThreads {
  WorkerPool& patient;
  WorkerPool& brief;
};

// How somebody asks.
struct Wish {
  // kOneTry: also when nothing is known. While upstream is silent it is not asked then.
  Patience patience = Patience::kFull;
  // What was heard longer ago is not believed.
  std::optional<std::chrono::seconds> younger_than = std::nullopt;
};

// Thread-safe; mutex_ protects what follows it and is not held while upstream is asked. What it is
// given outlives it; the threads are closed before it ends.
template <typename Key, typename Value>
class Believed {
 public:
  using Clock = std::chrono::steady_clock;
  using Known = std::shared_ptr<const Value>;
  using Done = std::function<void(Result<Known>)>;

  struct Rules {
    std::string what;                                // named in the log: never a text of upstream's
    std::optional<std::chrono::seconds> revalidate;  // nullopt: for ever
    std::chrono::seconds negative_ttl{5};
    size_t most = 4096;  // things
    // Whether an error is upstream's word about the thing, and takes the place of what was known.
    // Every other error is told to who asked, and changes nothing.
    std::function<bool(const Error&)> is_answer = [](const Error& error) {
      return error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kDenied;
    };
    // Whether what is known of a thing is known to be wrong. With a lock held: quick.
    std::function<bool(const Value&)> wrong = [](const Value&) { return false; };
    // What is not forgotten however many others there are. With a lock held, and for each: quick.
    std::function<bool(const Key&)> keep = [](const Key&) { return false; };
  };
  using Ask = std::function<Result<Value>(const Key&, Patience)>;

  Believed(Rules rules, AskingThreads threads, Ask ask)
      : rules_(std::move(rules)), threads_(threads), ask_(std::move(ask)) {}

  // Calls `done` once: at once when the answer is known and believed, else from one of the threads.
  void find(const Key& key, Done done) { find(key, Wish{}, std::move(done)); }
  void find(const Key& key, const Wish& wish, Done done) {
    Question question{key, wish.patience};
    {
      std::unique_lock lock(mutex_);
      auto at = entries_.find(key);
      if (at != entries_.end() && believed(at->second, wish)) {
        const Result<Known> answer = answer_of(at->second);
        lock.unlock();
        return done(answer);
      }
      // What can be answered all the same must not wait for long.
      if (at != entries_.end() && at->second.known) question.second = Patience::kOneTry;
      auto& waiting = waiting_[question];
      waiting.push_back(std::move(done));
      if (waiting.size() > 1) return;
    }
    const bool brief = question.second == Patience::kOneTry;
    (brief ? threads_.brief : threads_.patient).submit([this, question] { answer_all(question); });
  }

  // Somebody heard it otherwise, when he asked at `asked`. `kept`: it is not forgotten however many
  // others there are, until it is put again.
  void put(const Key& key, Value value, Clock::time_point asked, bool kept = false) {
    std::lock_guard lock(mutex_);
    if (!kept) make_room(key);
    Entry& entry = entries_[key];
    entry.kept = kept;
    if (entry.heard && *entry.heard > asked) return;
    entry = {
        .known = std::make_shared<const Value>(std::move(value)), .heard = asked, .kept = kept};
  }

  // It was so at a time long past: what it is while upstream is silent, unless more is known.
  void assume(const Key& key, Value value) {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[key];
    if (!entry.heard) entry.known = std::make_shared<const Value>(std::move(value));
  }

  // Forgets what was heard at `asked` or before.
  void forget(const Key& key, Clock::time_point asked = Clock::time_point::max()) {
    std::lock_guard lock(mutex_);
    auto at = entries_.find(key);
    if (at == entries_.end()) return;
    at->second.kept = false;
    if (!at->second.heard || *at->second.heard <= asked) entries_.erase(at);
  }

  // Nothing that was heard is believed any more; what is known is what it is while upstream is
  // silent.
  void doubt_all() {
    std::lock_guard lock(mutex_);
    silent_until_ = {};
    silence_.reset();
    for (auto& [key, entry] : entries_) {
      entry.heard.reset();
      entry.refusal.reset();
    }
    std::erase_if(entries_, [](const auto& one) { return !one.second.known; });
  }

  // What is known, believed or not; nullptr: nothing.
  Known known(const Key& key) const {
    std::lock_guard lock(mutex_);
    auto at = entries_.find(key);
    return at == entries_.end() ? nullptr : at->second.known;
  }

 private:
  struct Entry {
    Known known = nullptr;              // nullptr: there is none
    std::optional<Error> refusal = {};  // upstream's last word, when it was one
    std::optional<Clock::time_point> heard = {};
    bool kept = false;
  };

  using Question = std::pair<Key, Patience>;

  // With mutex_ held, as the next.
  bool believed(const Entry& entry, const Wish& wish = {}) const {
    const auto now = Clock::now();
    if (!entry.heard) return entry.known && now < silent_until_;
    if (entry.refusal) return now - *entry.heard < rules_.negative_ttl;
    if (now < silent_until_) return true;
    if (wish.younger_than && now - *entry.heard >= *wish.younger_than) return false;
    return (!rules_.revalidate || now - *entry.heard < *rules_.revalidate) &&
           !rules_.wrong(*entry.known);
  }

  static Result<Known> answer_of(const Entry& entry) {
    if (entry.refusal) return fail(*entry.refusal);
    return entry.known;
  }

  void answer_all(const Question& question) {
    const auto& [key, patience] = question;
    std::optional<Result<Known>> answer = said_by_silence(question);
    if (!answer) answer = heard(key, ask_(key, patience));
    std::vector<Done> waiting;
    {
      std::lock_guard lock(mutex_);
      waiting = std::move(waiting_.extract(question).mapped());
    }
    for (Done& done : waiting) done(*answer);
  }

  // Others may have found upstream silent since this was asked, or just before.
  std::optional<Result<Known>> said_by_silence(const Question& question) const {
    const auto& [key, patience] = question;
    std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    auto at = entries_.find(key);
    if (at != entries_.end() && at->second.known) {
      if (!at->second.refusal && now < silent_until_) return at->second.known;
    } else if (patience == Patience::kOneTry && silence_ && now < silence_->second) {
      return fail(silence_->first);
    }
    return std::nullopt;
  }

  Result<Known> heard(const Key& key, Result<Value> said) {
    std::lock_guard lock(mutex_);
    const bool refused = !said && rules_.is_answer(said.error());
    if (said || refused) {
      // One thing that cannot be told shall not keep the others from being asked about.
      silent_until_ = {};
      silence_.reset();
      make_room(key);
      Entry& entry = entries_[key];
      entry.heard = Clock::now();
      entry.refusal.reset();
      if (said) {
        entry.known = std::make_shared<const Value>(std::move(*said));
      } else {
        entry.known = nullptr;
        entry.refusal = said.error();
      }
      return answer_of(entry);
    }
    if (!is_silence(said.error())) return fail(said.error());
    const auto until = Clock::now() + kOutagePause;
    silence_ = {said.error(), until};
    auto at = entries_.find(key);
    if (at == entries_.end() || !at->second.known) return fail(said.error());
    silent_until_ = until;
    spdlog::warn("{}: as before, without asking upstream: {}", rules_.what, said.error().message);
    return at->second.known;
  }

  void make_room(const Key& key) {  // with mutex_ held
    if (entries_.size() < make_room_at_ || entries_.contains(key)) return;
    std::vector<Clock::time_point> heard;
    std::erase_if(entries_, [&](const auto& one) {
      if (one.second.kept || rules_.keep(one.first)) return false;
      if (!believed(one.second)) return true;
      heard.push_back(one.second.heard.value_or(Clock::time_point::min()));
      return false;
    });
    if (entries_.size() >= rules_.most && !heard.empty()) {
      const auto middle = heard.begin() + static_cast<ptrdiff_t>(heard.size() / 2);
      std::nth_element(heard.begin(), middle, heard.end());
      std::erase_if(entries_, [&, last = *middle](const auto& one) {
        return !one.second.kept && one.second.heard.value_or(Clock::time_point::min()) <= last &&
               !rules_.keep(one.first);
      });
    }
    // Not again for each one more when little could go.
    make_room_at_ = std::max(rules_.most, entries_.size() + entries_.size() / 4);
  }

  // After upstream did not answer, what is known is so, without asking, for so long.
  static constexpr std::chrono::seconds kOutagePause{10};

  const Rules rules_;
  const AskingThreads threads_;
  const Ask ask_;
  mutable std::mutex mutex_;
  std::map<Key, Entry> entries_;
  std::map<Question, std::vector<Done>> waiting_;
  size_t make_room_at_ = rules_.most;
  Clock::time_point silent_until_{};
  std::optional<std::pair<Error, Clock::time_point>> silence_;  // the last one, and its pause's end
};

}  // namespace imgcachefs
