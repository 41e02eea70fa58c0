#include "fs/by_name.h"

#include <fmt/format.h>

#include <climits>

#include "fetch/utf8.h"

namespace imgcachefs {

std::optional<std::string> file_name_of(std::string_view image_name) {
  std::string file_name;
  auto escape = [&](unsigned char c) { file_name += fmt::format("%{:02X}", c); };
  const bool dots = image_name == "." || image_name == "..";
  for (size_t at = 0; at < image_name.size();) {
    const auto c = static_cast<unsigned char>(image_name[at]);
    const size_t length = utf8_length(image_name.substr(at));
    if (length == 0 || c < 0x20 || c == 0x7F || c == '/' || c == '%' || (dots && at == 0)) {
      escape(c);
      ++at;
    } else {
      file_name += image_name.substr(at, length);
      at += length;
    }
  }
  if (file_name.empty() || file_name.size() > NAME_MAX) return std::nullopt;
  return file_name;
}

std::optional<std::string> image_name_of(std::string_view file_name) {
  std::string image_name;
  for (size_t at = 0; at < file_name.size(); ++at) {
    if (file_name[at] != '%') {
      image_name += file_name[at];
      continue;
    }
    // Not percent_decode() of it all, which refuses %00: here it is a character like others.
    const std::string_view hex = file_name.substr(at + 1, 2);
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    if (hex.size() < 2) return std::nullopt;
    const size_t high = kDigits.find(hex[0]), low = kDigits.find(hex[1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    image_name += static_cast<char>(high * 16 + low);
    at += 2;
  }
  // One name, one file name: what could have been written without an escape is not written with it.
  if (file_name_of(image_name) != file_name) return std::nullopt;
  return image_name;
}

}  // namespace imgcachefs
