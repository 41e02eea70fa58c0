// Cached images that the kernel reads by itself, from real mounts: that it does, who else it must
// agree with, and what happens where it cannot.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/posix.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/image_reader.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/program.h"
#include "support/small_file_system.h"
#include "support/stopped.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr size_t kSize = (3 << 20) + 777;

class Passthrough : public testing::Test {
 protected:
  Passthrough() { images_.write("image", bytes_); }

  void SetUp() override {
    struct utsname kernel {};
    ASSERT_EQ(::uname(&kernel), 0);
    int major = 0, minor = 0;
    ASSERT_EQ(std::sscanf(kernel.release, "%d.%d", &major, &minor), 2);
    if (std::pair(major, minor) < std::pair(6, 9)) GTEST_SKIP() << "Linux 6.9 has passthrough";
  }
  void mount(std::vector<std::string> options = {}, const std::string& cache_dir = {},
             NginxOptions nginx = {}) {
    nginx_.emplace(images_.path(), std::move(nginx));
    mount_.emplace(MountSpec{.source = nginx_->url(),
                             .options = std::move(options),
                             .arguments = {},
                             .env = {},
                             .cache_dir = cache_dir});
  }
  void cache(const std::string& id = "image") {
    mount_->read_all(id);
    ASSERT_TRUE(mount_->wait_state(id, "cached"));
  }
  void mount_cached(std::vector<std::string> options = {}, const std::string& cache_dir = {}) {
    publish_checksums(images_.path());
    mount(std::move(options), cache_dir);
    cache();
  }
  UniqueFd open(int flags = 0) const {
    return UniqueFd(::open(mount_->path("image").c_str(), O_RDONLY | O_CLOEXEC | flags));
  }
  CommandResult ctl(const std::string& verb) const {
    return run({built("imgcachectl"), "-c", mount_->cache_dir(), verb, "image"});
  }
  std::string cached_file() const { return mount_->cache_dir() + "/image"; }

  // Whether a read of it does not come to the daemon, which counts what does.
  bool passes_by(int fd) const {
    const uint64_t before = hit_bytes();
    // Past the page cache, which asks nobody either.
    UniqueFd direct(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_DIRECT));
    std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, 4096), &std::free);
    EXPECT_EQ(::pread(direct.get(), buffer.get(), 4096, 8192), 4096);
    EXPECT_EQ(std::memcmp(buffer.get(), bytes_.data() + 8192, 4096), 0);
    return hit_bytes() == before;
  }
  bool holds_removed_file() const {
    std::error_code error;
    for (const auto& entry :
         fs::directory_iterator("/proc/" + std::to_string(mount_->pid()) + "/fd"))
      if (fs::read_symlink(entry, error).string().ends_with("image (deleted)")) return true;
    return false;
  }
  uint64_t hit_bytes() const {
    const std::string page = mount_->metrics(), name = "\nimgcachefs_cache_hit_bytes_total ";
    const size_t at = page.find(name);
    EXPECT_NE(at, std::string::npos);
    return static_cast<uint64_t>(std::stod(page.substr(at + name.size())));
  }

  const std::string bytes_ = pattern_string(5, 0, kSize);
  TempDir images_, elsewhere_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

// --- that it is so -------------------------------------------------------------------------------

std::string through_pipe(int fd, size_t size, const std::function<ssize_t(int pipe)>& move) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  std::string all;
  EXPECT_EQ(::lseek(fd, 0, SEEK_SET), 0);
  while (all.size() < size) {
    const ssize_t moved = move(in.get());
    if (moved <= 0) break;
    std::string piece(static_cast<size_t>(moved), '\0');
    for (size_t at = 0; at < piece.size();) {
      const ssize_t n = ::read(out.get(), piece.data() + at, piece.size() - at);
      if (n <= 0) return all;
      at += static_cast<size_t>(n);
    }
    all += piece;
  }
  return all;
}

std::string through_mapping(int fd, size_t size, int flags) {
  void* at = ::mmap(nullptr, size, PROT_READ, flags, fd, 0);
  if (at == MAP_FAILED) return "";
  std::string all(static_cast<const char*>(at), size);
  ::munmap(at, size);
  return all;
}

// SEMANTICS: Where the kernel can, it reads a cached image by itself, and reads go on when the
// daemon stands still or dies.
TEST_F(Passthrough, ReadsAnOpenImageWhileTheDaemonStandsStill) {
  mount_cached();
  EXPECT_EQ(mount_->status()["passthrough"], "on");
  UniqueFd fd = open(), direct = open(O_DIRECT), mapped = open();
  const std::string copy = elsewhere_.file("copy");
  UniqueFd into(::open(copy.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(fd && direct && mapped && into);

  Stopped daemon(mount_->pid());
  EXPECT_TRUE(read_fd(fd.get()).bytes == bytes_);
  EXPECT_TRUE(read_fd(direct.get(), {.piece = 64 << 10}).bytes == bytes_);
  EXPECT_TRUE(through_mapping(mapped.get(), kSize, MAP_SHARED) == bytes_);
  EXPECT_TRUE(through_mapping(mapped.get(), kSize, MAP_PRIVATE) == bytes_);
  EXPECT_TRUE(through_pipe(fd.get(), kSize, [&](int pipe) {
                return ::splice(fd.get(), nullptr, pipe, nullptr, 32 << 10, 0);
              }) == bytes_);
  ASSERT_EQ(::lseek(fd.get(), 0, SEEK_SET), 0);
  for (ssize_t n = 1; n > 0;) n = ::sendfile(into.get(), fd.get(), nullptr, kSize);
  EXPECT_TRUE(read_file(copy) == bytes_);
  EXPECT_FALSE(daemon.gave_up());
}

class PassthroughOrNot : public Passthrough, public testing::WithParamInterface<const char*> {
 protected:
  // By qemu, past the page cache and with many reads at a time.
  CommandResult convert(const std::string& path, const std::string& aio,
                        const ReadableImage& image) {
    return run({"bash", "-c",
                "qemu-img convert -O raw --image-opts driver=qcow2,file.driver=file,file.aio=$1,"
                "file.cache.direct=on,file.filename=$2 $3 && cmp $3 $4",
                "convert", aio, path, elsewhere_.file(aio), image.disk});
  }
};

TEST_P(PassthroughOrNot, ServesEveryKindOfReader) {
  const ReadableImage image =
      make_image(images_.path(), "disk", "qcow2", 12 << 20, elsewhere_.path());
  publish_checksums(images_.path());
  mount({"passthrough=" + std::string(GetParam())});
  cache("disk");
  EXPECT_EQ(mount_->status()["passthrough"], std::string(GetParam()) == "auto" ? "on" : "off");
  const std::string path = mount_->path("disk");
  for (const ImageReader& reader : image_readers())
    EXPECT_EQ(reader.read(path, image), "") << reader.name;
  for (const char* aio : {"threads", "native", "io_uring"}) {
    const CommandResult converted = convert(path, aio, image);
    EXPECT_TRUE(converted.ok()) << aio << ": " << converted.describe();
  }
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_WILLNEED), 0);
  EXPECT_EQ(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_TRUE(read_fd(fd.get()).bytes == read_file(image.original));
}

INSTANTIATE_TEST_SUITE_P(Both, PassthroughOrNot, testing::Values("auto", "off"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(Passthrough, AProgramCanBeRun) {
  fs::copy_file("/bin/true", images_.file("true"));
  publish_checksums(images_.path());
  mount({"mode=0555"});
  cache("true");
  EXPECT_TRUE(run({mount_->path("true")}).ok());
}

// SEMANTICS: Opening a cached image counts one hit, however much of it is read.
TEST_F(Passthrough, CountsAHitForEachOpenAndNoBytes) {
  mount_cached();
  for (int i = 0; i < 3; ++i) {
    UniqueFd fd = open();
    EXPECT_TRUE(read_fd(fd.get()).bytes == bytes_);
  }
  EXPECT_EQ(mount_->xattr("image", "hits"), "3");
  EXPECT_EQ(mount_->status()["hits"], 3);
  EXPECT_EQ(hit_bytes(), 0u);
}

// --- one node at a time --------------------------------------------------------------------------

TEST_F(Passthrough, WhoOpenedTheImageDuringItsFillGoesOnBesideIt) {
  publish_checksums(images_.path());
  mount({"fill=demand"});
  UniqueFd during = open(), mapped = open();
  EXPECT_TRUE(read_fd(during.get(), {.end = 1 << 20}).bytes == bytes_.substr(0, 1 << 20));
  void* mapping = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, mapped.get(), 0);
  ASSERT_NE(mapping, MAP_FAILED);
  EXPECT_EQ(static_cast<const char*>(mapping)[5], bytes_[5]);
  cache();

  UniqueFd after = open();
  EXPECT_TRUE(passes_by(after.get()));
  EXPECT_TRUE(read_fd(during.get()).bytes == bytes_);
  EXPECT_EQ(std::memcmp(mapping, bytes_.data(), kSize), 0);
  {
    Stopped daemon(mount_->pid());
    EXPECT_TRUE(read_fd(after.get()).bytes == bytes_);
    EXPECT_FALSE(daemon.gave_up());
  }
  during.reset();
  mapped.reset();
  EXPECT_TRUE(passes_by(open().get()));
  EXPECT_EQ(std::memcmp(mapping, bytes_.data(), kSize), 0);
  ::munmap(mapping, kSize);
}

TEST_F(Passthrough, OfSeveralOpensTheLastOneStillIs) {
  mount_cached();
  UniqueFd first = open(), second = open(), third = open();
  first.reset();
  third.reset();
  EXPECT_TRUE(passes_by(second.get()));
  void* mapping = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, second.get(), 0);
  ASSERT_NE(mapping, MAP_FAILED);
  second.reset();  // not for the kernel: it is mapped
  EXPECT_TRUE(passes_by(open().get()));
  Stopped daemon(mount_->pid());
  EXPECT_EQ(std::memcmp(mapping, bytes_.data(), kSize), 0);
  ::munmap(mapping, kSize);
  EXPECT_FALSE(daemon.gave_up());
}

// SEMANTICS: An image that is open stays readable to its end when it is evicted meanwhile.
TEST_F(Passthrough, AnImageThatIsTakenAwayStaysReadableForWhoHasItOpen) {
  mount_cached();
  UniqueFd fd = open();
  EXPECT_EQ(ctl("evict").exit_code, 7) << "it is in use";
  fs::remove(cached_file());  // as Glance does it
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  UniqueFd fresh = open();
  Stopped daemon(mount_->pid());
  EXPECT_TRUE(read_fd(fd.get()).bytes == bytes_);
  EXPECT_TRUE(read_fd(fresh.get()).bytes == bytes_);
  EXPECT_FALSE(daemon.gave_up());
}

TEST_F(Passthrough, AClosedImageIsEvictedAtOnce) {
  mount_cached();
  for (int i = 0; i < 5; ++i) {
    UniqueFd fd = open();
    EXPECT_TRUE(passes_by(fd.get()));
    fd.reset();
    // The release is told to the daemon after the close has returned.
    EXPECT_TRUE(wait_until([&] { return ctl("evict").exit_code == 0; }));
    cache();
  }
  // A file is kept open for a moment after its last close, and no longer.
  EXPECT_EQ(ctl("evict").exit_code, 0);
  EXPECT_TRUE(wait_until([&] { return !holds_removed_file(); }));
}

TEST_F(Passthrough, AClosedImageMakesRoomAtOnce) {
  SmallFileSystem disk("tmpfs");
  for (const char* name : {"a", "b", "c", "d"})
    images_.write(name, pattern_string(name[0], 0, 5 << 20));
  mount({}, disk.cache_dir());
  for (const std::string name : {"a", "b", "c", "d"}) {
    EXPECT_EQ(mount_->read_all(name), read_file(images_.file(name)));  // and it is whole then
    EXPECT_EQ(mount_->xattr(name, "state"), "cached");
    EXPECT_EQ(mount_->read(name, 0, 4096).size(), 4096u);
  }
  mount_.reset();
}

TEST_F(Passthrough, OpensAndClosesGoOnWhileImagesComeAndGo) {
  constexpr int kThreads = 4, kChanges = 10;
  mount_cached({"revalidate=never"});
  std::atomic<bool> over{false};
  std::atomic<int> rounds{0};
  std::vector<std::thread> readers;
  // Two look-ups in a row may each meet an eviction: the kernel tries no third time.
  const auto persistently = [](const std::function<Got()>& read) {
    Got got = read();
    while (got.error == ESTALE) got = read();
    return got;
  };
  for (size_t t = 0; t < kThreads; ++t)
    readers.emplace_back([&, t] {
      for (size_t i = t; !over; ++i, ++rounds) {
        const size_t begin = (i % 32) << 16;
        const Got got = persistently([&] {
          return read_path(mount_->path("image"), {.begin = begin, .end = begin + 8192});
        });
        EXPECT_EQ(got.error, 0) << std::strerror(got.error);
        EXPECT_TRUE(got.bytes == bytes_.substr(begin, 8192));
        if (i % 16 != 0) continue;
        const Got mapped = persistently([&] { return read_mapped(mount_->path("image")); });
        EXPECT_TRUE(mapped.bytes == bytes_);
      }
    });
  for (int i = 0; i < kChanges; ++i) {
    if (i % 2 == 0)
      ctl("evict");  // when nobody has it open in that moment
    else
      fs::remove(cached_file());
    persistently([&] { return read_path(mount_->path("image")); });
  }
  over = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(rounds, kChanges);
  cache();
  EXPECT_TRUE(passes_by(open().get()));
}

// --- what may not be given away ------------------------------------------------------------------

// SEMANTICS: A cached image that another program put there is read through the daemon until its
// checksum was right; when it is wrong, who has it open gets EIO.
TEST_F(Passthrough, AnAdoptedImageIsNotGivenAwayBeforeItsChecksumWasRight) {
  publish_checksums(images_.path());
  mount();
  std::string harmed = bytes_;
  harmed[kSize - 3] ^= 1;
  elsewhere_.write("file", harmed);
  fs::copy_file(elsewhere_.file("file"), cached_file());
  UniqueFd fd = open();
  ASSERT_TRUE(fd);
  // Until it is known to be wrong.
  EXPECT_TRUE(wait_until([&] { return read_fd(fd.get()).error == EIO; }));
  EXPECT_FALSE(fs::exists(cached_file()));
  EXPECT_TRUE(fs::exists(mount_->cache_dir() + "/invalid/image"));
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  fd.reset();
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  EXPECT_TRUE(passes_by(open().get()));
}

TEST_F(Passthrough, AnAdoptedImageIsGivenAwayOnceItIsVerified) {
  publish_checksums(images_.path());
  mount();
  EXPECT_EQ(mount_->unmount(), 0);
  fs::copy_file(images_.file("image"), cached_file());
  mount_->start();
  UniqueFd before = open();
  EXPECT_TRUE(wait_until([&] { return mount_->xattr("image", "verified") == "1"; }));
  // As long as it is open, it is open as it was.
  EXPECT_FALSE(passes_by(before.get()));
  EXPECT_FALSE(passes_by(open().get()));
  EXPECT_TRUE(read_fd(before.get()).bytes == bytes_);
  before.reset();
  EXPECT_TRUE(wait_until([&] { return passes_by(open().get()); }));
}

TEST_F(Passthrough, AnImageWithoutAPublishedChecksumIsGivenAway) {
  mount();
  cache();
  EXPECT_EQ(mount_->xattr("image", "verified"), "0");
  EXPECT_TRUE(passes_by(open().get()));
  EXPECT_EQ(mount_->unmount(), 0);
  // After a restart it is asked for the checksum first.
  mount_->start();
  EXPECT_TRUE(wait_until([&] { return passes_by(open().get()); }));
}

// --- where it cannot be had ----------------------------------------------------------------------

class PassthroughRefused : public Passthrough {
 protected:
  void expect_ordinary_reads() {
    UniqueFd fd = open(), direct = open(O_DIRECT);
    EXPECT_FALSE(passes_by(fd.get()));
    EXPECT_TRUE(read_fd(fd.get()).bytes == bytes_);
    EXPECT_TRUE(read_fd(direct.get(), {.piece = 64 << 10}).bytes == bytes_);
    EXPECT_EQ(mount_->status()["passthrough"], "off");
  }
  size_t complaints() const {
    const std::string log = mount_->log();
    size_t count = 0;
    for (size_t at = log.find("no passthrough"); at != std::string::npos;
         at = log.find("no passthrough", at + 1))
      ++count;
    return count;
  }
};

TEST_F(PassthroughRefused, ByTheOptionWithoutAWord) {
  mount_cached({"passthrough=off"});
  EXPECT_EQ(mount_->status()["passthrough"], "off");
  expect_ordinary_reads();
  EXPECT_EQ(complaints(), 0u);
}

TEST_F(PassthroughRefused, OnAStackedFileSystem) {
  SmallFileSystem disk("overlay");
  mount_cached({}, disk.cache_dir());
  expect_ordinary_reads();
  expect_ordinary_reads();
  EXPECT_THAT(mount_->log(), HasSubstr("the cache lies on a stacked file system"));
  EXPECT_EQ(complaints(), 1u);
  mount_.reset();
}

// The kernel opens the file as its reader opens the image.
TEST_F(PassthroughRefused, OnAFileSystemWithoutDirectIo) {
  SmallFileSystem disk("ramfs");
  publish_checksums(images_.path());
  mount({}, disk.cache_dir());
  fs::copy_file(images_.file("image"), cached_file());  // by ramfs' own word it has no room
  ASSERT_TRUE(open());
  ASSERT_TRUE(
      wait_until([&] { return mount_->log().find("its bytes have") != std::string::npos; }));
  expect_ordinary_reads();
  EXPECT_THAT(mount_->log(), HasSubstr("has no O_DIRECT"));
  EXPECT_EQ(complaints(), 1u);
  mount_.reset();
}

// --- the daemon's end ----------------------------------------------------------------------------

// SEMANTICS: Where the kernel can, it reads a cached image by itself, and reads go on when the
// daemon stands still or dies.
TEST_F(Passthrough, ReadsOutliveTheDaemonAndHoldTheImage) {
  mount_cached();
  UniqueFd fd = open();
  void* mapping = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(mapping, MAP_FAILED);
  mount_->kill9();
  EXPECT_TRUE(read_fd(fd.get()).bytes == bytes_);
  EXPECT_EQ(std::memcmp(mapping, bytes_.data(), kSize), 0);
  EXPECT_EQ(ctl("evict").exit_code, 7) << "it is in use";

  ASSERT_TRUE(run({"umount", "-l", mount_->path()}).ok());
  mount_->start();
  EXPECT_TRUE(passes_by(open().get()));
  EXPECT_EQ(ctl("evict").exit_code, 7) << "it is in use still";
  EXPECT_TRUE(read_fd(fd.get()).bytes == bytes_);
  ::munmap(mapping, kSize);
  fd.reset();
  EXPECT_TRUE(wait_until([&] { return ctl("evict").exit_code == 0; }));
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_EQ(mount_->unmount(), 0);
}

TEST_F(Passthrough, ImagesThatAreOpenDoNotHoldUpTheEnd) {
  mount_cached();
  UniqueFd fd = open();
  EXPECT_EQ(mount_->terminate(SIGTERM), 0);
  EXPECT_TRUE(read_fd(fd.get()).bytes == bytes_);
}

}  // namespace
}  // namespace imgcachefs::test
