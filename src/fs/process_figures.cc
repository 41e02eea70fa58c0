#include "fs/process_figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>

namespace imgcachefs {
namespace {

std::string text_of(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

double boot_time() {
  constexpr std::string_view kName = "\nbtime ";
  const std::string stat = text_of("/proc/stat");
  const size_t at = stat.find(kName);
  return at == std::string::npos ? 0 : std::strtod(stat.c_str() + at + kName.size(), nullptr);
}

uint64_t open_descriptors() {
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), &::closedir);
  if (!directory) return 0;
  uint64_t count = 0;
  while (const dirent* entry = ::readdir(directory.get()))
    if (entry->d_name[0] != '.') ++count;
  return count - 1;  // but for the one it is read through
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures figures;
  const std::string stat = text_of("/proc/self/stat");
  // "pid (name) state ...": the name may hold anything, a parenthesis too.
  const size_t after_name = stat.rfind(')');
  if (after_name != std::string::npos) {
    std::istringstream fields(stat.substr(after_name + 1));
    const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    std::string skipped;
    double user = 0, system = 0, started = 0;
    uint64_t resident_pages = 0;
    for (int field = 3; field < 14; ++field) fields >> skipped;
    fields >> user >> system;  // 14 and 15
    for (int field = 16; field < 20; ++field) fields >> skipped;
    fields >> figures.threads >> skipped >> started >> figures.virtual_bytes >> resident_pages;
    figures.cpu_seconds = (user + system) / ticks;
    figures.start_time = boot_time() + started / ticks;
    figures.resident_bytes = resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  figures.open_fds = open_descriptors();
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_fds = limit.rlim_cur;
  return figures;
}

}  // namespace imgcachefs
