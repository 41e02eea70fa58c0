#include "fetch/host_lookup.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <atomic>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

HostLookup::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

HostLookup::Addresses one_address() {
  return std::vector<SocketAddress>(1);
}

TEST(HostLookupTest, AnAddressIsItsOwnAnswer) {
  HostLookup lookup("127.0.0.1", 6379, [](const std::string&, uint16_t) -> HostLookup::Addresses {
    ADD_FAILURE() << "nobody needs to be asked";
    return one_address();
  });
  auto found = lookup.addresses(in(0ms));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  const auto* address = reinterpret_cast<const sockaddr_in*>(&found->front().storage);
  EXPECT_EQ(address->sin_family, AF_INET);
  EXPECT_EQ(ntohs(address->sin_port), 6379);
  EXPECT_TRUE(HostLookup("::1", 1).addresses(in(0ms)));
}

TEST(HostLookupTest, ANameIsAskedFor) {
  auto found = HostLookup("localhost", 6379).addresses(in(60s));
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->empty());
}

TEST(HostLookupTest, NobodyWaitsLongerThanTheyCanAndTheAnswerIsForWhoComesNext) {
  std::promise<void> answer;
  std::shared_future<void> answered = answer.get_future().share();
  std::atomic<int> asked = 0;
  HostLookup lookup("silent", 1, [&](const std::string&, uint16_t) {
    ++asked;
    answered.wait();
    return one_address();
  });
  for (int i = 0; i < 3; ++i) {
    auto none = lookup.addresses(in(1ms));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().kind, ErrorKind::kTimeout);
  }
  answer.set_value();
  EXPECT_TRUE(lookup.addresses(in(60s)));
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(lookup.addresses(in(60s)));
  EXPECT_EQ(asked, 2) << "addresses change";
}

TEST(HostLookupTest, ANameThatIsNoneIsNoAddress) {
  HostLookup lookup("nowhere", 1, [](const std::string&, uint16_t) -> HostLookup::Addresses {
    return fail(ErrorKind::kUnavailable, "no such name");
  });
  auto none = lookup.addresses(in(60s));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace imgcachefs
