// The HTTP directory against a server that cuts, stalls, lies and corrupts.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <future>
#include <thread>

#include "base/posix.h"
#include "contract/upstream_fixture.h"

namespace imgcachefs {
namespace {

using namespace test;

class HttpFaults : public ::testing::Test {
 protected:
  void SetUp() override { server_.put("/d/image", Content::generated(kSize, 3)); }

  Upstream& open(HttpConfig config = quick_config()) {
    upstream_ = open_directory(server_.url("/d/"), config);
    return *upstream_;
  }
  ImageInfo info() { return stat_of(*upstream_, "image"); }
  std::string bytes(uint64_t begin = 0, uint64_t end = kSize) {
    return pattern_string(3, begin, end - begin);
  }
  // Reads `range`, expects the right bytes.
  unsigned expect_right(ByteRange range) {
    StringSink sink;
    auto outcome = upstream_->read(info(), range, sink, {});
    EXPECT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(sink.text == bytes(range.begin, range.end)) << sink.text.size();
    return outcome ? outcome->attempts : 0;
  }
  // Reads `range`, expects the error; what came before it must be right.
  std::string expect_error(ByteRange range, ErrorKind kind) {
    const ImageInfo image = info();
    server_.forget_requests();
    StringSink sink;
    EXPECT_KIND(upstream_->read(image, range, sink, {}), kind);
    EXPECT_TRUE(sink.text == bytes(range.begin, range.begin + sink.text.size()));
    return sink.text;
  }

  static constexpr uint64_t kSize = 1'000'000;
  static constexpr ByteRange kWhole{0, kSize};
  const Match kGet{.method = "GET", .path = "/d/image"};
  const Match kHead{.method = "HEAD", .path = "/d/image"};
  FaultServer server_;
  std::unique_ptr<Upstream> upstream_;
};

TEST_F(HttpFaults, ACutTransferGoesOnWhereItStopped) {
  open();
  server_.fault({.cut_after = 300'000}, kGet);
  server_.fault({.reset_after = 200'000}, kGet);
  server_.fault({.cut_after = 0}, kGet);
  const unsigned attempts = expect_right(kWhole);
  EXPECT_GE(attempts, 3u);
  EXPECT_GE(upstream_->stats().errors, 3u);
  // The first asks for the image, the others for the rest.
  auto requests = server_.requests();
  EXPECT_EQ(requests[1].range(), "");
  EXPECT_EQ(requests[2].range(), "bytes=300000-999999");
  // A reset throws away what was under way, so what was sent can exceed the image, but not by much.
  EXPECT_LE(server_.sent_bytes("/d/image"), kSize + 200'000);
}

TEST_F(HttpFaults, ACutRangeGoesOnWhereItStopped) {
  open();
  server_.fault({.cut_after = 1000}, kGet, 3);
  expect_right({500'000, 510'000});
  EXPECT_EQ(server_.sent_bytes("/d/image"), 10'000u);
}

TEST_F(HttpFaults, ProgressResetsTheCountOfFailures) {
  open();  // two retries
  server_.fault({.cut_after = 100'000}, kGet, 9);
  EXPECT_EQ(expect_right(kWhole), 10u);
}

TEST_F(HttpFaults, WithoutProgressItEndsAfterTheRetries) {
  open();
  server_.fault({.cut_after = 0}, kGet, 100);
  expect_error(kWhole, ErrorKind::kUnavailable);
  EXPECT_EQ(server_.count(kGet), 3u);
}

TEST_F(HttpFaults, ACutWithoutRangesStartsAgainAndGivesEachByteOnce) {
  open();
  server_.on_request([](const Request&) { return Behaviour{.ignore_range = true}; });
  server_.fault({.cut_after = 300'000, .ignore_range = true}, kGet);
  server_.fault({.cut_after = 600'000, .ignore_range = true}, kGet);
  EXPECT_EQ(expect_right(kWhole), 3u);
  EXPECT_EQ(info().ranges, RangeSupport::kNo);
}

TEST_F(HttpFaults, AChunkedBodyThatEndsEarlyIsResumed) {
  open();
  server_.fault({.cut_after = 300'000, .chunked = true}, kGet);
  expect_right(kWhole);
  // Ended as it should be, but short.
  server_.fault({.chunked = true, .other_content = Content::generated(500'000, 3)}, kGet);
  StringSink sink;
  ImageInfo image = info();
  image.validator = {};
  ASSERT_TRUE(upstream_->read(image, kWhole, sink, {}));
  EXPECT_TRUE(sink.text == bytes());
}

TEST_F(HttpFaults, AWholeChunkedBodyIsFine) {
  open();
  server_.fault({.chunked = true}, kGet, 2);
  EXPECT_EQ(expect_right(kWhole), 1u);
  EXPECT_EQ(expect_right({10, 20'000}), 1u);
}

TEST_F(HttpFaults, A200ToARangeGivesNothing) {
  open();
  server_.fault({.ignore_range = true}, kGet);
  const ImageInfo image = info();
  EXPECT_EQ(image.ranges, RangeSupport::kYes);
  StringSink sink;
  EXPECT_KIND(upstream_->read(image, {10, 20}, sink, {}), ErrorKind::kNoRanges);
  EXPECT_EQ(sink.text, "");
  EXPECT_EQ(info().ranges, RangeSupport::kNo);  // remembered
}

TEST_F(HttpFaults, AWrongContentRangeIsNotUsed) {
  open();
  for (const char* range :
       {"bytes 11-20/1000000", "bytes 0-9/1000000", "bytes 10-20/1000000", "bytes 10-19/*",
        "bytes */1000000", "bytes 10-9/1000000", "10-19/1000000", "items 10-19/1000000", "x"}) {
    server_.fault({.content_range = range}, kGet);
    EXPECT_EQ(expect_error({10, 20}, ErrorKind::kProtocol), "") << range;
    EXPECT_EQ(server_.count(kGet), 1u) << range;
  }
  server_.fault({.content_range = "bytes 10-19/1000001"}, kGet);
  EXPECT_EQ(expect_error({10, 20}, ErrorKind::kStale), "");
}

TEST_F(HttpFaults, AShorterRangeThanAskedIsGoneOnFrom) {
  open();
  server_.fault({.content_range = "bytes 10-14/1000000", .content_length = "5"}, kGet);
  EXPECT_EQ(expect_right({10, 20}), 2u);
}

TEST_F(HttpFaults, AContentLengthThatDisagrees) {
  open();
  server_.fault({.content_length = "11"}, kGet);
  EXPECT_EQ(expect_error({10, 20}, ErrorKind::kProtocol), "");
  server_.fault({.content_length = "999999"}, kGet);
  EXPECT_EQ(expect_error(kWhole, ErrorKind::kStale), "");
  server_.fault({.content_length = "many"}, kGet);
  EXPECT_EQ(expect_error(kWhole, ErrorKind::kProtocol), "");
}

TEST_F(HttpFaults, NoContentLengthIsFineWhenTheBodyIsRight) {
  open();
  server_.fault({.content_length = ""}, kGet, 2);
  expect_right(kWhole);
  expect_right({10, 20});
}

TEST_F(HttpFaults, SeveralPartsAreNotUsed) {
  open();
  auto parts = Content::generated(kSize, 3);
  parts.content_type = "multipart/byteranges; boundary=x";
  server_.fault({.other_content = parts}, kGet);
  EXPECT_EQ(expect_error({10, 20}, ErrorKind::kProtocol), "");
}

TEST_F(HttpFaults, SurplusBytesNeverReachTheSink) {
  open();
  server_.fault({.content_length = "", .extra_bytes = 5}, kGet);
  EXPECT_LE(expect_error(kWhole, ErrorKind::kProtocol).size(), kSize);
  server_.fault({.chunked = true, .extra_bytes = 100'000}, kGet);
  EXPECT_LE(expect_error({10, 20}, ErrorKind::kProtocol).size(), 10u);
  // Behind a right Content-Length they are no part of the body.
  server_.fault({.extra_bytes = 5}, kGet);
  expect_right(kWhole);
  expect_right(kWhole);
}

TEST_F(HttpFaults, AnEncodedBodyIsRefused) {
  open();
  server_.fault({.content_encoding = "gzip"}, kGet);
  EXPECT_EQ(expect_error(kWhole, ErrorKind::kProtocol), "");
  server_.fault({.content_encoding = "identity"}, kGet);
  expect_right(kWhole);
  EXPECT_EQ(server_.requests().back().header("accept-encoding"), "identity");
}

TEST_F(HttpFaults, AChangeInTheMiddleIsStaleAndNothingIsMixed) {
  open();
  server_.fault({.cut_after = 400'000}, kGet);
  server_.fault({.other_content = Content::generated(kSize, 4)}, kGet);
  EXPECT_EQ(expect_error(kWhole, ErrorKind::kStale).size(), 400'000u);
  server_.fault({.last_modified = "Fri, 20 Nov 2026 08:00:00 GMT"}, kGet);
  EXPECT_EQ(expect_error({10, 20}, ErrorKind::kStale), "");
  server_.fault({.etag = "\"other\""}, kGet);
  EXPECT_EQ(expect_error(kWhole, ErrorKind::kStale), "");
  // A shorter one: the place we want is past its end.
  server_.fault({.other_content = Content::generated(100, 3)}, kGet);
  EXPECT_EQ(expect_error({500'000, 500'010}, ErrorKind::kStale), "");
  server_.fault({.status = 416}, kGet);
  EXPECT_EQ(expect_error({10, 20}, ErrorKind::kProtocol), "");
}

TEST_F(HttpFaults, AMissingValidatorIsNoChange) {
  open();
  server_.fault({.etag = "", .last_modified = ""}, kGet, 2);
  expect_right(kWhole);
  expect_right({10, 20});
}

TEST_F(HttpFaults, AServerWithoutHead) {
  for (int status : {400, 405, 501}) {
    open();
    server_.fault(Behaviour::of_status(status), kHead);
    const ImageInfo image = info();
    EXPECT_EQ(image.size, kSize);
    EXPECT_EQ(image.ranges, RangeSupport::kYes);
  }
  server_.fault({.content_length = ""}, kHead);
  EXPECT_EQ(info().size, kSize);
  // Neither HEAD nor ranges: the size is that of the body, which is not read.
  open();
  server_.put("/d/big", Content::generated(1ULL << 40, 3));
  server_.fault(Behaviour::of_status(405));
  server_.fault({.ignore_range = true});
  const ImageInfo big = stat_of(*upstream_, "big");
  EXPECT_EQ(big.size, 1ULL << 40);
  EXPECT_EQ(big.ranges, RangeSupport::kNo);
}

TEST_F(HttpFaults, AnEmptyImageOnAServerWithoutHead) {
  open();
  server_.put("/d/empty", Content::of(""));
  server_.fault(Behaviour::of_status(405));
  EXPECT_EQ(stat_of(*upstream_, "empty").size, 0u);
}

TEST_F(HttpFaults, AnUnknownSizeIsRefused) {
  open();
  server_.on_request(
      [](const Request&) { return Behaviour{.ignore_range = true, .chunked = true}; });
  EXPECT_KIND(upstream_->stat(id_of("image"), Patience::kFull, {}), ErrorKind::kProtocol);
}

TEST_F(HttpFaults, ADirectoryIsNoImage) {
  open();
  server_.put("/d/sub/", Content::of("<html>"));
  server_.fault({.status = 301, .redirect = "/d/sub/"}, {.path = "/d/sub"});
  EXPECT_KIND(upstream_->stat(id_of("sub"), Patience::kFull, {}), ErrorKind::kNotFound);
}

TEST_F(HttpFaults, StatusesBecomeKinds) {
  open();
  for (auto [status, kind] : {std::pair(401, ErrorKind::kDenied),
                              {403, ErrorKind::kDenied},
                              {404, ErrorKind::kNotFound},
                              {410, ErrorKind::kNotFound},
                              {418, ErrorKind::kProtocol},
                              {501, ErrorKind::kUnavailable}}) {
    server_.fault(Behaviour::of_status(status), kGet);
    EXPECT_EQ(expect_error(kWhole, kind), "") << status;
    EXPECT_EQ(server_.count(kGet), 1u) << status;
  }
}

TEST_F(HttpFaults, TransientStatusesAreTriedAgain) {
  open();
  for (int status : {408, 429, 500, 502, 503, 504}) {
    server_.fault(Behaviour::of_status(status), kGet);
    EXPECT_EQ(expect_right({10, 20}), 2u) << status;
    server_.fault(Behaviour::of_status(status), kHead);
    EXPECT_EQ(info().size, kSize);
  }
  server_.fault(Behaviour::of_status(503), kHead);
  EXPECT_KIND(upstream_->stat(id_of("image"), Patience::kOneTry, {}), ErrorKind::kUnavailable);
}

TEST_F(HttpFaults, RetryAfterIsWaitedFor) {
  open();
  server_.fault({.status = 429, .headers = {{"Retry-After", "1"}}}, kGet);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(expect_right({10, 20}), 2u);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 1s);
}

TEST_F(HttpFaults, ALongRetryAfterIsAnError) {
  open();
  server_.fault({.status = 503, .headers = {{"Retry-After", "3600"}}}, kGet);
  expect_error(kWhole, ErrorKind::kUnavailable);
  EXPECT_EQ(server_.count(kGet), 1u);
}

TEST_F(HttpFaults, ASilentServerIsATimeout) {
  HttpConfig config = quick_config();
  config.low_speed_time = 1s;
  config.retries = 1;
  open(config);
  const ImageInfo image = info();
  server_.fault({.stall_after = 500'000}, kGet);
  server_.on_request([](const Request&) { return Behaviour{.stall_before_head = true}; });
  StringSink sink;
  EXPECT_KIND(upstream_->read(image, kWhole, sink, {}), ErrorKind::kTimeout);
  EXPECT_TRUE(sink.text == bytes(0, 500'000));
  EXPECT_KIND(upstream_->stat(id_of("image"), Patience::kFull, {}), ErrorKind::kTimeout);
}

TEST_F(HttpFaults, AServerThatIsTooSlowIsATimeout) {
  HttpConfig config = quick_config();
  config.low_speed_limit = 10'000;
  config.low_speed_time = 1s;
  config.retries = 0;
  open(config);
  server_.fault({.bytes_per_second = 100}, kGet);
  expect_error(kWhole, ErrorKind::kTimeout);
}

TEST_F(HttpFaults, AStallIsResumed) {
  HttpConfig config = quick_config();
  config.low_speed_time = 1s;
  open(config);
  server_.fault({.stall_after = 500'000}, kGet);
  EXPECT_EQ(expect_right(kWhole), 2u);
}

TEST_F(HttpFaults, OneTryTakesAFewSecondsAtMost) {
  open();  // low_speed_time is 30 s
  server_.fault({.stall_before_head = true}, kHead);
  EXPECT_KIND(upstream_->stat(id_of("image"), Patience::kOneTry, {}), ErrorKind::kTimeout);
  EXPECT_EQ(server_.count(kHead), 1u);
}

TEST_F(HttpFaults, AConnectionThatGoesNowhereIsATimeout) {
  // Listens, but its queue is full: connections are neither taken nor refused.
  UniqueFd full(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* where = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(full.get(), where, length), 0);
  ASSERT_EQ(::listen(full.get(), 0), 0);
  ASSERT_EQ(::getsockname(full.get(), where, &length), 0);
  std::vector<UniqueFd> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::connect(fillers.back().get(), where, length);
  }
  HttpConfig config = quick_config();
  config.connect_timeout = 1s;
  config.retries = 0;
  auto upstream =
      open_directory("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/", config);
  EXPECT_KIND(upstream->stat(id_of("x"), Patience::kFull, {}), ErrorKind::kTimeout);
}

TEST_F(HttpFaults, StopEndsATransferThatStalls) {
  open();
  const ImageInfo image = info();
  server_.fault({.stall_after = 500'000}, kGet);
  std::stop_source stop;
  std::promise<void> stalled;
  StringSink sink;
  sink.on_write = [&] {
    if (sink.text.size() == 500'000) stalled.set_value();
  };
  std::jthread stopper([&] {
    stalled.get_future().wait_for(60s);
    stop.request_stop();
  });
  const auto outcome = upstream_->read(image, kWhole, sink, stop.get_token());
  EXPECT_KIND(outcome, ErrorKind::kCancelled);  // and not kTimeout: low_speed_time is 30 s
}

TEST_F(HttpFaults, StopEndsTheWaitBetweenAttempts) {
  open();
  const ImageInfo image = info();
  server_.fault({.status = 503, .headers = {{"Retry-After", "60"}}}, kGet);
  std::stop_source stop;
  std::jthread stopper([&] {
    server_.wait_for(kGet, 1, 60s);
    stop.request_stop();
  });
  StringSink sink;
  EXPECT_KIND(upstream_->read(image, kWhole, sink, stop.get_token()), ErrorKind::kCancelled);
}

TEST_F(HttpFaults, ConnectionsAreKept) {
  open();
  for (int i = 0; i < 10; ++i) expect_right({0, 10});
  for (const Request& request : server_.requests()) EXPECT_EQ(request.connection, 0u);
}

TEST_F(HttpFaults, ABigImageNeedsNo32Bits) {
  open();
  constexpr uint64_t kBig = (5ULL << 30) + 1;
  server_.put("/d/big", Content::generated(kBig, 9));
  const ImageInfo image = stat_of(*upstream_, "big");
  ASSERT_EQ(image.size, kBig);
  StringSink sink;
  ASSERT_TRUE(upstream_->read(image, {kBig - 4097, kBig}, sink, {}));
  EXPECT_TRUE(sink.text == pattern_string(9, kBig - 4097, 4097));
}

}  // namespace
}  // namespace imgcachefs
