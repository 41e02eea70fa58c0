// What a reader sees of an upstream that does not do its part, what the log says of it, and that
// nothing of it lasts (DESIGN 2.2).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <sstream>

#include "base/digest.h"
#include "base/posix.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"

namespace imgcachefs::test {
namespace {

using testing::HasSubstr;

constexpr size_t kSize = (2 << 20) + 123;

std::string sha256_line(const std::string& bytes, const std::string& name) {
  Hasher hasher(DigestAlgo::kSha256);
  hasher.update(std::as_bytes(std::span(bytes)));
  const std::string tagged = hasher.finish().tagged();
  return tagged.substr(tagged.find(':') + 1) + "  " + name + "\n";
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

int stat_errno(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 ? 0 : errno;
}

// An image that is cached ("kept"), another that is not ("image"), and little patience.
class Errors : public testing::Test {
 protected:
  Errors() : bytes_(pattern_string(1, 0, kSize)), kept_(pattern_string(2, 0, kSize)) {
    server_.put("/image", Content::generated(kSize, 1));
    server_.put("/kept", Content::generated(kSize, 2));
    server_.put("/SHA256SUMS",
                Content::of(sha256_line(bytes_, "image") + sha256_line(kept_, "kept")));
    start({});
  }
  ~Errors() override {
    server_.clear_faults();
    server_.release();
  }

  void start(const std::vector<std::string>& more) {
    std::vector<std::string> options = {"connect_timeout=1", "low_speed_time=1", "retries=1",
                                        "negative_ttl=1"};
    options.insert(options.end(), more.begin(), more.end());
    mount_.reset();
    mount_.emplace(MountSpec{.source = server_.url(), .options = options});
    ASSERT_EQ(mount_->read_all("kept"), kept_);
    ASSERT_TRUE(mount_->wait_state("kept", "cached")) << mount_->log();
  }

  void expect_cached_are_fine() {
    EXPECT_EQ(mount_->read("kept", 0, kSize), kept_);
    EXPECT_THAT(run({"ls", mount_->path()}).out, HasSubstr("kept\n"));
  }

  // A line with all of `parts`.
  void expect_log(const std::vector<std::string>& parts) {
    const auto has_all = [&](const std::string& line) {
      return std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
        return line.find(part) != std::string::npos;
      });
    };
    const auto lines = lines_of(mount_->log());
    EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), has_all))
        << testing::PrintToString(parts) << " is not in\n"
        << mount_->log();
  }

  // The fault is in the transfer of the image, which was found; then in the question for it. Each
  // time the reader gets `error`, the log has it with `reason`, and all is well after the fault.
  void expect_error(const Behaviour& fault, int error, const std::string& reason) {
    SCOPED_TRACE(reason);
    start({});
    server_.fault(fault, {.method = "GET", .path = "/image"}, 0);
    EXPECT_EQ(mount_->read_errno("image"), error);
    expect_log({"read image: ", reason, strerrorname_np(error)});
    expect_cached_are_fine();
    expect_well_again();
  }
  void expect_error_of_look_up(const Behaviour& fault, int error, const std::string& reason) {
    SCOPED_TRACE("look-up: " + reason);
    start({});
    server_.fault(fault, {.path = "/image"}, 0);
    EXPECT_EQ(stat_errno(mount_->path("image")), error);
    expect_log({"lookup image: ", reason, strerrorname_np(error)});
    expect_cached_are_fine();
    expect_well_again();
  }
  void expect_well_again() {
    server_.clear_faults();
    server_.release();
    // "No such image" is believed for negative_ttl.
    ASSERT_TRUE(wait_until([&] { return stat_errno(mount_->path("image")) == 0; }));
    EXPECT_EQ(mount_->read("image", 0, kSize), bytes_);
    EXPECT_TRUE(mount_->wait_state("image", "cached")) << mount_->log();
  }

  const std::string bytes_, kept_;
  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: An upstream that refuses (401, 403) is EACCES.
TEST_F(Errors, OfAnUpstreamThatRefusesAreEacces) {
  for (int status : {401, 403}) {
    const std::string reason = "HTTP status " + std::to_string(status);
    expect_error(Behaviour::of_status(status), EACCES, reason);
    expect_error_of_look_up(Behaviour::of_status(status), EACCES, reason);
  }
}

TEST_F(Errors, OfAnUpstreamThatHasNoSuchImageAreEnoent) {
  expect_error(Behaviour::of_status(404), ENOENT, "HTTP status 404");
  expect_error_of_look_up(Behaviour::of_status(404), ENOENT, "HTTP status 404");
}

// SEMANTICS: An upstream that stays silent past the retries is ETIMEDOUT.
TEST_F(Errors, OfAnUpstreamThatStaysSilentAreEtimedout) {
  Behaviour stall;
  stall.stall_before_head = true;
  expect_error_of_look_up(stall, ETIMEDOUT, "/image");
  expect_error(stall, ETIMEDOUT, "/image");

  // In the middle of a chunk; what came of it is progress, and begins the retries anew.
  start({});
  ASSERT_EQ(stat_errno(mount_->path("image")), 0);
  Behaviour stall_later;
  stall_later.stall_after = 1000;
  server_.fault(stall_later, {.method = "GET", .path = "/image"}, 1);
  server_.fault(stall, {.method = "GET", .path = "/image"}, 0);
  EXPECT_EQ(mount_->read_errno("image"), ETIMEDOUT);
  expect_cached_are_fine();
  expect_well_again();
}

// SEMANTICS: An upstream that cannot be reached, or that fails otherwise, is EIO.
TEST_F(Errors, OfAnUpstreamThatFailsAreEio) {
  for (int status : {429, 500, 503, 418}) {
    const std::string reason = "HTTP status " + std::to_string(status);
    expect_error(Behaviour::of_status(status), EIO, reason);
    expect_error_of_look_up(Behaviour::of_status(status), EIO, reason);
  }
  Behaviour reset;
  reset.reset_before_head = true;
  expect_error(reset, EIO, "/image");
  expect_error_of_look_up(reset, EIO, "/image");
  Behaviour cut;
  cut.cut_after = 0;
  expect_error(cut, EIO, "/image");
  Behaviour busy = Behaviour::of_status(429);
  busy.headers = {{"Retry-After", "3600"}};
  expect_error(busy, EIO, "Retry-After");
  expect_error_of_look_up(busy, EIO, "Retry-After");
}

TEST_F(Errors, OfAnUpstreamThatCannotBeReachedAreEio) {
  TempDir images;
  images.write("image", bytes_);
  images.write("kept", kept_);
  Nginx nginx(images.path());
  mount_.emplace(MountSpec{.source = nginx.url(), .options = {"retries=1"}});
  ASSERT_EQ(mount_->read_all("kept"), kept_);
  ASSERT_TRUE(mount_->wait_state("kept", "cached"));
  struct stat st;
  ASSERT_EQ(::stat(mount_->path("image").c_str(), &st), 0);
  nginx.stop();
  EXPECT_EQ(mount_->read_errno("image"), EIO);
  EXPECT_EQ(stat_errno(mount_->path("other")), EIO);
  expect_log({"read image: ", "onnect", "EIO"});
  expect_log({"lookup other: ", "onnect", "EIO"});
  expect_cached_are_fine();
  nginx.start();
  EXPECT_EQ(mount_->read("image", 0, kSize), bytes_);
  EXPECT_EQ(stat_errno(mount_->path("other")), ENOENT);
}

TEST_F(Errors, OfAnUpstreamThatLiesAreEioOrEstaleAndNeverOtherBytes) {
  auto lie = [](auto change) {
    Behaviour how;
    change(how);
    return how;
  };
  expect_error(lie([](Behaviour& b) { b.content_range = "bytes 5-9/" + std::to_string(kSize); }),
               EIO, "Content-Range");
  expect_error(lie([](Behaviour& b) { b.content_range = "garbage"; }), EIO, "Content-Range");
  expect_error(lie([](Behaviour& b) { b.content_encoding = "gzip"; }), EIO, "gzip");
  expect_error(lie([](Behaviour& b) {
                 b.content_length = "17";
                 b.body = "";
               }),
               EIO, "Content-Length 17");
  expect_error(lie([](Behaviour& b) { b.content_range = "bytes 0-65535/99999999"; }), ESTALE,
               "changed upstream");
  expect_error(lie([](Behaviour& b) { b.etag = "\"another\""; }), ESTALE, "changed upstream");
  expect_error(lie([](Behaviour& b) { b.other_content = Content::of("not an image at all"); }),
               ESTALE, "changed upstream");
  expect_error_of_look_up(lie([](Behaviour& b) { b.content_encoding = "gzip"; }), EIO, "gzip");
}

TEST_F(Errors, OfAWrongChecksumAreEio) {
  Behaviour harmed;
  harmed.flip_bit_at = 1'500'000;
  server_.fault(harmed, {.method = "GET", .path = "/image"}, 0);
  CommandResult cat = run({"cat", mount_->path("image")});
  EXPECT_EQ(cat.exit_code, 1);
  EXPECT_LT(cat.out.size(), kSize);
  EXPECT_THAT(cat.err, HasSubstr("Input/output error"));
  expect_log({"image: wrong checksum: sha256:", "invalid/"});
  expect_log({"read image: ", "wrong checksum", "EIO"});
  EXPECT_TRUE(std::filesystem::exists(mount_->cache_dir() + "/invalid/image"));
  expect_cached_are_fine();
  expect_well_again();
}

// SEMANTICS: Every error a reader sees has a line in the log that names the image and the reason.
// SEMANTICS: A failure is not remembered: the next read tries again.
TEST_F(Errors, AreLoggedAndNotRememberedByAnOpenFileEither) {
  struct stat st;
  ASSERT_EQ(::stat(mount_->path("image").c_str(), &st), 0);
  UniqueFd open(::open(mount_->path("image").c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes(kSize, '\0');
  struct Case {
    Behaviour fault;
    int error;
    std::string reason;
  };
  Behaviour silent;
  silent.stall_before_head = true;
  Behaviour gzip;
  gzip.content_encoding = "gzip";
  for (const Case& wrong : {Case{Behaviour::of_status(503), EIO, "HTTP status 503"},
                            Case{Behaviour::of_status(403), EACCES, "HTTP status 403"},
                            Case{silent, ETIMEDOUT, "/image"}, Case{gzip, EIO, "gzip"}}) {
    server_.fault(wrong.fault, {.method = "GET", .path = "/image"}, 0);
    EXPECT_EQ(::pread(open.get(), bytes.data(), 10, 1 << 20), -1);
    EXPECT_EQ(errno, wrong.error);
    expect_log({"read image: ", wrong.reason, strerrorname_np(wrong.error), server_.authority()});
    server_.clear_faults();
    server_.release();
    EXPECT_EQ(::pread(open.get(), bytes.data(), 10, 0), 10) << strerrorname_np(errno);
  }
  ASSERT_EQ(::pread(open.get(), bytes.data(), kSize, 0), static_cast<ssize_t>(kSize));
  EXPECT_EQ(bytes, bytes_);
  EXPECT_EQ(mount_->xattr("image", "error"), std::nullopt);
}

TEST_F(Errors, ThatEndWhileTheRetriesLastAreNotSeen) {
  start({"retries=5"});
  Behaviour busy = Behaviour::of_status(429);
  busy.headers = {{"Retry-After", "1"}};
  server_.fault(busy, {.path = "/image"}, 2);
  server_.fault(Behaviour::of_status(503), {.method = "GET", .path = "/image"}, 2);
  EXPECT_EQ(mount_->read_all("image"), bytes_);
}

}  // namespace
}  // namespace imgcachefs::test
