// Checksums of images: their names, their written form, and the running computation of one.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

enum class DigestAlgo { kMd5, kSha1, kSha256, kSha384, kSha512 };

std::string_view to_string(DigestAlgo algo);                         // "md5", "sha256", ...
std::optional<DigestAlgo> parse_digest_algo(std::string_view name);  // also "SHA256", "sha-256"
size_t digest_bytes(DigestAlgo algo);                                // 16, 20, 32, 48, 64

// The value an image should have. `hex` is lower case and of the right length: parse() sees to it.
struct Digest {
  DigestAlgo algo;
  std::string hex;

  static Result<Digest> parse(DigestAlgo algo, std::string_view hex);
  static Result<Digest> from_base64(DigestAlgo algo,
                                    std::string_view base64);  // as HTTP headers carry it
  static Result<Digest> parse_tagged(std::string_view text);   // "algo:hex"
  std::string tagged() const;                                  // "algo:hex"
  bool operator==(const Digest&) const = default;
};

// Computes a digest over bytes given in order. Not thread-safe; movable.
class Hasher {
 public:
  explicit Hasher(DigestAlgo algo);
  ~Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;

  void update(std::span<const std::byte> bytes);
  Digest finish();  // once; the hasher is of no use after

 private:
  struct Context;
  DigestAlgo algo_;
  std::unique_ptr<Context> context_;
};

}  // namespace imgcachefs
