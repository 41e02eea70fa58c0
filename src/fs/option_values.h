// The values of mount options that base/units.h does not know. An error says what would have been
// right; which option it was about is added by the caller.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "cache/store_config.h"

namespace imgcachefs {

Result<bool> parse_flag(const std::string& text);                  // true 1 yes on, false 0 no off
Result<std::string> parse_text(const std::string& text);           // anything
Result<std::string> parse_path(const std::string& text);           // made absolute; not empty
Result<std::string> parse_optional_path(const std::string& text);  // empty stays empty
Result<std::string> parse_interface(const std::string& text);      // public, internal, admin
Result<unsigned> parse_count(const std::string& text);
Result<unsigned> parse_connections(const std::string& text);  // 1 to 256
Result<uint64_t> parse_rate(const std::string& text);         // a size, or none (0)
Result<uint32_t> parse_chunk_size(const std::string& text);   // a power of two, 4K to 64M
Result<std::chrono::seconds> parse_positive_duration(const std::string& text);
Result<std::optional<std::chrono::seconds>> parse_revalidate(const std::string& text);
Result<FillMode> parse_fill(const std::string& text);
Result<VerifyMode> parse_verify(const std::string& text);
Result<uid_t> parse_uid(const std::string& text);    // a number or a user's name
Result<gid_t> parse_gid(const std::string& text);    // a number or a group's name
Result<mode_t> parse_mode(const std::string& text);  // octal; write bits are dropped
Result<std::string> parse_log_level(const std::string& text);

}  // namespace imgcachefs
