// Sixteen threads that do the same at the same time.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace imgcachefs::test {

template <typename Each>
void crowd(Each each) {
  std::vector<std::thread> threads;
  std::atomic<int> ready{0};
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] {
      ++ready;
      while (ready < 16) std::this_thread::yield();
      each();
    });
  for (auto& thread : threads) thread.join();
}

}  // namespace imgcachefs::test
