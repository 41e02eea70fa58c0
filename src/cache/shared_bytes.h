// Bytes in memory that several read and nobody changes: of a chunk that has just come, or a part of
// one.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace imgcachefs {

struct SharedBytes {
  std::shared_ptr<const std::byte[]> bytes;  // nullptr: there are none
  size_t size = 0;

  explicit operator bool() const { return bytes != nullptr; }
  std::span<const std::byte> span() const { return {bytes.get(), size}; }
  // Some of them, which keep all of them alive.
  SharedBytes part(size_t offset, size_t length) const {
    return {std::shared_ptr<const std::byte[]>(bytes, bytes.get() + offset), length};
  }
};

}  // namespace imgcachefs
