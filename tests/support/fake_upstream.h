// An Upstream in memory whose every answer a test decides, for tests of the cache without a
// network.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "fetch/upstream.h"

namespace imgcachefs::test {

// Bytes that differ everywhere: any two offsets mixed up would show.
inline std::vector<std::byte> pattern_bytes(uint64_t size, uint64_t seed = 1) {
  std::vector<std::byte> bytes(size);
  uint64_t x = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (auto& b : bytes) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    b = static_cast<std::byte>(x >> 24);
  }
  return bytes;
}

inline Digest digest_of(std::span<const std::byte> bytes, DigestAlgo algo = DigestAlgo::kSha256) {
  Hasher hasher(algo);
  hasher.update(bytes);
  return hasher.finish();
}

class FakeUpstream final : public Upstream, public ImageNames {
 public:
  struct Image {
    std::vector<std::byte> bytes;
    std::string etag = "\"v1\"";
    std::optional<Digest> digest;
    RangeSupport ranges = RangeSupport::kYes;
    std::string name = {};  // an upstream with_names() only
    int created = 0;        // seconds since the epoch
    // What it says until somebody wants a fresh answer, and whether stat() tells it too.
    std::optional<Digest> outdated_digest = {};
    bool stat_tells_digest = false;
  };

  // To be called before it is given to anybody: images have names, and the catalogue says as much
  // as stat().
  void with_names() { with_names_ = true; }

  // Likewise: its images lie in these.
  void with_repositories(Repositories& repositories) { repositories_ = &repositories; }

  void put(const std::string& id, Image image) {
    std::lock_guard lock(mutex_);
    images_.insert_or_assign(id, std::move(image));
  }
  void remove(const std::string& id) {
    std::lock_guard lock(mutex_);
    images_.erase(id);
  }
  // While closed, a transfer that has sent `bytes` of its range (or a question for a digest) waits.
  void close_gate(uint64_t after_bytes = 0) {
    std::lock_guard lock(mutex_);
    gate_ = after_bytes;
  }
  void close_digest_gate() {
    std::lock_guard lock(mutex_);
    digest_gate_ = true;
  }
  void close_list_gate() {
    std::lock_guard lock(mutex_);
    list_gate_ = true;
  }
  // What every stat() and find_named() takes.
  void take_time(std::chrono::milliseconds time) {
    std::lock_guard lock(mutex_);
    time_ = time;
  }
  void open_gates() {
    std::lock_guard lock(mutex_);
    gate_.reset();
    digest_gate_ = list_gate_ = false;
    opened_.notify_all();
  }
  // Every call fails with this until it is cleared.
  void fail_with(std::optional<Error> error) {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
  }

  std::vector<ByteRange> reads() const {
    std::lock_guard lock(mutex_);
    return reads_;
  }
  uint64_t sent() const {
    std::lock_guard lock(mutex_);
    return sent_;
  }
  unsigned lists_asked() const {
    std::lock_guard lock(mutex_);
    return lists_asked_;
  }
  unsigned names_asked() const {
    std::lock_guard lock(mutex_);
    return names_asked_;
  }
  std::optional<Patience> names_patience() const {  // of the last question for a name
    std::lock_guard lock(mutex_);
    return names_patience_;
  }
  unsigned digests_asked() const {
    std::lock_guard lock(mutex_);
    return digests_asked_;
  }
  unsigned stats_asked() const {
    std::lock_guard lock(mutex_);
    return stats_asked_;
  }

  Result<ImageInfo> stat(const ImageId& id, Patience, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    ++stats_asked_;
    opened_.wait_for(lock, stop, time_, [] { return false; });
    if (error_) return fail(*error_);
    auto at = images_.find(id.str());
    if (at == images_.end()) return fail(ErrorKind::kNotFound, id.str() + ": not there");
    return info_of(id, at->second);
  }

  Repositories* repositories() override { return repositories_; }
  ImageNames* names() override { return with_names_ ? this : nullptr; }
  Result<CatalogueEntry> find_named(const std::string& name, Patience patience,
                                    std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    ++names_asked_;
    names_patience_ = patience;
    opened_.wait_for(lock, stop, time_, [] { return false; });
    if (error_) return fail(*error_);
    const std::pair<const std::string, Image>* newest = nullptr;
    for (const auto& image : images_)
      if (image.second.name == name && (!newest || image.second.created >= newest->second.created))
        newest = &image;
    if (!newest) return fail(ErrorKind::kNotFound, name + ": no image of that name");
    return entry_of(newest->first, newest->second);
  }

  Result<std::vector<CatalogueEntry>> list(Patience, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    if (error_) return fail(*error_);
    std::vector<CatalogueEntry> entries;
    ++lists_asked_;
    opened_.wait(lock, stop, [this] { return !list_gate_; });
    if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "cancelled");
    for (auto& [id, image] : images_) entries.push_back(entry_of(id, image));
    return entries;
  }

  Result<std::optional<Digest>> digest(const ImageInfo& info, bool fresh,
                                       std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    ++digests_asked_;
    opened_.wait(lock, stop, [this] { return !digest_gate_; });
    if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "cancelled");
    if (error_) return fail(*error_);
    auto at = images_.find(info.id.str());
    if (at == images_.end()) return std::optional<Digest>();
    const Image& image = at->second;
    return !fresh && image.outdated_digest ? image.outdated_digest : image.digest;
  }

  Result<ReadOutcome> read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                           std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    reads_.push_back(range);
    if (error_) return fail(*error_);
    auto at = images_.find(info.id.str());
    if (at == images_.end()) return fail(ErrorKind::kNotFound, info.id.str() + ": not there");
    if (at->second.etag != info.validator.etag)
      return fail(ErrorKind::kStale, info.id.str() + ": changed");
    if (at->second.ranges == RangeSupport::kNo && range.size() != info.size)
      return fail(ErrorKind::kNoRanges, "no ranges");
    const std::vector<std::byte> bytes = at->second.bytes;
    constexpr uint64_t kPiece = 16 << 10;
    for (uint64_t done = 0; done < range.size();) {
      opened_.wait(lock, stop, [&] { return !gate_ || done < *gate_; });
      if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "cancelled");
      if (error_) return fail(*error_);
      const uint64_t n = std::min(kPiece, range.size() - done);
      sent_ += n;
      lock.unlock();
      const bool more = sink.write(std::span(bytes).subspan(range.begin + done, n));
      lock.lock();
      if (!more) return fail(ErrorKind::kCancelled, "the sink had enough");
      done += n;
    }
    return ReadOutcome{};
  }

  const UpstreamStats& stats() const override { return stats_; }

 private:
  static ImageInfo info_of(const ImageId& id, const Image& image) {
    return ImageInfo{id, image.bytes.size(), {image.etag, ""},
                     {}, image.ranges,       image.stat_tells_digest ? image.digest : std::nullopt};
  }
  CatalogueEntry entry_of(const std::string& text, const Image& image) const {
    CatalogueEntry entry{ImageId::parse(text).value()};
    if (!with_names_) return entry;
    entry.name = image.name;
    entry.created = from_unix(image.created);
    entry.info = info_of(entry.id, image);
    return entry;
  }

  bool with_names_ = false;
  Repositories* repositories_ = nullptr;
  mutable std::mutex mutex_;
  std::condition_variable_any opened_;
  std::map<std::string, Image> images_;
  std::optional<uint64_t> gate_;
  bool digest_gate_ = false, list_gate_ = false;
  std::chrono::milliseconds time_{0};
  std::optional<Patience> names_patience_;
  std::optional<Error> error_;
  std::vector<ByteRange> reads_;
  uint64_t sent_ = 0;
  unsigned stats_asked_ = 0, lists_asked_ = 0, names_asked_ = 0, digests_asked_ = 0;
  UpstreamStats stats_;
};

}  // namespace imgcachefs::test
