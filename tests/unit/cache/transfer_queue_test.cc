#include "cache/transfer_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <vector>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
constexpr auto kPatience = 20s;

bool done(const std::future<void>& future) {
  return future.wait_for(kPatience) == std::future_status::ready;
}

// One that no other job is for.
const void* image() {
  static std::atomic<uintptr_t> last{0};
  return reinterpret_cast<const void*>(++last);
}

// A job that runs until it is let go.
struct Blocker {
  void operator()(std::stop_token) {
    started->set_value();
    go->get_future().wait();
  }
  std::shared_ptr<std::promise<void>> started = std::make_shared<std::promise<void>>();
  std::shared_ptr<std::promise<void>> go = std::make_shared<std::promise<void>>();
};

TEST(TransferQueueTest, DemandGoesBeforeBackground) {
  TransferQueue queue(1);
  Blocker blocker;
  queue.submit(Priority::kBackground, image(), blocker);
  ASSERT_TRUE(done(blocker.started->get_future()));
  std::vector<int> order;
  std::latch all(4);
  auto job = [&](int number) {
    return [&, number](std::stop_token) {
      order.push_back(number);
      all.count_down();
    };
  };
  queue.submit(Priority::kBackground, image(), job(3));
  queue.submit(Priority::kBackground, image(), job(4));
  queue.submit(Priority::kDemand, image(), job(1));
  queue.submit(Priority::kDemand, image(), job(2));
  blocker.go->set_value();
  all.wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

TEST(TransferQueueTest, OneThreadIsAlwaysKeptForDemand) {
  TransferQueue queue(3);
  std::vector<Blocker> background(3);
  for (Blocker& blocker : background) queue.submit(Priority::kBackground, image(), blocker);
  ASSERT_TRUE(done(background[0].started->get_future()));
  ASSERT_TRUE(done(background[1].started->get_future()));
  auto third = background[2].started->get_future();
  std::promise<void> demand;
  queue.submit(Priority::kDemand, image(), [&](std::stop_token) { demand.set_value(); });
  EXPECT_TRUE(done(demand.get_future()));
  EXPECT_EQ(third.wait_for(100ms), std::future_status::timeout);
  background[0].go->set_value();
  EXPECT_TRUE(done(third)) << "the one passed over runs when there is a place";
  background[1].go->set_value();
  background[2].go->set_value();
}

TEST(TransferQueueTest, NoImageTakesMoreThanThreeQuarters) {
  TransferQueue queue(4);
  const void *silent = image(), *other = image();
  std::vector<Blocker> waiting(6);
  for (Blocker& blocker : waiting) queue.submit(Priority::kDemand, silent, blocker);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(done(waiting[i].started->get_future()));
  auto fourth = waiting[3].started->get_future();
  std::promise<void> demand, background;
  queue.submit(Priority::kDemand, other, [&](std::stop_token) { demand.set_value(); });
  queue.submit(Priority::kBackground, other, [&](std::stop_token) { background.set_value(); });
  EXPECT_TRUE(done(demand.get_future()));
  EXPECT_TRUE(done(background.get_future()));
  EXPECT_EQ(fourth.wait_for(100ms), std::future_status::timeout);
  waiting[0].go->set_value();
  EXPECT_TRUE(done(fourth));
  for (int i = 1; i < 6; ++i) waiting[i].go->set_value();
}

TEST(TransferQueueTest, EveryJobRunsOnceWhateverTheEnd) {
  std::atomic<int> ran{0}, stopped{0};
  {
    TransferQueue queue(2);
    Blocker blocker;
    queue.submit(Priority::kBackground, image(), blocker);
    ASSERT_TRUE(done(blocker.started->get_future()));
    for (int i = 0; i < 20; ++i)
      queue.submit(i % 2 ? Priority::kDemand : Priority::kBackground, image(),
                   [&](std::stop_token stop) {
                     ++ran;
                     if (stop.stop_requested()) ++stopped;
                   });
    std::promise<void> stopping;
    queue.submit(Priority::kDemand, image(), [&](std::stop_token stop) {
      std::stop_callback on_stop(stop, [&] { stopping.set_value(); });
      stopping.get_future().wait();
      ++ran;
    });
    queue.stop();
    blocker.go->set_value();
    queue.close();
    EXPECT_EQ(ran, 21);
    EXPECT_GE(stopped, 9) << "the background jobs had no thread before the stop";
    queue.submit(Priority::kDemand, image(), [&](std::stop_token stop) {
      ++ran;
      EXPECT_TRUE(stop.stop_requested());
    });
    EXPECT_EQ(ran, 22) << "after the end a job runs where it is submitted";
  }
  EXPECT_EQ(ran, 22);
}

TEST(TransferQueueTest, AJobsCapturesGoWithIt) {
  TransferQueue queue(2);
  auto held = std::make_shared<int>(1);
  std::weak_ptr<int> watch = held;
  std::promise<void> ran;
  queue.submit(Priority::kDemand, image(), [held, &ran](std::stop_token) { ran.set_value(); });
  held.reset();
  ASSERT_TRUE(done(ran.get_future()));
  queue.close();
  EXPECT_TRUE(watch.expired());
}

}  // namespace
}  // namespace imgcachefs
