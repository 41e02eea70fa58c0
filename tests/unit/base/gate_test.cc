#include "base/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace imgcachefs {
namespace {

TEST(Gate, LetsInWhenItOpensAndFromThenOnAtOnce) {
  Gate gate;
  std::vector<int> in;
  gate.pass([&] { in.push_back(1); });
  gate.pass([&] { in.push_back(2); });
  EXPECT_TRUE(in.empty());
  gate.open();
  EXPECT_THAT(in, testing::ElementsAre(1, 2));
  gate.pass([&] { in.push_back(3); });
  gate.open();
  EXPECT_THAT(in, testing::ElementsAre(1, 2, 3));
}

TEST(Gate, WhoIsLetInMayPassAgain) {
  Gate gate;
  int in = 0;
  gate.pass([&] { gate.pass([&] { ++in; }); });
  gate.open();
  EXPECT_EQ(in, 1);
}

TEST(Gate, NobodyOfACrowdIsLeftBehind) {
  Gate gate;
  std::atomic<int> in{0};
  std::vector<std::thread> crowd;
  for (int i = 0; i < 8; ++i)
    crowd.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) gate.pass([&] { ++in; });
    });
  gate.open();
  for (std::thread& one : crowd) one.join();
  EXPECT_EQ(in, 8000);
}

}  // namespace
}  // namespace imgcachefs
