// The ways programs read an image: whole, in places, through a mapping, past the page cache. Each
// compares what it got with the file that upstream serves.
//
//     ReadableImage image{.original = "/upstream/image", .format = "qcow2", .disk = "/as/raw"};
//     for (const ImageReader& reader : image_readers())
//       EXPECT_EQ(reader.read(mount.path("image"), image), "") << reader.name;
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace imgcachefs::test {

struct ReadableImage {
  std::string original;  // the file upstream has
  std::string format;    // as qemu-img names it
  std::string disk;      // a raw file of what a guest sees of it
};

struct ImageReader {
  std::string name;
  bool whole;  // it reads every byte
  // What is wrong with what was read; empty when nothing is. Any number of threads may call it.
  std::function<std::string(const std::string& path, const ReadableImage& image)> read;
};

const std::vector<ImageReader>& image_readers();

// An image of `size` bytes (a multiple of 4096) with some holes, made by qemu-img as `format` in
// `directory`, with its raw twin `<name>.raw` in `elsewhere`.
ReadableImage make_image(const std::string& directory, const std::string& name,
                         const std::string& format, uint64_t size, const std::string& elsewhere);

}  // namespace imgcachefs::test
