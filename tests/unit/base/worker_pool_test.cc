#include "base/worker_pool.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <future>
#include <latch>

#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

TEST(WorkerPool, OneThreadKeepsTheOrder) {
  std::vector<int> seen;
  {
    WorkerPool pool("test", 1);
    for (int i = 0; i < 100; ++i) pool.submit([&seen, i] { seen.push_back(i); });
  }
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(WorkerPool, ThreadsWorkAtOnce) {
  std::latch all(4);  // nobody passes before all four are there
  std::atomic<int> passed{0};
  std::array<std::promise<void>, 4> done;
  WorkerPool pool("test", 4);
  for (auto& promise : done)
    pool.submit([&] {
      all.arrive_and_wait();
      ++passed;
      promise.set_value();
    });
  for (auto& promise : done) promise.get_future().wait();
  EXPECT_EQ(passed, 4);
}

TEST(WorkerPool, RunsWhatIsQueuedBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    WorkerPool pool("test", 2);
    for (int i = 0; i < 50; ++i)
      pool.submit([&] {
        if (++ran == 1) pool.submit([&] { ++ran; });  // a job of a job, too
      });
  }
  EXPECT_EQ(ran, 51);
}

TEST(WorkerPool, ThreadsHaveTheirName) {
  std::string seen;
  {
    std::promise<void> named;  // the name is given just after the start
    WorkerPool pool("imgcache-test", 1);
    pool.submit([&] {
      named.get_future().wait();
      char name[16] = {};
      pthread_getname_np(pthread_self(), name, sizeof name);
      seen = name;
    });
    named.set_value();
  }
  EXPECT_EQ(seen, "imgcache-test");
}

TEST(WorkerPool, WhatAJobHeldIsLetGoWithIt) {
  auto held = std::make_shared<int>(1);
  std::weak_ptr<int> watched = held;
  std::promise<bool> gone;  // outlives the pool, whose job uses it
  WorkerPool pool("test", 1);
  pool.submit([held = std::move(held)] {});
  pool.submit([&] { gone.set_value(watched.expired()); });
  EXPECT_TRUE(gone.get_future().get());
}

}  // namespace
}  // namespace imgcachefs
