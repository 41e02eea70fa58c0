#include "fetch/glance_record.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fetch/json_object.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
}

// As it can stand in a validator.
bool is_plain_hash(const std::string& algo, const std::string& value) {
  return algo.size() <= 32 && value.size() <= 256 && is_hex(value) &&
         std::all_of(algo.begin(), algo.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

// A word, and so fit for a log line.
bool is_status(const std::string& text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || c == '_';
  });
}

Result<GlanceRecord> record_of(const json& object) {
  JsonFields fields(object);
  const std::string id_text = fields.text("id");
  auto id = ImageId::parse(id_text);
  if (!is_glance_id(id_text) || !id)
    return fail(ErrorKind::kProtocol, "an image record without a right 'id'");
  GlanceRecord record{
      .id = std::move(*id), .name = fields.text("name"), .status = fields.text("status")};
  if (!is_status(record.status)) fields.wrong("status");
  record.size = fields.number("size");
  if (const std::string checksum = fields.text("checksum"); !checksum.empty()) {
    auto md5 = Digest::parse(DigestAlgo::kMd5, checksum);
    if (md5) record.md5 = std::move(*md5);
    if (!md5) fields.wrong("checksum");
  }
  record.hash_algo = fields.text("os_hash_algo");
  record.hash_value = fields.text("os_hash_value");
  if (record.hash_algo.empty() != record.hash_value.empty() ||
      !is_plain_hash(record.hash_algo, record.hash_value))
    fields.wrong("os_hash_value");
  if (auto algo = parse_digest_algo(record.hash_algo);
      algo && !Digest::parse(*algo, record.hash_value))
    fields.wrong("os_hash_value");
  record.created = fields.time("created_at");
  record.updated = fields.time("updated_at");
  record.updated_text = fields.text("updated_at");
  if (!fields.wrong().empty())
    return fail(ErrorKind::kProtocol, fmt::format("image {}: '{}' is not what the Image API has",
                                                  record.id.str(), fields.wrong()));
  return record;
}

}  // namespace

bool is_glance_id(std::string_view text) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (text.size() != kForm.size()) return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (kForm[i] == '-' ? text[i] != '-' : !is_hex(text.substr(i, 1))) return false;
  return true;
}

Result<GlanceRecord> GlanceRecord::parse(std::string_view text) {
  auto object = parse_json_object(text);
  if (!object) return fail(object.error());
  return record_of(*object);
}

ImageInfo GlanceRecord::info() const {
  ImageInfo info{.id = id,
                 .size = size.value_or(0),
                 .validator = {},
                 .mtime = updated,
                 // A matter of the store, which no record tells.
                 .ranges = RangeSupport::kUnknown,
                 .digest = md5};
  std::string& etag = info.validator.etag;
  if (md5) etag = md5->tagged();
  if (!hash_value.empty()) etag += (etag.empty() ? "" : ",") + hash_algo + ":" + hash_value;
  if (etag.empty()) info.validator.last_modified = updated_text;
  if (auto algo = parse_digest_algo(hash_algo))
    if (auto digest = Digest::parse(*algo, hash_value)) info.digest = std::move(*digest);
  return info;
}

std::optional<Digest> md5_of(const Validator& validator) {
  std::string_view etag = validator.etag;
  auto digest = Digest::parse_tagged(etag.substr(0, etag.find(',')));
  if (!digest || digest->algo != DigestAlgo::kMd5) return std::nullopt;
  return *digest;
}

Result<GlancePage> GlancePage::parse(std::string_view text) {
  auto object = parse_json_object(text);
  if (!object) return fail(object.error());
  auto images = object->find("images");
  if (images == object->end() || !images->is_array())
    return fail(ErrorKind::kProtocol, "a list of images without 'images'");
  GlancePage page;
  for (const json& image : *images) {
    if (!image.is_object()) return fail(ErrorKind::kProtocol, "an image that is no object");
    // Not one that could be asked for.
    if (auto id = image.find("id");
        id != image.end() && id->is_string() && !is_glance_id(id->get_ref<const std::string&>()))
      continue;
    auto record = record_of(image);
    if (record) {
      page.images.push_back(std::move(*record));
    } else if (auto id = image.find("id"); id != image.end() && id->is_string()) {
      // One that Glance itself got wrong must not hide all the others.
      spdlog::warn("left out of the list of images: {}", record.error().message);
    } else {
      return fail(record.error());
    }
  }
  JsonFields fields(*object);
  page.next = fields.text("next");
  if (!fields.wrong().empty())
    return fail(ErrorKind::kProtocol, "a list of images whose 'next' is no text");
  return page;
}

}  // namespace imgcachefs
