// SEMANTICS.md, "Change upstream": an image that is replaced while it is read, while it is cached,
// and while nobody looks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

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
namespace files = std::filesystem;

constexpr size_t kSize = (6 << 20) + 77;
constexpr auto kPatience = 30s;

class Change : public testing::Test {
 protected:
  Change() { put(old_); }
  ~Change() override { server_.release(); }

  // With the checksum that belongs to it.
  void put(const std::string& bytes) {
    server_.put("/image", Content::of(bytes));
    server_.put("/SHA256SUMS", Content::of(sums_line("image", bytes)));
  }
  void mount(std::vector<std::string> options = {}) {
    options.push_back("retries=1");
    mount_.emplace(MountSpec{.source = server_.url(), .options = std::move(options)});
  }
  bool has(const std::string& file) const {
    return files::exists(mount_->cache_dir() + "/" + file);
  }
  UniqueFd open() const { return UniqueFd(::open(mount_->path("image").c_str(), O_RDONLY)); }
  Got read() const { return read_path(mount_->path("image")); }
  void cache_the_old() {
    ASSERT_TRUE(read().bytes == old_);
    ASSERT_EQ(mount_->xattr("image", "state"), "cached");
  }

  const std::string old_ = pattern_string(1, 0, kSize), new_ = pattern_string(2, 0, kSize);
  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: Who reads an incomplete image that changed upstream gets ESTALE, and what was fetched
// of it is thrown away.
TEST_F(Change, OfAnIncompleteImageIsStaleForItsReaders) {
  for (const std::string& now : {new_, new_.substr(0, kSize - 5000), new_ + "and more"}) {
    put(old_);
    mount({"fill=demand"});
    UniqueFd fd = open(), other = open();
    ASSERT_TRUE(read_fd(fd.get(), {.end = 1 << 20}).bytes == old_.substr(0, 1 << 20));
    put(now);
    const Got got = read_fd(fd.get(), {.begin = 3 << 20, .end = 4 << 20});
    EXPECT_EQ(got.error, ESTALE);
    EXPECT_EQ(got.bytes, "");
    EXPECT_EQ(read_fd(other.get(), {.begin = 5 << 20}).error, ESTALE);  // the other reader too
    EXPECT_TRUE(wait_until([&] { return !has("incomplete/image"); }));
    EXPECT_FALSE(has("maps/image"));
    EXPECT_FALSE(has("invalid/image"));
    EXPECT_THAT(mount_->log(), HasSubstr("image"));
    EXPECT_TRUE(read().bytes == now);  // an open that comes now
    EXPECT_EQ(mount_->xattr("image", "verified"), "1");
    // What was open before does not come to life again.
    EXPECT_EQ(read_fd(fd.get(), {.begin = 3 << 20, .end = 4 << 20}).error, ESTALE);
  }
}

TEST_F(Change, InTheMiddleOfAFillIsNeverMixed) {
  for (bool ranges : {true, false}) {
    put(old_);
    server_.clear_faults();
    server_.on_request([&](const Request& request) {
      Behaviour how;
      how.ignore_range = !ranges;
      if (request.method == "GET" && request.path == "/image") how.stall_after = 300 << 10;
      return how;
    });
    mount({"fill=full"});
    UniqueFd fd = open();
    auto reader = std::async(std::launch::async, [&] { return read_fd(fd.get()); });
    ASSERT_TRUE(server_.wait_for({.method = "GET", .path = "/image"}, 1, kPatience));
    ASSERT_TRUE(wait_until([&] { return mount_->xattr("image", "cached_bytes") != "0"; }));
    put(new_);
    // The answers that are on their way are the old one's; in one pass they are all of it.
    server_.on_request([&](const Request&) {
      Behaviour how;
      how.ignore_range = !ranges;
      if (!ranges) how.cut_after = 2 << 20;
      return how;
    });
    if (!ranges) {
      // The pass that runs is the old version's to its end: that is no mixture.
      server_.release();
      const Got got = reader.get();
      EXPECT_TRUE(got.bytes == old_ || (got.error != 0 && old_.starts_with(got.bytes)));
    } else {
      server_.release();
      const Got got = reader.get();
      EXPECT_EQ(got.error, ESTALE);
      EXPECT_TRUE(old_.starts_with(got.bytes));
      EXPECT_LT(got.bytes.size(), kSize);
    }
    server_.on_request(nullptr);
    server_.forget_requests();
    mount({"fill=full"});  // and another time of mounting
    EXPECT_TRUE(read().bytes == new_) << ranges;
  }
}

TEST_F(Change, OfAnImageWithoutRangesThatIsCutOffIsNotGoneOnWith) {
  // The first answer ends in the middle; when the transfer goes on it is another image.
  server_.on_request([&](const Request& request) {
    Behaviour how;
    how.ignore_range = true;
    if (request.method == "GET" && request.path == "/image") {
      how.cut_after = 2 << 20;
      put(new_);
    }
    return how;
  });
  mount({"fill=full"});
  const Got got = read();
  EXPECT_NE(got.error, 0);
  EXPECT_TRUE(old_.starts_with(got.bytes) || new_.starts_with(got.bytes));
  server_.on_request(nullptr);
  EXPECT_TRUE(wait_until([&] { return read().bytes == new_; }));
}

// Nothing but the checksum tells the versions apart.
TEST_F(Change, WithoutValidatorsIsFoundByTheChecksum) {
  const auto nameless = [&](const std::string& bytes) {
    Content content = Content::of(bytes);
    content.etag = content.last_modified = "";
    server_.put("/image", content);
  };
  nameless(old_);
  mount({"fill=demand"});
  UniqueFd fd = open();
  ASSERT_TRUE(read_fd(fd.get(), {.end = 1 << 20}).bytes == old_.substr(0, 1 << 20));
  put(new_);
  nameless(new_);
  const Got got = read_fd(fd.get());
  EXPECT_EQ(got.error, EIO);
  EXPECT_LT(got.bytes.size(), kSize);
  EXPECT_FALSE(has("image"));
  EXPECT_TRUE(read().bytes == new_);
  EXPECT_EQ(mount_->xattr("image", "verified"), "1");
}

TEST_F(Change, WithoutValidatorsOfTheSizeIsStale) {
  const auto nameless = [&](const std::string& bytes) {
    Content content = Content::of(bytes);
    content.etag = content.last_modified = "";
    server_.put("/image", content);
  };
  server_.remove("/SHA256SUMS");
  nameless(old_);
  mount({"fill=demand"});
  UniqueFd fd = open();
  ASSERT_TRUE(read_fd(fd.get(), {.end = 1 << 20}).bytes == old_.substr(0, 1 << 20));
  nameless(new_ + "longer");
  EXPECT_EQ(read_fd(fd.get(), {.begin = 2 << 20}).error, ESTALE);
  EXPECT_TRUE(read().bytes == new_ + "longer");
}

TEST_F(Change, WithoutValidatorsNothingOfAnEarlierMountIsBelieved) {
  Content content = Content::of(old_);
  content.etag = content.last_modified = "";
  server_.put("/image", content);
  server_.remove("/SHA256SUMS");
  mount({"fill=demand"});
  ASSERT_TRUE(mount_->read("image", 0, 2 << 20) == old_.substr(0, 2 << 20));
  EXPECT_EQ(mount_->unmount(), 0);
  content = Content::of(new_);
  content.etag = content.last_modified = "";
  server_.put("/image", content);
  mount_->start();
  EXPECT_TRUE(read().bytes == new_);
}

// SEMANTICS: A cached image that changed upstream is fetched anew by the first open after
// `revalidate`.
// SEMANTICS: Who has the old version of a cached image open keeps its bytes.
TEST_F(Change, OfACachedImageIsSeenByTheFirstOpenAfterRevalidate) {
  for (const std::string& now : {new_, new_ + "longer", new_.substr(0, 5000)}) {
    put(old_);
    mount({"revalidate=0"});
    cache_the_old();
    UniqueFd fd = open(), direct(::open(mount_->path("image").c_str(), O_RDONLY | O_DIRECT));
    ASSERT_TRUE(read_fd(fd.get(), {.end = 4096}).bytes == old_.substr(0, 4096));
    struct stat before;
    ASSERT_EQ(::fstat(fd.get(), &before), 0);
    put(now);
    UniqueFd fresh = open();
    EXPECT_TRUE(read_fd(fresh.get()).bytes == now);
    EXPECT_EQ(mount_->xattr("image", "state"), "cached");
    EXPECT_TRUE(read_fd(fd.get()).bytes == old_);
    EXPECT_TRUE(read_fd(direct.get(), {.direct = true}).bytes == old_);
    struct stat after;
    ASSERT_EQ(::fstat(fresh.get(), &after), 0);
    EXPECT_EQ(after.st_size, static_cast<off_t>(now.size()));
    EXPECT_EQ(after.st_ino, before.st_ino);
    ASSERT_EQ(::stat(mount_->path("image").c_str(), &after), 0);
    EXPECT_EQ(after.st_size, static_cast<off_t>(now.size()));
    // And the old one again, while the new one is open: nothing is taken for what it was once.
    put(old_);
    EXPECT_TRUE(read().bytes == old_);
    EXPECT_TRUE(read_fd(fresh.get()).bytes == now);
  }
}

TEST_F(Change, IsNotAskedForWithinRevalidate) {
  mount({"revalidate=1h"});
  cache_the_old();
  put(new_);
  server_.forget_requests();
  EXPECT_TRUE(read().bytes == old_);
  EXPECT_EQ(server_.count({.path = "/image"}), 0u);
}

TEST_F(Change, IsAskedForAfterRevalidate) {
  mount({"revalidate=1"});
  cache_the_old();
  put(new_);
  EXPECT_TRUE(wait_until([&] {
    const Got got = read();
    EXPECT_TRUE(got.bytes == old_ || got.bytes == new_);
    return got.bytes == new_;
  }));
}

TEST_F(Change, IsNeverAskedForWithRevalidateNever) {
  mount({"revalidate=never"});
  cache_the_old();
  put(new_);
  server_.forget_requests();
  EXPECT_TRUE(read().bytes == old_);
  mount_->kill9();
  mount_->start();
  EXPECT_TRUE(read().bytes == old_);
  EXPECT_EQ(server_.count({}), 0u);
}

TEST_F(Change, WhileNothingWasMountedIsSeenByTheNextMount) {
  mount();
  cache_the_old();
  EXPECT_EQ(mount_->unmount(), 0);
  put(new_);
  mount_->start();
  EXPECT_TRUE(read().bytes == new_);
}

TEST_F(Change, OfAnImageThatLeftTheIndexIsSeenToo) {
  // As after a crash between the rename and the row, or in a directory that Glance filled: what is
  // cached has no validator. What upstream says at the first open is what it is compared with.
  mount({"revalidate=0"});
  cache_the_old();
  mount_->kill9();
  files::remove(mount_->cache_dir() + "/cache.db");
  mount_->start();
  server_.forget_requests();
  EXPECT_TRUE(read().bytes == old_);
  EXPECT_EQ(server_.sent_bytes("/image"), 0u);
  put(new_);
  EXPECT_TRUE(read().bytes == new_);
}

TEST_F(Change, OfAnImageThatLeftTheIndexIsSeenByItsTimeWhenNobodyWatched) {
  mount();
  cache_the_old();
  EXPECT_EQ(mount_->unmount(), 0);
  files::remove(mount_->cache_dir() + "/cache.db");
  put(new_);
  Content later = Content::of(new_);
  later.last_modified = "Thu, 19 Nov 2037 08:00:00 GMT";
  server_.put("/image", later);
  mount_->start();
  EXPECT_TRUE(read().bytes == new_);
}

// SEMANTICS: A cached image is served when upstream cannot be asked whether it changed.
TEST_F(Change, CannotBeAskedForWhenUpstreamIsGone) {
  TempDir images;
  images.write("image", old_);
  images.write("SHA256SUMS", sums_line("image", old_));
  Nginx nginx(images.path());
  mount_.emplace(MountSpec{.source = nginx.url(), .options = {"revalidate=0", "retries=0"}});
  cache_the_old();
  nginx.stop();
  EXPECT_TRUE(read().bytes == old_);
  EXPECT_EQ(mount_->read_errno("never-seen"), EIO);
  mount_->kill9();
  mount_->start();  // mounting needs no upstream
  EXPECT_TRUE(read().bytes == old_);
  EXPECT_EQ(run({"ls", mount_->path()}).out, "image\n");
  nginx.start();
  EXPECT_TRUE(read().bytes == old_);
}

TEST_F(Change, CannotBeAskedForWhenUpstreamFails) {
  for (int status : {500, 503, 429}) {
    put(old_);
    mount({"revalidate=0"});
    cache_the_old();
    server_.fault(Behaviour::of_status(status), {}, 0);
    EXPECT_TRUE(read().bytes == old_) << status;
    server_.clear_faults();
  }
  Behaviour silent;
  silent.stall_before_head = true;
  mount({"revalidate=0"});
  cache_the_old();
  server_.fault(silent, {}, 0);
  EXPECT_TRUE(read().bytes == old_) << "silent";
}

TEST_F(Change, ToNothingIsEnoentAfterRevalidate) {
  mount({"revalidate=0", "negative_ttl=0"});
  cache_the_old();
  UniqueFd fd = open();
  server_.remove("/image");
  EXPECT_EQ(mount_->read_errno("image"), ENOENT);
  EXPECT_TRUE(read_fd(fd.get()).bytes == old_);
  EXPECT_FALSE(has("image"));
}

}  // namespace
}  // namespace imgcachefs::test
