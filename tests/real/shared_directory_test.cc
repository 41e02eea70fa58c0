// A directory that Glance's classes, a mount with readers, and imgcachectl use at once, at random.
// Every byte read is right at all times, and what is left at the end is consistent.
//
// IMGCACHEFS_SHARED_SECONDS makes it longer (15 when not set); IMGCACHEFS_SHARED_SEED repeats one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "real/glance_cache.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/program.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAreArray;
using testing::IsEmpty;

constexpr size_t kImages = 8;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kRoom = 9 * kMiB;  // of the 17 MiB that all of them take

unsigned from_env(const char* name, unsigned otherwise) {
  const char* value = std::getenv(name);
  return value ? static_cast<unsigned>(std::stoul(value)) : otherwise;
}

std::set<std::string> files_in(const std::string& dir) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.is_regular_file()) names.insert(entry.path().filename());
  return names;
}

class SharedDirectory : public testing::TestWithParam<std::string> {
 protected:
  SharedDirectory() {
    std::string sums;
    for (size_t i = 0; i < kImages; ++i) {
      const std::string id = "00000000-0000-4000-8000-00000000000" + std::to_string(i);
      ids_.push_back(id);
      bytes_[id] = pattern_string(100 + i, 0, kMiB + i * kMiB / 3 + i * 4096);
      images_.write(id, bytes_[id]);
      sums += sums_line(id, bytes_[id]);
    }
    images_.write("SHA256SUMS", sums);
  }

  void read_at_random(const Mounted& mount, unsigned seed) {
    std::mt19937 random(seed);
    while (!stop_) {
      const std::string& id = ids_[random() % kImages];
      const std::string& all = bytes_[id];
      ReadSpec spec;
      spec.piece = 64 << 10;
      if (random() % 2) {
        spec.begin = random() % (all.size() / 4096) * 4096;
        spec.end = spec.begin + (256 << 10);  // O_DIRECT wants it aligned, at the end too
      }
      spec.direct = random() % 2;
      Got got = read_path(mount.path(id), spec);
      // The kernel looks an image up once more when it was replaced between look-up and open. Here
      // it may be replaced a second time meanwhile.
      for (int again = 0; got.error == ESTALE && got.bytes.empty() && again < 3; ++again) {
        ++stale_;
        got = read_path(mount.path(id), spec);
      }
      const uint64_t end = std::min<uint64_t>(all.size(), spec.end);
      ++reads_;
      if (got.error != 0 || got.bytes != all.substr(spec.begin, end - spec.begin))
        complain(id + " from " + std::to_string(spec.begin) + ": " +
                 std::to_string(got.bytes.size()) + " bytes, errno " + std::to_string(got.error));
    }
  }
  void manage_at_random(const Mounted& mount, unsigned seed) {
    std::mt19937 random(seed);
    while (!stop_) {
      std::vector<std::string> argv = {built("imgcachectl"), "-c", mount.cache_dir()};
      switch (random() % 4) {
        case 0:
          argv.insert(argv.end(), {"prune", "--max-size", std::to_string(kRoom / 2)});
          break;
        case 1:
          argv.push_back("clean");
          break;
        default:
          argv.insert(argv.end(), {"evict", ids_[random() % kImages]});
          break;
      }
      const CommandResult result = run(argv);
      // 3: not there; 7: in use.
      if (result.exit_code != 0 && result.exit_code != 3 && result.exit_code != 7)
        complain(argv[3] + ": " + result.describe());
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 100));
    }
  }
  void complain(const std::string& what) {
    std::lock_guard lock(mutex_);
    complaints_.push_back(what);
  }

  TempDir images_;
  std::vector<std::string> ids_;
  std::map<std::string, std::string> bytes_;
  std::atomic<bool> stop_{false};
  std::atomic<unsigned> reads_{0}, stale_{0};
  std::mutex mutex_;
  std::vector<std::string> complaints_;
};

TEST_P(SharedDirectory, StaysRightWhileGlanceAndAMountUseItAtOnce) {
  const unsigned seconds = from_env("IMGCACHEFS_SHARED_SECONDS", 15);
  const unsigned seed = from_env("IMGCACHEFS_SHARED_SEED", std::random_device()());
  SCOPED_TRACE("IMGCACHEFS_SHARED_SEED=" + std::to_string(seed));
  Nginx nginx(images_.path());
  Mounted mount({.source = nginx.url(),
                 .options = {"driver=" + GetParam(), "max_size=" + std::to_string(kRoom),
                             "janitor_interval=1"}});
  ASSERT_EQ(mount.status()["driver"], GetParam());

  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i)
    threads.emplace_back([&, i] { read_at_random(mount, seed + 1 + i); });
  threads.emplace_back([&] { manage_at_random(mount, seed + 9); });
  const std::vector<std::string> argv = {
      "/usr/bin/python3",      IMGCACHEFS_REAL_DIR "/glance_at_random.py",
      mount.cache_dir(),       GetParam(),
      std::to_string(seconds), std::to_string(seed),
      images_.path(),          std::to_string(kRoom / 2)};
  const CommandResult glance = run(argv, {.timeout = std::chrono::seconds(seconds + 60),
                                          .env = {{"PYTHONDONTWRITEBYTECODE", "1"}},
                                          .directory = {}});
  stop_ = true;
  for (std::thread& thread : threads) thread.join();

  EXPECT_THAT(complaints_, IsEmpty()) << mount.log();
  ASSERT_TRUE(glance.ok()) << glance.describe();
  const json said = json::parse(glance.out);
  EXPECT_THAT(said["wrong"], IsEmpty());
  std::cout << reads_ << " reads of the mount, " << stale_
            << " opens ESTALE; Glance: " << said["done"] << '\n';
  // It did something, and not only run into exceptions.
  EXPECT_GT(reads_, seconds);
  for (const char* operation : {"read", "queue_image", "prune", "tee", "cache_file"})
    EXPECT_GT(said["done"].value(operation, 0), 0) << operation;

  // In quiet, with room for all: each can be read and is cached, nothing is left half done.
  ASSERT_EQ(mount.unmount(), 0);
  run({"bash", "-c", "rm -f \"$1\"/queue/*", "clear", mount.cache_dir()});
  mount.options() = {"driver=" + GetParam(), "fill=full"};
  mount.start();
  for (const std::string& id : ids_) {
    EXPECT_EQ(mount.read_all(id), bytes_[id]) << id;
    EXPECT_TRUE(mount.wait_state(id, "cached")) << id << '\n' << mount.log();
  }
  ASSERT_EQ(mount.unmount(), 0);
  EXPECT_THAT(files_in(mount.cache_dir() + "/incomplete"), IsEmpty());
  EXPECT_THAT(files_in(mount.cache_dir() + "/maps"), IsEmpty());
  for (const std::string& id : ids_)
    EXPECT_EQ(read_file(mount.cache_dir() + "/" + id), bytes_[id]) << id;
  const json records = GlanceCache(mount.cache_dir(), GetParam()).call("get_cached_images");
  std::vector<std::string> recorded;
  for (const json& record : records) {
    recorded.push_back(record["image_id"]);
    EXPECT_EQ(record["size"], bytes_[record["image_id"]].size()) << record;
  }
  std::sort(recorded.begin(), recorded.end());
  EXPECT_THAT(recorded, ElementsAreArray(ids_));
}

INSTANTIATE_TEST_SUITE_P(Drivers, SharedDirectory, testing::Values("sqlite", "xattr"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace imgcachefs::test
