// A Redis that is down, slow, full, in the wrong hands or none at all: a miss, never a caller who
// is stuck, and a line in the log once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "contract/layer_info_fixture.h"
#include "fetch/redis_layer_info.h"
#include "support/canned_server.h"
#include "support/log_capture.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

using testing::HasSubstr;
using Then = CannedAnswer::Then;

const LayerInfo kInfo{"team/vm", 42};

int lines_with(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

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
  EXPECT_EQ(lines_with(log_.text(), "going on without"), 1) << log_.text();
  EXPECT_EQ(lines_with(log_.text(), "answers again"), 0) << log_.text();
  redis_.start();
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(1), kInfo);
    return cache.infos->get(blob(1)) == kInfo;
  }));
  EXPECT_EQ(lines_with(log_.text(), "going on without"), 1) << log_.text();
  EXPECT_EQ(lines_with(log_.text(), "answers again"), 1) << log_.text();
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
  EXPECT_EQ(lines_with(log_.text(), "no answer in time"), 1) << log_.text();
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
  EXPECT_EQ(lines_with(log_.text(), "going on without"), 1) << log_.text();
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
  EXPECT_EQ(lines_with(log_.text(), "OOM"), 1) << log_.text();
  cache.infos->remove(blob(1));
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  redis_.command({"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(soon([&] {
    cache.infos->set(blob(2), kInfo);
    return cache.infos->get(blob(2)) == kInfo;
  }));
  EXPECT_EQ(lines_with(log_.text(), "takes additions again"), 1) << log_.text();
}

TEST_F(RedisFaults, AReplicaIsReadAndNotWritten) {
  auto cache = open();
  cache.infos->set(blob(1), kInfo);
  redis_.command({"REPLICAOF", "127.0.0.1", "1"});
  for (int i = 0; i < 20; ++i) {
    cache.infos->set(blob(2), kInfo);
    EXPECT_EQ(cache.infos->get(blob(1)), kInfo);
  }
  EXPECT_EQ(lines_with(log_.text(), "READONLY"), 1) << log_.text();
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

std::string url_of(const CannedServer& server) {
  return "redis://127.0.0.1:" + std::to_string(server.port());
}

TEST(RedisNonsense, IsAMiss) {
  const std::vector<CannedAnswer> answers = {
      {"", Then::kHangUp},
      {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"},
      {"-MOVED 3999 127.0.0.1:6381\r\n"},
      {"-CLUSTERDOWN Hash slot not served\r\n"},
      {"-\r\n"},
      {"-" + std::string(20'000, 'e') + "\r\n"},
      {"+OK\r\n"},
      {"$2\r\nOK\r\n"},
      {":-1\r\n"},
      {":99999999999999999999999999\r\n"},
      {"$-1\r\n"},
      {"*-1\r\n"},
      {"*0\r\n"},
      {"*-2\r\n"},
      {"*1\r\n$1\r\n5\r\n"},
      {"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n"},
      {"*4\r\n$-1\r\n$-1\r\n$-1\r\n*1\r\n:5\r\n"},
      {"*1000000000\r\n", Then::kHangUp},
      {"*99999999999999999999\r\n"},
      {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"},
      {"*4\r\n$-1\r\n$-1\r\n", Then::kHangUp},
      {"$1000000000\r\n", Then::kRepeat},
      {"$99999999999999999999\r\n" + std::string(100, 'x'), Then::kHangUp},
      {std::string(1000, '\0')},
      {"*4\r\n$-1\r\n$1\r\n5\r\n$-1\r\n$-1\r\n:1\r\n"},  // right, and then something unasked
      {std::string(100, '\n'), Then::kRepeat},
  };
  for (const CannedAnswer& answer : answers) {
    LogCapture log;
    CannedServer server(answer);
    auto cache = open_redis_layer_info(url_of(server), kUnhurried).value();
    EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt) << answer.bytes.substr(0, 60);
  }
  for (const CannedAnswer& answer : answers) {
    LogCapture log;
    CannedServer server(answer);
    auto cache = open_redis_layer_info(url_of(server), kUnhurried).value();
    EXPECT_FALSE(cache.membership->contains("team/vm", blob(1))) << answer.bytes.substr(0, 60);
  }
}

// The other side of the test before: the server it uses can be understood.
TEST(RedisNonsense, IsNotWhatMakesSense) {
  CannedServer server({"*4\r\n$-1\r\n$1\r\n5\r\n$-1\r\n$-1\r\n"});
  auto cache = open_redis_layer_info(url_of(server), kUnhurried).value();
  EXPECT_EQ(cache.infos->get(blob(1)), (LayerInfo{"", 5}));
}

TEST(RedisNonsense, SilenceAndHalfAnswersAreWaitedForShortly) {
  for (const char* half :
       {"", "*4\r\n", "*4\r\n$-1\r\n$-1\r\n", "$5\r\n12", "*1000000000\r", ":1"}) {
    LogCapture log;
    CannedServer server({half});
    auto cache = open_redis_layer_info(url_of(server), kShort).value();
    EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt) << half;
    EXPECT_FALSE(cache.membership->contains("team/vm", blob(1))) << half;
    EXPECT_EQ(lines_with(log.text(), "no answer in time"), 1) << half << log.text();
  }
}

TEST(RedisNonsense, ALoginThatIsNotAnsweredIsWaitedForShortly) {
  LogCapture log;
  CannedServer server({""});
  auto cache =
      open_redis_layer_info("redis://:secret@127.0.0.1:" + std::to_string(server.port()), kShort)
          .value();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_EQ(lines_with(log.text(), "no answer in time"), 1) << log.text();
}

TEST(RedisNonsense, AnAnswerThatRepeatsThePasswordIsNotLogged) {
  LogCapture log;
  CannedServer server({"-ERR unknown command 'AUTH', with args beginning with: 'secret'\r\n"});
  auto cache = open_redis_layer_info("redis://:secret@127.0.0.1:" + std::to_string(server.port()),
                                     kUnhurried)
                   .value();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_THAT(log.text(), HasSubstr("AUTH refused (ERR)"));
  EXPECT_EQ(lines_with(log.text(), "secret"), 0) << log.text();
}

TEST(RedisNonsense, WhatIsLoggedOfItIsOneLine) {
  LogCapture log;
  CannedServer server({"-ERR one\ntwo\x1b[31m\r\n"});
  auto cache = open_redis_layer_info(url_of(server), kUnhurried).value();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_THAT(log.text(), HasSubstr("ERR one?two?[31m"));
}

TEST(RedisPipeline, CommandsOfACallAreOneRoundTrip) {
  LogCapture log;
  // It does not answer the first command before it has seen the last word of the second.
  CannedServer server({.bytes = ":1\r\n:1\r\n", .asked = "application/octet-stream"});
  auto cache = open_redis_layer_info(url_of(server), kUnhurried).value();
  cache.membership->add("team/vm", blob(1));
  EXPECT_EQ(log.text(), "");
}

}  // namespace
}  // namespace imgcachefs::test
