#include "fetch/pull_leave.h"

namespace imgcachefs {

bool PullLeave::is_believed(const std::string& repository, Clock::time_point now) const {
  std::lock_guard lock(mutex_);
  auto at = granted_.find(repository);
  return at != granted_.end() && holds(at->second, now);
}

void PullLeave::granted(const std::string& repository, Clock::time_point now) {
  std::lock_guard lock(mutex_);
  if (granted_.size() >= kMost && !granted_.contains(repository)) {
    std::erase_if(granted_, [&](const auto& one) { return !holds(one.second, now); });
    if (granted_.size() >= kMost) granted_.clear();  // they are asked for once more
  }
  granted_[repository] = now;
}

void PullLeave::refused(const std::string& repository) {
  std::lock_guard lock(mutex_);
  granted_.erase(repository);
}

}  // namespace imgcachefs
