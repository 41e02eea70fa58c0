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
  const json page = json::parse(*text, nullptr, false);
  if (!page.is_object())
    return fail(ErrorKind::kIo, mountpoint + "/.imgcachefs/status is not JSON");
  MountFigures figures;
  each(page, "fills", [&](const ImageId& id, const json& fill) {
    auto whole = fill.find("whole");
    figures.fills[id] = {number_of(fill, "size"), number_of(fill, "cached_bytes"),
                         number_of(fill, "rate"),
                         whole != fill.end() && whole->is_boolean() && whole->get<bool>()};
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
