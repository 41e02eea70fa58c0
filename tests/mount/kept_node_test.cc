// Who keeps what a name meant before an image was cached, and makes no look-up: a bind mount of the
// file, /proc/PID/fd.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/posix.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/program.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

constexpr size_t kSize = (3 << 20) + 77;

// With the kernel's page cache, or with the file itself (passthrough).
class KeptNode : public testing::TestWithParam<const char*> {
 protected:
  KeptNode() : bound_(dir_.write("bound", "")) {
    server_.put("/image", Content::of(right_));
    server_.put("/SHA256SUMS", Content::of(sums_line("image", right_)));
    mount_.emplace(MountSpec{.source = server_.url(),
                             .options = {"retries=1", "fill=demand", "revalidate=1", GetParam()}});
    // As a container gets one image of the mount.
    EXPECT_EQ(::mount(mount_->path("image").c_str(), bound_.c_str(), nullptr, MS_BIND, nullptr), 0);
  }
  ~KeptNode() override { ::umount2(bound_.c_str(), MNT_DETACH); }

  const std::string right_ = pattern_string(1, 0, kSize);
  TempDir dir_;
  const std::string bound_;
  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: An image that was bind-mounted as a file can be opened there when it has become
// cached.
TEST_P(KeptNode, OpensTheImageThatBecameCachedMeanwhile) {
  UniqueFd before(::open(bound_.c_str(), O_RDONLY));
  ASSERT_TRUE(before);
  EXPECT_EQ(read_fd(before.get(), {.end = 1 << 20}).bytes, right_.substr(0, 1 << 20));
  ASSERT_TRUE(read_path(mount_->path("image")).bytes == right_);
  ASSERT_EQ(mount_->xattr("image", "state"), "cached");

  const std::string reopened = "/proc/self/fd/" + std::to_string(before.get());
  for (const std::string& path : {bound_, reopened}) {
    EXPECT_TRUE(read_path(path).bytes == right_) << path;
    EXPECT_TRUE(read_path(path, {.piece = 64 << 10, .direct = true}).bytes.substr(0, 1 << 20) ==
                right_.substr(0, 1 << 20))
        << path;
    EXPECT_TRUE(read_mapped(path).bytes == right_) << path;
  }
  before.reset();
  EXPECT_TRUE(read_path(bound_).bytes == right_);
  EXPECT_TRUE(read_mapped(bound_).bytes == right_);
  EXPECT_EQ(server_.sent_bytes("/image"), kSize);
}

TEST_P(KeptNode, NeverOpensAnotherVersion) {
  ASSERT_TRUE(read_path(bound_).bytes == right_);
  ASSERT_TRUE(read_path(bound_).bytes == right_);
  std::string other = right_;
  other[5] ^= 1;
  server_.put("/image", Content::of(other));
  server_.put("/SHA256SUMS", Content::of(sums_line("image", other)));
  ASSERT_TRUE(wait_until([&] { return read_path(mount_->path("image")).bytes == other; }));
  EXPECT_EQ(read_path(bound_).error, ESTALE);
}

INSTANTIATE_TEST_SUITE_P(Both, KeptNode, testing::Values("passthrough=auto", "passthrough=off"),
                         [](const auto& info) { return std::string(info.param).substr(12); });

}  // namespace
}  // namespace imgcachefs::test
