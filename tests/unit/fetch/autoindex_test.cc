#include "fetch/autoindex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "autoindex_fixtures.h"

namespace imgcachefs {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAreArray;

const std::vector<std::string> kNames = {
    "<tag>.img",   "SHA256SUMS",
    "a b+c#%.img", "a?b.img",
    "plain.img",   "quote'\".img",
    "sha256:abc",  "very-long-name-that-apache-will-truncate-in-its-fancy-listing-0123456789.img",
    "x&y.img",     "ä.img"};

std::vector<std::string> names_in(std::string_view text, std::string_view type,
                                  std::string_view url) {
  auto ids = parse_autoindex(text, type, Url::parse(url).value());
  std::vector<std::string> names;
  if (!ids) return {"error: " + ids.error().message};
  for (const ImageId& id : *ids) names.push_back(id.str());
  return names;
}

TEST(Autoindex, Apache) {
  EXPECT_THAT(names_in(test::kApachePlain, "text/html;charset=UTF-8", "http://h/plain/"),
              UnorderedElementsAreArray(kNames));
  EXPECT_THAT(names_in(test::kApacheFancy, "text/html", "http://h/fancy/"),
              UnorderedElementsAreArray(kNames));
  EXPECT_THAT(names_in(test::kApacheTable, "text/html", "http://h/table/"),
              UnorderedElementsAreArray(kNames));
}

TEST(Autoindex, Nginx) {
  EXPECT_THAT(names_in(test::kNginxHtml, "text/html", "http://h/"),
              UnorderedElementsAreArray(kNames));
  EXPECT_THAT(names_in(test::kNginxJson, "application/json", "http://h/"),
              UnorderedElementsAreArray(kNames));
}

TEST(Autoindex, LinksAreFoundHoweverTheyAreWritten) {
  EXPECT_THAT(
      names_in(
          "<A class=x HREF='one'>1</A><a\nhref = two >2</a><a title=\"href=no\" href=\"three\">"
          "<abbr href=no><a>no</a><a name=no><a href><a href=\"/d/four\"><a href=\"http://h/d/"
          "five\"><a href=\"http://evil/d/no\"><a href=\"//evil/no\"><a href=\"three\">",
          "text/html", "http://h/d/"),
      ElementsAre("five", "four", "one", "three", "two"));
}

TEST(Autoindex, LeavesOutWhatIsNoImage) {
  EXPECT_THAT(names_in("<a href=\"../\"><a href=\"?C=N;O=D\"><a href=\"sub/\"><a href=\"cache.db\">"
                       "<a href=\"%ff\"><a href=\"a%0ab\"><a href=\"%2e%2e\"><a href=\"ok\">",
                       "text/html", "http://h/d/"),
              ElementsAre("ok"));
  EXPECT_THAT(names_in(R"([{"name":"ok","type":"file"},{"name":"d","type":"directory"},
                          {"name":"../x","type":"file"},{"type":"file"},7,{"name":8}])",
                       "application/json", "http://h/"),
              ElementsAre("ok"));
}

TEST(Autoindex, ANameThatIsNotUtf8HidesNoOther) {
  EXPECT_THAT(
      names_in("[{\"name\":\"bad\xff\",\"type\":\"file\"},{\"name\":\"ä\",\"type\":\"file\"}]",
               "application/json", "http://h/"),
      ElementsAre("ä"));
}

TEST(Autoindex, BrokenText) {
  EXPECT_TRUE(names_in("", "text/html", "http://h/").empty());
  for (const char* text : {"<a href=\"", "<a href=", "<a =", "<a ==\"", "<a", "<", "<a href=\"x"})
    EXPECT_LE(names_in(text, "text/html", "http://h/").size(), 1u) << text;
  EXPECT_FALSE(parse_autoindex("{\"a\"", "application/json", Url::parse("http://h/").value()));
  EXPECT_FALSE(parse_autoindex("{}", "application/json", Url::parse("http://h/").value()));
}

TEST(HtmlUnescape, References) {
  EXPECT_EQ(html_unescape("a&amp;b&lt;&gt;&quot;&apos;&#39;&#x41;&#X42;&#228;&#x1F600;"),
            "a&b<>\"''ABä😀");
  EXPECT_EQ(html_unescape("a&b &; &amp &unknown; &#0; &#x110000; &#zz; &"),
            "a&b &; &amp &unknown; &#0; &#x110000; &#zz; &");
}

}  // namespace
}  // namespace imgcachefs
