#include "fetch/memory_layer_info.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

Digest numbered_blob(int number) {
  return Digest::parse(DigestAlgo::kSha256, fmt::format("{:064x}", number)).value();
}

TEST(MemoryLayerInfoTest, AMembershipIsBelievedForAWhileAndASizeForEver) {
  MemoryLayerInfoOptions::Clock::time_point now{1000s};
  auto cache = memory_layer_info({.believe = 300s, .now = [&] { return now; }});
  const Digest blob = numbered_blob(1);
  cache.membership->add("team/vm", blob);
  cache.infos->set(blob, {"team/vm", 42});
  now += 300s;
  EXPECT_TRUE(cache.membership->contains("team/vm", blob));
  now += 1s;
  EXPECT_FALSE(cache.membership->contains("team/vm", blob));
  EXPECT_EQ(cache.infos->get(blob), (LayerInfo{"team/vm", 42}));
  cache.membership->add("team/vm", blob);
  now += 200s;
  cache.membership->add("team/vm", blob);  // seen again
  now += 200s;
  EXPECT_TRUE(cache.membership->contains("team/vm", blob));
}

TEST(MemoryLayerInfoTest, WithoutALimitAMembershipIsBelievedForEver) {
  MemoryLayerInfoOptions::Clock::time_point now{1000s};
  auto cache = memory_layer_info({.now = [&] { return now; }});
  cache.membership->add("team/vm", numbered_blob(1));
  now += 24h * 365;
  EXPECT_TRUE(cache.membership->contains("team/vm", numbered_blob(1)));
}

TEST(MemoryLayerInfoTest, BothHalvesAreBounded) {
  auto cache = memory_layer_info({.most = 3});
  for (int i = 0; i < 5; ++i) {
    cache.membership->add("team/vm", numbered_blob(i));
    cache.infos->set(numbered_blob(i), {"team/vm", 1});
    EXPECT_TRUE(cache.membership->contains("team/vm", numbered_blob(0)));
    EXPECT_TRUE(cache.infos->get(numbered_blob(0)));  // in use: it stays
  }
  int members = 0, infos = 0;
  for (int i = 0; i < 5; ++i) {
    members += cache.membership->contains("team/vm", numbered_blob(i)) ? 1 : 0;
    infos += cache.infos->get(numbered_blob(i)) ? 1 : 0;
  }
  EXPECT_EQ(members, 3);
  EXPECT_EQ(infos, 3);
}

}  // namespace
}  // namespace imgcachefs
