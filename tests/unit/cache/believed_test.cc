// What is believed of many things, for how long, and how many of them.
#include "cache/believed.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using BelievedNumbers = Believed<int, int>;

class BelievedTest : public ::testing::Test {
 protected:
  BelievedNumbers::Rules rules() const {
    return {.what = "numbers", .revalidate = std::nullopt, .most = 10};
  }
  // Asked for a number, the answer is that number.
  BelievedNumbers numbers(BelievedNumbers::Rules rules) {
    return {
        std::move(rules), {patient_, brief_}, [this](int key, Patience patience) -> Result<int> {
          std::lock_guard lock(mutex_);
          ++asked_;
          patience_ = patience;
          if (silent_.contains(key)) return fail(ErrorKind::kTimeout, "silent");
          return key;
        }};
  }
  static bool find(BelievedNumbers& all, int key, const Wish& wish = {}) {
    std::promise<bool> answer;
    all.find(key, wish, [&](const auto& known) { answer.set_value(known.has_value()); });
    return answer.get_future().get();
  }

  std::mutex mutex_;
  unsigned asked_ = 0;
  Patience patience_ = Patience::kFull;
  std::set<int> silent_;
  WorkerPool patient_{"patient", 1}, brief_{"brief", 1};
};

TEST_F(BelievedTest, IsBoundedThoughAllOfItIsBelieved) {
  auto all = numbers(rules());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(find(all, i));
  int known = 0;
  for (int i = 0; i < 100; ++i) known += all.known(i) != nullptr;
  EXPECT_LE(known, 13);  // a quarter more than the bound, before there is room made again
  EXPECT_TRUE(all.known(99));
}

TEST_F(BelievedTest, IsBoundedWhenItIsPut) {
  auto all = numbers(rules());
  for (int i = 0; i < 100; ++i) all.put(i, i, BelievedNumbers::Clock::now());
  int known = 0;
  for (int i = 0; i < 100; ++i) known += all.known(i) != nullptr;
  EXPECT_LE(known, 13);
}

TEST_F(BelievedTest, KeepsWhatItIsToKeep) {
  auto how = rules();
  how.keep = [](int key) { return key < 3; };
  auto all = numbers(how);
  all.assume(0, 7);
  EXPECT_TRUE(find(all, 1));
  all.put(2, 2, BelievedNumbers::Clock::now());
  for (int i = 3; i < 100; ++i) EXPECT_TRUE(find(all, i));
  EXPECT_EQ(*all.known(0), 7);
  EXPECT_TRUE(all.known(1) && all.known(2));
}

TEST_F(BelievedTest, OneThingThatCannotBeToldKeepsNoOtherFromBeingAskedAbout) {
  auto how = rules();
  how.revalidate = 0s;
  auto all = numbers(how);
  EXPECT_TRUE(find(all, 1));
  EXPECT_TRUE(find(all, 2));
  silent_ = {1};
  EXPECT_TRUE(find(all, 1));  // as before
  const unsigned asked = asked_;
  EXPECT_TRUE(find(all, 2));
  EXPECT_EQ(asked_, asked);  // upstream is taken to be silent
  EXPECT_TRUE(find(all, 3));
  EXPECT_TRUE(find(all, 2));  // it is not
  EXPECT_EQ(asked_, asked + 2);
}

TEST_F(BelievedTest, WhoHasNotMuchPatienceAsksASilentUpstreamOnce) {
  auto all = numbers(rules());
  silent_ = {1, 2};
  EXPECT_FALSE(find(all, 1, {.patience = Patience::kOneTry}));
  EXPECT_EQ(patience_, Patience::kOneTry);
  EXPECT_FALSE(find(all, 2, {.patience = Patience::kOneTry}));
  EXPECT_EQ(asked_, 1u);
  EXPECT_FALSE(find(all, 2));
  EXPECT_EQ(asked_, 2u);
  EXPECT_EQ(patience_, Patience::kFull);
}

TEST_F(BelievedTest, WhoWantsToKnowItAnewAsks) {
  auto all = numbers(rules());
  EXPECT_TRUE(find(all, 1));
  EXPECT_TRUE(find(all, 1, {.younger_than = 1h}));
  EXPECT_EQ(asked_, 1u);
  EXPECT_TRUE(find(all, 1, {.younger_than = 0s}));
  EXPECT_EQ(asked_, 2u);
}

}  // namespace
}  // namespace imgcachefs
