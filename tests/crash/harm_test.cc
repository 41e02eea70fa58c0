// An incomplete image whose file or map was harmed while no daemon had it: no byte of it is ever
// wrong.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/program.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
namespace files = std::filesystem;

constexpr uint64_t kMiB = 1 << 20, kSize = 6 * kMiB + 321, kChunk = 64 << 10;

void flip(const files::path& path, uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

// Files of an incomplete image of a cache that nobody serves.
struct Victim {
  files::path cache;
  files::path file() const { return cache / "incomplete/image"; }
  files::path map() const { return cache / "maps/image"; }
  void overwrite(const files::path& path, const std::string& bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
};

struct Harm {
  const char* name;
  void (*how)(const Victim&);
};

void PrintTo(const Harm& harm, std::ostream* out) {  // the name of the test in CTest
  *out << harm.name;
}

const Harm kHarms[] = {
    {"Nothing", [](const Victim&) {}},
    {"BytesOfTheFile",
     [](const Victim& victim) {
       for (uint64_t at : {uint64_t{0}, kChunk - 1, kChunk, 2 * kMiB + 17, 4 * kMiB, kSize - 1})
         flip(victim.file(), at);
     }},
    {"EveryChunkOfTheFile",
     [](const Victim& victim) {
       for (uint64_t at = 5; at < kSize; at += kChunk) flip(victim.file(), at);
     }},
    {"ZeroedFile",
     [](const Victim& victim) { victim.overwrite(victim.file(), std::string(kSize, '\0')); }},
    {"OtherFile",
     [](const Victim& victim) { victim.overwrite(victim.file(), pattern_string(99, 0, kSize)); }},
    {"FileCutShort", [](const Victim& victim) { files::resize_file(victim.file(), kMiB + 5); }},
    {"EmptyFile", [](const Victim& victim) { files::resize_file(victim.file(), 0); }},
    {"LongerFile",
     [](const Victim& victim) {
       std::ofstream(victim.file(), std::ios::binary | std::ios::app) << std::string(200'000, 'x');
     }},
    {"NoFile", [](const Victim& victim) { files::remove(victim.file()); }},
    {"NoMap", [](const Victim& victim) { files::remove(victim.map()); }},
    {"EmptyMap", [](const Victim& victim) { files::resize_file(victim.map(), 0); }},
    {"MapCutInItsHead", [](const Victim& victim) { files::resize_file(victim.map(), 30); }},
    {"MapCutInItsEntries",
     [](const Victim& victim) {
       files::resize_file(victim.map(), files::file_size(victim.map()) - 20);
     }},
    {"LongerMap",
     [](const Victim& victim) {
       std::ofstream(victim.map(), std::ios::binary | std::ios::app) << std::string(800, '\1');
     }},
    {"GarbageMap",
     [](const Victim& victim) {
       victim.overwrite(victim.map(), pattern_string(5, 0, files::file_size(victim.map())));
     }},
    {"HeadOfTheMap", [](const Victim& victim) { flip(victim.map(), 9); }},
    {"EntriesOfTheMap",
     [](const Victim& victim) {
       const uint64_t size = files::file_size(victim.map());
       const uint64_t entries = (kSize + kChunk - 1) / kChunk;
       for (uint64_t i = 0; i < entries; i += 3) flip(victim.map(), size - 8 * (entries - i));
     }},
    {"MapThatClaimsEverything",
     [](const Victim& victim) {
       std::string map = read_file(victim.map());
       const uint64_t entries = (kSize + kChunk - 1) / kChunk;
       for (uint64_t i = 0; i < entries; ++i) map[map.size() - 8 * (entries - i)] |= '\1';
       victim.overwrite(victim.map(), map);
     }},
    {"FileAndMapOfAnotherImage",
     [](const Victim& victim) {
       files::rename(victim.cache / "incomplete/other", victim.file());
       files::rename(victim.cache / "maps/other", victim.map());
     }},
    {"MapOfAnotherImage",
     [](const Victim& victim) { files::rename(victim.cache / "maps/other", victim.map()); }},
    {"SymlinkAsFile",
     [](const Victim& victim) {
       victim.overwrite(victim.cache.parent_path() / "outside", "mine");
       files::remove(victim.file());
       files::create_symlink(victim.cache.parent_path() / "outside", victim.file());
     }},
    {"DirectoryAsFile",
     [](const Victim& victim) {
       files::remove(victim.file());
       files::create_directory(victim.file());
     }},
    {"DirectoryAsMap",
     [](const Victim& victim) {
       files::remove(victim.map());
       files::create_directory(victim.map());
     }},
};

class Harmed : public testing::TestWithParam<Harm> {
 protected:
  Harmed() {
    // One size, one time and so one ETag, as two images of a real server can have.
    Content image = Content::of(bytes_), other = Content::of(other_);
    other.etag = image.etag;
    server_.put("/image", image);
    server_.put("/other", other);
    server_.put("/SHA256SUMS",
                Content::of(sums_line("image", bytes_) + sums_line("other", other_)));
    mount_.emplace(MountSpec{.source = server_.url(), .options = {"fill=demand"}});
    // Some of each image: its beginning, its end, and places between.
    for (const char* name : {"image", "other"}) {
      for (auto [at, length] :
           {std::pair<uint64_t, size_t>{0, 2 * kMiB}, {2 * kMiB + 5000, 100}, {4 * kMiB, kMiB}})
        mount_->read(name, at, length);
      mount_->read(name, kSize - 10, 10);
    }
    victim_.cache = mount_->cache_dir();
  }

  void harm(bool crash) {
    if (crash) {
      EXPECT_TRUE(wait_until([&] {
        return files::exists(victim_.map()) && files::exists(victim_.cache / "maps/other");
      }));
      mount_->kill9();
    } else {
      EXPECT_EQ(mount_->unmount(), 0);
    }
    GetParam().how(victim_);
  }

  const std::string bytes_ = pattern_string(1, 0, kSize), other_ = pattern_string(2, 0, kSize);
  FaultServer server_;
  std::optional<Mounted> mount_;
  Victim victim_;
};

// SEMANTICS: Bytes of an incomplete image that were harmed while nobody served it are fetched
// again.
TEST_P(Harmed, YieldsNoWrongByte) {
  harm(false);
  mount_->start();
  std::mt19937 random(4711);
  const auto at_random = [&](int reads) {
    for (int i = 0; i < reads; ++i) {
      const uint64_t at = random() % kSize;
      const size_t length = random() % 200'000 + 1;
      EXPECT_TRUE(mount_->read("image", at, length) == bytes_.substr(at, length)) << at;
    }
  };
  at_random(8);
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_EQ(mount_->read_errno("other"), 0);
  EXPECT_TRUE(mount_->read_all("other") == other_);
  at_random(4);
  // Whether or not there was a place for it, nothing wrong is kept.
  const files::path cached = victim_.cache / "image";
  EXPECT_TRUE(!files::exists(cached) || read_file(cached) == bytes_);
  EXPECT_FALSE(files::exists(victim_.cache / "invalid/image"));
  const files::path outside = victim_.cache.parent_path() / "outside";
  EXPECT_TRUE(!files::exists(outside) || read_file(outside) == "mine");
}

TEST_P(Harmed, YieldsNoWrongByteReadFromTheStartAfterACrash) {
  harm(true);
  mount_->options() = {"fill=full"};
  mount_->start();
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
}

INSTANTIATE_TEST_SUITE_P(, Harmed, testing::ValuesIn(kHarms),
                         [](const auto& harm) { return harm.param.name; });

}  // namespace
}  // namespace imgcachefs::test
