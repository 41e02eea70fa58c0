#include "fs/backing_files.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "fs/passthrough_abi.h"

namespace imgcachefs {
namespace {

class KernelBackingIds final : public BackingIds {
 public:
  explicit KernelBackingIds(int device) : device_(device) {}

  // By the ioctl with any libfuse: fuse_passthrough_close() (3.17) wants a request, and an open
  // whose answer was not delivered has none any more.
  Result<int> open(int fd) override {
    const passthrough_abi::BackingMap map{fd, 0, 0};
    const int id = ::ioctl(device_, passthrough_abi::kBackingOpen, &map);
    if (id > 0) return id;
    return fail_errno("FUSE_DEV_IOC_BACKING_OPEN", id < 0 ? errno : EINVAL);
  }
  void close(int id) override {
    const auto closed = static_cast<uint32_t>(id);
    ::ioctl(device_, passthrough_abi::kBackingClose, &closed);
  }

 private:
  const int device_;
};

// In our user namespace; whether that is the first one is seen by what the kernel refuses.
bool may_administrate() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) < 0) return false;
  return (sets[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN)) != 0;
}

// Why no file at all can be given, or "" when the kernel spoke of one.
std::string why_none(int error) {
  switch (error) {
    case EPERM:
      return "the kernel wants CAP_SYS_ADMIN of the host for it";
    case ELOOP:
      return "the cache lies on a stacked file system (overlayfs...)";
    case ENOTTY:
    case EINVAL:
    case EOPNOTSUPP:
      return "the kernel has no passthrough for the cache's file system";
    default:
      return "";
  }
}

}  // namespace

std::unique_ptr<BackingIds> kernel_backing_ids(int device) {
  return std::make_unique<KernelBackingIds>(device);
}

class BackingFiles::Shared final : public BackingFile {
 public:
  Shared(BackingFiles& files, uint64_t node) : files_(files), node_(node) {}
  ~Shared() override {
    if (id_ > 0 && files_.ids_) files_.ids_->close(id_);
    // A new open may have put its own here.
    std::lock_guard lock(files_.mutex_);
    const auto at = files_.files_.find(node_);
    if (at != files_.files_.end() && at->second.expired()) files_.files_.erase(at);
  }

  void decide(int fd) {
    std::lock_guard lock(mutex_);
    if (std::exchange(decided_, true)) return;
    id_ = fd < 0 ? 0 : files_.new_id(fd);
  }

 private:
  BackingFiles& files_;
  const uint64_t node_;
  std::mutex mutex_;  // of deciding: held across one ioctl (std::once_flag makes a system call)
  bool decided_ = false;
};

bool BackingFiles::accept(bool offered) {
  if (!wanted_) return false;
  if (!offered) {
    turn_off("the kernel does not offer it (Linux 6.9 does, with CONFIG_FUSE_PASSTHROUGH)");
    return false;
  }
  if (!may_administrate()) {
    turn_off("it takes CAP_SYS_ADMIN");
    return false;
  }
  return on_ = true;
}

void BackingFiles::end() {
  on_ = false;
  ids_.reset();
}

void BackingFiles::turn_off(const std::string& why) {
  on_ = false;
  if (!complained_.exchange(true))
    spdlog::info("no passthrough, cached images are read through the daemon: {}", why);
}

std::shared_ptr<const BackingFile> BackingFiles::open(uint64_t node, int fd) {
  std::shared_ptr<Shared> file;
  {
    std::lock_guard lock(mutex_);
    auto& known = files_[node];
    file = known.lock();
    if (!file) known = file = std::make_shared<Shared>(*this, node);
  }
  file->decide(fd);
  return file;
}

int BackingFiles::new_id(int fd) {
  if (!on_ || !ids_) return 0;
  if (!takes_direct_io(fd)) {
    turn_off("the cache's file system has no O_DIRECT");
    return 0;
  }
  auto id = ids_->open(fd);
  if (id) return *id;
  const std::string why = why_none(id.error().sys_errno);
  if (!why.empty())
    turn_off(why);
  else if (!complained_.exchange(true))
    spdlog::info("an image is read through the daemon, not by passthrough: {}", id.error().message);
  return 0;
}

// The kernel opens the file once more with the flags of whoever opens the image, and an O_DIRECT
// that the file system does not have would be his EIO. All images lie on one file system.
bool BackingFiles::takes_direct_io(int fd) {
  if (direct_io_known_) return true;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) < 0) return false;
  ::fcntl(fd, F_SETFL, flags);
  return direct_io_known_ = true;
}

}  // namespace imgcachefs
