// Checksums as servers publish them.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <filesystem>
#include <span>
#include <string>

#include "base/digest.h"
#include "support/process.h"

namespace imgcachefs::test {

inline std::string hex_digest(const std::string& bytes, DigestAlgo algo = DigestAlgo::kSha256) {
  Hasher hasher(algo);
  hasher.update(std::as_bytes(std::span(bytes)));
  return hasher.finish().hex;
}

// A line of SHA256SUMS and its kin.
inline std::string sums_line(const std::string& name, const std::string& bytes,
                             DigestAlgo algo = DigestAlgo::kSha256) {
  return hex_digest(bytes, algo) + "  " + name + "\n";
}

// A SHA256SUMS of all files in a directory, in it.
inline void publish_checksums(const std::filesystem::path& images) {
  const CommandResult sums =
      run({"bash", "-c", "sha256sum * > SHA256SUMS"}, {.env = {}, .directory = images.string()});
  ASSERT_TRUE(sums.ok()) << sums.describe();
}

// The value of a Repr-Digest header (RFC 9530).
inline std::string repr_digest(const std::string& bytes) {
  const std::string hex = hex_digest(bytes);
  std::string raw;
  for (size_t i = 0; i < hex.size(); i += 2)
    raw += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  std::string base64(64, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()),
                                     reinterpret_cast<const unsigned char*>(raw.data()),
                                     static_cast<int>(raw.size()));
  base64.resize(static_cast<size_t>(length));
  return "sha-256=:" + base64 + ":";
}

}  // namespace imgcachefs::test
