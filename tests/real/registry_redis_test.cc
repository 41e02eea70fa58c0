// docker-registry and RedisLayerInfo on one Redis: each understands what the other has written.
#include <gtest/gtest.h>

#include "fetch/redis_layer_info.h"
#include "real/registry_server.h"
#include "support/checksum.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

const std::string kRepository = "team/vm", kOther = "team/other";
const std::string kBytes = "some bytes";

class RegistryRedis : public testing::Test {
 protected:
  static Digest parsed(const std::string& digest) { return Digest::parse_tagged(digest).value(); }
  std::string push() { return registry_.push_blob(kRepository, kBytes); }
  // What the registry says of a blob: its length, or nothing.
  std::string head(const std::string& repository, const std::string& digest) {
    const HttpReply reply = registry_.blob("HEAD", repository, digest);
    return reply.status == 200 ? reply.headers.at("content-length") : "";
  }
  std::string fields(const std::string& digest) {
    return redis_.command({"HMGET", "blobs::" + digest, "digest", "size", "path", "length"});
  }

  RedisServer redis_;
  RegistryServer registry_{{.redis = &redis_}};
  RedisPatience patient_{
      .connect = std::chrono::seconds(30),
      .command = std::chrono::seconds(30),
      .pauses = {.first = std::chrono::milliseconds(1), .longest = std::chrono::milliseconds(5)}};
  LayerInfoCache cache_ = open_redis_layer_info(redis_.url(), patient_).value();
  LayerMembership& members_ = *cache_.membership;
  LayerInfos& infos_ = *cache_.infos;
};

TEST_F(RegistryRedis, OursUnderstandsWhatAPushHasWritten) {
  const Digest blob = parsed(push());
  EXPECT_EQ(infos_.get(blob), (LayerInfo{"", kBytes.size()}));
  EXPECT_TRUE(members_.contains(kRepository, blob));
  EXPECT_FALSE(members_.contains(kOther, blob));
}

TEST_F(RegistryRedis, OursUnderstandsWhatAPullHasWritten) {
  const std::string digest = push();
  redis_.command({"FLUSHALL"});
  EXPECT_EQ(infos_.get(parsed(digest)), std::nullopt);
  EXPECT_EQ(registry_.blob("GET", kRepository, digest).body, kBytes);
  EXPECT_EQ(infos_.get(parsed(digest)), (LayerInfo{"", kBytes.size()}));
  EXPECT_TRUE(members_.contains(kRepository, parsed(digest)));
}

TEST_F(RegistryRedis, OursKnowsTheSizeOfAManifestAndNoRepositoryOfIt) {
  const Digest manifest = parsed(registry_.push_image(kRepository, "v1", {{.bytes = kBytes}}));
  const HttpReply reply =
      registry_.call("GET", "/v2/" + kRepository + "/manifests/v1",
                     {{"Accept", "application/vnd.oci.image.manifest.v1+json"}});
  EXPECT_EQ(infos_.get(manifest), (LayerInfo{"", reply.body.size()}));
  EXPECT_FALSE(members_.contains(kRepository, manifest));
}

TEST_F(RegistryRedis, WhatIsUnknownToItIsNotInThere) {
  const std::string digest = "sha256:" + hex_digest("nobody pushed this");
  EXPECT_EQ(head(kRepository, digest), "");
  EXPECT_EQ(infos_.get(parsed(digest)), std::nullopt);
  EXPECT_FALSE(members_.contains(kRepository, parsed(digest)));
}

TEST_F(RegistryRedis, ItAnswersFromWhatOursHasWritten) {
  // A blob that it does not have: what it says of it can only come from us.
  const std::string digest = "sha256:" + hex_digest("nobody pushed this");
  infos_.set(parsed(digest), {kRepository, 77});
  EXPECT_EQ(head(kRepository, digest), "") << "a size is no membership";
  members_.add(kRepository, parsed(digest));
  EXPECT_EQ(head(kRepository, digest), "77");
  EXPECT_EQ(head(kOther, digest), "") << "of another repository";
  infos_.remove(parsed(digest));
  EXPECT_EQ(head(kRepository, digest), "") << "a membership is no size";
  infos_.set(parsed(digest), {kRepository, 78});
  EXPECT_EQ(head(kRepository, digest), "78");
  members_.remove(kRepository, parsed(digest));
  EXPECT_EQ(head(kRepository, digest), "");
}

TEST_F(RegistryRedis, BothWriteTheSameOfABlob) {
  const std::string digest = push(), key = "blobs::" + digest;
  const std::string member_key = "repository::" + kRepository + "::" + key;
  const auto content = [&] {
    return redis_.command({"HMGET", key, "digest", "size", "mediatype"}) + "\n" +
           redis_.command({"HGETALL", member_key}) + "\n" +
           redis_.command({"SMEMBERS", "repository::" + kRepository + "::blobs"});
  };
  const std::string theirs = content();
  redis_.command({"FLUSHALL"});
  infos_.set(parsed(digest), {kRepository, kBytes.size()});
  members_.add(kRepository, parsed(digest));
  EXPECT_EQ(content(), theirs);
  // And neither harms what the other has.
  EXPECT_EQ(registry_.blob("GET", kRepository, digest).body, kBytes);
  EXPECT_EQ(infos_.get(parsed(digest)), (LayerInfo{kRepository, kBytes.size()}));
}

TEST_F(RegistryRedis, ADeletionThereLeavesWhatOursHasWritten) {
  const std::string digest = push();
  registry_.remove_blob(kRepository, digest);
  // 2.8 takes its own fields away and leaves the membership.
  EXPECT_EQ(infos_.get(parsed(digest)), std::nullopt);
  EXPECT_TRUE(members_.contains(kRepository, parsed(digest)));
  EXPECT_EQ(head(kRepository, digest), "");

  push();
  infos_.set(parsed(digest), {kRepository, kBytes.size()});
  registry_.remove_blob(kRepository, digest);
  EXPECT_EQ(fields(digest), "\n\n" + kRepository + "\n" + std::to_string(kBytes.size()));
  EXPECT_EQ(infos_.get(parsed(digest)), (LayerInfo{kRepository, kBytes.size()}))
      << "the size of a digest is what it was";
  EXPECT_EQ(head(kRepository, digest), "") << "and ours alone makes it believe nothing";
}

TEST_F(RegistryRedis, ARemovalByOursIsFilledInAgainByIt) {
  const std::string digest = push();
  members_.remove(kRepository, parsed(digest));
  infos_.remove(parsed(digest));
  EXPECT_EQ(redis_.command({"DBSIZE"}), "0");
  EXPECT_EQ(head(kRepository, digest), std::to_string(kBytes.size()));
  EXPECT_EQ(infos_.get(parsed(digest)), (LayerInfo{"", kBytes.size()}));
  EXPECT_TRUE(members_.contains(kRepository, parsed(digest)));
}

TEST_F(RegistryRedis, WithoutRedisBothGoOn) {
  const std::string digest = push();
  redis_.stop();
  EXPECT_EQ(infos_.get(parsed(digest)), std::nullopt);
  EXPECT_FALSE(members_.contains(kRepository, parsed(digest)));
  EXPECT_EQ(registry_.blob("GET", kRepository, digest).body, kBytes);
}

}  // namespace
}  // namespace imgcachefs::test
