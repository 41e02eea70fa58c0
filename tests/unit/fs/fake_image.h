// An Image that says what a test tells it to.
#pragma once

#include "cache/image.h"

namespace imgcachefs {

struct FakeImage : Image {
  explicit FakeImage(const std::string& name, uint64_t serial_number = 1)
      : name_id(ImageId::parse(name).value()), number(serial_number) {}

  const ImageId& id() const override { return name_id; }
  uint64_t serial() const override { return number; }
  bool is_cached() const override { return what.state == ImageState::kCached; }
  ImageAttr attr() const override { return attributes; }
  ImageDetails details() const override { return what; }

  ImageId name_id;
  uint64_t number;
  ImageAttr attributes;
  ImageDetails what;
};

}  // namespace imgcachefs
