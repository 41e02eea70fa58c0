#include "fetch/http_date.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(HttpDate, ThreeForms) {
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994"})
    EXPECT_EQ(rfc3339(parse_http_date(text).value()), "1994-11-06T08:49:37Z") << text;
}

TEST(HttpDate, Nonsense) {
  for (const char* text : {"", "yesterday", "120", "Sun, 06 Foo 1994 08:49:37 GMT"})
    EXPECT_FALSE(parse_http_date(text)) << text;
}

}  // namespace
}  // namespace imgcachefs
