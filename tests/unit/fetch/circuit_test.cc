#include "fetch/circuit.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

class CircuitTest : public testing::Test {
 protected:
  Circuit circuit_{{.first = 1s, .longest = 30s}};
  Circuit::Clock::time_point now_{1000s};
};

TEST_F(CircuitTest, OneGetsThroughAfterEachPause) {
  EXPECT_TRUE(circuit_.may_try(now_));
  EXPECT_TRUE(circuit_.may_try(now_));
  EXPECT_TRUE(circuit_.failed(now_));
  EXPECT_FALSE(circuit_.may_try(now_ + 999ms));
  EXPECT_TRUE(circuit_.may_try(now_ + 1s));
  EXPECT_FALSE(circuit_.may_try(now_ + 1s));
}

TEST_F(CircuitTest, PausesGrowToTheLongest) {
  circuit_.failed(now_);
  for (auto pause : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    EXPECT_FALSE(circuit_.may_try(now_ + pause - 1ms)) << pause.count();
    now_ += pause;
    EXPECT_TRUE(circuit_.may_try(now_)) << pause.count();
    EXPECT_FALSE(circuit_.failed(now_)) << "news once";
  }
}

TEST_F(CircuitTest, ManyThatFailTogetherAreOneFailure) {
  EXPECT_TRUE(circuit_.failed(now_));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(circuit_.failed(now_));
  EXPECT_TRUE(circuit_.may_try(now_ + 1s));
}

TEST_F(CircuitTest, WhatWorksIsTriedByAll) {
  circuit_.failed(now_);
  EXPECT_TRUE(circuit_.may_try(now_ + 1s));
  EXPECT_TRUE(circuit_.worked());
  EXPECT_FALSE(circuit_.worked()) << "news once";
  EXPECT_TRUE(circuit_.may_try(now_ + 1s));
  EXPECT_TRUE(circuit_.may_try(now_ + 1s));
}

TEST_F(CircuitTest, WhatFailsAgainSoonIsLeftAloneForLonger) {
  circuit_.failed(now_);
  circuit_.worked();
  now_ += 10s;
  EXPECT_TRUE(circuit_.failed(now_));
  EXPECT_FALSE(circuit_.may_try(now_ + 1999ms));
  EXPECT_TRUE(circuit_.may_try(now_ + 2s));
  circuit_.worked();
  now_ += 120s;
  circuit_.failed(now_);
  EXPECT_TRUE(circuit_.may_try(now_ + 1s)) << "and is forgiven later";
}

TEST_F(CircuitTest, WhoGotThroughAndSaysNothingHoldsUpNobodyForLong) {
  circuit_.failed(now_);
  EXPECT_TRUE(circuit_.may_try(now_ + 1s));
  EXPECT_FALSE(circuit_.may_try(now_ + 1999ms));
  EXPECT_TRUE(circuit_.may_try(now_ + 2s));
}

}  // namespace
}  // namespace imgcachefs
