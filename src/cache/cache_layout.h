// The cache directory's layout (DESIGN 2.5, Glance's): the only file that knows a name on disk.
//
//     <cache_dir>/<id>               cached: whole and verified; being there is being cached
//     <cache_dir>/incomplete/<id>    sparse, being filled
//     <cache_dir>/invalid/<id>       failed; cleaned
//     <cache_dir>/queue/<id>         empty file: to be cached
//     <cache_dir>/maps/<id>          chunk map of an incomplete image (chunk_map_file.h)
//     <cache_dir>/cache.db           the index (sqlite_index.h)
//
// Each directory is held open, and files are named relative to it, so a renamed or replaced path
// component cannot lead us elsewhere. Two locks (flock) stand for the two things a daemon can be:
//   on <cache_dir>       the daemon lives: held until its last write is done
//   on <cache_dir>/maps  the daemon serves: let go first at shutdown, so that a successor that
//   finds
//                        only the first one taken knows to wait a moment
// Immutable after open(); every method is thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/posix.h"
#include "base/result.h"
#include "fetch/image_id.h"

namespace imgcachefs {

enum class Place { kCached, kIncomplete, kInvalid, kQueue, kMaps };

struct StoredFile {
  ImageId id;
  struct stat st;
};

class CacheLayout {
 public:
  enum class Access {
    kDaemon,  // makes what is missing (cache_dir 0700) and takes both locks; kBusy when another
              // lives
    kTool,    // for imgcachectl: what is not there stays away (kNotFound without a cache_dir), no
              // lock
  };
  static Result<CacheLayout> open(const std::string& cache_dir, Access access);

  int dir(Place place) const;  // a directory descriptor; owned by this. -1: not there (kTool)
  // <cache_dir> again, to open images by that are to be read, and for nothing else: who reads them
  // moves no access time (it says when an image was opened last), where the daemon may have it so.
  int reading_dir() const { return reading_ ? reading_.get() : cached_.get(); }
  // The same, for a tool that has to put something there: made when it is missing. Not kCached.
  Result<UniqueFd> make_dir(Place place) const;
  const std::string& path() const { return path_; }
  std::string index_path() const;  // of cache.db, for SQLite

  // The images that lie in a place: regular files whose names are ImageIds, in no order. What is
  // not ours is not reported and never touched. Shown one by one, until `see` fails: of a hundred
  // thousand a list would take tens of megabytes.
  Status each(Place place, const std::function<Status(StoredFile)>& see) const;
  Result<std::vector<StoredFile>> list(Place place) const;  // where there are few
  // The same without a stat of each.
  Status each_name(Place place, const std::function<void(const ImageId&)>& see) const;
  Result<std::vector<ImageId>> names(Place place) const;
  Result<size_t> count(Place place) const;

  // Held by this process while it looks whether a name still means its file and then renames or
  // unlinks it: what is between the two would else be done to a successor's file. Other programs
  // only unlink, under an exclusive lock of the file.
  std::mutex& names_mutex() const { return *names_mutex_; }

  void stop_serving();  // lets go of the lock on maps/

 private:
  CacheLayout() = default;

  // Shows each entry that may be an image's file, until `see` fails.
  Status each_entry(Place place,
                    const std::function<Status(const posix::DirEntry&, ImageId)>& see) const;

  std::string path_;
  UniqueFd reading_;  // none: not permitted
  UniqueFd cached_, incomplete_, invalid_, queue_, maps_;
  std::unique_ptr<std::mutex> names_mutex_ = std::make_unique<std::mutex>();
  UniqueFd life_lock_, serving_lock_;  // descriptors of their own: a flock belongs to an open file
};

}  // namespace imgcachefs
