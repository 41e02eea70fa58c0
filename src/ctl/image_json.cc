#include "ctl/image_json.h"

namespace imgcachefs {

std::string_view state_of(Place place) {
  switch (place) {
    case Place::kCached:
      return "cached";
    case Place::kIncomplete:
    case Place::kMaps:
      return "incomplete";
    case Place::kInvalid:
      return "invalid";
    case Place::kQueue:
      return "queued";
  }
  return "";
}

Json to_json(const ImageEntry& entry) {
  const struct stat& st = entry.file.st;
  Json json;
  json["image_id"] = entry.file.id.str();
  json["hits"] = entry.row ? entry.row->hits : 0;
  json["last_modified"] = rfc3339(entry.row ? entry.row->last_modified : wall_time(st.st_mtim));
  json["last_accessed"] = rfc3339(entry.row ? entry.row->last_accessed : wall_time(st.st_atim));
  json["size"] = static_cast<uint64_t>(st.st_size);
  json["state"] = state_of(entry.place);
  json["cached_bytes"] =
      std::min(counted_bytes(entry.place, st), static_cast<uint64_t>(st.st_size));
  const bool checksum = entry.row && entry.row->checksum;
  json["checksum"] = checksum ? Json(entry.row->checksum->tagged()) : Json(nullptr);
  json["verified"] = entry.row && entry.row->verified;
  json["pinned"] = entry.row && entry.row->pinned;
  return json;
}

Json to_json(const Removals& removals) {
  Json images = Json::array();
  for (const Removed& file : removals.files)
    images.push_back(
        {{"image_id", file.id.str()}, {"bytes", file.bytes}, {"state", state_of(file.place)}});
  return {{"files", removals.files.size()}, {"bytes", removals.bytes}, {"images", images}};
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace imgcachefs
