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
// It comes as it goes: made in maps/, and given its name when it has its tail and its mark
// (unfinished.h), by which it is known wherever Glance's rename, by name and blind, puts it. What
// somebody took away altogether is begun again.
//
// Its descriptor holds a shared flock as long as it lives, so whoever evicts or cleans skips it
// (DESIGN 2.5); after the commit the same descriptor reads the cached image. Thread-safe but for
// commit(), begin_again(), quarantine() and discard(), which are called one after the other.
#pragma once

#include <atomic>
#include <memory>

#include "cache/cache_layout.h"
#include "cache/unfinished.h"
#include "fetch/image_id.h"

namespace imgcachefs {

class ImageFile {
 public:
  // incomplete/<id> as it is, for an image of so many bytes. kNotFound: it is not there. kBusy: a
  // cleaner does not let go of it.
  static Result<std::shared_ptr<ImageFile>> take_up(const CacheLayout& layout, const ImageId& id,
                                                    uint64_t image_size);
  // A new, empty one in the place of whatever is there; its map goes too. Never the same file: a
  // fill that is being given up may still write to the old one, and its readers read it. `freed`:
  // bytes that this takes from the disk. kStale as check_free().
  static Result<std::shared_ptr<ImageFile>> begin(const CacheLayout& layout, const ImageId& id,
                                                  uint64_t image_size, uint64_t& freed);

  // kStale: another program fills incomplete/<id>: a file lies there that has no tail, and somebody
  // has it open, or it has no map and was written to within the last minute.
  static Status check_free(const CacheLayout& layout, const ImageId& id, uint64_t image_size);

  // Nobody has truncated it since it was taken up or begun: what was read from it before is what we
  // wrote. Costs one fstat.
  bool intact() const;

  // Whether `st` is this file while it is incomplete.
  bool is(const struct stat& st) const;
  // Back to its name, when another program's rename took it to <cache_dir> or to invalid/; where
  // that name is taken, out of <cache_dir> all the same. Costs two stats.
  void reclaim();

  int fd() const { return fd_.get(); }
  uint64_t bytes_on_disk() const;

  // data on stable storage -> rename, map removed -> directories on stable storage. kStale:
  // somebody truncated it, or has another incomplete/<id>, and nothing was done: what somebody else
  // has begun to write to is his. kNotFound: somebody took it away, and the name is free.
  Status commit();
  // After kNotFound: the same bytes in a new incomplete/<id>, and fd() means that from now on. Not
  // while chunks are being written. kStale: the name is not free any more.
  Status begin_again();
  // To invalid/<id>, over what is there; the map goes. The reason is left on the file, as Glance
  // leaves it (user.error), where the file system can.
  Status quarantine(const std::string& reason);
  Status discard();  // file and map go; kStale as commit()

 private:
  ImageFile(const CacheLayout& layout, const ImageId& id, UniqueFd fd, uint64_t image_size)
      : layout_(layout), id_(id), fd_(std::move(fd)), image_size_(image_size) {}
  bool lies_in(Place place) const;
  Status still_ours() const;
  Status still_whole() const;
  Status move_to(Place place);
  Result<Place> take_out_of_reach();
  Status finish_commit(Place place);
  void give_back(Place place);

  const CacheLayout& layout_;
  const ImageId id_;
  const UniqueFd fd_;
  const uint64_t image_size_;
  std::atomic<bool> out_of_reach_{false};  // and whole: nobody can truncate it any more
  std::atomic<bool> given_up_{false};      // it is where it belongs
};

}  // namespace imgcachefs
