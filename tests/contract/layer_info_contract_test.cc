// What every layer info cache does (fetch/layer_info.h), whatever it keeps it in.
//
// Tests named Test... and Check... are counterparts of those that the cache of docker-registry has
// (distribution/distribution, registry/storage/cache): there a digest has one descriptor, here its
// membership and its size are apart, and what cannot be a digest is no Digest to begin with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "contract/layer_info_fixture.h"
#include "fetch/memory_layer_info.h"
#include "fetch/redis_layer_info.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

struct LayerInfoKind {
  std::string name;
  bool with_redis;
};

void PrintTo(const LayerInfoKind& kind, std::ostream* out) {  // the name of the test in CTest
  *out << kind.name;
}

class LayerInfoContract : public testing::TestWithParam<LayerInfoKind> {
 protected:
  void SetUp() override {
    if (GetParam().with_redis) {
      redis_ = std::make_unique<RedisServer>();
      cache_ = open_redis_layer_info(redis_->url(), kUnhurried).value();
    } else {
      cache_ = memory_layer_info();
    }
    members_ = cache_.membership.get();
    infos_ = cache_.infos.get();
  }

  std::unique_ptr<RedisServer> redis_;
  LayerInfoCache cache_;
  LayerMembership* members_ = nullptr;
  LayerInfos* infos_ = nullptr;
};

TEST_P(LayerInfoContract, CheckBlobDescriptorCacheEmptyRepository) {
  EXPECT_EQ(infos_->get(blob(1)), std::nullopt);
  EXPECT_EQ(infos_->get(long_blob(1)), std::nullopt);
  EXPECT_FALSE(members_->contains("foo/bar", blob(1)));
  EXPECT_FALSE(members_->contains("", blob(1)));
  members_->remove("foo/bar", blob(1));
  infos_->remove(blob(1));
  EXPECT_FALSE(members_->contains("foo/bar", blob(1)));
  EXPECT_EQ(infos_->get(blob(1)), std::nullopt);
}

TEST_P(LayerInfoContract, CheckBlobDescriptorCacheSetAndRead) {
  infos_->set(blob(1), {"foo/bar", 10});
  EXPECT_EQ(infos_->get(blob(1)), (LayerInfo{"foo/bar", 10}));
  EXPECT_EQ(infos_->get(blob(2)), std::nullopt);
  infos_->set(long_blob(1), {"foo/bar", 11});  // another algorithm, another blob
  EXPECT_EQ(infos_->get(long_blob(1)), (LayerInfo{"foo/bar", 11}));
  EXPECT_EQ(infos_->get(blob(1)), (LayerInfo{"foo/bar", 10}));
  infos_->set(blob(1), {"other/place", 12});
  EXPECT_EQ(infos_->get(blob(1)), (LayerInfo{"other/place", 12}));
}

TEST_P(LayerInfoContract, CheckBlobDescriptorCacheClear) {
  members_->add("foo/bar", blob(1));
  infos_->set(blob(1), {"foo/bar", 10});
  members_->remove("foo/bar", blob(1));
  EXPECT_FALSE(members_->contains("foo/bar", blob(1)));
  EXPECT_EQ(infos_->get(blob(1)), (LayerInfo{"foo/bar", 10})) << "its size is still that";
  infos_->remove(blob(1));
  EXPECT_EQ(infos_->get(blob(1)), std::nullopt);
}

TEST_P(LayerInfoContract, TestCacheSet) {
  // As who asks upstream on a miss and keeps what it says.
  int asked = 0;
  auto length = [&](const Digest& digest) {
    if (auto known = infos_->get(digest)) return known->length;
    ++asked;
    infos_->set(digest, {"foo/bar", 10});
    return uint64_t{10};
  };
  EXPECT_EQ(length(blob(1)), 10u);
  EXPECT_EQ(length(blob(1)), 10u);
  EXPECT_EQ(asked, 1);
  infos_->set(blob(1), {"foo/bar", 11});
  EXPECT_EQ(length(blob(1)), 11u);
  EXPECT_EQ(asked, 1);
}

TEST_P(LayerInfoContract, TestRepositoryScopedClearRevokesRepositoryMembership) {
  for (const char* repository : {"repo-a", "repo-b"}) members_->add(repository, blob(1));
  infos_->set(blob(1), {"repo-a", 10});
  members_->remove("repo-a", blob(1));
  EXPECT_FALSE(members_->contains("repo-a", blob(1)));
  // What is learnt by way of the other repository gives it back to none.
  members_->add("repo-b", blob(1));
  infos_->set(blob(1), {"repo-b", 10});
  EXPECT_FALSE(members_->contains("repo-a", blob(1)));
  EXPECT_TRUE(members_->contains("repo-b", blob(1)));
  if (redis_) {
    EXPECT_EQ(redis_->command({"SISMEMBER", "repository::repo-a::blobs", blob(1).tagged()}), "0");
    EXPECT_EQ(redis_->command({"EXISTS", "repository::repo-a::blobs::" + blob(1).tagged()}), "0");
  }
}

TEST_P(LayerInfoContract, NeitherHalfImpliesTheOther) {
  members_->add("foo/bar", blob(1));
  EXPECT_TRUE(members_->contains("foo/bar", blob(1)));
  EXPECT_EQ(infos_->get(blob(1)), std::nullopt);
  infos_->set(blob(2), {"foo/bar", 10});
  EXPECT_FALSE(members_->contains("foo/bar", blob(2)));
}

TEST_P(LayerInfoContract, MembershipIsOfOneRepository) {
  members_->add("foo/bar", blob(1));
  for (const char* other : {"foo", "foo/bar/baz", "foo/ba", "bar", "", "foo/bar::blobs"})
    EXPECT_FALSE(members_->contains(other, blob(1))) << other;
  EXPECT_FALSE(members_->contains("foo/bar", blob(2)));
  EXPECT_FALSE(members_->contains("foo/bar", long_blob(1)));
}

TEST_P(LayerInfoContract, WhatIsAddedTwiceIsRemovedOnce) {
  members_->add("foo/bar", blob(1));
  members_->add("foo/bar", blob(1));
  EXPECT_TRUE(members_->contains("foo/bar", blob(1)));
  members_->remove("foo/bar", blob(1));
  EXPECT_FALSE(members_->contains("foo/bar", blob(1)));
}

TEST_P(LayerInfoContract, SizesAreKeptToTheByte) {
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 53,
                                (uint64_t{1} << 53) + 1, uint64_t{1} << 62}) {
    infos_->set(blob(1), {"foo/bar", length});
    EXPECT_EQ(infos_->get(blob(1)), (LayerInfo{"foo/bar", length}));
  }
}

TEST_P(LayerInfoContract, WhereItWasFoundMayBeUnknown) {
  infos_->set(blob(1), {"", 10});
  EXPECT_EQ(infos_->get(blob(1)), (LayerInfo{"", 10}));
}

TEST_P(LayerInfoContract, ManyThreadsShareIt) {
  constexpr int kThreads = 8, kBlobs = 20;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([this, thread] {
      const std::string own = "team/" + std::to_string(thread);
      for (int i = 0; i < kBlobs; ++i) {
        members_->add(own, blob(i));
        infos_->set(blob(i), {"team", static_cast<uint64_t>(i)});
        EXPECT_TRUE(members_->contains(own, blob(i)));
        if (i % 2 == 0) members_->remove(own, blob(i));
        EXPECT_EQ(infos_->get(blob(i)), (LayerInfo{"team", static_cast<uint64_t>(i)}));
      }
      infos_->remove(blob(kBlobs + thread));
    });
  for (std::thread& thread : threads) thread.join();
  for (int thread = 0; thread < kThreads; ++thread)
    for (int i = 0; i < kBlobs; ++i)
      EXPECT_EQ(members_->contains("team/" + std::to_string(thread), blob(i)), i % 2 == 1);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LayerInfoContract,
                         testing::Values(LayerInfoKind{"memory", false},
                                         LayerInfoKind{"redis", true}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace imgcachefs::test
