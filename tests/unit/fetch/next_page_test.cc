// Of a next page's URL the query counts, and that it does not lead elsewhere.
#include "fetch/next_page.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

std::string query(const std::string& next, const std::string& from = "http://h:80/p/list?n=2") {
  auto got = query_of_next(next, from, "/list");
  if (got) return *got;
  EXPECT_EQ(got.error().kind, ErrorKind::kProtocol);
  return "refused";
}

TEST(NextPage, ItsQuery) {
  for (const char* next : {"/p/list?n=2&last=x", "/list?n=2&last=x", "http://h/list?n=2&last=x",
                           "HTTP://H:80/p/list?n=2&last=x", "?n=2&last=x"})
    EXPECT_EQ(query(next), "n=2&last=x") << next;
  EXPECT_EQ(query("/list"), "");
}

TEST(NextPage, ElsewhereIsRefused) {
  for (const char* next :
       {"", "list?n=2", "/other?n=2", "//h/list?n=2", "//other/list?n=2", "https://h/list",
        "http://h:81/list", "http://other/list", "http://u:p@h/list", "file:///list", "\n"})
    EXPECT_EQ(query(next), "refused") << next;
}

}  // namespace
}  // namespace imgcachefs
