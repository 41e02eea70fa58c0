// Where the HTTP directory learns checksums.
#include <gtest/gtest.h>

#include <thread>

#include "contract/upstream_fixture.h"

namespace imgcachefs {
namespace {

using namespace test;

class HttpDigest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.put("/image", Content::of("hello world\n"));
    open(300s);
  }
  void open(std::chrono::seconds believe) {
    upstream_ = open_directory(server_.url(), quick_config(), believe);
  }
  Result<std::optional<Digest>> ask(const std::string& id = "image", bool fresh = false) {
    return upstream_->digest(stat_of(*upstream_, id), fresh, {});
  }
  std::string digest(const std::string& id = "image", bool fresh = false) {
    auto found = ask(id, fresh);
    if (!found) return "error: " + found.error().message;
    return *found ? (*found)->tagged() : "none";
  }
  void put_list(const std::string& name, const std::string& text) {
    server_.put("/" + name, Content::of(text));
  }

  const std::string a_ = std::string(64, 'a'), b_ = std::string(64, 'b'),
                    c_ = std::string(128, 'c'), d_ = std::string(32, 'd');
  FaultServer server_;
  std::unique_ptr<Upstream> upstream_;
};

TEST_F(HttpDigest, NoneWhenNobodySaysOne) {
  EXPECT_EQ(digest(), "none");
}

TEST_F(HttpDigest, ListsStrongestFirst) {
  put_list("MD5SUMS", d_ + "  image\n");
  EXPECT_EQ(digest("image", true), "md5:" + d_);
  put_list("SHA256SUMS", a_ + " *image\n");
  EXPECT_EQ(digest("image", true), "sha256:" + a_);
  put_list("SHA512SUMS", c_ + "  other\n");
  EXPECT_EQ(digest("image", true), "sha256:" + a_);  // does not name it
  put_list("SHA512SUMS", c_ + "  image\n");
  EXPECT_EQ(digest("image", true), "sha512:" + c_);
}

TEST_F(HttpDigest, ListsAreBelievedForAWhile) {
  put_list("SHA256SUMS", a_ + "  image\n");
  EXPECT_EQ(digest(), "sha256:" + a_);
  put_list("SHA256SUMS", b_ + "  image\n");
  EXPECT_EQ(digest(), "sha256:" + a_);
  EXPECT_EQ(server_.count({.path = "/SHA256SUMS"}), 1u);
  EXPECT_EQ(server_.count({.path = "/SHA512SUMS"}), 1u);  // so is that there is none
  EXPECT_EQ(digest("image", true), "sha256:" + b_);       // fresh asks again
  EXPECT_EQ(digest(), "sha256:" + b_);
}

TEST_F(HttpDigest, ListsAreAskedForAgainOnCondition) {
  open(0s);
  put_list("SHA256SUMS", a_ + "  image\n");
  EXPECT_EQ(digest(), "sha256:" + a_);
  EXPECT_EQ(digest(), "sha256:" + a_);
  auto requests = server_.requests();
  std::vector<int> statuses;
  for (const Request& request : requests)
    if (request.path == "/SHA256SUMS") statuses.push_back(request.status);
  EXPECT_EQ(statuses, (std::vector<int>{200, 304}));
  put_list("SHA256SUMS", b_ + "  image\n");
  EXPECT_EQ(digest(), "sha256:" + b_);
  server_.remove("/SHA256SUMS");
  EXPECT_EQ(digest(), "none");
}

TEST_F(HttpDigest, BelievedForEver) {
  open(std::chrono::seconds::max());
  put_list("SHA256SUMS", a_ + "  image\n");
  EXPECT_EQ(digest(), "sha256:" + a_);
  EXPECT_EQ(digest(), "sha256:" + a_);
  EXPECT_EQ(server_.count({.path = "/SHA256SUMS"}), 1u);
}

TEST_F(HttpDigest, AForbiddenListIsNone) {
  server_.fault(Behaviour::of_status(403), {.path = "/SHA512SUMS"});
  put_list("SHA256SUMS", a_ + "  image\n");
  EXPECT_EQ(digest(), "sha256:" + a_);
}

TEST_F(HttpDigest, TroubleWithAListIsAnErrorAndNotNone) {
  put_list("SHA256SUMS", a_ + "  image\n");
  server_.fault(Behaviour::of_status(503), {.path = "/SHA512SUMS"}, 3);
  EXPECT_KIND(ask(), ErrorKind::kUnavailable);
  server_.fault(Behaviour::of_status(401), {.path = "/SHA512SUMS"});
  EXPECT_KIND(ask(), ErrorKind::kDenied);
  server_.fault({.other_content = Content::generated((16 << 20) + 1)}, {.path = "/SHA512SUMS"});
  EXPECT_KIND(ask(), ErrorKind::kProtocol);
  server_.fault({.content_encoding = "gzip", .other_content = Content::of("x")},
                {.path = "/SHA512SUMS"});
  EXPECT_KIND(ask(), ErrorKind::kProtocol);
  // Over now, and nothing of it is remembered.
  server_.fault(Behaviour::of_status(503), {.path = "/SHA512SUMS"}, 2);
  EXPECT_EQ(digest(), "sha256:" + a_);
}

TEST_F(HttpDigest, ACutListIsNotTakenForAShortOne) {
  put_list("SHA256SUMS", b_ + "  other\n" + a_ + "  image\n");
  server_.fault({.cut_after = 80}, {.path = "/SHA256SUMS"});
  EXPECT_EQ(digest(), "sha256:" + a_);
}

TEST_F(HttpDigest, ManyAskersCauseOneRequest) {
  put_list("SHA512SUMS", c_ + "  image\n");
  const ImageInfo info = stat_of(*upstream_, "image");
  server_.fault({.stall_before_head = true}, {.path = "/SHA512SUMS"});
  std::atomic<int> right = 0;
  {
    std::vector<std::jthread> askers;
    for (int i = 0; i < 8; ++i)
      askers.emplace_back([&] {
        auto found = upstream_->digest(info, false, {});
        if (found && *found && (*found)->hex == c_) ++right;
      });
    EXPECT_TRUE(server_.wait_for({.path = "/SHA512SUMS"}, 1, 60s));
    std::this_thread::sleep_for(100ms);  // for the others to come; fewer would be right as well
    server_.release();
  }
  EXPECT_EQ(right, 8);
  EXPECT_EQ(server_.count({.path = "/SHA512SUMS"}), 1u);
}

TEST_F(HttpDigest, AskersShareAFailure) {
  const ImageInfo info = stat_of(*upstream_, "image");
  server_.fault({.stall_before_head = true, .status = 401}, {.path = "/SHA512SUMS"}, 0);
  std::atomic<int> denied = 0;
  std::vector<std::jthread> askers;
  for (int i = 0; i < 4; ++i)
    askers.emplace_back([&] {
      auto found = upstream_->digest(info, false, {});
      if (!found && found.error().kind == ErrorKind::kDenied) ++denied;
    });
  // Who came late asks once more: released until all are through.
  for (int i = 0; i < 6000 && denied < 4; ++i) {
    server_.release();
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(denied, 4);
}

TEST_F(HttpDigest, AWaitingAskerCanBeStopped) {
  const ImageInfo info = stat_of(*upstream_, "image");
  server_.fault({.stall_before_head = true}, {.path = "/SHA512SUMS"});
  std::stop_source stop;
  Result<std::optional<Digest>> first, second;
  {
    std::jthread asker([&] { first = upstream_->digest(info, false, {}); });
    ASSERT_TRUE(server_.wait_for({.path = "/SHA512SUMS"}, 1, 60s));
    std::jthread waiter([&] { second = upstream_->digest(info, false, stop.get_token()); });
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
    waiter.join();
    EXPECT_KIND(second, ErrorKind::kCancelled);
    server_.release();
  }
  EXPECT_TRUE(first);
}

TEST_F(HttpDigest, WhoIsStoppedLeavesTheQuestionToTheOthers) {
  put_list("SHA512SUMS", c_ + "  image\n");
  const ImageInfo info = stat_of(*upstream_, "image");
  server_.fault({.stall_before_head = true}, {.path = "/SHA512SUMS"});
  std::stop_source stop;
  Result<std::optional<Digest>> first, second;
  {
    std::jthread asker([&] { first = upstream_->digest(info, false, stop.get_token()); });
    ASSERT_TRUE(server_.wait_for({.path = "/SHA512SUMS"}, 1, 60s));
    std::jthread waiter([&] { second = upstream_->digest(info, false, {}); });
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  }
  EXPECT_KIND(first, ErrorKind::kCancelled);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ((*second)->hex, c_);
}

TEST_F(HttpDigest, HeadersWhenNoListNamesIt) {
  Content content = Content::of("hello world\n");
  content.headers = {{"Repr-Digest", "sha-256=:qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=:"}};
  server_.put("/image", content);
  EXPECT_EQ(digest(), "sha256:a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447");
  put_list("MD5SUMS", d_ + "  image\n");
  EXPECT_EQ(digest("image", true), "md5:" + d_);
  server_.remove("/MD5SUMS");
  content.headers = {{"Content-MD5", "b1kCrCNwJL3QwXbLkwY9xA=="}};
  server_.put("/image", content);
  EXPECT_EQ(digest("image", true), "md5:6f5902ac237024bdd0c176cb93063dc4");
}

TEST_F(HttpDigest, HeadersOfAnotherVersionAreStale) {
  const ImageInfo info = stat_of(*upstream_, "image");
  server_.put("/image", Content::of("hello moon!\n"));
  EXPECT_KIND(upstream_->digest(info, false, {}), ErrorKind::kStale);
}

TEST_F(HttpDigest, NamesAsTheListHasThem) {
  server_.put("/a b\\c", Content::of("x"));
  put_list("SHA256SUMS", "\\" + a_ + " *./a b\\\\c\n");
  EXPECT_EQ(digest("a b\\c"), "sha256:" + a_);
}

}  // namespace
}  // namespace imgcachefs
