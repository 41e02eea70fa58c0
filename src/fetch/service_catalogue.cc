#include "fetch/service_catalogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "fetch/url.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

// Its value when `object` is an object that has `key` as a string, else "".
std::string text_of(const json& object, const char* key) {
  if (!object.is_object()) return "";
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// Its elements when `object` is an object that has `key` as an array, else none.
const json& list_of(const json& object, const char* key) {
  static const json none = json::array();
  if (!object.is_object()) return none;
  auto it = object.find(key);
  return it != object.end() && it->is_array() ? *it : none;
}

// Somebody else's text in a line of ours.
std::string printable(std::string text) {
  constexpr size_t kLongest = 80;
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  if (text.size() <= kLongest) return text;
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // whole letters
  return text.substr(0, end) + "...";
}

std::string listed(const std::vector<ImageEndpoint>& endpoints) {
  constexpr size_t kMost = 16;
  std::string out;
  for (const auto& endpoint : endpoints) {
    const std::string one =
        fmt::format("{} in {}", printable(endpoint.interface_),
                    printable(endpoint.region.empty() ? endpoint.region_id : endpoint.region));
    if (out.find(one) != std::string::npos) continue;
    if (std::count(out.begin(), out.end(), ',') + 1 >= static_cast<int>(kMost))
      return out + ", ...";
    out += (out.empty() ? "" : ", ") + one;
  }
  return out;
}

}  // namespace

ServiceCatalogue ServiceCatalogue::of(const json& token) {
  ServiceCatalogue catalogue;
  for (const json& service : list_of(token, "catalog")) {
    if (text_of(service, "type") != "image") continue;
    for (const json& endpoint : list_of(service, "endpoints")) {
      ImageEndpoint image{text_of(endpoint, "interface"), text_of(endpoint, "region"),
                          text_of(endpoint, "region_id"), text_of(endpoint, "url")};
      if (!image.interface_.empty() && !image.url.empty())
        catalogue.images_.push_back(std::move(image));
    }
  }
  return catalogue;
}

Result<std::string> ServiceCatalogue::image_service(const std::string& region,
                                                    const std::string& interface) const {
  if (images_.empty())
    return fail(ErrorKind::kUnavailable, "Keystone's catalogue has no image service");
  auto found = std::find_if(images_.begin(), images_.end(), [&](const ImageEndpoint& endpoint) {
    return endpoint.interface_ == interface &&
           (region.empty() || endpoint.region == region || endpoint.region_id == region);
  });
  if (found == images_.end())
    return fail(
        ErrorKind::kUnavailable,
        fmt::format("Keystone's catalogue has no image service with the interface {}{}{}; "
                    "it has: {}",
                    interface, region.empty() ? "" : " in region ", region, listed(images_)));
  auto url = Url::parse(found->url);
  if (!url || !url->user_info.empty() || !url->query.empty())
    return fail(ErrorKind::kUnavailable,
                "Keystone's catalogue: the URL of the image service cannot be used");
  return without_image_version(url->str());
}

std::string normal_interface(const std::string& interface) {
  if (interface.empty()) return "public";
  constexpr std::string_view kOldEnd = "URL";
  return interface.ends_with(kOldEnd) ? interface.substr(0, interface.size() - kOldEnd.size())
                                      : interface;
}

std::string without_image_version(std::string url) {
  auto drop_slashes = [&url] {
    while (url.ends_with('/')) url.pop_back();
  };
  drop_slashes();
  if (url.ends_with("/v2")) url.resize(url.size() - 3);
  drop_slashes();
  return url;
}

}  // namespace imgcachefs
