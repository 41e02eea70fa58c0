// Image: one version of one image, as long as anybody knows of it.
//
// A new version (it changed upstream, it became cached, it was found corrupt) is a new Image with a
// new serial; the old object goes on for those who have it. A serial is never used twice, so fs/
// makes its node ids of it. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_range.h"
#include "base/digest.h"
#include "base/result.h"
#include "base/units.h"
#include "cache/shared_bytes.h"
#include "fetch/image_id.h"

namespace imgcachefs {

enum class ImageState { kUncached, kIncomplete, kCached };
std::string_view to_string(ImageState state);  // "uncached", "incomplete", "cached"

struct ImageAttr {
  uint64_t size = 0;     // bytes
  uint64_t on_disk = 0;  // bytes that are in the cache
  WallTime last_accessed{};
  WallTime last_modified{};  // when cached; before: upstream's time
};

// What the extended attributes of DESIGN 2.2 say.
struct ImageDetails {
  ImageState state = ImageState::kUncached;
  uint64_t cached_bytes = 0;
  uint64_t hits = 0;
  std::optional<WallTime> last_accessed;  // nullopt: never
  std::optional<Digest> checksum;         // as far as it is known by now
  bool verified = false;
  bool pinned = false;
  std::string error;  // "": none
};

// Bytes of an image, ready to be handed on: either where they lie in a file, or by value.
struct ImageBytes {
  int fd = -1;          // valid while the handle that gave it is open; -1: `parts` have them
  uint64_t offset = 0;  // in `fd`
  size_t length = 0;
  std::vector<SharedBytes> parts = {};  // one after the other, `length` in all

  static ImageBytes in_file(int fd, ByteRange range) { return {fd, range.begin, range.size()}; }
};

// A file that may be read by others than us.
struct GivenFile {
  int fd = -1;                       // -1: none
  std::shared_ptr<const void> kept;  // keeps `fd` open; the same one for the same open file
};

class Image {
 public:
  virtual ~Image() = default;
  virtual const ImageId& id() const = 0;
  virtual uint64_t serial() const = 0;
  virtual bool is_cached() const = 0;        // whole and verified on disk
  virtual ImageAttr attr() const = 0;        // never waits
  virtual ImageDetails details() const = 0;  // never waits for upstream
};

// One open of an image. Destroying it is the close; reads still waiting are answered all the same.
class ImageHandle {
 public:
  virtual ~ImageHandle() = default;

  // Called exactly once, on any thread, the caller's included, and with no lock held. At the end of
  // the image `length` is short, past it 0.
  using ReadDone = std::function<void(Result<ImageBytes>)>;

  // Never waits. kStale: the image changed upstream while incomplete. kCorrupt: wrong checksum.
  // kTimeout, kDenied, kNotFound, kUnavailable, kProtocol: upstream, past its retries. kCancelled:
  // the store shuts down.
  virtual void read(ByteRange range, ReadDone done) = 0;

  // The file with all bytes of the image, or -1 while it is incomplete: a read of it needs no
  // daemon.
  virtual int complete_fd() const = 0;

  // The same file, when it may be given away: whoever has it mapped cannot be told any more that
  // its bytes are wrong. It may be kept open when the handle is gone, and is then not held against
  // eviction.
  virtual GivenFile passthrough_file() const { return {}; }
};

}  // namespace imgcachefs
