// SEMANTICS.md, "Checksums": what readers of a real mount get before, and without, a right one.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <thread>
#include <vector>

#include "base/posix.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/program.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;
namespace files = std::filesystem;

constexpr size_t kSize = (3 << 20) + 123;
constexpr auto kPatience = 30s;

size_t lines_with(const std::string& log, const std::string& text) {
  size_t lines = 0;
  for (size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++lines;
  return lines;
}

// A real nginx with an image and what the test publishes of it.
class Checksums : public testing::Test {
 protected:
  Checksums() { images_.write("image", bytes_); }

  void mount(std::vector<std::string> options = {}) {
    if (!nginx_) nginx_.emplace(images_.path());
    mount_.emplace(MountSpec{.source = nginx_->url(), .options = std::move(options)});
  }
  bool has(const std::string& file) const {
    return files::exists(mount_->cache_dir() + "/" + file);
  }
  // What is wrong until the test publishes what is right.
  void publish_wrong() { images_.write("SHA256SUMS", sums_line("image", "other bytes")); }
  void publish_right() { images_.write("SHA256SUMS", sums_line("image", bytes_)); }

  void expect_refused(const Got& got, const std::string& who) const {
    EXPECT_NE(got.error, 0) << who;
    EXPECT_LT(got.bytes.size(), kSize) << who;
    EXPECT_TRUE(bytes_.starts_with(got.bytes)) << who;
  }

  TempDir images_;
  const std::string bytes_ = pattern_string(7, 0, kSize);
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: A program that reads a whole image gets its last byte only after the checksum was
// right.
// SEMANTICS: An image with a wrong checksum is moved to `invalid/`, and its readers get EIO.
// SEMANTICS: The next open of an image that had a wrong checksum tries anew.
TEST_F(Checksums, WrongOneIsEioForEveryKindOfReaderAtOnce) {
  publish_wrong();
  mount();
  const std::string path = mount_->path("image");
  std::vector<std::thread> programs;
  auto program = [&](const std::string& who, std::function<Got()> read) {
    programs.emplace_back([this, who, read] {
      const Got got = read();
      expect_refused(got, who);
      EXPECT_TRUE(got.error == EIO || (who == "mmap" && got.error == EFAULT)) << who << got.error;
    });
  };
  auto command = [&](const std::string& who, std::vector<std::string> argv) {
    programs.emplace_back([this, who, argv] {
      const CommandResult result = run(argv);
      EXPECT_EQ(result.exit_code, 1) << who;
      EXPECT_THAT(result.err, HasSubstr("Input/output error")) << who;
      EXPECT_LT(result.out.size(), kSize) << who;
      EXPECT_TRUE(bytes_.starts_with(result.out)) << who;
    });
  };
  command("cat", {"cat", path});
  command("dd", {"dd", "if=" + path, "bs=1M", "iflag=direct", "status=none"});
  program("mmap", [&] { return read_mapped(path); });
  for (int i = 0; i < 3; ++i) program("128k", [&] { return read_path(path); });
  program("4k", [&] { return read_path(path, {.piece = 4096}); });
  program("128k direct", [&] { return read_path(path, {.direct = true}); });
  programs.emplace_back([&] {
    UniqueFd fd(::open(path.c_str(), O_RDONLY));
    const Got tail = read_fd(fd.get(), {.begin = kSize - 5000});
    const Got rest = read_fd(fd.get());
    EXPECT_TRUE(tail.error == EIO || tail.bytes == bytes_.substr(kSize - 5000));
    EXPECT_EQ(rest.error, EIO);
    EXPECT_LT(rest.bytes.size() + tail.bytes.size(), kSize);
    EXPECT_TRUE(bytes_.starts_with(rest.bytes));
  });
  for (std::thread& thread : programs) thread.join();

  EXPECT_TRUE(has("invalid/image"));
  EXPECT_FALSE(has("image"));
  EXPECT_THAT(mount_->xattr("image", "error").value_or(""), HasSubstr("wrong checksum"));
  EXPECT_THAT(mount_->log(), HasSubstr("image: wrong checksum: sha256:"));

  publish_right();
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_TRUE(has("image"));
  EXPECT_EQ(mount_->xattr("image", "verified"), "1");
  EXPECT_EQ(mount_->xattr("image", "error"), std::nullopt);
}

TEST_F(Checksums, WrongOneIsSaidInOneLineOfTheLog) {
  publish_wrong();
  mount();
  expect_refused(read_path(mount_->path("image")), "reader");
  EXPECT_EQ(lines_with(mount_->log(), "error: image: wrong checksum: sha256:"), 1u)
      << mount_->log();
}

TEST_F(Checksums, PagesAnotherProgramGotDoNotHelpASecondReader) {
  publish_wrong();
  for (const char* fill : {"fill=auto", "fill=demand", "fill=full"}) {
    mount({fill});
    // The first has everything but the end, and keeps its file and the kernel's pages.
    UniqueFd first(::open(mount_->path("image").c_str(), O_RDONLY));
    const size_t most = kSize - (300 << 10);
    const Got begin = read_fd(first.get(), {.end = most});
    EXPECT_TRUE(bytes_.starts_with(begin.bytes)) << fill;
    expect_refused(read_path(mount_->path("image")), fill);
    expect_refused(read_fd(first.get()), fill);
    EXPECT_EQ(read_fd(first.get(), {.begin = most}).error, EIO) << fill;
    EXPECT_FALSE(has("image")) << fill;
  }
}

TEST_F(Checksums, WrongOneInEveryOrderOfReading) {
  publish_wrong();
  mount({"fill=demand"});
  for (bool direct : {false, true}) {
    // From the end to the start, in pieces that cross the bounds of chunks.
    UniqueFd fd(::open(mount_->path("image").c_str(), O_RDONLY | (direct ? O_DIRECT : 0)));
    constexpr uint64_t kPiece = 96 << 10;
    uint64_t at = (kSize + kPiece - 1) / kPiece * kPiece;
    size_t got_bytes = 0;
    int error = 0;
    while (at > 0 && error == 0) {
      at -= kPiece;
      const Got got = read_fd(fd.get(), {.begin = at, .end = at + kPiece, .piece = kPiece});
      error = got.error;
      got_bytes += got.bytes.size();
      EXPECT_TRUE(got.bytes == bytes_.substr(at, got.bytes.size()));
    }
    EXPECT_EQ(error, EIO) << direct;
    EXPECT_LT(got_bytes, kSize) << direct;
  }
}

// SEMANTICS: When a program has read a whole image to its end, the image is cached.
TEST_F(Checksums, RightOneAndTheImageIsCachedWhenItsReaderIsThrough) {
  publish_right();
  for (const char* fill : {"fill=auto", "fill=demand", "fill=full"}) {
    mount({fill});
    EXPECT_TRUE(run({"cat", mount_->path("image")}).out == bytes_);
    EXPECT_TRUE(has("image")) << fill;  // at once: nothing is waited for
    EXPECT_EQ(mount_->xattr("image", "state"), "cached") << fill;
    EXPECT_EQ(mount_->xattr("image", "verified"), "1") << fill;
    EXPECT_EQ(mount_->xattr("image", "checksum"), "sha256:" + hex_digest(bytes_)) << fill;
    EXPECT_FALSE(has("incomplete/image"));
    EXPECT_FALSE(has("maps/image"));
  }
}

TEST_F(Checksums, AreReadInEveryStyle) {
  const std::vector<std::string> names = {"text", "binary", "bsd", "dotted", "with blank", "crlf"};
  for (const std::string& name : names) images_.write(name, bytes_);
  const std::string hex = hex_digest(bytes_);
  std::string upper = hex;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  images_.write("SHA256SUMS", "# a comment\n" + hex + "  text\n" + hex + " *binary\n" +
                                  "SHA256 (bsd) = " + hex + "\n" + hex + "  ./dotted\n" + upper +
                                  "  with blank\n" + hex + "  crlf\r\n");
  mount();
  for (const std::string& name : names) {
    EXPECT_TRUE(mount_->read_all(name) == bytes_) << name;
    EXPECT_EQ(mount_->xattr(name, "verified"), "1") << name;
    EXPECT_EQ(mount_->xattr(name, "checksum"), "sha256:" + hex) << name;
  }
}

TEST_F(Checksums, OfTheStrongestListThatNamesTheImageCount) {
  for (const char* name : {"three", "two", "one"}) images_.write(name, bytes_);
  const std::string wrong = "other bytes";
  images_.write("SHA512SUMS", sums_line("three", bytes_, DigestAlgo::kSha512));
  images_.write("SHA256SUMS", sums_line("three", wrong) + sums_line("two", bytes_));
  images_.write("MD5SUMS", sums_line("three", wrong, DigestAlgo::kMd5) +
                               sums_line("two", wrong, DigestAlgo::kMd5) +
                               sums_line("one", bytes_, DigestAlgo::kMd5));
  mount();
  for (auto [name, algo] : {std::pair("three", "sha512:"), {"two", "sha256:"}, {"one", "md5:"}}) {
    EXPECT_TRUE(mount_->read_all(name) == bytes_) << name;
    EXPECT_THAT(mount_->xattr(name, "checksum").value_or(""), StartsWith(algo)) << name;
    EXPECT_EQ(mount_->xattr(name, "verified"), "1") << name;
  }
}

// SEMANTICS: An image whose upstream publishes no checksum is cached with
// `user.imgcachefs.verified` 0.
TEST_F(Checksums, NoneIsPublished) {
  images_.write("SHA256SUMS", sums_line("another", bytes_));
  mount();
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_EQ(mount_->xattr("image", "state"), "cached");
  EXPECT_EQ(mount_->xattr("image", "verified"), "0");
  EXPECT_EQ(mount_->xattr("image", "checksum"), std::nullopt);
}

TEST_F(Checksums, OfAnEmptyImageAndOneOfOneByte) {
  images_.write("empty", "");
  images_.write("byte", "x");
  images_.write("wrong", "y");
  images_.write("SHA256SUMS",
                sums_line("empty", "") + sums_line("byte", "x") + sums_line("wrong", "z"));
  mount();
  EXPECT_EQ(mount_->read_all("byte"), "x");
  EXPECT_EQ(mount_->xattr("byte", "verified"), "1");
  EXPECT_EQ(mount_->read_errno("wrong"), EIO);
  const Got got = read_path(mount_->path("empty"));
  EXPECT_EQ(got.bytes, "");
  EXPECT_EQ(got.error, 0);
}

// The fault server, for what nginx does not do.
class ChecksumsOnDemand : public testing::Test {
 protected:
  ChecksumsOnDemand() {
    server_.put("/image", Content::of(bytes_));
    publish(bytes_);
  }
  ~ChecksumsOnDemand() override { server_.release(); }

  void publish(const std::string& of) {
    server_.put("/SHA256SUMS", Content::of(sums_line("image", of)));
  }
  void mount(std::vector<std::string> options = {}) {
    options.push_back("retries=0");
    options.push_back("low_speed_time=600");
    mount_.emplace(MountSpec{.source = server_.url(), .options = std::move(options)});
  }
  bool has(const std::string& file) const {
    return files::exists(mount_->cache_dir() + "/" + file);
  }
  // The list of checksums is silent until release().
  void stall_list() {
    Behaviour silent;
    silent.stall_before_head = true;
    server_.fault(silent, {.path = "/SHA256SUMS"});
  }
  std::future<Got> later(ReadSpec spec = {}) {
    return std::async(std::launch::async,
                      [path = mount_->path("image"), spec] { return read_path(path, spec); });
  }
  // What comes of it; the server is let go when nothing does, so that the test ends.
  Got result_of(std::future<Got>& later) {
    if (later.wait_for(kPatience) != std::future_status::ready) {
      ADD_FAILURE() << "no answer";
      server_.clear_faults();
      server_.release();
    }
    return later.get();
  }

  const std::string bytes_ = pattern_string(8, 0, kSize);
  FaultServer server_;
  std::optional<Mounted> mount_;
};

TEST_F(ChecksumsOnDemand, LastByteWaitsForTheListToAnswer) {
  stall_list();
  mount();
  std::atomic<uint64_t> progress{0};
  auto reader = later({.piece = 64 << 10, .progress = [&](uint64_t n) { progress = n; }});
  ASSERT_TRUE(server_.wait_for({.path = "/SHA256SUMS"}, 1, kPatience));
  ASSERT_TRUE(
      wait_until([&] { return mount_->xattr("image", "cached_bytes") == std::to_string(kSize); }));
  EXPECT_EQ(reader.wait_for(500ms), std::future_status::timeout);
  EXPECT_LT(progress, kSize);
  EXPECT_FALSE(has("image"));
  server_.release();
  EXPECT_TRUE(result_of(reader).bytes == bytes_);
  EXPECT_TRUE(has("image"));
}

// SEMANTICS: A reader of single places is not held up for the checksum, the end of the image
// included.
TEST_F(ChecksumsOnDemand, SinglePlacesAreAnsweredWhileTheFillAndTheListAreSilent) {
  stall_list();
  server_.on_request([](const Request& request) {
    Behaviour how;
    // All but the last chunks of the image.
    const std::string range = request.range();
    if (request.method == "GET" && request.path == "/image" &&
        (range.empty() || std::stoull(range.substr(6)) < (2 << 20)))
      how.stall_after = 0;
    return how;
  });
  mount({"fill=full"});
  auto stalled = later({.end = 4096});
  ASSERT_TRUE(server_.wait_for({.method = "GET", .path = "/image"}, 1, kPatience));
  auto tail = later({.begin = kSize - 4096});
  EXPECT_TRUE(result_of(tail).bytes == bytes_.substr(kSize - 4096));
  auto place = later({.begin = (2 << 20) + 70'000, .end = (2 << 20) + 74'000, .direct = false});
  EXPECT_TRUE(result_of(place).bytes == bytes_.substr((2 << 20) + 70'000, 4000));
  EXPECT_EQ(stalled.wait_for(0s), std::future_status::timeout);
  server_.on_request(nullptr);
  server_.clear_faults();
  server_.release();
  EXPECT_TRUE(result_of(stalled).bytes == bytes_.substr(0, 4096));
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
}

// SEMANTICS: With `verify=before-read` nothing of an image is served before its checksum was right.
TEST_F(ChecksumsOnDemand, BeforeReadHoldsEveryByteBack) {
  stall_list();
  mount({"verify=before-read"});
  auto head = later({.end = 512}), tail = later({.begin = kSize - 10}),
       direct = later({.end = 4096, .direct = true});
  ASSERT_TRUE(server_.wait_for({.path = "/SHA256SUMS"}, 1, kPatience));
  ASSERT_TRUE(
      wait_until([&] { return mount_->xattr("image", "cached_bytes") == std::to_string(kSize); }));
  for (auto* reader : {&head, &tail, &direct})
    EXPECT_EQ(reader->wait_for(200ms), std::future_status::timeout);
  server_.release();
  EXPECT_TRUE(result_of(head).bytes == bytes_.substr(0, 512));
  EXPECT_TRUE(has("image"));
  EXPECT_TRUE(result_of(tail).bytes == bytes_.substr(kSize - 10));
  EXPECT_TRUE(result_of(direct).bytes == bytes_.substr(0, 4096));
}

TEST_F(ChecksumsOnDemand, BeforeReadServesNothingOfAWrongImage) {
  publish("other bytes");
  mount({"verify=before-read"});
  for (uint64_t at : {uint64_t{0}, uint64_t{1} << 20, uint64_t{kSize - 1}}) {
    const Got got = read_path(mount_->path("image"), {.begin = at});
    EXPECT_EQ(got.error, EIO);
    EXPECT_EQ(got.bytes, "");
  }
  EXPECT_TRUE(has("invalid/image"));
}

// SEMANTICS: A list of checksums that cannot be read is not taken for one that does not exist.
TEST_F(ChecksumsOnDemand, AListThatFailsIsNoAbsentList) {
  for (const char* list : {"/SHA512SUMS", "/SHA256SUMS", "/MD5SUMS"}) {
    server_.clear_faults();
    server_.remove("/SHA256SUMS");
    if (list == std::string("/SHA256SUMS")) publish(bytes_);
    server_.fault(Behaviour::of_status(500), {.path = list}, 0);
    mount();
    const Got got = read_path(mount_->path("image"));
    EXPECT_EQ(got.error, EIO) << list;
    EXPECT_LT(got.bytes.size(), kSize) << list;
    EXPECT_FALSE(has("image")) << list;
    EXPECT_FALSE(has("invalid/image")) << list;  // nothing was found wrong either
    server_.clear_faults();
    EXPECT_TRUE(mount_->read_all("image") == bytes_) << list;
    EXPECT_EQ(mount_->xattr("image", "state"), "cached") << list;
    EXPECT_EQ(mount_->xattr("image", "verified"), list == std::string("/SHA256SUMS") ? "1" : "0");
  }
}

TEST_F(ChecksumsOnDemand, InTheHeadersOfTheAnswerCountWhenThereIsNoList) {
  server_.remove("/SHA256SUMS");
  Content right = Content::of(bytes_), wrong = Content::of(bytes_);
  right.headers = {{"Repr-Digest", repr_digest(bytes_)}};
  wrong.headers = {{"Repr-Digest", repr_digest("other bytes")}};
  server_.put("/right", right);
  server_.put("/wrong", wrong);
  mount();
  EXPECT_TRUE(mount_->read_all("right") == bytes_);
  EXPECT_EQ(mount_->xattr("right", "verified"), "1");
  EXPECT_EQ(mount_->xattr("right", "checksum"), "sha256:" + hex_digest(bytes_));
  const Got got = read_path(mount_->path("wrong"));
  EXPECT_EQ(got.error, EIO);
  EXPECT_LT(got.bytes.size(), kSize);
  EXPECT_TRUE(has("invalid/wrong"));
}

TEST_F(ChecksumsOnDemand, AListsLineCountsMoreThanTheHeaders) {
  Content content = Content::of(bytes_);
  content.headers = {{"Repr-Digest", repr_digest("other bytes")}};
  server_.put("/image", content);
  mount();
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_EQ(mount_->xattr("image", "verified"), "1");
}

TEST_F(ChecksumsOnDemand, ABitThatWasFlippedOnTheWayIsFound) {
  for (const char* fill : {"fill=auto", "fill=demand"}) {
    Behaviour flips;
    flips.flip_bit_at = kSize / 2;
    server_.fault(flips, {.method = "GET", .path = "/image"}, 0);
    mount({fill});
    const Got got = read_path(mount_->path("image"));
    EXPECT_EQ(got.error, EIO) << fill;
    EXPECT_LT(got.bytes.size(), kSize) << fill;
    EXPECT_TRUE(has("invalid/image")) << fill;
    server_.clear_faults();
    EXPECT_TRUE(mount_->read_all("image") == bytes_) << fill;
  }
}

TEST_F(ChecksumsOnDemand, AWrongImageWithoutRangesIsFoundToo) {
  publish("other bytes");
  server_.on_request([](const Request&) {
    Behaviour how;
    how.ignore_range = true;
    return how;
  });
  mount();
  const Got got = read_path(mount_->path("image"));
  EXPECT_EQ(got.error, EIO);
  EXPECT_LT(got.bytes.size(), kSize);
  EXPECT_TRUE(has("invalid/image"));
}

}  // namespace
}  // namespace imgcachefs::test
