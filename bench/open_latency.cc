// How long open, a read of 4 KiB and close take, again and again.
// usage: open_latency SECONDS THREADS PATH...   (thread i has the i-th path, round and round)
// Prints {"p50_us", "p99_us", "per_second"} of all threads together.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// Nanoseconds of each round, until `end`.
std::vector<uint32_t> open_again_and_again(const std::string& path, Clock::time_point end) {
  std::vector<uint32_t> times;
  times.reserve(1 << 22);
  char block[4096];
  for (auto start = Clock::now(); start < end;) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ::pread(fd, block, sizeof block, 0) < 0) {
      std::perror(path.c_str());
      std::exit(1);
    }
    ::close(fd);
    const auto now = Clock::now();
    times.push_back(static_cast<uint32_t>(std::chrono::nanoseconds(now - start).count()));
    start = now;
  }
  return times;
}

double percentile_us(const std::vector<uint32_t>& ordered, double part) {
  const auto index = static_cast<size_t>(part * static_cast<double>(ordered.size()));
  return ordered[std::min(index, ordered.size() - 1)] / 1000.0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: open_latency SECONDS THREADS PATH...\n");
    return 2;
  }
  const double seconds = std::atof(argv[1]);
  const auto count = static_cast<size_t>(std::atoi(argv[2]));
  const std::vector<std::string> paths(argv + 3, argv + argc);

  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(seconds));
  std::vector<std::vector<uint32_t>> times(count);
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < count; ++i) {
      threads.emplace_back(
          [&, i] { times[i] = open_again_and_again(paths[i % paths.size()], end); });
    }
  }
  std::vector<uint32_t> all;
  for (const auto& of_thread : times) all.insert(all.end(), of_thread.begin(), of_thread.end());
  if (all.empty()) return 1;
  std::sort(all.begin(), all.end());
  std::printf("{\"p50_us\": %.3f, \"p99_us\": %.3f, \"per_second\": %.0f}\n",
              percentile_us(all, 0.5), percentile_us(all, 0.99),
              static_cast<double>(all.size()) / seconds);
}
