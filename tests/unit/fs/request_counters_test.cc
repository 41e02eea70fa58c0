#include "fs/request_counters.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

uint64_t count_of(const RequestCounters& counters, Operation operation) {
  uint64_t all = 0;
  for (const OperationTimes& each : counters.figures().operations)
    if (each.operation == to_string(operation))
      for (const uint64_t count : each.times.counts) all += count;
  return all;
}

TEST(RequestCounters, CountARequestOnceWhenItsTimerGoes) {
  RequestCounters counters;
  {
    RequestTimer timer = counters.begin(Operation::kRead);
    EXPECT_EQ(count_of(counters, Operation::kRead), 0u);
    const RequestTimer parked = std::move(timer);  // who waits takes it along
    EXPECT_EQ(count_of(counters, Operation::kRead), 0u);
  }
  EXPECT_EQ(count_of(counters, Operation::kRead), 1u);
  EXPECT_EQ(count_of(counters, Operation::kOpen), 0u);
}

TEST(RequestCounters, NameEveryOperation) {
  EXPECT_EQ(RequestCounters().figures().operations.size(), kOperations);
  for (const OperationTimes& each : RequestCounters().figures().operations)
    EXPECT_FALSE(each.operation.empty());
}

}  // namespace
}  // namespace imgcachefs
