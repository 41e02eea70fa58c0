// The file of an image being filled, and the only place that renames: commit, quarantine, discard.
//
// Glance fills the same directory, and opens incomplete/<id> with O_TRUNC whatever lies there: our
// half-filled file too, which then has holes where we put bytes. So, as long as it is incomplete,
// our file is one byte longer than its image, a tail that nobody writes: neither our writes nor
// Glance's make it that long again, and who reads bytes of it and finds the tail still there
// afterwards (intact()) has read what we wrote. At the commit the file is renamed twice: first away
// from the name that Glance knows, to maps/<id>, over the map that is of no more use; there nobody
// can get at it, it is looked at a last time, and loses its tail.
//
// Its descriptor holds a shared flock as long as it lives, so whoever evicts or cleans skips it
// (DESIGN 2.5); after the commit the same descriptor reads the cached image. Thread-safe but for
// commit(), quarantine() and discard(), of which exactly one is called, once.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "cache/cache_layout.h"
#include "fetch/image_id.h"

namespace imgcachefs {

class ImageFile {
 public:
  // incomplete/<id>, made when it is not there. kBusy when a cleaner does not let go of it.
  static Result<std::shared_ptr<ImageFile>> open_incomplete(const CacheLayout& layout,
                                                            const ImageId& id);
  // A new, empty one in the place of whatever is there; its map goes too. Never the same file: a
  // fill that is being given up may still write to the old one, and its readers read it. `freed`:
  // bytes that this takes from the disk.
  static Result<std::shared_ptr<ImageFile>> replace_incomplete(const CacheLayout& layout,
                                                               const ImageId& id, uint64_t& freed);

  // Makes it as long as an image of so many bytes, with its tail. Before it is written to.
  Status prepare(uint64_t image_size);
  // kStale: another program fills incomplete/<id>: a file lies there that has no tail, and somebody
  // has it open, or it has no map and was written to within the last minute.
  static Status check_free(const CacheLayout& layout, const ImageId& id, uint64_t image_size);

  // Nobody has truncated it since prepare(): what was read from it before is what we wrote. Costs
  // one fstat.
  bool intact() const;

  int fd() const { return fd_.get(); }
  uint64_t bytes_on_disk() const;

  // data on stable storage -> rename, map removed -> directories on stable storage. kStale:
  // somebody removed, replaced or truncated incomplete/<id> meanwhile, and nothing was done: what
  // somebody else has begun to write to is his.
  Status commit();
  // To invalid/<id>, over what is there; the map goes. The reason is left on the file, as Glance
  // leaves it (user.error), where the file system can.
  Status quarantine(const std::string& reason);
  Status discard();  // file and map go; kStale as commit()

 private:
  ImageFile(const CacheLayout& layout, const ImageId& id, UniqueFd fd)
      : layout_(layout), id_(id), fd_(std::move(fd)) {}
  static Result<std::shared_ptr<ImageFile>> open(const CacheLayout& layout, const ImageId& id,
                                                 int flags);
  Status still_ours(Place place = Place::kIncomplete) const;
  Status still_whole() const;
  Status move_to(Place place);
  Result<Place> take_out_of_reach();
  Status finish_commit(Place place);
  void give_back(Place place);
  void remove_map();

  const CacheLayout& layout_;
  const ImageId id_;
  UniqueFd fd_;
  std::optional<uint64_t> image_size_;     // from prepare() on
  std::atomic<bool> out_of_reach_{false};  // and whole: nobody can truncate it any more
};

// How long an incomplete file of ours is beyond its image, in bytes.
constexpr uint64_t kIncompleteTail = 1;

}  // namespace imgcachefs
