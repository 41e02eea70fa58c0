#include "support/image_reader.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

#include "base/posix.h"
#include "support/fault_server.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

// Of one command; generous, for 32 of them share two cores under a sanitizer.
constexpr std::chrono::seconds kPatience{150};

std::string failed(const std::string& what) {
  return what + ": " + std::strerror(errno);
}

std::string shell(const std::string& script, const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"bash", "-o", "pipefail", "-c", script, "reader"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  RunOptions options;
  options.timeout = kPatience;
  const CommandResult result = run(argv, options);
  return result.ok() ? "" : result.describe();
}

class Mapping {
 public:
  Mapping(const std::string& path, int flags) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat st;
    if (!fd || ::fstat(fd.get(), &st) < 0) return;
    size_ = static_cast<size_t>(st.st_size);
    void* at = ::mmap(nullptr, size_, PROT_READ, flags, fd.get(), 0);
    if (at != MAP_FAILED) at_ = static_cast<const char*>(at);
  }
  ~Mapping() {
    if (at_ != nullptr) ::munmap(const_cast<char*>(at_), size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  explicit operator bool() const { return at_ != nullptr; }
  const char* at() const { return at_; }
  size_t size() const { return size_; }

 private:
  const char* at_ = nullptr;
  size_t size_ = 0;
};

// Page by page in an order that no readahead expects.
std::string read_mapped(const std::string& path, const ReadableImage& image, int flags) {
  const Mapping mine(path, flags), original(image.original, MAP_PRIVATE);
  if (!mine || !original || mine.size() != original.size()) return failed("mmap");
  constexpr size_t kPage = 4096;
  std::vector<size_t> places;
  for (size_t at = 0; at < mine.size(); at += kPage) places.push_back(at);
  std::shuffle(places.begin(), places.end(), std::mt19937(std::random_device{}()));
  for (size_t at : places)
    if (std::memcmp(mine.at() + at, original.at() + at, std::min(kPage, mine.size() - at)) != 0)
      return "other bytes in the page at " + std::to_string(at);
  return "";
}

std::string compare_range(int fd, const Mapping& original, size_t begin, size_t end, char* buffer,
                          size_t buffer_size) {
  while (begin < end) {
    const ssize_t n =
        ::pread(fd, buffer, std::min(buffer_size, end - begin), static_cast<off_t>(begin));
    if (n < 0) return failed("pread");
    if (n == 0) return "an end at " + std::to_string(begin);
    if (std::memcmp(buffer, original.at() + begin, static_cast<size_t>(n)) != 0)
      return "other bytes after " + std::to_string(begin);
    begin += static_cast<size_t>(n);
  }
  return "";
}

// From data to data, as cp and tar do with what is sparse; what is called a hole must be one.
std::string read_by_seeking(const std::string& path, const ReadableImage& image) {
  const Mapping original(image.original, MAP_PRIVATE);
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || !original) return failed("open");
  std::vector<char> buffer(1 << 17);
  size_t at = 0;
  while (at < original.size()) {
    off_t data = ::lseek(fd.get(), static_cast<off_t>(at), SEEK_DATA);
    if (data < 0 && errno != ENXIO) return failed("SEEK_DATA");
    const size_t begin = data < 0 ? original.size() : static_cast<size_t>(data);
    if (std::any_of(original.at() + at, original.at() + begin, [](char c) { return c != 0; }))
      return "data where a hole is told of, after " + std::to_string(at);
    if (begin == original.size()) break;
    const off_t hole = ::lseek(fd.get(), data, SEEK_HOLE);
    if (hole <= data) return failed("SEEK_HOLE");
    at = static_cast<size_t>(hole);
    std::string wrong = compare_range(fd.get(), original, begin, at, buffer.data(), buffer.size());
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string read_direct(const std::string& path, const ReadableImage& image) {
  const Mapping original(image.original, MAP_PRIVATE);
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
  if (!fd || !original) return failed("open");
  constexpr size_t kBlock = 20 << 10;  // aligned to pages and not to chunks
  std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, kBlock), &std::free);
  return compare_range(fd.get(), original, 0, original.size(), static_cast<char*>(buffer.get()),
                       kBlock);
}

std::string read_ahead(const std::string& path, const ReadableImage& image) {
  const Mapping original(image.original, MAP_PRIVATE);
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || !original) return failed("open");
  if (::readahead(fd.get(), static_cast<off_t>(original.size() / 2), 1 << 20) < 0)
    return failed("readahead");
  std::vector<char> buffer(1 << 17);
  return compare_range(fd.get(), original, original.size() / 2, original.size(), buffer.data(),
                       buffer.size());
}

// dd at offsets and of lengths that are aligned to nothing.
std::string read_places(const std::string& path, const ReadableImage& image) {
  struct stat st;
  if (::stat(image.original.c_str(), &st) < 0) return failed("stat");
  std::mt19937_64 random(std::random_device{}());
  for (int i = 0; i < 8; ++i) {
    const uint64_t skip = random() % static_cast<uint64_t>(st.st_size);
    const uint64_t count = 1 + random() % 300'000;
    std::string wrong = shell(
        "size=$(stat -c %s \"$2\"); left=$((size - $3)); n=$(($4 < left ? $4 : left)); "
        "cmp \"$2\" -i $3:0 -n $n <(dd if=\"$1\" bs=64K skip=$3 count=$4 "
        "iflag=skip_bytes,count_bytes status=none) && test $(dd if=\"$1\" bs=64K skip=$3 "
        "count=$4 iflag=skip_bytes,count_bytes status=none | wc -c) = $n",
        {path, image.original, std::to_string(skip), std::to_string(count)});
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string read_info(const std::string& path, const ReadableImage& image) {
  RunOptions options;
  options.timeout = kPatience;
  auto info = [&](const std::string& file) {
    const CommandResult result = run({"qemu-img", "info", "--output=json", file}, options);
    auto json = nlohmann::json::parse(result.out, nullptr, false);
    return json.is_object() ? json : nlohmann::json(result.describe());
  };
  const auto mine = info(path), original = info(image.original);
  if (!mine.is_object() || mine.value("format", "") != image.format ||
      mine["virtual-size"] != original["virtual-size"])
    return mine.dump();
  return "";
}

ImageReader by_shell(const std::string& name, const std::string& script) {
  return {name, true, [script](const std::string& path, const ReadableImage& image) {
            return shell(script, {path, image.original});
          }};
}

ImageReader converting(const std::string& name, const std::string& cache) {
  return {name, true, [cache](const std::string& path, const ReadableImage& image) {
            TempDir scratch;
            return shell("qemu-img convert -T $3 -f $4 -O raw \"$1\" \"$5\" && cmp \"$5\" \"$2\"",
                         {path, image.disk, cache, image.format, scratch.file("out")});
          }};
}

}  // namespace

const std::vector<ImageReader>& image_readers() {
  static const std::vector<ImageReader> readers = {
      by_shell("cat", "cat \"$1\" | cmp - \"$2\""),
      {"cp", true,
       [](const std::string& path, const ReadableImage& image) {
         TempDir scratch;
         return shell("cp \"$1\" \"$3\" && cmp \"$3\" \"$2\"",
                      {path, image.original, scratch.file("copy")});
       }},
      {"dd at random offsets", false, &read_places},
      by_shell("md5sum", "test \"$(md5sum < \"$1\")\" = \"$(md5sum < \"$2\")\""),
      {"qemu-img info", false, &read_info},
      converting("qemu-img convert", "writeback"),
      converting("qemu-img convert with O_DIRECT", "none"),
      {"mmap, private", true,
       [](const std::string& path, const ReadableImage& image) {
         return read_mapped(path, image, MAP_PRIVATE);
       }},
      {"mmap, shared", true,
       [](const std::string& path, const ReadableImage& image) {
         return read_mapped(path, image, MAP_SHARED);
       }},
      {"O_DIRECT", true, &read_direct},
      by_shell("dd with O_DIRECT", "dd if=\"$1\" bs=1M iflag=direct status=none | cmp - \"$2\""),
      {"SEEK_DATA", true, &read_by_seeking},
      {"readahead", false, &read_ahead},
  };
  return readers;
}

ReadableImage make_image(const std::string& directory, const std::string& name,
                         const std::string& format, uint64_t size, const std::string& elsewhere) {
  ReadableImage image{directory + "/" + name, format, elsewhere + "/" + name + ".raw"};
  UniqueFd fd(::open(image.disk.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(size)) < 0)
    throw std::runtime_error(failed(image.disk));
  // Every fourth mebibyte is a hole.
  constexpr uint64_t kPiece = 1 << 20;
  const uint64_t seed = std::hash<std::string>()(name);
  for (uint64_t at = 0; at < size; at += kPiece) {
    if (at / kPiece % 4 == 2) continue;
    const std::string bytes = pattern_string(seed, at, std::min(kPiece, size - at));
    if (::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(at)) < 0)
      throw std::runtime_error(failed(image.disk));
  }
  const CommandResult made =
      run({"qemu-img", "convert", "-f", "raw", "-O", format, image.disk, image.original});
  if (!made.ok()) throw std::runtime_error(made.describe());
  return image;
}

}  // namespace imgcachefs::test
