#include "real/glance_cache.h"

#include <stdexcept>

#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

nlohmann::json GlanceCache::calls(const std::vector<Call>& calls) const {
  TempDir dir;
  std::vector<std::string> argv = {"bash",
                                   "-c",
                                   "input=$1; shift; exec \"$@\" <\"$input\"",
                                   "call",
                                   dir.write("calls", nlohmann::json(calls).dump()),
                                   "/usr/bin/python3",
                                   IMGCACHEFS_REAL_DIR "/glance_cache.py",
                                   cache_dir_,
                                   driver_};
  for (const auto& [name, value] : options_) argv.push_back(name + "=" + std::to_string(value));
  const CommandResult result = run(argv, {.timeout = std::chrono::minutes(2),
                                          .env = {{"PYTHONDONTWRITEBYTECODE", "1"}},
                                          .directory = {}});
  auto results = nlohmann::json::parse(result.out, nullptr, false);
  if (!result.ok() || !results.is_array()) throw std::runtime_error(result.describe());
  return results;
}

nlohmann::json GlanceCache::call(const std::string& method, const Call& arguments) const {
  Call call = {method};
  call.insert(call.end(), arguments.begin(), arguments.end());
  return calls({std::move(call)}).at(0);
}

}  // namespace imgcachefs::test
