// The saved chunk map of an incomplete image: <cache_dir>/maps/<id>, little-endian.
//
//     offset  bytes  field
//          0      8  magic "IMGCMAP1" (the digit is the version of this format)
//          8      4  chunk size in bytes
//         12      4  number of chunks
//         16      8  size of the image in bytes
//         24      4  length E of the ETag
//         28      4  length M of the Last-Modified
//         32      8  XXH3-64 of bytes 0..31, the ETag, the Last-Modified and the image's ID:
//         servers
//                    give images of one size and one time the same ETag, and a map that was moved
//                    to another image's name is a map of nothing
//         40    E+M  the ETag, the Last-Modified, as upstream sent them
//          D    8*n  per chunk: XXH3-64 of its bytes, or 0 when it is absent; D = 40+E+M rounded up
//          to 8
//
// Entries are written in place, each only after the data it speaks of is on stable storage. An
// entry torn by a crash or harmed by hand names a checksum that the chunk does not have: the chunk
// is then fetched again. So an entry can be wrong only towards "absent". Pinned by golden bytes in
// tests/unit/cache/chunk_map_file_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/posix.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// What a map is of; one that says otherwise is of no use.
struct ChunkMapHeader {
  uint32_t chunk_size = 0;
  uint64_t image_size = 0;
  Validator validator;

  bool operator==(const ChunkMapHeader&) const = default;
};

using ChunkChecksum = std::pair<uint32_t, uint64_t>;  // chunk number, XXH3-64

class ChunkMapFile {
 public:
  // Replaces whatever is there by a map of nothing.
  static Result<ChunkMapFile> create(int dir, const std::string& name,
                                     const ChunkMapHeader& header);

  struct Loaded;
  // kNotFound: none there. kInvalid: not a map, or harmed in its header.
  static Result<Loaded> load(int dir, const std::string& name);

  // Whether the file is a map, sound or not; false also for what is not there.
  static bool is_map(int dir, const std::string& name);

  // Writes entries and waits until they are on stable storage.
  Status save(const std::vector<ChunkChecksum>& entries);

 private:
  ChunkMapFile(UniqueFd fd, uint64_t entries_at) : fd_(std::move(fd)), entries_at_(entries_at) {}

  UniqueFd fd_;
  uint64_t entries_at_;
};

struct ChunkMapFile::Loaded {
  ChunkMapFile file;
  ChunkMapHeader header;
  std::vector<ChunkChecksum> present;  // in order; to be checked before it is believed
};

}  // namespace imgcachefs
