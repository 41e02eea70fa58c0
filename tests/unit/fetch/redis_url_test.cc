#include "fetch/redis_url.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

RedisUrl redis_url(std::string_view text) {
  auto url = RedisUrl::parse(text);
  EXPECT_TRUE(url) << text << ": " << url.error().message;
  return url.value_or(RedisUrl{});
}

TEST(RedisUrlTest, HasHostPortAndDatabase) {
  RedisUrl url = redis_url("redis://redis.example:6380/3");
  EXPECT_EQ(url.host, "redis.example");
  EXPECT_EQ(url.port, 6380);
  EXPECT_EQ(url.database, 3u);
  EXPECT_FALSE(url.log_in);
  EXPECT_EQ(url.str(), "redis://redis.example:6380/3");
  for (const char* text : {"redis://h", "redis://h/", "redis://h:6379", "redis://h:6379/0"})
    EXPECT_EQ(redis_url(text).str(), "redis://h:6379/0") << text;
  EXPECT_EQ(redis_url("redis://[::1]:7/1").host, "::1");
  EXPECT_EQ(redis_url("redis://[::1]:7/1").str(), "redis://[::1]:7/1");
}

TEST(RedisUrlTest, HasUserAndPassword) {
  RedisUrl url = redis_url("redis://ann:p%40ss%2Fword:x@h:1/2");
  EXPECT_TRUE(url.log_in);
  EXPECT_EQ(url.user, "ann");
  EXPECT_EQ(url.password, "p@ss/word:x");
  EXPECT_EQ(url.host, "h");
  EXPECT_EQ(url.str(), "redis://h:1/2");
  EXPECT_EQ(redis_url("redis://:secret@h").user, "");
  EXPECT_EQ(redis_url("redis://:secret@h").password, "secret");
  EXPECT_TRUE(redis_url("redis://ann@h").log_in);
  EXPECT_EQ(redis_url("redis://ann@h").password, "");
  EXPECT_FALSE(redis_url("redis://:@h").log_in);
  EXPECT_EQ(redis_url("redis://:a@b@h").password, "a@b");
}

TEST(RedisUrlTest, MayBeASocket) {
  RedisUrl url = redis_url("unix:///run/redis/redis.sock?db=4");
  EXPECT_EQ(url.socket, "/run/redis/redis.sock");
  EXPECT_EQ(url.host, "");
  EXPECT_EQ(url.database, 4u);
  EXPECT_EQ(url.str(), "unix:///run/redis/redis.sock?db=4");
  EXPECT_EQ(redis_url("unix://:secret@/s").password, "secret");
  EXPECT_EQ(redis_url("unix://:secret@/s").str(), "unix:///s");
}

TEST(RedisUrlTest, RefusesTheRestAndRepeatsNothing) {
  for (const std::string text : {"",
                                 "hidden",
                                 "http://hidden",
                                 "REDIS:hidden",
                                 "rediss://:hidden@h",
                                 "redis://",
                                 "redis://:hidden@",
                                 "redis://:hidden@:1",
                                 "redis://:hidden@h:0",
                                 "redis://:hidden@h:65536",
                                 "redis://:hidden@h:",
                                 "redis://:hidden@h:1x",
                                 "redis://:hidden@h/x",
                                 "redis://:hidden@h/-1",
                                 "redis://:hidden@h/1/2",
                                 "redis://:hidden@h/9999999999999",
                                 "redis://:hidden@h?db=1",
                                 "redis://:hidden@h/1?x",
                                 "redis://:hidden@h#1",
                                 "redis://:hidden%@h",
                                 "redis://:hidden%00@h",
                                 "redis://:hidden@a b",
                                 "redis://:hidden@[::1",
                                 "redis://:hidden@[::1]x",
                                 "redis://:hid/hidden@h:1",
                                 "redis://u:1/hidden@h:1",
                                 "redis://:hid?hidden@h",
                                 "unix://hidden/path",
                                 "unix://",
                                 "unix:///",
                                 "unix:///s?hidden=1",
                                 "unix:///s?db=hidden"}) {
    auto url = RedisUrl::parse(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().kind, ErrorKind::kInvalid) << text;
    EXPECT_EQ(url.error().message.find("hidden"), std::string::npos) << url.error().message;
  }
  EXPECT_FALSE(RedisUrl::parse("unix:///" + std::string(108, 'x')));
}

}  // namespace
}  // namespace imgcachefs
