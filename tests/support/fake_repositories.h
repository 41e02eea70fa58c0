// Repositories that the test fills, and that do as it says.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fetch/upstream.h"

namespace imgcachefs::test {

// Thread-safe.
class FakeRepositories final : public Repositories {
 public:
  void put(const std::string& repository, const ImageId& id) {
    std::lock_guard lock(mutex_);
    images_[repository].insert(id);
  }
  void remove(const std::string& repository, const ImageId& id) {
    std::lock_guard lock(mutex_);
    images_.at(repository).erase(id);
  }
  void put_tag(const std::string& repository, const std::string& name, Tag tag) {
    std::lock_guard lock(mutex_);
    images_[repository];
    tags_[repository][name] = std::move(tag);
  }
  void hide_catalogue() {
    std::lock_guard lock(mutex_);
    hidden_ = true;
  }
  void fail_catalogue_with(Error error) {
    std::lock_guard lock(mutex_);
    catalogue_error_ = std::move(error);
  }
  void deny(const std::string& repository) {
    std::lock_guard lock(mutex_);
    denied_.insert(repository);
  }
  void allow(const std::string& repository) {
    std::lock_guard lock(mutex_);
    denied_.erase(repository);
  }
  void fail_with(std::optional<Error> error) {  // every call, until it is cleared
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }

  unsigned asked() const {  // questions of all kinds
    std::lock_guard lock(mutex_);
    return asked_;
  }
  std::optional<Patience> patience() const {  // of the last one
    std::lock_guard lock(mutex_);
    return patience_;
  }

  Result<std::vector<std::string>> catalogue(Patience patience, std::stop_token) override {
    std::lock_guard lock(mutex_);
    if (auto wrong = trouble("", patience)) return fail(*wrong);
    if (catalogue_error_) return fail(*catalogue_error_);
    if (hidden_) return fail(ErrorKind::kDenied, "the catalogue is not for you");
    std::vector<std::string> names;
    for (const auto& [name, images] : images_) names.push_back(name);
    return names;
  }

  Result<std::vector<std::string>> tags(const std::string& repository, Patience patience,
                                        std::stop_token) override {
    std::lock_guard lock(mutex_);
    if (auto wrong = trouble(repository, patience)) return fail(*wrong);
    if (!images_.contains(repository)) return fail(ErrorKind::kNotFound, "no such repository");
    std::vector<std::string> names;
    for (const auto& [name, tag] : tags_[repository]) names.push_back(name);
    return names;
  }

  Result<Tag> tag(const std::string& repository, const std::string& name, Patience patience,
                  std::stop_token) override {
    std::lock_guard lock(mutex_);
    if (auto wrong = trouble(repository, patience)) return fail(*wrong);
    auto at = tags_[repository].find(name);
    if (at == tags_[repository].end()) return fail(ErrorKind::kNotFound, "no such tag");
    return at->second;
  }

  Result<ImageInfo> stat(const std::string& repository, const ImageId& id, Patience patience,
                         std::stop_token) override {
    std::lock_guard lock(mutex_);
    if (auto wrong = trouble(repository, patience)) return fail(*wrong);
    auto at = images_.find(repository);
    if (at == images_.end() || !at->second.contains(id))
      return fail(ErrorKind::kNotFound, "not in this repository");
    return ImageInfo{id, 0, {}, {}, RangeSupport::kYes, {}};
  }

 private:
  std::optional<Error> trouble(const std::string& repository, Patience patience) {
    ++asked_;
    patience_ = patience;
    if (error_) return error_;
    if (denied_.contains(repository)) return Error{ErrorKind::kDenied, "it may not be pulled"};
    return std::nullopt;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::set<ImageId>> images_;
  std::map<std::string, std::map<std::string, Tag>> tags_;
  std::set<std::string> denied_;
  bool hidden_ = false;
  std::optional<Error> catalogue_error_;
  std::optional<Error> error_;
  unsigned asked_ = 0;
  std::optional<Patience> patience_;
};

}  // namespace imgcachefs::test
