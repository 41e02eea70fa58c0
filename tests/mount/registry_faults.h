// A mount of a registry that does on demand what no real one can be made to do, with one blob of
// some megabytes in the repository team/vm.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <future>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/fake_registry.h"
#include "support/mounted.h"
#include "support/program.h"

namespace imgcachefs::test {

class RegistryFaults : public testing::Test {
 protected:
  static constexpr size_t kSize = (6 << 20) + 77;
  static constexpr size_t kChunk = 64 << 10;
  static constexpr std::chrono::seconds kPatience{30};

  ~RegistryFaults() override {
    server_.clear_faults();
    server_.release();
  }

  void mount(const std::vector<std::string>& more = {}) {
    std::vector<std::string> options = {"connect_timeout=1", "low_speed_time=1", "negative_ttl=0",
                                        "retries=2"};
    options.insert(options.end(), more.begin(), more.end());
    mount_.reset();
    mount_.emplace(MountSpec{.source = "oci+" + registry_.url(), .options = options});
  }

  std::string in(const std::string& repository) const { return repository + "/" + blob_; }
  Match get() const { return FakeRegistry::blob("team/vm", blob_); }
  Match head() const { return FakeRegistry::blob_head("team/vm", blob_); }
  Got read(const std::string& name) const { return read_path(mount_->path(name)); }
  int stat_errno(const std::string& name) const {
    struct stat st {};
    return ::stat(mount_->path(name).c_str(), &st) == 0 ? 0 : errno;
  }
  bool has(const std::string& file) const {
    return std::filesystem::exists(mount_->cache_dir() + "/" + file);
  }
  std::set<std::string> names_in(const std::string& directory) const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(mount_->path(directory)))
      names.insert(entry.path().filename());
    return names;
  }
  // Lines of the log in which `text` is.
  size_t log_lines(const std::string& text) const {
    size_t lines = 0;
    const std::string log = mount_->log();
    for (size_t at = 0; (at = log.find(text, at)) != std::string::npos;
         at = std::min(log.find('\n', at), log.size()))
      ++lines;
    return lines;
  }

  // What goes on is cut short; from now on the registry is a good one again.
  void well_again() {
    server_.clear_faults();
    registry_.answer_again();
    server_.release();
  }
  // Every connection is reset from now on.
  void down() {
    Behaviour reset;
    reset.reset_before_head = true;
    server_.clear_faults();
    server_.fault(reset, {}, 0);
  }
  void expect_well_and_cached() {
    const Got got = read(in("team/vm"));
    EXPECT_TRUE(got.bytes == bytes_) << got.bytes.size() << " " << strerrorname_np(got.error);
    EXPECT_TRUE(mount_->wait_state(in("team/vm"), "cached")) << mount_->log();
    EXPECT_TRUE(has(blob_));
  }

  const std::string bytes_ = pattern_string(1, 0, kSize);
  FakeRegistry registry_;
  FaultServer& server_ = registry_.server();
  const std::string blob_ = registry_.push("team/vm", bytes_);
  std::optional<Mounted> mount_;
};

}  // namespace imgcachefs::test
