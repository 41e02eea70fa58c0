#include "base/result.h"

#include <cerrno>
#include <set>

#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

TEST(Result, AnErrorGainsContextAndKeepsItsKind) {
  Error error = system_error("cache.db", ENOSPC).in("image a").in("commit");
  EXPECT_EQ(error.message, "commit: image a: cache.db: No space left on device");
  EXPECT_EQ(error.kind, ErrorKind::kNoSpace);
  EXPECT_EQ(error.sys_errno, ENOSPC);
}

TEST(Result, EveryKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kIo); ++kind)
    names.insert(to_string(static_cast<ErrorKind>(kind)));
  EXPECT_EQ(names.size(), static_cast<size_t>(ErrorKind::kIo) + 1);
  EXPECT_EQ(names.count("unknown"), 0u);
}

}  // namespace
}  // namespace imgcachefs
