#include "fs/listen_address.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(ListenAddress, IsAnAddressOrANameAndAPort) {
  for (const auto& [text, host] : {std::pair{"127.0.0.1:9109", "127.0.0.1"},
                                   {"[::1]:9109", "::1"},
                                   {"[::]:9109", "::"},
                                   {"0.0.0.0:9109", "0.0.0.0"},
                                   {"localhost:9109", "localhost"}}) {
    auto address = ListenAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->host, host);
    EXPECT_EQ(address->port, 9109);
    EXPECT_EQ(address->str(), text);
  }
  EXPECT_EQ(ListenAddress::parse("127.0.0.1:0")->port, 0);
}

TEST(ListenAddress, IsRefusedWhereItIsNone) {
  for (const char* text :
       {"", ":", "9109", ":9109", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1",
        "127.0.0.1:65536", "127.0.0.1:9109x", "::1:9109", "[::1]", "[::1]9109", "[]:9109",
        "[host]:9109", "a b:9109", "a,b:9109", "http://localhost:9109", "u@h:9109"}) {
    auto address = ListenAddress::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_NE(address.error().message.find("ADDR:PORT"), std::string::npos) << text;
  }
}

TEST(ListenAddress, IsListenedOnByItsNumber) {
  for (const auto& [text, number] :
       {std::pair{"127.0.0.1:0", "127.0.0.1:"}, {"[::1]:0", "[::1]:"}}) {
    const auto listening = ListenAddress::parse(text)->listen();
    ASSERT_TRUE(listening) << text << ": " << listening.error().message;
    EXPECT_TRUE(listening->address.starts_with(number)) << listening->address;
    EXPECT_FALSE(listening->address.ends_with(":0"));
    // Somebody has it now.
    const auto again = ListenAddress::parse(listening->address)->listen();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message, "Address already in use");
  }
  EXPECT_TRUE(ListenAddress::parse("localhost:0")->listen());
  EXPECT_FALSE(ListenAddress::parse("no-such-host.invalid:1")->listen());
  EXPECT_FALSE(ListenAddress::parse("192.0.2.1:0")->listen());  // not an address of ours
}

}  // namespace
}  // namespace imgcachefs
