#include "real/template_dir.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <system_error>

#include "base/posix.h"
#include "support/checksum.h"
#include "support/process.h"

namespace imgcachefs::test {

namespace fs = std::filesystem;

fs::path template_dir(const TemplateSpec& spec) {
  const fs::path all = IMGCACHEFS_TEMPLATE_DIR;
  fs::create_directories(all);
  const std::string version = run({"dpkg-query", "-W", "-f=${Version}", spec.package}).out;
  const fs::path dir = all / (spec.package + "-" + hex_digest(version + spec.recipe).substr(0, 12));

  UniqueFd lock(
      ::open((all / (spec.package + ".lock")).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX) < 0)
    throw std::system_error(errno, std::generic_category(), all.string());
  if (fs::exists(dir)) return dir;
  const fs::path unfinished = dir.string() + ".part";
  fs::remove_all(unfinished);
  fs::create_directory(unfinished);
  spec.make(unfinished);
  fs::rename(unfinished, dir);
  return dir;
}

}  // namespace imgcachefs::test
