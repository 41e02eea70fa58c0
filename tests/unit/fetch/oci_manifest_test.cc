// Manifests and indexes, right and hostile.
#include "fetch/oci_manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace imgcachefs {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kOciManifestType = "application/vnd.oci.image.manifest.v1+json";
const std::string kOciIndexType = "application/vnd.oci.image.index.v1+json";
const std::string kDockerManifestType = "application/vnd.docker.distribution.manifest.v2+json";
const std::string kDockerListType = "application/vnd.docker.distribution.manifest.list.v2+json";
const std::string kTitleKey = "org.opencontainers.image.title";

std::string digest(char digit) {
  return "sha256:" + std::string(64, digit);
}

json descriptor(const std::string& type, char digit, uint64_t size) {
  return {{"mediaType", type}, {"digest", digest(digit)}, {"size", size}};
}

json manifest() {
  return {{"schemaVersion", 2},
          {"mediaType", kOciManifestType},
          {"config", descriptor("application/vnd.oci.image.config.v1+json", 'c', 7023)},
          {"layers", {descriptor("application/vnd.oci.image.layer.v1.tar+gzip", '1', 32654)}}};
}

json index() {
  json amd64 = descriptor(kOciManifestType, 'a', 100), arm64 = descriptor(kOciManifestType, 'b', 9);
  amd64["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
  arm64["platform"] = {{"os", "linux"}, {"architecture", "arm64"}, {"variant", "v8"}};
  return {{"schemaVersion", 2}, {"mediaType", kOciIndexType}, {"manifests", {amd64, arm64}}};
}

json with(json object, const char* pointer, json value) {
  object[json::json_pointer(pointer)] = std::move(value);
  return object;
}
json without(json object, const char* field) {
  object.erase(field);
  return object;
}

auto parse(const json& object, const std::string& content_type = "") {
  return parse_manifest(object.dump(), content_type);
}
OciManifest parsed(const json& object, const std::string& content_type = "") {
  auto got = parse(object, content_type);
  EXPECT_TRUE(got) << got.error().message;
  return std::get<OciManifest>(got.value());
}
std::string refused(const std::string& text, const std::string& content_type = "") {
  auto got = parse_manifest(text, content_type);
  EXPECT_FALSE(got) << text.substr(0, 200);
  if (got) return "";
  EXPECT_EQ(got.error().kind, ErrorKind::kProtocol);
  EXPECT_THAT(got.error().message, Not(HasSubstr("\n")));
  return got.error().message;
}
std::string refused(const json& object, const std::string& content_type = "") {
  return refused(object.dump(), content_type);
}
std::vector<std::string> titles(const json& object) {
  std::vector<std::string> out;
  for (const TaggedImage& image : parsed(object).images()) out.push_back(image.title);
  return out;
}

TEST(OciManifest, OfAnImage) {
  for (const std::string& type : {kOciManifestType, kDockerManifestType}) {
    const OciManifest got = parsed(with(manifest(), "/mediaType", type), type);
    EXPECT_EQ(got.config.digest.tagged(), digest('c'));
    ASSERT_EQ(got.layers.size(), 1u);
    EXPECT_EQ(got.layers[0].digest.tagged(), digest('1'));
    EXPECT_EQ(got.layers[0].size, 32654u);
    EXPECT_EQ(got.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    const auto images = got.images();
    ASSERT_EQ(images.size(), 2u);
    EXPECT_EQ(images[0].title, "config");
    EXPECT_EQ(images[0].id.str(), digest('c'));
    EXPECT_EQ(images[0].size, 7023u);
    EXPECT_EQ(images[1].title, "layer-0.tar.gz");
    EXPECT_EQ(images[1].id.str(), digest('1'));
  }
}

TEST(OciManifest, ItsTypeIsInTheTextOrInTheContentType) {
  const json plain = without(manifest(), "mediaType");
  EXPECT_EQ(parsed(plain, kOciManifestType).layers.size(), 1u);
  EXPECT_EQ(parsed(plain, kDockerManifestType + "; charset=utf-8").layers.size(), 1u);
  EXPECT_EQ(parsed(manifest(), "application/json").layers.size(), 1u);
  EXPECT_EQ(parsed(manifest(), "").layers.size(), 1u);
  EXPECT_THAT(refused(plain), HasSubstr("no media type"));
  EXPECT_THAT(refused(plain, "application/json"), HasSubstr("application/json"));
  EXPECT_THAT(refused(manifest(), kDockerManifestType), HasSubstr("Content-Type"));
  EXPECT_THAT(refused(index(), kOciManifestType), HasSubstr("Content-Type"));
}

TEST(OciManifest, OfAnArtifact) {
  json artifact = manifest();
  artifact["artifactType"] = "application/vnd.example.disk";
  artifact["config"] = descriptor("application/vnd.oci.empty.v1+json", 'e', 2);
  artifact["config"]["data"] = "e30=";
  artifact["layers"] = {descriptor("application/x-qemu-disk", '1', 1 << 30),
                        descriptor("text/plain", '2', 10)};
  artifact["layers"][0]["annotations"] = {{kTitleKey, "debian-12.qcow2"}};
  artifact["subject"] = descriptor(kOciManifestType, 's', 1);
  EXPECT_THAT(titles(artifact), ElementsAre("config", "debian-12.qcow2", "layer-1"));
}

TEST(OciManifest, Titles) {
  json many = manifest();
  many["layers"] = json::array();
  for (const char* type :
       {"application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar.zstd", "application/x-tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "application/x-qemu-disk",
        "application/octet-stream", "", "application/guitar", "tar",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"})
    many["layers"].push_back(descriptor(type, '1', 1));
  EXPECT_THAT(titles(many),
              ElementsAre("config", "layer-0.tar.gz", "layer-1.tar", "layer-2.tar.zst",
                          "layer-3.tar.zst", "layer-4.tar", "layer-5.tar.gz", "layer-6.qcow2",
                          "layer-7", "layer-8", "layer-9", "layer-10", "layer-11"));
  // Any text, and twice the same: what becomes of it is the business of who shows it.
  json two = manifest();
  two["layers"] = {descriptor("a/b", '1', 1), descriptor("a/b", '2', 1), descriptor("a/b", '1', 1)};
  for (json& layer : two["layers"]) layer["annotations"] = {{kTitleKey, "../a/b\n\u00e4"}};
  two["layers"][2]["annotations"][kTitleKey] = "";
  EXPECT_THAT(titles(two), ElementsAre("config", "../a/b\n\u00e4", "../a/b\n\u00e4", "layer-2"));
}

TEST(OciManifest, AForeignLayer) {
  json foreign = manifest();
  foreign["layers"][0]["urls"] = {"https://elsewhere/layer", "http://b"};
  EXPECT_THAT(parsed(foreign).layers[0].urls, ElementsAre("https://elsewhere/layer", "http://b"));
  EXPECT_EQ(titles(foreign).size(), 2u);
}

TEST(OciManifest, ADigestOfSha512) {
  const std::string sha512 = "sha512:" + std::string(128, 'd');
  EXPECT_EQ(parsed(with(manifest(), "/layers/0/digest", sha512)).layers[0].digest.tagged(), sha512);
}

TEST(OciManifest, NoLayersAtAll) {
  EXPECT_THAT(titles(with(manifest(), "/layers", json::array())), ElementsAre("config"));
}

TEST(OciManifest, ManyLayers) {
  const json layer = descriptor("a/b", '1', 1);
  EXPECT_EQ(parsed(with(manifest(), "/layers", std::vector<json>(10'000, layer))).layers.size(),
            10'000u);
  EXPECT_THAT(refused(with(manifest(), "/layers", std::vector<json>(10'001, layer))),
              HasSubstr("more than"));
  std::string longest = manifest().dump();
  longest.resize(kLongestManifest, ' ');
  EXPECT_TRUE(parse_manifest(longest, ""));
  EXPECT_THAT(refused(longest + " "), HasSubstr("longer than"));
}

TEST(OciManifest, Schema1IsRefused) {
  json old = {{"schemaVersion", 1}, {"name", "a"}, {"tag", "b"}, {"fsLayers", json::array()}};
  EXPECT_THAT(refused(old, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
              HasSubstr("schema 1"));
  EXPECT_THAT(refused(old), HasSubstr("schema 1"));
  EXPECT_THAT(refused(without(manifest(), "mediaType"),
                      "application/vnd.docker.distribution.manifest.v1+json"),
              HasSubstr("schema 1"));
}

TEST(OciManifest, OtherTypesAreRefused) {
  for (const char* type : {"application/vnd.oci.artifact.manifest.v1+json", "text/html", "x\ny",
                           "application/vnd.oci.image.config.v1+json"})
    refused(with(manifest(), "/mediaType", type));
  EXPECT_THAT(refused(with(manifest(), "/mediaType", "text/html")), HasSubstr("text/html"));
}

TEST(OciManifest, WhatCanBeReadTwoWaysIsRefused) {
  EXPECT_THAT(refused(with(manifest(), "/manifests", json::array())), HasSubstr("'manifests'"));
  EXPECT_THAT(refused(with(index(), "/layers", json::array())), HasSubstr("'layers'"));
  EXPECT_THAT(refused(with(index(), "/config", json::object())), HasSubstr("'config'"));
  std::string twice = manifest().dump();
  twice.insert(1, "\"layers\":[],");
  EXPECT_THAT(refused(twice), HasSubstr("same key twice"));
}

TEST(OciManifest, WrongOnesAreRefused) {
  for (const char* field : {"schemaVersion", "config", "layers"})
    refused(without(manifest(), field));
  refused(without(index(), "manifests"));
  for (const char* text : {"", "null", "[]", "{}", "{\"schemaVersion\":2", "\xff"})
    refused(std::string(text));
  refused(std::string(1'000'000, '['));
  for (const auto& [pointer, value] : std::vector<std::pair<const char*, json>>{
           {"/schemaVersion", "2"},
           {"/schemaVersion", 3},
           {"/mediaType", 7},
           {"/config", json::array()},
           {"/config/digest", nullptr},
           {"/layers", json::object()},
           {"/layers/0", "text"},
           {"/layers/0/size", -1},
           {"/layers/0/size", 1.5},
           {"/layers/0/size", "12"},
           {"/layers/0/size", nullptr},
           {"/layers/0/size", 9223372036854775808ULL},
           {"/layers/0/digest", ""},
           {"/layers/0/digest", 7},
           {"/layers/0/digest", "md5:" + std::string(32, 'a')},
           {"/layers/0/digest", "sha256:" + std::string(64, 'A')},
           {"/layers/0/digest", digest('1') + "\n"},
           {"/layers/0/digest", "sha256:../../etc/passwd"},
           {"/layers/0/mediaType", 7},
           {"/layers/0/mediaType", "a\nb"},
           {"/layers/0/annotations", "text"},
           {"/layers/0/annotations", {{kTitleKey, 7}}},
           {"/layers/0/urls", "http://a"},
           {"/layers/0/urls", {7}}})
    EXPECT_THAT(refused(with(manifest(), pointer, value)), HasSubstr("manifest"))
        << pointer << value;
  EXPECT_THAT(refused(with(manifest(), "/layers/0/size", -1)), HasSubstr("layers[0]"));
}

TEST(OciIndex, TheManifestOfAPlatform) {
  for (const std::string& type : {kOciIndexType, kDockerListType}) {
    auto got = parse(with(index(), "/mediaType", type), type);
    ASSERT_TRUE(got) << got.error().message;
    const auto& found = std::get<OciIndex>(*got);
    EXPECT_EQ(found.choose({"linux", "amd64", ""})->digest.tagged(), digest('a'));
    EXPECT_EQ(found.choose({"linux", "arm64", ""})->digest.tagged(), digest('b'));
    auto none = found.choose({"linux", "s390x", ""});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
    EXPECT_THAT(none.error().message, HasSubstr("linux/arm64/v8"));
  }
}

TEST(OciIndex, WrongOnesAreRefused) {
  refused(with(index(), "/manifests/0/platform", "linux"));
  refused(with(index(), "/manifests/0/platform/os", 7));
  refused(with(index(), "/manifests/0/digest", "latest"));
  EXPECT_FALSE(std::get<OciIndex>(*parse(with(index(), "/manifests", json::array())))
                   .choose({"linux", "amd64", ""}));
}

TEST(OciManifest, AllFourTypesAreAskedFor) {
  for (const std::string& type :
       {kOciManifestType, kOciIndexType, kDockerManifestType, kDockerListType})
    EXPECT_THAT(manifest_media_types(), HasSubstr(type));
  const std::string types = manifest_media_types();
  EXPECT_EQ(std::count(types.begin(), types.end(), ','), 3);
}

}  // namespace
}  // namespace imgcachefs
