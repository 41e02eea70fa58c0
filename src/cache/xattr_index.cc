#include "cache/xattr_index.h"

#include <dirent.h>
#include <fmt/format.h>

#include <cerrno>
#include <mutex>

#include "base/log.h"
#include "cache/glance_attributes.h"

namespace imgcachefs {
namespace {

constexpr const char* kChecksum = "user.imgcachefs.checksum";
constexpr const char* kVerified = "user.imgcachefs.verified";
constexpr const char* kEtag = "user.imgcachefs.etag";
constexpr const char* kLastModified = "user.imgcachefs.last_modified";
constexpr const char* kSize = "user.imgcachefs.size";
constexpr const char* kPinned = "user.imgcachefs.pinned";
constexpr const char* kSource = "user.imgcachefs.source";
constexpr const char* kProbe = "user.imgcachefs.probe";

struct timespec omitted() {
  return {0, UTIME_OMIT};
}

// "": there is none, or it cannot be read, which is as good.
std::string text_of(int fd, const char* name) {
  auto value = posix::get_xattr(fd, name);
  return value && *value ? std::move(**value) : std::string();
}

Status set_text(int fd, const char* name, const std::string& text) {
  return text.empty() ? posix::remove_xattr(fd, name) : posix::set_xattr(fd, name, text);
}

// What is known of the content: nothing from the first call on until the last one is done.
Status write_content(int fd, const IndexRecord& record) {
  if (auto done = posix::remove_xattr(fd, kSize); !done) return done;
  const bool verified = record.verified && record.checksum;
  if (auto done = set_text(fd, kChecksum, record.checksum ? record.checksum->tagged() : ""); !done)
    return done;
  if (auto done = set_text(fd, kVerified, verified ? "1" : "0"); !done) return done;
  if (auto done = set_text(fd, kEtag, record.validator.etag); !done) return done;
  if (auto done = set_text(fd, kLastModified, record.validator.last_modified); !done) return done;
  return set_text(fd, kSize, std::to_string(record.size));
}

Status forget_content(int fd) {
  for (const char* name : {kSize, kChecksum, kVerified, kEtag, kLastModified})
    if (auto done = posix::remove_xattr(fd, name); !done) return done;
  return {};
}

bool content_is_known(int fd, const struct stat& st) {
  return text_of(fd, kSize) == std::to_string(st.st_size);
}

class XattrIndex final : public CacheIndex {
 public:
  explicit XattrIndex(UniqueFd dir) : dir_(std::move(dir)) {}

  Result<std::optional<IndexRecord>> find(const ImageId& id) override;
  Status each(const std::function<Status(IndexRecord)>& see) override;
  Status stage(int fd, const IndexRecord& record) override;
  Status put(const IndexRecord& record) override;
  Status take_over(const std::vector<IndexRecord>& records) override;
  Status remove(const std::vector<ImageId>& ids) override;
  Status add_accesses(const std::vector<AccessCount>& counts) override;
  Status set_pinned(const ImageId& id, bool pinned) override;
  Status repair(const CachedFiles& cached) override;
  Result<std::optional<std::string>> source() override;
  Status set_source(const std::string& source) override;
  std::string driver() const override { return "xattr"; }

 private:
  struct File {
    UniqueFd fd;
    struct stat st;
  };
  Result<File> open(const ImageId& id) const;
  static Result<std::optional<IndexRecord>> read(const ImageId& id, const File& file);
  Status repair_one(const ImageId& id) const;
  Status remove_one(const ImageId& id) const;

  const UniqueFd dir_;  // <cache_dir>, a descriptor of our own
  std::mutex mutex_;    // one writer at a time, for what is read and then written
};

// A regular file only, and looked at first: an open may do things to what is none.
Result<XattrIndex::File> XattrIndex::open(const ImageId& id) const {
  auto there = posix::stat_at(dir_.get(), id.str());
  if (!there) return fail(there.error());
  const auto other = [&] { return fail(ErrorKind::kNotFound, id.str() + ": not a file"); };
  if (!S_ISREG(there->st_mode)) return other();
  auto fd = posix::open_unnoticed_at(dir_.get(), id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fail(fd.error());
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error().in(id.str()));
  if (!S_ISREG(st->st_mode)) return other();
  return File{std::move(*fd), *st};
}

Result<std::optional<IndexRecord>> XattrIndex::read(const ImageId& id, const File& file) {
  const int fd = file.fd.get();
  auto hits = read_hits(fd);
  if (!hits) return fail(hits.error().in(id.str()));
  if (!*hits) return std::nullopt;
  IndexRecord record{id, 0, 0, {}, {}, {}, false, {}, false};
  record.size = static_cast<uint64_t>(file.st.st_size);
  record.hits = (*hits)->hits;
  record.last_modified = wall_time(file.st.st_mtim);
  record.last_accessed = wall_time(file.st.st_atim);
  record.pinned = text_of(fd, kPinned) == "1";
  if (content_is_known(fd, file.st)) {
    if (auto checksum = Digest::parse_tagged(text_of(fd, kChecksum)))
      record.checksum = std::move(*checksum);
    record.verified = record.checksum && text_of(fd, kVerified) == "1";
    record.validator = {text_of(fd, kEtag), text_of(fd, kLastModified)};
  }
  return record;
}

Result<std::optional<IndexRecord>> XattrIndex::find(const ImageId& id) {
  auto file = open(id);
  if (!file && file.error().kind == ErrorKind::kNotFound) return std::nullopt;
  if (!file) return fail(file.error());
  return read(id, *file);
}

Status XattrIndex::each(const std::function<Status(IndexRecord)>& see) {
  return posix::each_entry(dir_.get(), [&](const posix::DirEntry& entry) -> Status {
    if (entry.type != DT_REG && entry.type != DT_UNKNOWN) return {};
    auto id = ImageId::parse(entry.name);
    if (!id) return {};
    // A file that cannot be opened is one that cannot be served: the others count all the same.
    auto record = find(*id);
    return record && *record ? see(std::move(**record)) : Status();
  });
}

Status XattrIndex::stage(int fd, const IndexRecord& record) {
  if (auto done = write_hits(fd, record.hits); !done) return fail(done.error().in(record.id.str()));
  // The pin is the operator's word about the name: it goes over to the file that takes it.
  auto before = open(record.id);
  if (before && text_of(before->fd.get(), kPinned) == "1")
    if (auto done = posix::set_xattr(fd, kPinned, "1"); !done) return done;
  auto done = write_content(fd, record);
  return done ? done : fail(done.error().in(record.id.str()));
}

Status XattrIndex::put(const IndexRecord& record) {
  std::lock_guard lock(mutex_);
  auto file = open(record.id);
  if (!file) return fail(file.error());
  const int fd = file->fd.get();
  auto had_hits = read_hits(fd);
  if (!had_hits) return fail(had_hits.error().in(record.id.str()));
  if (auto done = write_hits(fd, record.hits); !done) return fail(done.error().in(record.id.str()));
  if (!*had_hits)  // a row of its own begins: what an old one left holds no more
    if (auto done = set_text(fd, kPinned, record.pinned ? "1" : ""); !done) return done;
  if (auto done = write_content(fd, record); !done) return fail(done.error().in(record.id.str()));
  // The modification time stands for the version to who has the image open: left alone where it is
  // right.
  const bool same = wall_time(file->st.st_mtim) == record.last_modified;
  const struct timespec times[2] = {to_timespec(record.last_accessed),
                                    same ? omitted() : to_timespec(record.last_modified)};
  return posix::set_times(fd, times);
}

Status XattrIndex::take_over(const std::vector<IndexRecord>& records) {
  for (const IndexRecord& record : records) {
    auto done = put(record);
    if (done) done = set_pinned(record.id, record.pinned);
    if (!done && done.error().kind != ErrorKind::kNotFound) return done;
  }
  return {};
}

Status XattrIndex::remove(const std::vector<ImageId>& ids) {
  std::lock_guard lock(mutex_);
  for (const ImageId& id : ids)
    if (auto done = remove_one(id); !done) return done;
  return {};
}

Status XattrIndex::remove_one(const ImageId& id) const {
  auto file = open(id);
  if (!file && file.error().kind == ErrorKind::kNotFound) return {};  // and its row with it
  if (!file) return fail(file.error());
  const int fd = file->fd.get();
  if (auto done = remove_hits(fd); !done) return done;
  if (auto done = posix::remove_xattr(fd, kPinned); !done) return done;
  return forget_content(fd);
}

Status XattrIndex::add_accesses(const std::vector<AccessCount>& counts) {
  std::lock_guard lock(mutex_);
  for (const AccessCount& count : counts) {
    auto added = [&]() -> Status {
      auto file = open(count.id);
      if (!file && file.error().kind == ErrorKind::kNotFound) return {};
      if (!file) return fail(file.error());
      auto before = read_hits(file->fd.get());
      if (!before) return fail(before.error());
      if (!*before) return {};
      if (auto done = write_hits(file->fd.get(), (*before)->hits + count.hits); !done) return done;
      if (wall_time(file->st.st_atim) >= count.last_accessed) return {};
      const struct timespec times[2] = {to_timespec(count.last_accessed), omitted()};
      return posix::set_times(file->fd.get(), times);
    }();
    // No error of the whole: the caller would add them all once more.
    if (!added)
      spdlog::warn("{}: its hits were not counted: {}", count.id.str(), added.error().message);
  }
  return {};
}

Status XattrIndex::set_pinned(const ImageId& id, bool pinned) {
  std::lock_guard lock(mutex_);
  const auto none = [&] {
    return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
  };
  auto file = open(id);
  if (!file && file.error().kind == ErrorKind::kNotFound) return none();
  if (!file) return fail(file.error());
  auto hits = read_hits(file->fd.get());
  if (!hits) return fail(hits.error().in(id.str()));
  if (!*hits) return none();
  return set_text(file->fd.get(), kPinned, pinned ? "1" : "");
}

Status XattrIndex::repair_one(const ImageId& id) const {
  auto file = open(id);
  if (!file && file.error().kind == ErrorKind::kNotFound) return {};
  if (!file) return fail(file.error());
  const int fd = file->fd.get();
  auto hits = read_hits(fd);
  if (!hits) return fail(hits.error());
  if (!*hits || !(*hits)->as_glance_writes_it)
    if (auto done = write_hits(fd, *hits ? (*hits)->hits : 0); !done) return done;
  if (!*hits) {
    if (auto done = posix::remove_xattr(fd, kPinned); !done) return done;
    if (wall_time(file->st.st_atim) < wall_time(file->st.st_mtim)) {
      // With noatime the access time may be older than the file's content.
      const struct timespec times[2] = {file->st.st_mtim, omitted()};
      if (auto done = posix::set_times(fd, times); !done) return done;
    }
  }
  // Another size is another content: what was known of the old one holds no more.
  if (!*hits || !content_is_known(fd, file->st)) return forget_content(fd);
  return {};
}

Status XattrIndex::repair(const CachedFiles& cached) {
  size_t failed = 0;
  Error last{ErrorKind::kIo, ""};
  auto walked = cached([&](const StoredFile& file) -> Status {
    std::lock_guard lock(mutex_);
    if (auto done = repair_one(file.id); !done) {
      ++failed;
      last = done.error().in(file.id.str());
    }
    return {};
  });
  if (failed > 0)
    spdlog::warn("index: {} images do not take their attributes: {}", failed, last.message);
  return walked;
}

Result<std::optional<std::string>> XattrIndex::source() {
  return posix::get_xattr(dir_.get(), kSource);
}

Status XattrIndex::set_source(const std::string& source) {
  return posix::set_xattr(dir_.get(), kSource, source);
}

}  // namespace

Result<std::unique_ptr<CacheIndex>> open_xattr_index(const CacheLayout& layout) {
  auto dir = posix::open_at(layout.dir(Place::kCached), ".", O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error().in(layout.path()));
  return std::make_unique<XattrIndex>(std::move(*dir));
}

Status takes_attributes(const CacheLayout& layout) {
  // On the directory itself: a file for it would be an image to Glance.
  const int dir = layout.dir(Place::kCached);
  auto taken = posix::set_xattr(dir, kProbe, "1");
  if (taken) taken = posix::remove_xattr(dir, kProbe);
  if (taken) return {};
  const bool none = taken.error().sys_errno == EOPNOTSUPP;
  return fail(ErrorKind::kInvalid,
              fmt::format("{}: {}", layout.path(),
                          none ? "its file system has no extended attributes of users"
                               : taken.error().message));
}

}  // namespace imgcachefs
