#include "fetch/oci_manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "fetch/json_object.h"
#include "fetch/oci_names.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

constexpr size_t kMostDescriptors = 10'000;
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kDockerList =
    "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::array kManifestTypes = {kOciIndex, kOciManifest, kDockerList, kDockerManifest};
constexpr std::string_view kSchema1 = "application/vnd.docker.distribution.manifest.v1+";
constexpr const char* kTitle = "org.opencontainers.image.title";

bool is_manifest_type(std::string_view type) {
  return std::find(kManifestTypes.begin(), kManifestTypes.end(), type) != kManifestTypes.end();
}

// A media type as it can stand in a message (RFC 6838 section 4.2).
bool is_media_type(std::string_view text) {
  return text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("!#$&-^_.+/").find(c) != std::string_view::npos;
         });
}

// Without its parameters, in lower case.
std::string plain_type(std::string_view content_type) {
  std::string type(trimmed(content_type.substr(0, content_type.find(';'))));
  for (char& c : type)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return type;
}

tl::unexpected<Error> wrong_manifest(std::string_view why) {
  return fail(ErrorKind::kProtocol, fmt::format("not a usable manifest: {}", why));
}

Result<Platform> platform_of(const json& object) {
  JsonFields fields(object);
  Platform platform{fields.text("os"), fields.text("architecture"), fields.text("variant")};
  if (!fields.wrong().empty()) return wrong_manifest("a platform whose names are no text");
  return platform;
}

// `what`: its place, for errors.
Result<OciDescriptor> descriptor_of(const json& value, std::string_view what) {
  auto wrong = [&](std::string_view why) {
    return wrong_manifest(fmt::format("{}: {}", what, why));
  };
  if (!value.is_object()) return wrong("no object");
  JsonFields fields(value);
  auto digest = parse_blob_digest(fields.text("digest"));
  if (!digest) return wrong(digest.error().message);
  const auto size = fields.number("size");
  if (!size) return wrong("its size is no number of bytes");
  OciDescriptor out{.media_type = fields.text("mediaType"), .digest = *digest, .size = *size};
  if (!is_media_type(out.media_type)) fields.wrong("mediaType");
  if (const json* annotations = fields.object("annotations")) {
    JsonFields texts(*annotations);
    out.title = texts.text(kTitle);
    if (!texts.wrong().empty()) fields.wrong("annotations");
  }
  if (const json* urls = fields.array("urls"))
    for (const json& url : *urls) {
      if (url.is_string())
        out.urls.push_back(url.get<std::string>());
      else
        fields.wrong("urls");
    }
  if (const json* object = fields.object("platform")) {
    auto platform = platform_of(*object);
    if (!platform) return fail(platform.error());
    out.platform = std::move(*platform);
  }
  if (!fields.wrong().empty()) return wrong(fmt::format("its '{}' is wrong", fields.wrong()));
  return out;
}

Result<std::vector<OciDescriptor>> descriptors_of(const json& array, std::string_view name) {
  if (array.size() > kMostDescriptors)
    return wrong_manifest(fmt::format("more than {} {}", kMostDescriptors, name));
  std::vector<OciDescriptor> out;
  for (const json& value : array) {
    auto one = descriptor_of(value, fmt::format("{}[{}]", name, out.size()));
    if (!one) return fail(one.error());
    out.push_back(std::move(*one));
  }
  return out;
}

// Of a media type like application/vnd.oci.image.layer.v1.tar+gzip.
std::string_view extension_of(std::string_view media_type) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kEnds = {{
      {"tar", ".tar"},
      {"tar.gzip", ".tar.gz"},
      {"tar+gzip", ".tar.gz"},
      {"tar.zstd", ".tar.zst"},
      {"tar+zstd", ".tar.zst"},
      {"x-qemu-disk", ".qcow2"},
      {"x-qcow2", ".qcow2"},
  }};
  for (const auto& [end, extension] : kEnds) {
    if (!media_type.ends_with(end) || media_type.size() == end.size()) continue;
    const char before = media_type[media_type.size() - end.size() - 1];
    if (before == '.' || before == '/' || before == '-') return extension;
  }
  return "";
}

}  // namespace

std::string manifest_media_types() {
  return fmt::format("{}", fmt::join(kManifestTypes, ", "));
}

std::vector<TaggedImage> OciManifest::images() const {
  std::vector<TaggedImage> out{{"config", id_of_blob(config.digest), config.size}};
  for (size_t i = 0; i < layers.size(); ++i) {
    const OciDescriptor& layer = layers[i];
    std::string title = layer.title;
    if (title.empty()) title = fmt::format("layer-{}{}", i, extension_of(layer.media_type));
    out.push_back({std::move(title), id_of_blob(layer.digest), layer.size});
  }
  return out;
}

Result<OciDescriptor> OciIndex::choose(const Platform& platform) const {
  std::vector<std::optional<Platform>> offered;
  for (const OciDescriptor& manifest : manifests) offered.push_back(manifest.platform);
  auto chosen = choose_platform(platform, offered);
  if (!chosen) return fail(chosen.error());
  return manifests[*chosen];
}

Result<std::variant<OciManifest, OciIndex>> parse_manifest(std::string_view text,
                                                           std::string_view content_type) {
  if (text.size() > kLongestManifest)
    return wrong_manifest(fmt::format("longer than {} bytes", kLongestManifest));
  auto object = parse_json_object(text);
  if (!object) return wrong_manifest(object.error().message);
  JsonFields fields(*object);
  const std::string sent_type = plain_type(content_type), own_type = fields.text("mediaType");
  const std::string& type = own_type.empty() ? sent_type : own_type;
  const auto version = fields.number("schemaVersion");
  if (version == 1u || type.starts_with(kSchema1))
    return wrong_manifest("it has schema 1, which is not supported: push the image anew");
  if (version != 2u) return wrong_manifest("its schemaVersion is not 2");
  if (!is_manifest_type(type))
    return wrong_manifest(is_media_type(type) && !type.empty()
                              ? fmt::format("its media type is '{}'", type)
                              : "it has no media type");
  if (is_manifest_type(sent_type) && sent_type != type)
    return wrong_manifest(fmt::format("it says '{}', and its Content-Type '{}'", type, sent_type));

  // What could be read both ways would be one thing to one reader and another to the next.
  const bool is_index = type == kOciIndex || type == kDockerList;
  for (const char* foreign : {"manifests", "layers", "config"})
    if ((std::string_view(foreign) == "manifests") != is_index && fields.has(foreign))
      return wrong_manifest(fmt::format("'{}' in one of the type '{}'", foreign, type));
  const char* name = is_index ? "manifests" : "layers";
  const json* array = fields.array(name);
  if (array == nullptr) return wrong_manifest(fmt::format("it has no '{}'", name));
  auto listed = descriptors_of(*array, name);
  if (!listed) return fail(listed.error());
  if (is_index) return OciIndex{std::move(*listed)};

  const json* config = fields.object("config");
  if (config == nullptr) return wrong_manifest("it has no 'config'");
  auto of_config = descriptor_of(*config, "config");
  if (!of_config) return fail(of_config.error());
  return OciManifest{std::move(*of_config), std::move(*listed)};
}

}  // namespace imgcachefs
