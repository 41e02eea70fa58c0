// Link headers as servers write them, and as they should not.
#include "fetch/link_header.h"

#include <gtest/gtest.h>

#include <random>

namespace imgcachefs {
namespace {

std::string next(const std::string& header) {
  return link_target(header, "next").value_or("none");
}

TEST(LinkHeader, TheTargetOfARelation) {
  EXPECT_EQ(next("</v2/_catalog?last=other&n=2>; rel=\"next\""), "/v2/_catalog?last=other&n=2");
  EXPECT_EQ(next("<a>;rel=next"), "a");
  EXPECT_EQ(next("  < a >  ;  REL = \"NEXT\"  "), " a ");
  EXPECT_EQ(next("<>; rel=next"), "");
  EXPECT_EQ(next("<a>; title=\"x, <b>; rel=next\"; rel=\"next\""), "a");
  EXPECT_EQ(next("<a>; title=\"\\\"\"; rel=next"), "a");
  EXPECT_EQ(next("<a>; crossorigin; rel=next"), "a");
}

TEST(LinkHeader, AmongOthers) {
  EXPECT_EQ(next("<a>; rel=prev, <b>; rel=next"), "b");
  EXPECT_EQ(next("<a>; rel=\"first next\", <b>; rel=next"), "a");
  EXPECT_EQ(next(", , <a>; rel=prev,, <b,c;d>; rel=next,"), "b,c;d");
  EXPECT_EQ(next("<a>, <b>; rel=next"), "b");
  EXPECT_EQ(next("<a>; rel=prev; rel=next, <b>; rel=nextone"), "none");
}

TEST(LinkHeader, WhatIsNoneIsNone) {
  for (const char* bad : {"", " ", "a", "<a", "<a>", "<a>; rel", "<a>; rel=", "<a>; rel=\"next",
                          "a; rel=next", "<a> rel=next", "rel=next; <a>",
                          "<a>; rel=prev <b>; "
                          "rel=next",
                          "\"<a>\"; rel=next"})
    EXPECT_EQ(next(bad), "none") << bad;
}

TEST(LinkHeader, AnyTextIsReadToItsEnd) {
  std::minstd_rand dice(7);
  const std::string letters = "<>;,=\"\\ renxt\t\xff";
  for (int i = 0; i < 20'000; ++i) {
    std::string text(dice() % 40, ' ');
    for (char& c : text) c = letters[dice() % letters.size()];
    (void)link_target(text, "next");  // must end, and read nothing past it
  }
}

}  // namespace
}  // namespace imgcachefs
