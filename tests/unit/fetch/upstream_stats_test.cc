#include "fetch/upstream_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

constexpr Took kTook = std::chrono::milliseconds(3);

TEST(UpstreamStats, CountAnswersByTheirStatus) {
  UpstreamStats stats;
  for (const int status : {200, 206, 206, 503}) stats.answered(status, kTook);
  stats.answered(0, kTook);  // "HTTP/1.1 nonsense"
  stats.unanswered();
  EXPECT_THAT(stats.answers(), ElementsAre(Pair(200, 1), Pair(206, 2), Pair(503, 1)));
  EXPECT_EQ(stats.without_answer(), 2u);
  EXPECT_EQ(stats.first_byte.figures().sum, 5 * kTook);
}

TEST(UpstreamStats, CountFailuresByTheirKindAndKeepTheLast) {
  UpstreamStats stats;
  EXPECT_EQ(stats.last_failure(), std::nullopt);
  stats.failed({ErrorKind::kTimeout, "silent"});
  stats.failed({ErrorKind::kCorrupt, "wrong"});
  EXPECT_EQ(stats.errors, 2u);
  EXPECT_THAT(stats.failures(), Contains(Pair(ErrorKind::kTimeout, 1)));
  EXPECT_THAT(stats.failures(), Contains(Pair(ErrorKind::kCorrupt, 1)));
  EXPECT_THAT(stats.failures(), Contains(Pair(ErrorKind::kDenied, 0)));  // there from the start
  ASSERT_TRUE(stats.last_failure());
  EXPECT_EQ(stats.last_failure()->message, "wrong");
}

TEST(UpstreamStats, CallUpWhatAnswersWhateverItSays) {
  UpstreamStats stats;
  EXPECT_EQ(stats.up(), std::nullopt);
  stats.failed({ErrorKind::kUnavailable, "refused"});
  EXPECT_EQ(stats.up(), false);
  stats.answered(404, kTook);
  EXPECT_EQ(stats.up(), true);
  stats.failed({ErrorKind::kDenied, "403"});
  EXPECT_EQ(stats.up(), true);
  stats.answered(503, kTook);
  stats.failed({ErrorKind::kUnavailable, "503"});
  EXPECT_EQ(stats.up(), false);
}

}  // namespace
}  // namespace imgcachefs
