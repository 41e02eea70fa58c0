// What Glance says of images in JSON (Image API v2), checked: a record, and a page of a listing.
//
// A field that we use and that is of another type than the API has it makes the whole text
// kProtocol, like JSON that is none, is nested deeper than any record, or says a thing twice.
// Custom properties and fields we have no use for are passed over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/units.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// 8-4-4-4-12 hex digits, of either case: only these are IDs of Glance's images, and the case
// counts.
bool is_glance_id(std::string_view text);

struct GlanceRecord {
  ImageId id;
  std::string name;                             // "" when it has none
  std::string status;                           // "active", "queued", ...
  std::optional<uint64_t> size = {};            // bytes; none before there is data
  std::optional<Digest> md5 = {};               // `checksum`; none when Glance never saw the data
  std::string hash_algo = {}, hash_value = {};  // of os_hash_*, as sent; both or none
  std::optional<WallTime> created = {}, updated = {};
  std::string updated_text = {};  // as sent

  static Result<GlanceRecord> parse(std::string_view json);

  // Of an active image that has a size. The validator is made of the checksums, for these are what
  // the content is known by: "md5:<hex>,sha512:<hex>" as ETag; `updated_at`, which any change of
  // a property moves, stands in where there are none.
  ImageInfo info() const;
};

// The MD5 in a validator that info() made.
std::optional<Digest> md5_of(const Validator& validator);

struct GlancePage {
  // Without those whose ID is none of Glance's, and without those whose record is none as it should
  // be, each of which has a line in the log.
  std::vector<GlanceRecord> images;
  std::string next;  // URL of the next page as sent; "" on the last one

  static Result<GlancePage> parse(std::string_view json);
};

}  // namespace imgcachefs
