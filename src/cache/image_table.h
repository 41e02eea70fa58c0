// ImageTable: which Image stands for which ID now, and what upstream was heard to say of it.
//
// Thread-safe; mutex_ protects all of it. An image that left the table goes on for those who have
// it.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cache/cached_image.h"
#include "cache/remote_image.h"

namespace imgcachefs {

class ImageTable {
 public:
  using Clock = std::chrono::steady_clock;

  // `believe`: how long what upstream said holds; nullopt: for ever. `believe_negative`: how long a
  // "no such image" holds.
  ImageTable(std::optional<std::chrono::seconds> believe, std::chrono::seconds believe_negative)
      : believe_(believe), believe_negative_(believe_negative) {}

  uint64_t next_serial() { return ++last_serial_; }

  // The image that stands for the file `st`, made when there is none of it yet.
  template <typename Make>
  std::shared_ptr<CachedImage> cached(const ImageId& id, const struct stat& st, Make make) {
    std::lock_guard lock(mutex_);
    Entry& entry = entries_[id];
    auto image = entry.cached.lock();
    if (!image || !image->is(st)) {
      image = make(next_serial());
      entry.cached = image;
    }
    return image;
  }

  bool has_cached(const ImageId& id, const struct stat& st) const;  // it is known, and this file

  // What is known without asking: an image, a refusal that still holds, or nothing.
  std::shared_ptr<RemoteImage> remote(const ImageId& id) const;  // believed or not
  std::optional<Error> refusal(const ImageId& id) const;
  // Upstream said after `when` that there is none, whether that still holds or not.
  bool refused_since(const ImageId& id, Clock::time_point when) const;
  bool believed(const ImageId& id) const;  // upstream was heard of it lately
  bool is_current(const Image& image) const;

  // Nothing upstream said is believed any more; of images that are there it is known on.
  void forget_heard();
  void heard(const ImageId& id, Clock::time_point when = Clock::now());  // upstream spoke of it
  // ... to say that there is none. Anybody can ask for any number of names: beyond a bound they are
  // not remembered.
  void refused(const ImageId& id, const Error& error);
  // False, and nothing done, when `instead_of` is not the current one (nullptr: none is) any more.
  bool put(const std::shared_ptr<RemoteImage>& image, const RemoteImage* instead_of);
  // False: it was not the current one. `error`: for its successor.
  bool remove(const RemoteImage& image, const std::string& error);
  void forget_cached(const ImageId& id);
  std::string last_error(const ImageId& id) const;

  std::vector<std::shared_ptr<RemoteImage>> remotes() const;
  void purge();  // drops entries that nobody has and that are not believed any more

 private:
  // Of each image that is looked at: little, for a look at a directory is a look at all.
  struct Entry {
    std::weak_ptr<CachedImage> cached;
    Clock::time_point heard = kNever;
  };
  struct Remote {
    std::shared_ptr<RemoteImage> image;  // nullptr: it was removed
    std::string last_error;
  };
  struct Refusal {
    Error error;
    Clock::time_point until;
  };
  static constexpr size_t kMostRefusals = 50'000;
  static constexpr Clock::time_point kNever = Clock::time_point::min();

  // With mutex_ held:
  bool fresh(const ImageId& id) const;
  bool kept(const ImageId& id) const;  // somebody has it, or it is believed
  // Those that went are put into `last`, to be freed outside the lock.
  void purge(std::vector<std::shared_ptr<RemoteImage>>& last);

  const std::optional<std::chrono::seconds> believe_;
  const std::chrono::seconds believe_negative_;
  mutable std::mutex mutex_;
  std::unordered_map<ImageId, Entry> entries_;
  std::unordered_map<ImageId, Remote> remotes_;
  std::unordered_map<ImageId, Refusal> refusals_;
  Clock::time_point purge_again_{};  // when there are too many of them
  std::atomic<uint64_t> last_serial_{0};
};

}  // namespace imgcachefs
