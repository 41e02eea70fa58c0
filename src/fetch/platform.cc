#include "fetch/platform.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>

namespace imgcachefs {
namespace {

constexpr size_t kLongestPart = 64;
constexpr size_t kMostNamed = 20;  // platforms in a message
constexpr std::string_view kUnknown = "unknown";

struct MachineName {
  std::string_view machine, architecture, variant;
};

// What uname and people call an architecture, and what images call it.
constexpr std::array kMachines = {
    MachineName{"x86_64", "amd64", ""},    MachineName{"x86-64", "amd64", ""},
    MachineName{"aarch64", "arm64", "v8"}, MachineName{"armv8l", "arm", "v8"},
    MachineName{"armv7l", "arm", "v7"},    MachineName{"armv6l", "arm", "v6"},
    MachineName{"armv5tel", "arm", "v5"},  MachineName{"armv5tejl", "arm", "v5"},
    MachineName{"armhf", "arm", "v7"},     MachineName{"armel", "arm", "v6"},
    MachineName{"i386", "386", ""},        MachineName{"i486", "386", ""},
    MachineName{"i586", "386", ""},        MachineName{"i686", "386", ""},
    MachineName{"ppc64el", "ppc64le", ""}, MachineName{"loongarch64", "loong64", ""},
};

std::string lower_word(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kLongestPart &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                  c == '.';
         });
}

bool is_plain(const Platform& platform) {
  return is_word(platform.os) && is_word(platform.architecture) &&
         (platform.variant.empty() || is_word(platform.variant));
}

// The variant that is meant where none, or another name of it, is written.
std::string meant_variant(const Platform& platform) {
  const std::string& variant = platform.variant;
  if (platform.architecture == "arm64" && (variant.empty() || variant == "8")) return "v8";
  if (platform.architecture == "arm" && variant.empty()) return "v7";
  if (platform.architecture == "amd64" && variant == "v1") return "";
  return variant;
}

bool is_for_nobody(const std::optional<Platform>& platform) {
  return platform && (platform->os == kUnknown || platform->architecture == kUnknown);
}

std::string named(const std::vector<std::optional<Platform>>& offered) {
  std::string names;
  size_t count = 0;
  for (const auto& platform : offered) {
    if (is_for_nobody(platform)) continue;
    if (++count > kMostNamed) return names + ", ...";
    if (!names.empty()) names += ", ";
    // An index is anybody's text, and this goes to the log.
    if (!platform)
      names += "one that does not say";
    else
      names += is_plain(*platform) ? platform->str() : "one of an odd name";
  }
  return names.empty() ? "nothing" : names;
}

}  // namespace

Result<Platform> Platform::parse(std::string_view text) {
  Platform platform;
  const std::string lower = lower_word(text);
  std::string_view left = lower;
  std::array<std::string*, 3> parts = {&platform.os, &platform.architecture, &platform.variant};
  size_t count = 0;
  bool good = true;
  for (;; left.remove_prefix(left.find('/') + 1)) {
    const std::string_view part = left.substr(0, left.find('/'));
    good = good && count < parts.size() && is_word(part);
    if (!good) break;
    *parts[count++] = part;
    if (part.size() == left.size()) break;
  }
  if (!good || count < 2)
    return fail(ErrorKind::kInvalid,
                fmt::format("platform '{}' is none of OS/ARCH and OS/ARCH/VARIANT", text));
  Platform usual = of_machine(platform.os, platform.architecture);
  if (!platform.variant.empty()) usual.variant = platform.variant;
  return usual;
}

Platform Platform::of_machine(std::string_view sysname, std::string_view machine) {
  const std::string lower = lower_word(machine);
  const auto row = std::find_if(kMachines.begin(), kMachines.end(),
                                [&](const MachineName& name) { return name.machine == lower; });
  if (row == kMachines.end()) return {lower_word(sysname), lower, ""};
  return {lower_word(sysname), std::string(row->architecture), std::string(row->variant)};
}

Platform Platform::of_this_machine() {
  utsname names{};
  ::uname(&names);
  return of_machine(names.sysname, names.machine);
}

std::string Platform::str() const {
  return os + "/" + architecture + (variant.empty() ? "" : "/" + variant);
}

Result<size_t> choose_platform(const Platform& wanted,
                               const std::vector<std::optional<Platform>>& offered) {
  std::optional<size_t> best, only;
  int best_rank = 0;
  size_t images = 0;
  for (size_t i = 0; i < offered.size(); ++i) {
    const auto& platform = offered[i];
    if (is_for_nobody(platform)) continue;
    ++images;
    only = i;
    if (!platform || platform->os != wanted.os || platform->architecture != wanted.architecture)
      continue;
    const int rank = platform->variant == wanted.variant                 ? 3
                     : meant_variant(*platform) == meant_variant(wanted) ? 2
                     : platform->variant.empty()                         ? 1
                                                                         : 0;
    if (rank <= best_rank) continue;
    best = i;
    best_rank = rank;
  }
  if (best) return *best;
  if (images == 1 && !offered[*only]) return *only;
  return fail(ErrorKind::kNotFound,
              fmt::format("nothing for {}: there is {}", wanted.str(), named(offered)));
}

}  // namespace imgcachefs
