#include "ctl/mount_figures.h"

#include <nlohmann/json.hpp>

#include "ctl/mount.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

uint64_t number_of(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && at->is_number_unsigned() ? at->get<uint64_t>() : 0;
}

std::optional<bool> flag_of(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && at->is_boolean() ? std::optional(at->get<bool>()) : std::nullopt;
}

json object_of(const json& object, const char* key) {
  auto at = object.find(key);
  return at != object.end() && at->is_object() ? *at : json::object();
}

ErrorKind kind_of(const std::string& name) {
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kIo); ++kind)
    if (to_string(static_cast<ErrorKind>(kind)) == name) return static_cast<ErrorKind>(kind);
  return ErrorKind::kIo;
}

// Shows each entry of a list that names an image.
template <typename See>
void each(const json& page, const char* list, See see) {
  auto at = page.find(list);
  if (at == page.end() || !at->is_array()) return;
  for (const json& entry : *at) {
    if (!entry.is_object()) continue;
    if (auto id = ImageId::parse(text_of(entry, "image_id"))) see(*id, entry);
  }
}

}  // namespace

Result<MountFigures> mount_figures(const std::string& mountpoint) {
  auto text = mount_status(mountpoint);
  if (!text) return fail(text.error());
  return parse_figures(mountpoint, *text);
}

Result<MountFigures> parse_figures(const std::string& mountpoint, const std::string& text) {
  const json page = json::parse(text, nullptr, false);
  if (!page.is_object())
    return fail(ErrorKind::kIo, mountpoint + "/.imgcachefs/status is not JSON");
  const json images = object_of(page, "images"), upstream = object_of(page, "upstream");
  const json last_error = object_of(upstream, "last_error");
  MountFigures figures;
  figures.version = text_of(page, "version");
  figures.source = text_of(page, "source");
  figures.cache_dir = text_of(page, "cache_dir");
  figures.driver = text_of(page, "driver");
  figures.passthrough = text_of(page, "passthrough");
  figures.mounted_at = text_of(page, "mounted_at");
  figures.max_size = number_of(page, "max_size");
  figures.used = number_of(page, "used");
  figures.chunk_size = number_of(page, "chunk_size");
  figures.images = {number_of(images, "cached"), number_of(images, "incomplete"),
                    number_of(images, "invalid"), number_of(images, "queued")};
  figures.hits = number_of(page, "hits");
  figures.misses = number_of(page, "misses");
  figures.upstream = {number_of(upstream, "requests"), number_of(upstream, "bytes"),
                      number_of(upstream, "errors"),   number_of(upstream, "retries"),
                      flag_of(upstream, "up"),         text_of(last_error, "message"),
                      text_of(last_error, "time")};
  each(page, "fills", [&](const ImageId& id, const json& fill) {
    figures.fills[id] = {number_of(fill, "size"), number_of(fill, "cached_bytes"),
                         number_of(fill, "rate"), flag_of(fill, "whole").value_or(false)};
  });
  each(page, "queue", [&](const ImageId& id, const json& entry) {
    QueueFigures& figure = figures.queue[id];
    figure.attempts = static_cast<unsigned>(number_of(entry, "attempts"));
    figure.next_try = text_of(entry, "next_try");
    if (auto message = text_of(entry, "error"); !message.empty())
      figure.error = Error{kind_of(text_of(entry, "kind")), std::move(message)};
  });
  return figures;
}

}  // namespace imgcachefs
