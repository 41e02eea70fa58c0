// Many readers at once. usage: crowd READERS PATH...   (reader i has the i-th path, round and
// round) Each opens its file when all have started, and reads it to its end. Prints {"seconds",
// "bytes"}.
#include <fcntl.h>
#include <unistd.h>

#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

// Small enough to stay in the processor's cache: it is the file system that is measured.
constexpr size_t kBlock = 256 << 10;

uint64_t read_to_end(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::vector<char> block(kBlock);
  uint64_t total = 0;
  ssize_t got = -1;
  while (fd >= 0 && (got = ::read(fd, block.data(), block.size())) > 0) {
    total += static_cast<uint64_t>(got);
  }
  if (got < 0) {
    std::perror(path.c_str());
    std::exit(1);
  }
  ::close(fd);
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: crowd READERS PATH...\n");
    return 2;
  }
  const int readers = std::atoi(argv[1]);
  const std::vector<std::string> paths(argv + 2, argv + argc);

  std::chrono::steady_clock::time_point began;
  std::barrier start(readers, [&]() noexcept { began = std::chrono::steady_clock::now(); });
  std::vector<uint64_t> bytes(static_cast<size_t>(readers));
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < bytes.size(); ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      bytes[i] = read_to_end(paths[i % paths.size()]);
    });
  }
  threads.clear();  // joins
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  uint64_t total = 0;
  for (const uint64_t of_reader : bytes) total += of_reader;
  std::printf("{\"seconds\": %.6f, \"bytes\": %llu}\n", took.count(),
              static_cast<unsigned long long>(total));
}
