// The status page for people. How it looks is in tests/real/status_page_test.cc, in a browser.
#include "fs/status_html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/html.h"

namespace imgcachefs {
namespace {

using testing::HasSubstr;
using testing::Not;

const WallTime kNow = from_unix(1795149842);

StoreStatus some_status() {
  StoreStatus status;
  status.space = {1000, 400, 2};
  status.cached = 2;
  status.queued = 1;
  status.fills.push_back({ImageId::parse("<b>'a\"&").value(), 4096, 1024, 256, true});
  status.queue.push_back({ImageId::parse("q").value(), 2,
                          Error{ErrorKind::kUnavailable, "<script>alert(1)</script>"},
                          kNow + std::chrono::seconds(90)});
  return status;
}

std::string page(const StoreStatus& status, const UpstreamStats& upstream = {},
                 const History& history = {}) {
  return status_html({"1.2", "http://u:secret@h/<i>", "/c", kNow - std::chrono::hours(25)}, true,
                     status, upstream, history, kNow);
}

TEST(StatusHtml, EscapesAllTextFromOutside) {
  UpstreamStats upstream;
  upstream.failed({ErrorKind::kUnavailable, "<img src=x>"});
  const std::string text = page(some_status(), upstream);
  EXPECT_THAT(text, HasSubstr("&lt;b&gt;&#39;a&quot;&amp;"));
  EXPECT_THAT(text, HasSubstr("&lt;script&gt;alert(1)"));
  EXPECT_THAT(text, HasSubstr("&lt;img src=x&gt;"));
  EXPECT_THAT(text, HasSubstr("http://h/&lt;i&gt;"));
  for (const char* raw : {"<b>", "<script>alert", "<img", "<i>", "secret"})
    EXPECT_THAT(text, Not(HasSubstr(raw)));
}

TEST(StatusHtml, NeedsNothingFromElsewhere) {
  const std::string text = page(some_status());
  for (const char* outside : {" src=", "@import", "url(", "<link", "style=\"", " onclick"})
    EXPECT_THAT(text, Not(HasSubstr(outside)));
  const std::string policy = status_html_policy();
  EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
  EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
}

TEST(StatusHtml, SaysWhatIsCachedOfEachFill) {
  const std::string text = page(some_status());
  EXPECT_THAT(text, HasSubstr("1.0 KiB, 25.0 %"));
  EXPECT_THAT(text, HasSubstr("256 B/s"));
  EXPECT_THAT(text, HasSubstr("12 s"));  // remaining
  EXPECT_THAT(text, HasSubstr("400 B of 1000 B used, 40.0 %"));
  EXPECT_THAT(text, HasSubstr("in 1 min 30 s"));
  EXPECT_THAT(text, HasSubstr("1 d 1 h"));
  EXPECT_THAT(page({}), HasSubstr("None."));
}

TEST(StatusHtml, SaysHowUpstreamIs) {
  EXPECT_THAT(page({}), HasSubstr("not asked yet"));
  UpstreamStats upstream;
  upstream.answered(200, std::chrono::milliseconds(3));
  EXPECT_THAT(page({}, upstream), HasSubstr("&#10003; answers"));
  EXPECT_THAT(page({}, upstream), HasSubstr("5 ms"));
  upstream.failed({ErrorKind::kTimeout, "silent"});
  EXPECT_THAT(page({}, upstream), HasSubstr("does not answer"));
}

TEST(StatusHtml, DrawsTheHitRate) {
  History history;
  EXPECT_THAT(page({}, {}, history), HasSubstr("Hit rate of the last 10 minutes: nothing"));
  history.add({.hits = 3, .misses = 1, .upstream_bytes = 2048});
  const std::string text = page({}, {}, history);
  EXPECT_THAT(text, HasSubstr("Hit rate of the last 10 minutes: 75.0 % of 4 opens"));
  // The newest column: the hits three quarters of the height, the misses above them.
  EXPECT_THAT(text,
              HasSubstr(R"(<rect class="lower" x="59.1" y="25.0" width="0.8" height="75.0"/>)"));
  EXPECT_THAT(text,
              HasSubstr(R"(<rect class="upper" x="59.1" y="0.0" width="0.8" height="25.0"/>)"));
  EXPECT_THAT(text, HasSubstr("2.0 KiB, at most 204 B/s"));
}

TEST(StatusHtml, KnowsHowAPolicyNamesASource) {
  // printf "alert('Hello, world.');" | openssl dgst -sha256 -binary | base64, as CSP 3 has it.
  EXPECT_EQ(html::source_hash("alert('Hello, world.');"),
            "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
}

}  // namespace
}  // namespace imgcachefs
