#include "fs/backing_files.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/log.h"
#include "fs/passthrough_abi.h"

namespace imgcachefs {
namespace {

constexpr std::chrono::milliseconds kKeptFor{1000};

class KernelBackingIds final : public BackingIds {
 public:
  explicit KernelBackingIds(int device) : device_(device) {}

  // By the ioctl with any libfuse. What 3.17 has for it, fuse_passthrough_open() and _close(),
  // wants a request, and a file that is kept after its release has none any more; and it says that
  // the kernel refuses, but not why.
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

class BackingFiles::Shared {
 public:
  explicit Shared(BackingFiles& files) : files_(files) {}
  ~Shared() {
    if (id_ > 0 && files_.ids_) files_.ids_->close(id_);
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  // By the first who comes; the others wait for it.
  int decide(const GivenFile& given) {
    std::lock_guard lock(mutex_);
    if (std::exchange(decided_, true) || given.fd < 0) return id_;
    id_ = files_.new_id(given.fd);
    if (id_ > 0) kept_ = given.kept;
    return id_;
  }

  // When nobody decides any more.
  int id() const { return id_; }
  bool is_of(const GivenFile& given) const { return given.fd >= 0 && kept_ == given.kept; }

 private:
  BackingFiles& files_;
  std::mutex mutex_;  // held across one ioctl
  bool decided_ = false;
  int id_ = 0;
  std::shared_ptr<const void> kept_;
};

BackingFile::~BackingFile() {
  files_.closed(node_);
}

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

void BackingFiles::begin(std::unique_ptr<BackingIds> ids) {
  ids_ = std::move(ids);
  keeper_ =
      std::make_unique<PeriodicTask>("backing files", kKeptFor / 2, [this] { let_go(kKeptFor); });
}

void BackingFiles::end() {
  on_ = false;
  keeper_.reset();
  let_go(Duration::zero());
  ids_.reset();
}

void BackingFiles::turn_off(const std::string& why) {
  on_ = false;
  if (!complained_.exchange(true))
    spdlog::info("no passthrough, cached images are read through the daemon: {}", why);
}

std::unique_ptr<const BackingFile> BackingFiles::open(uint64_t node, const GivenFile& given) {
  std::shared_ptr<Shared> file, outdated;  // the latter is closed outside the lock
  {
    std::lock_guard lock(mutex_);
    Node& entry = files_[node];
    if (entry.file && entry.opens == 0) {
      --kept_;
      if (!on_ || !entry.file->is_of(given)) outdated = std::exchange(entry.file, nullptr);
    }
    if (!entry.file) entry.file = std::make_shared<Shared>(*this);
    ++entry.opens;
    file = entry.file;
  }
  return std::make_unique<BackingFile>(*this, node, file->decide(given));
}

void BackingFiles::closed(uint64_t node) {
  std::shared_ptr<Shared> last;  // before the lock, so destroyed after it
  std::lock_guard lock(mutex_);
  const auto at = files_.find(node);
  Node& entry = at->second;
  if (--entry.opens > 0) return;
  if (entry.file->id() > 0 && on_ && kept_ < kMostKept) {
    ++kept_;
    entry.closed = std::chrono::steady_clock::now();
    return;
  }
  last = std::move(entry.file);
  files_.erase(at);
}

void BackingFiles::let_go(Duration closed_for) {
  std::vector<std::shared_ptr<Shared>> last;  // before the lock, so destroyed after it
  std::lock_guard lock(mutex_);
  if (kept_ == 0) return;
  const auto until = std::chrono::steady_clock::now() - closed_for;
  for (auto at = files_.begin(); at != files_.end();) {
    Node& node = at->second;
    const bool goes = node.opens == 0 && node.closed <= until;
    if (goes) last.push_back(std::move(node.file));
    kept_ -= goes;
    at = goes ? files_.erase(at) : std::next(at);
  }
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
