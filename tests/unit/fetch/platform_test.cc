// Which image is for which machine.
#include "fetch/platform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Platform platform(const std::string& text) {
  auto parsed = Platform::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : Platform{};
}

// As an index has it: "" says nothing, other names are taken as they are.
std::optional<Platform> offer(const std::string& text) {
  if (text.empty()) return std::nullopt;
  Platform out;
  const size_t first = text.find('/'), second = text.find('/', first + 1);
  out.os = text.substr(0, first);
  out.architecture = text.substr(first + 1, second - first - 1);
  if (second != std::string::npos) out.variant = text.substr(second + 1);
  return out;
}

// The offer that is chosen, or the error.
std::string chosen(const std::string& wanted, const std::vector<std::string>& texts) {
  std::vector<std::optional<Platform>> offered;
  for (const std::string& text : texts) offered.push_back(offer(text));
  auto index = choose_platform(platform(wanted), offered);
  if (index) return texts[*index];
  EXPECT_EQ(index.error().kind, ErrorKind::kNotFound);
  return "none: " + index.error().message;
}

TEST(Platform, IsWritten) {
  EXPECT_EQ(platform("linux/amd64"), (Platform{"linux", "amd64", ""}));
  EXPECT_EQ(platform("linux/arm/v6"), (Platform{"linux", "arm", "v6"}));
  EXPECT_EQ(platform("Linux/AMD64"), (Platform{"linux", "amd64", ""}));
  EXPECT_EQ(platform("linux/x86_64"), (Platform{"linux", "amd64", ""}));
  EXPECT_EQ(platform("linux/aarch64"), (Platform{"linux", "arm64", "v8"}));
  EXPECT_EQ(platform("linux/armhf/v6"), (Platform{"linux", "arm", "v6"}));
  EXPECT_EQ(platform("linux/arm/v6").str(), "linux/arm/v6");
  EXPECT_EQ(platform("linux/amd64").str(), "linux/amd64");
}

TEST(Platform, WhatIsNoneIsNamed) {
  for (const char* bad : {"", "/", "linux", "linux/", "/amd64", "linux//v8", "linux/amd64/",
                          "linux/arm/v7/x", "linux/am d64", "linux,amd64"}) {
    auto parsed = Platform::parse(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(parsed.error().message, HasSubstr("'" + std::string(bad) + "'"));
  }
}

TEST(Platform, OfMachines) {
  EXPECT_EQ(Platform::of_machine("Linux", "x86_64").str(), "linux/amd64");
  EXPECT_EQ(Platform::of_machine("Linux", "aarch64").str(), "linux/arm64/v8");
  EXPECT_EQ(Platform::of_machine("Linux", "armv7l").str(), "linux/arm/v7");
  EXPECT_EQ(Platform::of_machine("Linux", "armv6l").str(), "linux/arm/v6");
  EXPECT_EQ(Platform::of_machine("Linux", "i686").str(), "linux/386");
  EXPECT_EQ(Platform::of_machine("Linux", "ppc64le").str(), "linux/ppc64le");
  EXPECT_EQ(Platform::of_machine("Linux", "s390x").str(), "linux/s390x");
  EXPECT_EQ(Platform::of_machine("Linux", "riscv64").str(), "linux/riscv64");
  EXPECT_EQ(Platform::of_this_machine().os, "linux");
  EXPECT_NE(Platform::of_this_machine().architecture, "");
}

TEST(PlatformChoice, TheSameVariantIsFirstThenNone) {
  EXPECT_EQ(chosen("linux/arm/v7", {"linux/arm", "linux/arm/v6", "linux/arm/v7"}), "linux/arm/v7");
  EXPECT_EQ(chosen("linux/arm/v7", {"linux/arm/v6", "linux/arm"}), "linux/arm");
  EXPECT_EQ(chosen("linux/arm/v6", {"linux/arm", "linux/arm/v6", "linux/arm/v7"}), "linux/arm/v6");
  EXPECT_EQ(chosen("linux/arm/v5", {"linux/arm/v6", "linux/arm"}), "linux/arm");
  EXPECT_EQ(chosen("linux/amd64/v3", {"linux/amd64/v2", "linux/amd64"}), "linux/amd64");
  EXPECT_EQ(chosen("linux/amd64", {"linux/arm64", "linux/amd64/v2", "linux/amd64"}), "linux/amd64");
  EXPECT_EQ(chosen("linux/amd64", {"windows/amd64", "linux/amd64/v1"}), "linux/amd64/v1");
  EXPECT_EQ(chosen("linux/amd64", {"linux/amd64", "linux/amd64"}), "linux/amd64");
}

TEST(PlatformChoice, Arm64WithoutAVariantIsV8) {
  EXPECT_EQ(chosen("linux/aarch64", {"linux/amd64", "linux/arm64"}), "linux/arm64");
  EXPECT_EQ(chosen("linux/arm64", {"linux/arm64/v9", "linux/arm64/v8"}), "linux/arm64/v8");
  EXPECT_EQ(chosen("linux/arm64", {"linux/arm64/8"}), "linux/arm64/8");
  EXPECT_EQ(chosen("linux/arm", {"linux/arm/v6", "linux/arm/v7"}), "linux/arm/v7");
}

TEST(PlatformChoice, NoneThatFitsNamesWhatThereIs) {
  const std::string none = chosen("linux/amd64", {"linux/arm64/v8", "windows/amd64", "x/unknown"});
  EXPECT_THAT(none, HasSubstr("none: nothing for linux/amd64"));
  EXPECT_THAT(none, HasSubstr("linux/arm64/v8, windows/amd64"));
  EXPECT_THAT(none, Not(HasSubstr("unknown")));
  EXPECT_THAT(chosen("linux/amd64", {"linux/amd64/v3"}), HasSubstr("linux/amd64/v3"));
  EXPECT_THAT(chosen("linux/amd64", {}), HasSubstr("there is nothing"));
  EXPECT_THAT(chosen("linux/amd64", {"", ""}), HasSubstr("does not say"));
  EXPECT_THAT(chosen("linux/amd64", {"li\nnux/a"}), Not(HasSubstr("\n")));
  EXPECT_THAT(chosen("linux/amd64", std::vector<std::string>(9999, "linux/s390x")),
              HasSubstr(", ..."));
}

TEST(PlatformChoice, TheOnlyOneThatSaysNothingIsForAll) {
  EXPECT_EQ(chosen("linux/amd64", {""}), "");
  EXPECT_EQ(chosen("linux/amd64", {"", "unknown/unknown"}), "");
  EXPECT_EQ(chosen("linux/amd64", {"", "linux/amd64"}), "linux/amd64");
  EXPECT_THAT(chosen("linux/amd64", {"", "linux/arm64"}), HasSubstr("none"));
}

TEST(PlatformChoice, AnAttestationIsNoImage) {
  EXPECT_THAT(chosen("linux/amd64", {"unknown/unknown"}), HasSubstr("none"));
  auto wanted = platform("linux/amd64");
  wanted.os = wanted.architecture = "unknown";
  EXPECT_FALSE(choose_platform(wanted, {offer("unknown/unknown")}));
}

}  // namespace
}  // namespace imgcachefs
