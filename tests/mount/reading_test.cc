// Reading through a real mount from a real nginx: whoever reads, and however, gets the image's
// bytes, and upstream sends each of them once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>

#include "base/posix.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/image_reader.h"
#include "support/mounted.h"
#include "support/nginx.h"

namespace imgcachefs::test {
namespace {

using std::chrono::seconds;

constexpr uint64_t kChunk = 64 << 10;
constexpr uint64_t kSize = 12 << 20;

// As a guest's O_DIRECT does it: the kernel adds no readahead and keeps no page.
std::string read_direct(const std::string& path, uint64_t offset, size_t length) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, length), &std::free);
  const ssize_t n = ::pread(fd.get(), buffer.get(), length, static_cast<off_t>(offset));
  if (n < 0) throw std::system_error(errno, std::generic_category(), "pread");
  return {static_cast<char*>(buffer.get()), static_cast<size_t>(n)};
}

// What nginx sent when nothing more is under way: its log is written when a request ends.
uint64_t all_sent(Mounted& mount, Nginx& nginx, const std::string& path) {
  EXPECT_EQ(mount.terminate(SIGTERM), 0);
  nginx.stop();
  return nginx.sent_bytes(path);
}

class Reading : public testing::Test {
 protected:
  void mount(std::vector<std::string> options, NginxOptions nginx = {}) {
    nginx_.emplace(images_.path(), std::move(nginx));
    mount_.emplace(MountSpec{.source = nginx_->url(), .options = std::move(options)});
  }

  TempDir images_, elsewhere_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

// --- each kind of reader -------------------------------------------------------------------------

class ReadingFormat : public Reading, public testing::WithParamInterface<const char*> {};

// SEMANTICS: Buffered reads, O_DIRECT, mmap, readahead and SEEK_DATA work, cold and warm.
TEST_P(ReadingFormat, InEveryWayGivesTheRightBytesColdAndWarm) {
  const ReadableImage image =
      make_image(images_.path(), "image", GetParam(), kSize, elsewhere_.path());
  // A name for each reader, so that each has a cold image of its own.
  const auto& readers = image_readers();
  const auto name = [](size_t i) { return "image-" + std::to_string(i); };
  for (size_t i = 0; i < readers.size(); ++i)
    std::filesystem::create_hard_link(image.original, images_.file(name(i)));
  publish_checksums(images_.path());
  mount({});
  const uint64_t size = std::filesystem::file_size(image.original);
  for (size_t i = 0; i < readers.size(); ++i) {
    const std::string path = mount_->path(name(i));
    EXPECT_EQ(mount_->xattr(name(i), "state"), "uncached");
    EXPECT_EQ(readers[i].read(path, image), "") << readers[i].name << ", cold";
    if (!readers[i].whole) {
      EXPECT_TRUE(run({"cmp", path, image.original}).ok());
    }
    ASSERT_TRUE(mount_->wait_state(name(i), "cached")) << readers[i].name;
    EXPECT_EQ(mount_->xattr(name(i), "verified"), "1") << readers[i].name;
    EXPECT_EQ(readers[i].read(path, image), "") << readers[i].name << ", warm";
    EXPECT_EQ(nginx_->sent_bytes("/" + name(i)), size) << readers[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, ReadingFormat, testing::Values("raw", "qcow2"),
                         [](const auto& info) { return std::string(info.param); });

// --- many at once --------------------------------------------------------------------------------

class ReadingTogether : public Reading, public testing::WithParamInterface<const char*> {};

// SEMANTICS: Any number of readers of the same bytes cause one transfer of them.
TEST_P(ReadingTogether, ThirtyTwoOfAllKindsCauseOneTransfer) {
  const ReadableImage image =
      make_image(images_.path(), "image", "qcow2", kSize, elsewhere_.path());
  const uint64_t size = std::filesystem::file_size(image.original);
  publish_checksums(images_.path());
  // Slow enough for all of them to be there before the first has ended.
  mount({GetParam()}, {.limit_rate = 512 << 10});
  for (const bool warm : {false, true}) {
    std::vector<std::thread> threads;
    std::vector<std::string> wrong(32);
    for (size_t i = 0; i < wrong.size(); ++i)
      threads.emplace_back([&, i] {
        wrong[i] = image_readers()[i % image_readers().size()].read(mount_->path("image"), image);
      });
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < wrong.size(); ++i)
      EXPECT_EQ(wrong[i], "") << image_readers()[i % image_readers().size()].name
                              << (warm ? ", warm" : ", cold");
    ASSERT_TRUE(mount_->wait_state("image", "cached"));
  }
  const uint64_t sent = all_sent(*mount_, *nginx_, "/image");
  RecordProperty("sent_per_size", std::to_string(double(sent) / double(size)));
  EXPECT_GE(sent, size);
  EXPECT_LE(sent, size + size / 50);  // "at most 1.02 times"
}

INSTANTIATE_TEST_SUITE_P(Fills, ReadingTogether,
                         testing::Values("fill=auto", "fill=demand", "fill=full"),
                         [](const auto& info) { return std::string(info.param).substr(5); });

// --- what a read gives ---------------------------------------------------------------------------

// SEMANTICS: A read returns the image's bytes or an error, never other bytes and never fewer before
// the end.
TEST(ReadingFromABadUpstream, GivesTheRightBytesOrAnError) {
  constexpr uint64_t kImage = (4 << 20) + 777;
  FaultServer server;
  server.put("/image", Content::generated(kImage, 5));
  std::atomic<unsigned> asked = 0;
  server.on_request([&](const Request& request) {
    Behaviour bad;
    if (request.method != "GET" || request.path != "/image") return bad;
    switch (asked++ % 8) {
      case 0:
        bad.cut_after = 1000;
        break;
      case 1:
        bad.reset_after = 100'000;
        break;
      case 2:
        return Behaviour::of_status(500);
      case 3:
        bad.content_range = "bytes 0-65535/" + std::to_string(kImage);
        break;
      case 4:
        bad.content_length = "10";
        break;
      case 5:
        bad.ignore_range = true;
        bad.cut_after = 70'000;
        break;
      default:
        break;
    }
    return bad;
  });
  Mounted mount({.source = server.url(), .options = {"fill=demand", "retries=1"}});
  std::mt19937_64 random(1);
  int right = 0;
  for (int i = 0; i < 40; ++i) {
    const uint64_t offset = random() % (kImage + 10'000);
    const size_t length = 1 + random() % 150'000;
    const size_t there = offset < kImage ? std::min<uint64_t>(length, kImage - offset) : 0;
    try {
      ASSERT_EQ(mount.read("image", offset, length), pattern_string(5, offset, there)) << offset;
      ++right;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code().value(), EIO);
    }
  }
  EXPECT_GT(right, 0);
  server.on_request({});
  EXPECT_EQ(mount.read_all("image"), pattern_string(5, 0, kImage));
}

// Signals with a handler, and the task work of io_uring in qemu, disturb a reader: no program
// expects EINTR of an ordinary file.
TEST(ReadingWhileDisturbed, GoesOn) {
  FaultServer server;
  server.put("/image", Content::generated(1 << 20, 5));
  Behaviour silent;
  silent.stall_before_head = true;
  server.fault(silent, {.path = "/image"}, 1);
  Mounted mount({.source = server.url(), .options = {"fill=demand", "low_speed_time=600"}});
  struct sigaction handled {
  }, before{};
  handled.sa_handler = [](int) {};
  handled.sa_flags = SA_RESTART;
  ::sigaction(SIGUSR1, &handled, &before);
  std::atomic<bool> looked = false, go_on = false, done = false;
  std::string looked_up, read;
  std::thread reader([&] {
    struct stat st;
    looked_up = ::stat(mount.path("image").c_str(), &st) == 0 ? "" : std::strerror(errno);
    looked = true;
    wait_until([&] { return go_on.load(); });
    try {
      read = read_direct(mount.path("image"), 0, 64 << 10);
    } catch (const std::exception& error) {
      read = error.what();
    }
    done = true;
  });
  auto disturb = [&] {
    for (int i = 0; i < 30; ++i) {
      ::pthread_kill(reader.native_handle(), SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  };
  EXPECT_TRUE(server.wait_for({.path = "/image"}, 1, seconds(30)));
  disturb();
  const auto release_until = [&](const std::function<bool()>& condition) {
    return wait_until([&] {  // a stall may begin after the request was seen
      server.release();
      return condition();
    });
  };
  EXPECT_TRUE(release_until([&] { return looked.load(); }));
  server.fault(silent, {.method = "GET", .path = "/image"}, 1);
  go_on = true;
  EXPECT_TRUE(server.wait_for({.method = "GET", .path = "/image"}, 1, seconds(30)));
  disturb();
  EXPECT_FALSE(done);
  EXPECT_TRUE(release_until([&] { return done.load(); }));
  reader.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(looked_up, "");
  EXPECT_EQ(read, pattern_string(5, 0, 64 << 10));
}

// The kernel tells of the first signal only.
TEST(ReadingWhileDisturbed, CanStillBeKilled) {
  FaultServer server;
  server.put("/image", Content::generated(1 << 20, 5));
  Behaviour silent;
  silent.stall_before_head = true;
  server.fault(silent, {.method = "GET", .path = "/image"}, 0);
  Mounted mount({.source = server.url(), .options = {"fill=demand", "low_speed_time=600"}});
  ASSERT_EQ(mount.xattr("image", "state"), "uncached");
  // dd tells its progress on SIGUSR1.
  RunOptions limit;
  limit.timeout = seconds(30);
  const CommandResult result =
      run({"bash", "-c",
           "dd if=\"$1\" of=/dev/null bs=4096 count=1 iflag=direct 2>/dev/null & "
           "until grep -q '^SigCgt:.*[1-9a-f]' /proc/$!/status; do sleep 0.1; done; sleep 1; "
           "kill -USR1 $!; sleep 1; kill -0 $! || exit 3; kill -KILL $!; wait $!; exit $?",
           "disturb", mount.path("image")},
          limit);
  EXPECT_EQ(result.exit_code, 137) << result.describe();
  server.release();
}

// SEMANTICS: Bytes that are present are never fetched again.
TEST_F(Reading, NeverFetchesWhatIsPresent) {
  constexpr uint64_t kImage = 8 << 20;
  images_.write("image", pattern_string(3, 0, kImage));
  mount({"fill=demand"});
  std::mt19937_64 random(2);
  auto read_some = [&] {
    for (int i = 0; i < 60; ++i) {
      const uint64_t offset = random() % (kImage / 4096) * 4096;
      const size_t length = 4096 * (1 + random() % 40);
      const size_t there = std::min<uint64_t>(length, kImage - offset);
      ASSERT_EQ(read_direct(mount_->path("image"), offset, length),
                pattern_string(3, offset, there));
    }
  };
  read_some();
  EXPECT_EQ(mount_->xattr("image", "state"), "incomplete");
  ASSERT_EQ(mount_->unmount(), 0);  // what is present outlives the mount
  mount_->start();
  read_some();
  EXPECT_EQ(mount_->read_all("image"), pattern_string(3, 0, kImage));
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  EXPECT_EQ(mount_->read_all("image"), pattern_string(3, 0, kImage));
  EXPECT_EQ(all_sent(*mount_, *nginx_, "/image"), kImage);
}

// --- a read waits for its own bytes only ---------------------------------------------------------

// A sparse file of 4 GiB with a few patches of bytes.
class ReadingABigImage : public Reading {
 protected:
  static constexpr uint64_t kBig = 4ULL << 30;

  ReadingABigImage() {
    UniqueFd fd(::open(images_.file("big").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(fd.get(), kBig), 0);
    std::mt19937_64 random(4);
    for (int i = 0; i < 6; ++i) {
      patches_.push_back(random() % (kBig / 4096 - 1) * 4096);
      const std::string bytes = pattern_string(9, patches_.back(), 4096);
      EXPECT_EQ(::pwrite(fd.get(), bytes.data(), 4096, static_cast<off_t>(patches_.back())), 4096);
    }
  }

  std::vector<uint64_t> patches_;
};

TEST_F(ReadingABigImage, AtOnePlaceFetchesAChunkOrAFew) {
  mount({});
  for (uint64_t place : patches_)
    ASSERT_EQ(mount_->read("big", place, 4096), pattern_string(9, place, 4096));
  // Astride two chunks, so that two are what it takes.
  EXPECT_EQ(mount_->read("big", kBig / 2 - 2048, 4096).size(), 4096u);
  // The last transfer may have a moment to go when its reader is answered.
  EXPECT_TRUE(wait_until([&] { return mount_->status()["fills"].empty(); }));
  const uint64_t sent = all_sent(*mount_, *nginx_, "/big");
  EXPECT_GE(sent, (patches_.size() + 2) * kChunk);
  EXPECT_LE(sent, (patches_.size() + 1) * 4 * kChunk);
}

// SEMANTICS: A read waits only for the chunks it touches.
TEST_F(ReadingABigImage, DoesNotWaitForTheFill) {
  // At this rate the fill takes hours: who waits for it waits too long for this test. (What takes
  // nginx less than a second at the rate it sends at once, a chunk for instance.)
  mount({"fill=full"}, {.limit_rate = 64 << 10});
  EXPECT_EQ(mount_->read("big", 0, 4096).size(), 4096u);
  EXPECT_TRUE(wait_until([&] { return !mount_->status()["fills"].empty(); }));
  for (uint64_t place : patches_)
    EXPECT_EQ(mount_->read("big", place, 4096), pattern_string(9, place, 4096));
  EXPECT_FALSE(mount_->status()["fills"].empty());
  EXPECT_EQ(mount_->xattr("big", "state"), "incomplete");
}

// --- readers that leave, images that leave
// ---------------------------------------------------------

// SEMANTICS: A reader that leaves ends nothing for the others, and the fill goes on.
TEST_F(Reading, ByOneWhoLeavesEndsNothing) {
  for (const char* name : {"left-alone", "shared"})
    images_.write(name, pattern_string(6, 0, kSize));
  mount({}, {.limit_rate = 2 << 20});
  auto leave = [&](const std::string& name) {
    // Gone after 2 MiB, in the middle of a read.
    return run({"bash", "-c", "cat \"$1\" | head -c 2M > /dev/null", "leave", mount_->path(name)});
  };
  std::string stayed;
  std::thread stays([&] { stayed = mount_->read_all("shared"); });
  EXPECT_TRUE(leave("shared").ok());
  EXPECT_TRUE(leave("left-alone").ok());
  stays.join();
  EXPECT_EQ(stayed, pattern_string(6, 0, kSize));
  EXPECT_TRUE(mount_->wait_state("left-alone", "cached"));
  EXPECT_TRUE(mount_->wait_state("shared", "cached"));
  EXPECT_EQ(mount_->read_all("left-alone"), pattern_string(6, 0, kSize));
  for (const char* path : {"/left-alone", "/shared"}) EXPECT_EQ(nginx_->sent_bytes(path), kSize);
}

// SEMANTICS: An image that is open stays readable to its end when it is evicted meanwhile.
TEST_F(Reading, GoesOnWhenACachedImageIsEvicted) {
  const std::string bytes = pattern_string(8, 0, kSize);
  images_.write("image", bytes);
  mount({});
  EXPECT_EQ(mount_->read_all("image"), bytes);
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  {
    // Twice: the one is read past the page cache, the other as usual.
    UniqueFd direct(::open(mount_->path("image").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    UniqueFd usual(::open(mount_->path("image").c_str(), O_RDONLY | O_CLOEXEC));
    const CommandResult refused =
        run({built("imgcachectl"), "-c", mount_->cache_dir(), "evict", "image"});
    EXPECT_EQ(refused.exit_code, 7) << refused.describe();
    EXPECT_EQ(mount_->xattr("image", "state"), "cached");
    // Glance's own tools ask nobody.
    std::filesystem::remove(mount_->cache_dir() + "/image");
    nginx_->stop();
    std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, kSize), &std::free);
    for (int fd : {direct.get(), usual.get()}) {
      size_t done = 0;
      while (done < kSize) {
        const ssize_t n = ::pread(fd, static_cast<char*>(buffer.get()) + done, kSize - done,
                                  static_cast<off_t>(done));
        ASSERT_GT(n, 0) << std::strerror(errno);
        done += static_cast<size_t>(n);
      }
      EXPECT_EQ(std::memcmp(buffer.get(), bytes.data(), kSize), 0);
    }
  }
  nginx_->start();
  EXPECT_EQ(mount_->read_all("image"), bytes);  // and anew from upstream
}

TEST_F(Reading, GoesOnWhenAnIncompleteImageIsRemoved) {
  // nginx sends what it may send in a second at once: a request is slow only when it is for more.
  const std::string bytes = pattern_string(8, 0, 4 << 20);
  images_.write("image", bytes);
  publish_checksums(images_.path());
  mount({}, {.limit_rate = 128 << 10});
  std::string read;
  std::thread reader([&] { read = mount_->read_all("image"); });
  EXPECT_TRUE(wait_until([&] { return mount_->xattr("image", "state") == "incomplete"; }));
  const CommandResult refused =
      run({built("imgcachectl"), "-c", mount_->cache_dir(), "evict", "image"});
  EXPECT_EQ(refused.exit_code, 7) << refused.describe();
  std::filesystem::remove(mount_->cache_dir() + "/incomplete/image");
  reader.join();
  EXPECT_EQ(read, bytes);
  EXPECT_TRUE(mount_->wait_state("image", "cached"));
  EXPECT_EQ(mount_->read_all("image"), bytes);
}

}  // namespace
}  // namespace imgcachefs::test
