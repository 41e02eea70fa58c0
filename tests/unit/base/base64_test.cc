#include "base/base64.h"

#include <gtest/gtest.h>

#include <random>

namespace imgcachefs {
namespace {

TEST(Base64, TheCasesOfTheRfc) {
  const std::pair<std::string, std::string> kCases[] = {{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : kCases) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
    EXPECT_EQ(base64_decode(text.substr(0, text.find('='))), bytes) << text;
  }
}

TEST(Base64, AnyBytesComeBack) {
  std::mt19937 random(1);
  for (size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
}

TEST(Base64, WhatIsNone) {
  for (const char* text : {"Z", "Zg===", "Z===", "====", "=", "Zh==", " Zg==", "Zg==\n",
                           "Zg==Zg==", "Z=g=", "Zm9-", "Zm9_", "Zm9v Zm9v", "\xc3\xa4Zm"})
    EXPECT_FALSE(base64_decode(text)) << text;
  EXPECT_FALSE(base64_decode(std::string("Zm\0v", 4)));
}

}  // namespace
}  // namespace imgcachefs
