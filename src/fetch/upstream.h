// Where images come from: the one interface between the cache and the world outside.
//
// The cache knows this header, upstream_stats.h and image_id.h of fetch/, and nothing else. An
// Upstream is thread-safe; its calls block, for as long as the patience it was made with allows,
// and end within a fraction of a second once `stop` is requested (kCancelled). Retries happen
// inside (fetch/retry): an error that comes out is final for this call. Every implementation passes
// tests/contract/upstream_contract.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/byte_range.h"
#include "base/digest.h"
#include "base/result.h"
#include "base/units.h"
#include "fetch/image_id.h"
#include "fetch/upstream_stats.h"

namespace imgcachefs {

// What tells one version of an image from another (RFC 9110 section 8.8). Fields upstream did not
// send are empty.
struct Validator {
  std::string etag;           // as sent, quotes and W/ included
  std::string last_modified;  // as sent

  // False when something that both sides know differs: then it is another version. (A weak ETag
  // counts: it does not change without a change of content.)
  bool same_version(const Validator& other) const;
  bool operator==(const Validator&) const = default;
};

enum class RangeSupport { kUnknown, kYes, kNo };

struct ImageInfo {
  ImageId id;
  uint64_t size = 0;  // bytes, whole image
  Validator validator;
  std::optional<WallTime> mtime;  // upstream's idea of when it last changed
  RangeSupport ranges = RangeSupport::kUnknown;
  std::optional<Digest> digest;  // when stat() already learnt it; else ask digest()
};

// Takes bytes in order. Called from the thread that called read().
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // False: enough, end the transfer now; read() then returns kCancelled.
  virtual bool write(std::span<const std::byte> bytes) = 0;
};

// How much trouble a question is worth.
enum class Patience {
  kFull,    // all retries
  kOneTry,  // one attempt, of kOneTryTime: for what can be answered from the cache as well
};
constexpr std::chrono::milliseconds kOneTryTime{3000};

struct ReadOutcome {
  unsigned attempts = 1;  // HTTP requests it took
};

// An error that says nothing of what was asked about, only that upstream does not answer now: what
// is known holds.
bool is_silence(const Error& error);

// An image as a catalogue lists it.
struct CatalogueEntry {
  ImageId id;
  std::string name = {};                 // upstream's name of it, any text; "" when it has none
  std::optional<WallTime> created = {};  // tells the newest of several with the same name
  std::optional<ImageInfo> info = {};    // when the catalogue says as much as stat() would
};

class ImageNames {
 public:
  // The image of that name; of several the one created last. kNotFound when there is none; else as
  // Upstream::stat(). Thread-safe.
  virtual Result<CatalogueEntry> find_named(const std::string& name, Patience patience,
                                            std::stop_token stop) = 0;

 protected:
  ~ImageNames() = default;
};

// An image as a tag of a repository refers to it.
struct TaggedImage {
  std::string title;  // what it wants to be called: any text, not unique, never ""
  ImageId id;
  uint64_t size = 0;  // bytes, as the tag has it
};

struct Tag {
  std::string manifest;             // the text that says what the tag is, byte for byte
  std::vector<TaggedImage> images;  // in its order
};

// Where images lie in repositories: directories of upstream's, of names like "team/vm". One image
// may lie in several; its ID is of its bytes, so it is the same image. Thread-safe; errors as of
// Upstream::stat().
class Repositories {
 public:
  // Those there are, in any order. kDenied: upstream does not tell, which says nothing of them.
  virtual Result<std::vector<std::string>> catalogue(Patience patience, std::stop_token stop) = 0;

  // The names of its tags, in any order. kNotFound: there is no such repository, though others may
  // lie below that name. kDenied: it may not be pulled.
  virtual Result<std::vector<std::string>> tags(const std::string& repository, Patience patience,
                                                std::stop_token stop) = 0;
  virtual Result<Tag> tag(const std::string& repository, const std::string& tag, Patience patience,
                          std::stop_token stop) = 0;

  // An image as one of that repository. kNotFound: it is not in it. kDenied: the repository may
  // not be pulled, whatever is known of the image. Afterwards upstream's stat() and read() of the
  // image know where it is.
  virtual Result<ImageInfo> stat(const std::string& repository, const ImageId& id,
                                 Patience patience, std::stop_token stop) = 0;

 protected:
  ~Repositories() = default;
};

class Upstream {
 public:
  virtual ~Upstream() = default;

  // What upstream says of an image now. kNotFound, kDenied, kTimeout, kUnavailable, kProtocol.
  virtual Result<ImageInfo> stat(const ImageId& id, Patience patience, std::stop_token stop) = 0;

  // The images upstream has, in any order, for `list=all`. What is no ImageId is left out.
  virtual Result<std::vector<CatalogueEntry>> list(Patience patience, std::stop_token stop) = 0;

  // Where images have names beside their IDs, whom to ask for them; nullptr where they have none.
  // Lives as long as the upstream.
  virtual ImageNames* names() { return nullptr; }

  // Where images lie in repositories, whom to ask for them; nullptr where they do not. Lives as
  // long as the upstream. An ID then is the digest of its image (`sha256:<hex>`), so that what is
  // cached never changes and needs no look at upstream but for the repository's sake.
  virtual Repositories* repositories() { return nullptr; }

  // The checksum the image must have, if upstream publishes one; nullopt only when it certainly
  // does not. `fresh`: believe nothing learnt before this call (after a mismatch).
  virtual Result<std::optional<Digest>> digest(const ImageInfo& info, bool fresh,
                                               std::stop_token stop) = 0;

  // Gives `sink` exactly the bytes of `range` of the version `info` speaks of, in order, each once,
  // over as many attempts as it takes. kStale: upstream has another version now (the sink may have
  // had a part, all of it of the right version). kNoRanges: `range` is not the whole image and
  // upstream cannot do ranges (the sink got nothing); ask for the whole image then. A range of the
  // whole image, [0, size), is asked for without a Range header.
  virtual Result<ReadOutcome> read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                                   std::stop_token stop) = 0;

  virtual const UpstreamStats& stats() const = 0;
};

}  // namespace imgcachefs
