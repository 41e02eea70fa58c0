// What answers at the address of a Redis and is none, or talks half sense: a miss.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "contract/layer_info_fixture.h"
#include "fetch/redis_layer_info.h"
#include "support/canned_server.h"
#include "support/log_capture.h"

namespace imgcachefs::test {
namespace {

using testing::HasSubstr;
using Then = CannedAnswer::Then;

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
    EXPECT_EQ(occurrences(log.text(), "no answer in time"), 1) << half << log.text();
  }
}

TEST(RedisNonsense, AnAnswerInDropsIsNotWaitedFor) {
  LogCapture log;
  CannedServer server({"$60000\r\n", Then::kDrip});  // five minutes of it
  auto cache = open_redis_layer_info(url_of(server), kShort).value();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_EQ(occurrences(log.text(), "no answer in time"), 1) << log.text();
}

TEST(RedisNonsense, ALoginThatIsNotAnsweredIsWaitedForShortly) {
  LogCapture log;
  CannedServer server({""});
  auto cache =
      open_redis_layer_info("redis://:secret@127.0.0.1:" + std::to_string(server.port()), kShort)
          .value();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_EQ(occurrences(log.text(), "no answer in time"), 1) << log.text();
}

TEST(RedisNonsense, AnAnswerThatRepeatsThePasswordIsNotLogged) {
  LogCapture log;
  CannedServer server({"-ERR unknown command 'AUTH', with args beginning with: 'secret'\r\n"});
  auto cache = open_redis_layer_info("redis://:secret@127.0.0.1:" + std::to_string(server.port()),
                                     kUnhurried)
                   .value();
  EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
  EXPECT_THAT(log.text(), HasSubstr("AUTH refused (ERR)"));
  EXPECT_EQ(occurrences(log.text(), "secret"), 0) << log.text();
}

TEST(RedisNonsense, WhatIsLoggedOfItIsOneLine) {
  LogCapture log;
  CannedServer server({"-ERR one\vtwo\x1b[31m\r\n"});
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
