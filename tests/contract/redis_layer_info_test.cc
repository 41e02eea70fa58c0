// What RedisLayerInfo writes and understands, and what it does with a Redis that is unwell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "contract/layer_info_fixture.h"
#include "fetch/redis_layer_info.h"
#include "support/log_capture.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kBlobKey = "blobs::" + blob(1).tagged();

class RedisLayerInfo : public testing::Test {
 protected:
  LayerInfoCache open(RedisPatience patience = kUnhurried) {
    return open_redis_layer_info(redis_.url(), patience).value();
  }
  void set_fields(const std::vector<std::string>& fields) {
    redis_.command({"FLUSHALL"});
    std::vector<std::string> words = {"HSET", kBlobKey};
    words.insert(words.end(), fields.begin(), fields.end());
    redis_.command(words);
  }

  RedisServer redis_;
};

TEST_F(RedisLayerInfo, WritesTheKeysThatTheRegistryHas) {
  auto cache = open();
  cache.infos->set(blob(1), {"team/vm", 42});
  cache.membership->add("team/vm", blob(1));
  const std::string member_key = "repository::team/vm::blobs::" + blob(1).tagged();
  EXPECT_THAT(redis_.lines({"KEYS", "*"}),
              ElementsAre(kBlobKey, "repository::team/vm::blobs", member_key));
  EXPECT_EQ(redis_.command({"HMGET", kBlobKey, "digest", "size", "mediatype", "path", "length"}),
            blob(1).tagged() + "\n42\napplication/octet-stream\nteam/vm\n42");
  EXPECT_EQ(redis_.command({"HLEN", kBlobKey}), "5");
  EXPECT_EQ(redis_.command({"SMEMBERS", "repository::team/vm::blobs"}), blob(1).tagged());
  EXPECT_EQ(redis_.command({"HGETALL", member_key}), "mediatype\napplication/octet-stream");
  for (const std::string& key : redis_.lines({"KEYS", "*"}))
    EXPECT_EQ(redis_.command({"TTL", key}), "-1") << key;

  cache.membership->remove("team/vm", blob(1));
  cache.infos->remove(blob(1));
  EXPECT_EQ(redis_.command({"DBSIZE"}), "0");
}

TEST_F(RedisLayerInfo, LeavesToTheRegistryWhatItKnowsOfMediaTypes) {
  auto cache = open();
  const std::string member_key = "repository::team/vm::blobs::" + blob(1).tagged();
  set_fields({"mediatype", "application/json"});
  redis_.command({"HSET", member_key, "mediatype", "application/json"});
  cache.infos->set(blob(1), {"team/vm", 42});
  cache.membership->add("team/vm", blob(1));
  EXPECT_EQ(redis_.command({"HGET", kBlobKey, "mediatype"}), "application/json");
  EXPECT_EQ(redis_.command({"HGET", member_key, "mediatype"}), "application/json");
}

TEST_F(RedisLayerInfo, UnderstandsTheFieldsOfBoth) {
  auto cache = open();
  const std::string digest = blob(1).tagged();
  set_fields({"digest", digest, "size", "42", "mediatype", "x"});
  EXPECT_EQ(cache.infos->get(blob(1)), (LayerInfo{"", 42}));
  set_fields({"path", "team/vm", "length", "43"});
  EXPECT_EQ(cache.infos->get(blob(1)), (LayerInfo{"team/vm", 43}));
  set_fields({"size", "44", "length", "44", "digest", long_blob(1).tagged()});
  EXPECT_EQ(cache.infos->get(blob(1)), (LayerInfo{"", 44}))
      << "of the same under another algorithm";
  // Right or not is for who asks: upstream's first answer says so.
  set_fields({"digest", digest, "size", "77", "length", "77"});
  EXPECT_EQ(cache.infos->get(blob(1))->length, 77u);
  // Where it was found is not forgotten by who does not know.
  set_fields({"path", "team/vm", "length", "43"});
  cache.infos->set(blob(1), {"", 43});
  EXPECT_EQ(cache.infos->get(blob(1)), (LayerInfo{"team/vm", 43}));
}

TEST_F(RedisLayerInfo, BelievesNothingThatCannotBe) {
  auto cache = open();
  const std::vector<std::vector<std::string>> odd = {
      {"size", "5", "length", "6"},
      {"length", "-1"},
      {"length", ""},
      {"length", " 5"},
      {"length", "5 "},
      {"length", "+5"},
      {"length", "5.0"},
      {"length", "0x5"},
      {"length", "lots"},
      {"length", "4611686018427387905"},
      {"length", "18446744073709551621"},
      {"length", std::string(1000, '9')},
      {"size", "5", "length", "lots"},
      {"size", "lots", "length", "5"},
      {"size", "5", "digest", blob(2).tagged()},
      {"size", "5", "digest", "sha256:short"},
      {"size", "5", "path", "a\nb"},
      {"size", "5", "path", std::string(5000, 'x')},
      {"size", "5", "path", std::string(100'000, 'x')},
      {"path", "team/vm"},
      {"digest", blob(1).tagged()}};
  for (const auto& fields : odd) {
    set_fields(fields);
    EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt) << testing::PrintToString(fields);
    // And it is mended by who knows better, once what was wrong is removed.
    EXPECT_TRUE(soon([&] {
      cache.infos->remove(blob(1));
      cache.infos->set(blob(1), {"team/vm", 5});
      return cache.infos->get(blob(1)) == LayerInfo{"team/vm", 5};
    })) << testing::PrintToString(fields);
  }
}

TEST_F(RedisLayerInfo, WritesNoSizeThatItWouldNotBelieve) {
  auto cache = open();
  cache.infos->set(blob(1), {"", UINT64_MAX});
  cache.infos->set(blob(2), {"a\nb", 1});
  EXPECT_EQ(redis_.command({"DBSIZE"}), "0");
}

TEST_F(RedisLayerInfo, KeysOfAnotherTypeAreAMissAndNothingElse) {
  LogCapture log;
  auto cache = open();
  redis_.command({"SET", kBlobKey, "text"});
  redis_.command({"SET", "repository::odd::blobs", "text"});
  cache.infos->set(blob(2), {"team/vm", 2});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(cache.infos->get(blob(1)), std::nullopt);
    cache.infos->set(blob(1), {"team/vm", 1});
    EXPECT_FALSE(cache.membership->contains("odd", blob(1)));
    cache.membership->add("odd", blob(1));
    cache.membership->remove("odd", blob(1));
    EXPECT_EQ(cache.infos->get(blob(2)), (LayerInfo{"team/vm", 2})) << "of the others";
  }
  EXPECT_EQ(occurrences(log.text(), "WRONGTYPE"), 1) << log.text();
  cache.infos->remove(blob(1));
  cache.infos->set(blob(1), {"team/vm", 1});
  EXPECT_EQ(cache.infos->get(blob(1)), (LayerInfo{"team/vm", 1}));
}

TEST_F(RedisLayerInfo, UsesTheDatabaseOfTheUrl) {
  auto cache = open_redis_layer_info(redis_.url(3), kUnhurried).value();
  cache.infos->set(blob(1), {"team/vm", 1});
  EXPECT_EQ(redis_.command({"DBSIZE"}, 3), "1");
  EXPECT_EQ(redis_.command({"DBSIZE"}), "0");
  EXPECT_EQ(open().infos->get(blob(1)), std::nullopt);
}

TEST_F(RedisLayerInfo, SpeaksThroughASocket) {
  auto cache = open_redis_layer_info("unix://" + redis_.socket() + "?db=2", kUnhurried).value();
  cache.infos->set(blob(1), {"team/vm", 1});
  EXPECT_EQ(redis_.command({"DBSIZE"}, 2), "1");
}

TEST_F(RedisLayerInfo, SpeaksToAHostByItsName) {
  auto url = "redis://localhost:" + std::to_string(redis_.port());
  auto cache = open_redis_layer_info(url, kUnhurried).value();
  cache.infos->set(blob(1), {"team/vm", 1});
  EXPECT_EQ(redis_.command({"DBSIZE"}), "1");
}

TEST_F(RedisLayerInfo, WhatOneHostLearnsTheOthersKnow) {
  auto one = open(), other = open();
  one.infos->set(blob(1), {"team/vm", 1});
  one.membership->add("team/vm", blob(1));
  EXPECT_EQ(other.infos->get(blob(1)), (LayerInfo{"team/vm", 1}));
  EXPECT_TRUE(other.membership->contains("team/vm", blob(1)));
}

TEST(RedisLayerInfoLogin, IsWithThePasswordOfTheUrlWhichIsNotLogged) {
  RedisServer redis({.password = "pa55@word"});
  redis.command({"ACL", "SETUSER", "ann", "on", ">ann5word", "~*", "+@all"});
  LogCapture log;
  auto works = [&](const std::string& user_info) {
    auto cache =
        open_redis_layer_info("redis://" + user_info + redis.address() + "/1", kUnhurried).value();
    cache.infos->set(blob(1), {"team/vm", 1});
    return cache.infos->get(blob(1)).has_value();
  };
  EXPECT_TRUE(works(":pa55%40word@"));
  EXPECT_TRUE(works("default:pa55%40word@"));
  EXPECT_TRUE(works("ann:ann5word@"));
  EXPECT_EQ(log.text(), "");
  EXPECT_FALSE(works(""));
  EXPECT_THAT(log.text(), HasSubstr("NOAUTH"));
  EXPECT_FALSE(works(":wrong5word@"));
  EXPECT_FALSE(works("ann:wrong5word@"));
  EXPECT_THAT(log.text(), HasSubstr("WRONGPASS"));
  EXPECT_THAT(log.text(), Not(HasSubstr("5word")));
}

TEST(RedisLayerInfoUrl, ThatIsNoneIsRefusedAndNotRepeated) {
  for (const char* url : {"", "redis", "http://:5ecret@host", "rediss://:5ecret@host",
                          "redis://:5ecret@host:99999", "redis://:5ecret@host/db"}) {
    auto cache = open_redis_layer_info(url);
    ASSERT_FALSE(cache) << url;
    EXPECT_EQ(cache.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(cache.error().message, Not(HasSubstr("5ecret")));
  }
}

}  // namespace
}  // namespace imgcachefs::test
