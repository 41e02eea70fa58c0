#include "fetch/shared_question.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using Question = SharedQuestion<int>;

// Asks in threads of its own, and answers when the test says so.
class Askers : public ::testing::Test {
 protected:
  std::future<Result<int>> ask(Patience patience = Patience::kFull, std::stop_token stop = {},
                               bool fresh = false) {
    return std::async(std::launch::async, [=, this]() -> Result<int> {
      ++callers_;
      auto known = question_.answer(
          {.fresh = fresh, .patience = patience, .stop = stop},
          [](const int&, bool) { return true; },
          [&](const Question::Known&) { return answer(stop); });
      if (!known) return fail(known.error());
      return **known;
    });
  }

  // What upstream says, once it is let.
  Result<int> answer(std::stop_token stop) {
    const int number = ++asked_;
    while (!stop.stop_requested() && let_ < number) std::this_thread::sleep_for(1ms);
    if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "cancelled");
    if (fails_) return fail(ErrorKind::kTimeout, "silent");
    return number;
  }

  // Everyone who was sent off has come as far as they can.
  void all_wait(int callers, int asked) {
    while (callers_ < callers || asked_ < asked) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(200ms);
  }

  Question question_{"question"};
  std::atomic<int> callers_{0}, asked_{0}, let_{0};
  std::atomic<bool> fails_{false};
};

TEST_F(Askers, ShareOneAnswer) {
  std::vector<std::future<Result<int>>> all;
  for (int i = 0; i < 16; ++i) all.push_back(ask());
  all_wait(16, 1);
  let_ = 1;
  for (auto& one : all) EXPECT_EQ(one.get().value(), 1);
  EXPECT_EQ(ask().get().value(), 1);
  EXPECT_EQ(asked_, 1);
}

TEST_F(Askers, ShareOneFailureAndTheNextAsksAnew) {
  fails_ = true;
  std::vector<std::future<Result<int>>> all;
  for (int i = 0; i < 8; ++i) all.push_back(ask());
  all_wait(8, 1);
  let_ = 100;
  for (auto& one : all) EXPECT_EQ(one.get().error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(asked_, 1);
  fails_ = false;
  EXPECT_EQ(ask().get().value(), 2);
}

TEST_F(Askers, OneWhoLeavesFailsNobodyElse) {
  std::stop_source stop;
  auto leaves = ask(Patience::kFull, stop.get_token());
  all_wait(1, 1);
  std::vector<std::future<Result<int>>> stay;
  for (int i = 0; i < 4; ++i) stay.push_back(ask());
  all_wait(5, 1);
  stop.request_stop();
  EXPECT_EQ(leaves.get().error().kind, ErrorKind::kCancelled);
  let_ = 2;
  for (auto& one : stay) EXPECT_EQ(one.get().value(), 2);
  EXPECT_EQ(asked_, 2);
}

TEST_F(Askers, OneWhoWaitsCanLeave) {
  auto asks = ask();
  all_wait(1, 1);
  std::stop_source stop;
  auto waits = ask(Patience::kFull, stop.get_token());
  all_wait(2, 1);
  stop.request_stop();
  EXPECT_EQ(waits.get().error().kind, ErrorKind::kCancelled);
  let_ = 1;
  EXPECT_EQ(asks.get().value(), 1);
}

TEST_F(Askers, AShortTryIsNotTheFailureOfThePatient) {
  fails_ = true;
  auto hasty = ask(Patience::kOneTry);
  all_wait(1, 1);
  auto hasty_too = ask(Patience::kOneTry), patient = ask();
  all_wait(3, 1);
  let_ = 1;
  EXPECT_EQ(hasty.get().error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(hasty_too.get().error().kind, ErrorKind::kTimeout);
  all_wait(3, 2);
  fails_ = false;
  let_ = 2;
  EXPECT_EQ(patient.get().value(), 2);
}

TEST_F(Askers, TheHastyDoNotWaitForThePatient) {
  auto patient = ask();
  all_wait(1, 1);
  auto hasty = ask(Patience::kOneTry);
  EXPECT_EQ(hasty.get().error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(asked_, 1);
  let_ = 1;
  EXPECT_EQ(patient.get().value(), 1);
}

TEST_F(Askers, AFreshAnswerWasAskedForAfterTheCall) {
  auto first = ask();
  all_wait(1, 1);
  auto fresh = ask(Patience::kFull, {}, true);
  all_wait(2, 1);
  let_ = 2;
  EXPECT_EQ(first.get().value(), 1);
  EXPECT_EQ(fresh.get().value(), 2);
}

TEST_F(Askers, WhatIsForgottenIsAskedAgain) {
  let_ = 2;
  EXPECT_EQ(ask().get().value(), 1);
  EXPECT_FALSE(question_.forget_if([](int known) { return known == 7; }));
  EXPECT_TRUE(question_.forget_if([](int known) { return known == 1; }));
  EXPECT_FALSE(question_.forget_if([](int) { return true; }));
  EXPECT_EQ(question_.known(), nullptr);
  EXPECT_EQ(ask().get().value(), 2);
}

}  // namespace
}  // namespace imgcachefs
