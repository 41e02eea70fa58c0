#include "fetch/service_catalogue.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace imgcachefs {
namespace {

using nlohmann::json;

// Two regions; the second one is known by another ID than its name.
json two_regions() {
  return json::parse(R"({"catalog": [
    {"type": "identity", "name": "keystone", "endpoints": [
      {"interface": "public", "region": "One", "region_id": "One", "url": "http://k1/v3/"}]},
    {"type": "image", "name": "glance", "endpoints": [
      {"interface": "internal", "region": "One", "region_id": "One", "url": "http://i1:9292"},
      {"interface": "public", "region": "One", "region_id": "One", "url": "http://p1:9292/v2/"},
      {"interface": "public", "region": "Two", "region_id": "2", "url": "https://p2/image/"},
      {"interface": "admin", "region": "Two", "region_id": "2", "url": "http://a2:9292/image/v2"}]}]})");
}

std::string find(const json& token, const std::string& region, const std::string& interface) {
  auto url = ServiceCatalogue::of(token).image_service(region, interface);
  if (url) return *url;
  EXPECT_EQ(url.error().kind, ErrorKind::kUnavailable);
  return "error: " + url.error().message;
}

TEST(ServiceCatalogue, ByRegionAndInterface) {
  EXPECT_EQ(find(two_regions(), "", "public"), "http://p1:9292");
  EXPECT_EQ(find(two_regions(), "One", "public"), "http://p1:9292");
  EXPECT_EQ(find(two_regions(), "One", "internal"), "http://i1:9292");
  EXPECT_EQ(find(two_regions(), "Two", "public"), "https://p2/image");
  EXPECT_EQ(find(two_regions(), "2", "public"), "https://p2/image");
  EXPECT_EQ(find(two_regions(), "", "admin"), "http://a2:9292/image");
}

TEST(ServiceCatalogue, WhatThereIsIsSaidWhenItIsNotThere) {
  for (const auto& [region, interface] :
       {std::pair("One", "admin"), std::pair("two", "public"), std::pair("Three", "public")}) {
    const std::string message = find(two_regions(), region, interface);
    EXPECT_NE(message.find(region), std::string::npos) << message;
    EXPECT_NE(message.find("it has: internal in One, public in One, public in Two, admin in Two"),
              std::string::npos)
        << message;
  }
}

TEST(ServiceCatalogue, NoneAtAll) {
  for (
      const char* token :
      {"{}", R"({"catalog": null})", R"({"catalog": {}})", R"({"catalog": []})",
       R"({"catalog": [null, 1, "image", [], {}]})", R"({"catalog": [{"type": "image"}]})",
       R"({"catalog": [{"type": ["image"]}]})",
       R"({"catalog": [{"type": "image", "endpoints": []}]})",
       R"({"catalog": [{"type": "image", "endpoints": {"interface": "public", "url": "http://x"}}]})",
       R"({"catalog": [{"type": "image", "endpoints": [{"interface": "public", "url": 7}]}]})",
       R"({"catalog": [{"type": "image", "endpoints": [null, [], {"url": "http://x"}]}]})", "[]",
       "null", "7"})
    EXPECT_NE(find(json::parse(token), "", "public").find("no image service"), std::string::npos)
        << token;
}

TEST(ServiceCatalogue, UrlsThatAreNone) {
  for (const char* url : {"glance:9292", "file:///etc/passwd", "http://", "http://a:b@glance/",
                          "http://glance/?x=1"}) {
    json token = two_regions();
    token["catalog"][1]["endpoints"][1]["url"] = url;
    EXPECT_NE(find(token, "", "public").find("cannot be used"), std::string::npos) << url;
  }
}

TEST(ServiceCatalogue, AHugeOneMakesAShortLine) {
  json token = two_regions();
  for (int i = 0; i < 10'000; ++i)
    token["catalog"][1]["endpoints"].push_back({{"interface", "x\n" + std::to_string(i)},
                                                {"region", std::string(1000, 'r')},
                                                {"url", "http://x"}});
  const std::string message = find(token, "Three", "public");
  EXPECT_LT(message.size(), 4000u);
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(ServiceCatalogue, Interfaces) {
  EXPECT_EQ(normal_interface(""), "public");
  EXPECT_EQ(normal_interface("publicURL"), "public");
  EXPECT_EQ(normal_interface("internalURL"), "internal");
  EXPECT_EQ(normal_interface("admin"), "admin");
}

}  // namespace
}  // namespace imgcachefs
