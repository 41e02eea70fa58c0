#include "fs/option_values.h"

#include <grp.h>
#include <pwd.h>

#include <bit>
#include <charconv>
#include <filesystem>
#include <limits>

#include "base/log.h"
#include "base/units.h"

namespace imgcachefs {
namespace {

auto wrong(const char* right) {
  return fail(ErrorKind::kInvalid, right);
}

std::optional<uint64_t> number(const std::string& text, int base = 10) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

// The largest of a 32-bit ID means "none" to chown(2).
bool is_id(uint64_t value) {
  return value < std::numeric_limits<uint32_t>::max();
}

}  // namespace

Result<bool> parse_flag(const std::string& text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return wrong("is true or false");
}

Result<std::string> parse_text(const std::string& text) {
  return text;
}

Result<std::string> parse_interface(const std::string& text) {
  // OpenStack's older name of the same thing was publicURL.
  for (const char* known : {"public", "internal", "admin"})
    if (text == known || text == std::string(known) + "URL") return std::string(known);
  return wrong("is public, internal or admin");
}

Result<std::string> parse_path(const std::string& text) {
  if (text.empty()) return wrong("is a path");
  // The daemon's working directory is /: what was meant is relative to ours.
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(text, error).lexically_normal();
  if (error) return wrong("is a path");
  if (!path.has_filename() && path != "/") path = path.parent_path();
  return path.string();
}

Result<std::string> parse_optional_path(const std::string& text) {
  if (text.empty()) return text;
  return parse_path(text);
}

Result<unsigned> parse_count(const std::string& text) {
  auto value = number(text);
  if (!value || *value > 1'000'000) return wrong("is a number from 0 to 1000000");
  return static_cast<unsigned>(*value);
}

Result<unsigned> parse_connections(const std::string& text) {
  auto value = number(text);
  if (!value || *value < 1 || *value > 256) return wrong("is a number from 1 to 256");
  return static_cast<unsigned>(*value);
}

Result<uint64_t> parse_rate(const std::string& text) {
  if (text == "none") return 0;
  return parse_size(text);
}

Result<uint32_t> parse_chunk_size(const std::string& text) {
  auto size = parse_size(text);
  if (!size || *size < (4 << 10) || *size > (64 << 20) || !std::has_single_bit(*size))
    return wrong("is a power of two from 4K to 64M");
  return static_cast<uint32_t>(*size);
}

Result<std::chrono::seconds> parse_positive_duration(const std::string& text) {
  auto time = parse_duration(text);
  if (time && time->count() == 0) return wrong("is a time of at least a second");
  return time;
}

Result<std::optional<std::chrono::seconds>> parse_revalidate(const std::string& text) {
  if (text == "never") return std::nullopt;
  auto time = parse_duration(text);
  if (!time) return wrong("is a time or never");
  return *time;
}

Result<FillMode> parse_fill(const std::string& text) {
  if (text == "auto") return FillMode::kAuto;
  if (text == "demand") return FillMode::kDemand;
  if (text == "full") return FillMode::kFull;
  return wrong("is auto, demand or full");
}

Result<VerifyMode> parse_verify(const std::string& text) {
  if (text == "complete") return VerifyMode::kComplete;
  if (text == "before-read" || text == "before_read") return VerifyMode::kBeforeRead;
  return wrong("is complete or before-read");
}

Result<uid_t> parse_uid(const std::string& text) {
  if (auto value = number(text); value && is_id(*value)) return static_cast<uid_t>(*value);
  if (const passwd* user = ::getpwnam(text.c_str())) return user->pw_uid;
  return wrong("is a user");
}

Result<gid_t> parse_gid(const std::string& text) {
  if (auto value = number(text); value && is_id(*value)) return static_cast<gid_t>(*value);
  if (const group* found = ::getgrnam(text.c_str())) return found->gr_gid;
  return wrong("is a group");
}

Result<mode_t> parse_mode(const std::string& text) {
  auto value = number(text, 8);
  if (!value || *value > 0777) return wrong("is an octal mode up to 0777");
  return static_cast<mode_t>(*value & ~uint64_t{0222});
}

Result<std::string> parse_log_level(const std::string& text) {
  if (!is_log_level(text)) return wrong("is trace, debug, info, warning, error, critical or off");
  return text;
}

}  // namespace imgcachefs
