// A Redis that is down, slow, full or a replica: a miss, never a caller who is stuck, and a line in
// the log once.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "contract/layer_info_fixture.h"
#include "fetch/redis_layer_info.h"
#include "support/log_capture.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

const LayerInfo kInfo{"team/vm", 42};

class RedisFaults : public testing::Test {
 protected:
  LayerInfoCache open(RedisPatience patience = kUnhurried) {
    return open_redis_layer_info(redis_.url(), patience).value();
  }

  RedisServer redis_;
  LogCapture log_;
};

TEST_F(RedisFaults, StoppedIsAMissThatIsLoggedOnceAndStartedAgainItIsUsed) {
  auto cache = open();
  cache.infos->set(blob(1), kInfo);
  redis_.stop();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
    EXPECT_FALSE(cache.membership->contains("team/vm", blob(1)));
    cache.infos->set(blob(1), kInfo);
    cache.infos->remove(blob(1));
  }
  EXPECT_EQ(occurrences(log_.text(), "going on without"), 1) << log_.text();
  EXPECT_EQ(occurrences(log_.text(), "answers again"), 0) << log_.text();
  redis_.start();
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(1), kInfo);
    return cache.infos->get(blob(1)) == kInfo;
  }));
  EXPECT_EQ(occurrences(log_.text(), "going on without"), 1) << log_.text();
  EXPECT_EQ(occurrences(log_.text(), "answers again"), 1) << log_.text();
}

TEST_F(RedisFaults, ItNeedNotBeThereAtFirst) {
  redis_.stop();
  auto cache = open();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  redis_.start();
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(1), kInfo);
    return cache.infos->get(blob(1)) == kInfo;
  }));
}

// The counterpart of the one of docker-registry (see layer_info_contract_test.cc).
TEST_F(RedisFaults, TestCacheError) {
  auto cache = open();
  redis_.stop();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  cache.infos->set(blob(1), kInfo);
  redis_.start();
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(2), kInfo);
    return cache.infos->get(blob(2)) == kInfo;
  }));
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt) << "nothing was kept for later";
}

TEST_F(RedisFaults, RestartedBetweenTwoCallsIsNoOutage) {
  auto cache = open();
  cache.infos->set(blob(1), kInfo);
  redis_.stop();
  redis_.start();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt) << "it has forgotten";
  cache.infos->set(blob(1), kInfo);
  EXPECT_EQ(cache.infos->get(blob(1)), kInfo);
  redis_.command({"CLIENT", "KILL", "TYPE", "normal"});
  EXPECT_EQ(cache.infos->get(blob(1)), kInfo);
  EXPECT_EQ(log_.text(), "");
}

TEST_F(RedisFaults, SlowCostsTheFirstCallerAndNobodyAfter) {
  redis_.command({"HSET", "blobs::" + blob(1).tagged(), "length", "42"});
  auto cache = open(kShort);
  redis_.pause();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_EQ(occurrences(log_.text(), "no answer in time"), 1) << log_.text();
  redis_.resume();
  // It would answer now: nobody asks it for an hour.
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_EQ(open().infos->get(blob(1))->length, 42u);
}

TEST_F(RedisFaults, SlowHoldsUpNoneOfManyThreads) {
  auto cache = open(kShort);
  redis_.pause();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 16; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(cache.infos->get(blob(i)), std::nullopt);
        cache.membership->add("team/vm", blob(i));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(occurrences(log_.text(), "going on without"), 1) << log_.text();
  redis_.resume();
}

TEST_F(RedisFaults, SlowForAMomentWasAMomentsOutage) {
  RedisPatience patience = kUnhurried;
  patience.command = std::chrono::milliseconds(50);
  auto cache = open(patience);
  redis_.pause();
  cache.infos->set(blob(1), kInfo);  // may be done when it goes on
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  redis_.resume();
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(1), kInfo);
    return cache.infos->get(blob(1)) == kInfo;
  }));
}

TEST_F(RedisFaults, FullStillReadsAndRemoves) {
  auto cache = open();
  cache.infos->set(blob(1), kInfo);
  cache.membership->add("team/vm", blob(1));
  redis_.command({"CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction"});
  for (int i = 0; i < 20; ++i) {
    cache.infos->set(blob(2), kInfo);
    cache.membership->add("team/vm", blob(2));
    EXPECT_EQ(cache.infos->get(blob(1)), kInfo);
    EXPECT_EQ(cache.infos->get(blob(2)), std::nullopt);
    EXPECT_TRUE(cache.membership->contains("team/vm", blob(1)));
  }
  EXPECT_EQ(occurrences(log_.text(), "OOM"), 1) << log_.text();
  cache.infos->remove(blob(1));
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  redis_.command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(2), kInfo);
    return cache.infos->get(blob(2)) == kInfo;
  }));
  EXPECT_EQ(occurrences(log_.text(), "takes additions again"), 1) << log_.text();
}

TEST_F(RedisFaults, AReplicaIsReadAndNotWritten) {
  auto cache = open();
  cache.infos->set(blob(1), kInfo);
  redis_.command({"REPLICAOF", "127.0.0.1", "1"});
  for (int i = 0; i < 20; ++i) {
    cache.infos->set(blob(2), kInfo);
    EXPECT_EQ(cache.infos->get(blob(1)), kInfo);
  }
  EXPECT_EQ(occurrences(log_.text(), "READONLY"), 1) << log_.text();
  redis_.command({"REPLICAOF", "NO", "ONE"});
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(2), kInfo);
    return cache.infos->get(blob(2)) == kInfo;
  }));
}

TEST_F(RedisFaults, ForgettingEverythingInBetweenIsAMiss) {
  auto cache = open();
  cache.infos->set(blob(1), kInfo);
  cache.membership->add("team/vm", blob(1));
  redis_.command({"FLUSHALL"});
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_FALSE(cache.membership->contains("team/vm", blob(1)));
  cache.infos->set(blob(1), kInfo);
  EXPECT_EQ(cache.infos->get(blob(1)), kInfo);
  EXPECT_EQ(log_.text(), "");
}

}  // namespace
}  // namespace imgcachefs::test
