// The file of an image being filled, and the only place that renames: commit, quarantine, discard.
//
// Its descriptor holds a shared flock as long as it lives, so whoever evicts or cleans skips it
// (DESIGN 2.5); after the commit the same descriptor reads the cached image. Thread-safe but for
// commit(), quarantine() and discard(), of which exactly one is called, once.
#pragma once

#include <memory>

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

  int fd() const { return fd_.get(); }
  uint64_t bytes_on_disk() const;

  // data on stable storage -> rename, map removed -> directories on stable storage. kStale:
  // somebody removed or replaced incomplete/<id> meanwhile, and nothing was done.
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
  Status still_ours() const;
  Status move_to(Place place);
  void remove_map();

  const CacheLayout& layout_;
  const ImageId id_;
  UniqueFd fd_;
};

}  // namespace imgcachefs
