#include "base/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <new>

namespace imgcachefs {
namespace {

struct Algo {
  DigestAlgo algo;
  std::string_view name;
  size_t bytes;
  const EVP_MD* (*evp)();
};

constexpr std::array kAlgos = {
    Algo{DigestAlgo::kMd5, "md5", 16, &EVP_md5},
    Algo{DigestAlgo::kSha1, "sha1", 20, &EVP_sha1},
    Algo{DigestAlgo::kSha256, "sha256", 32, &EVP_sha256},
    Algo{DigestAlgo::kSha384, "sha384", 48, &EVP_sha384},
    Algo{DigestAlgo::kSha512, "sha512", 64, &EVP_sha512},
};

const Algo& row(DigestAlgo algo) {
  return kAlgos[static_cast<size_t>(algo)];
}

std::string to_hex(std::span<const unsigned char> bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (unsigned char b : bytes) fmt::format_to(std::back_inserter(hex), "{:02x}", b);
  return hex;
}

}  // namespace

std::string_view to_string(DigestAlgo algo) {
  return row(algo).name;
}
size_t digest_bytes(DigestAlgo algo) {
  return row(algo).bytes;
}

std::optional<DigestAlgo> parse_digest_algo(std::string_view name) {
  std::string plain;
  for (char c : name)
    if (c != '-') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Algo& algo : kAlgos)
    if (algo.name == plain) return algo.algo;
  return std::nullopt;
}

Result<Digest> Digest::parse(DigestAlgo algo, std::string_view hex) {
  if (hex.size() != 2 * digest_bytes(algo) ||
      !std::all_of(hex.begin(), hex.end(), [](unsigned char c) { return std::isxdigit(c) != 0; }))
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}' is not a {} checksum", hex, to_string(algo)));
  std::string lower(hex);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return Digest{algo, std::move(lower)};
}

Result<Digest> Digest::from_base64(DigestAlgo algo, std::string_view base64) {
  const size_t want = digest_bytes(algo);
  std::array<unsigned char, 96> out{};
  std::array<unsigned char, 96> again{};
  // EVP_DecodeBlock counts the padding as bytes and takes any number of '=' anywhere, so the length
  // is checked on the text, and the text is right when encoding gives it back.
  if (base64.size() != 4 * ((want + 2) / 3) ||
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(base64.data()),
                      static_cast<int>(base64.size())) < static_cast<int>(want) ||
      EVP_EncodeBlock(again.data(), out.data(), static_cast<int>(want)) !=
          static_cast<int>(base64.size()) ||
      !std::equal(base64.begin(), base64.end(), again.begin()))
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}' is not a base64 {} checksum", base64, to_string(algo)));
  return Digest{algo, to_hex(std::span(out).first(want))};
}

Result<Digest> Digest::parse_tagged(std::string_view text) {
  size_t colon = text.find(':');
  auto algo = parse_digest_algo(text.substr(0, colon));
  if (colon == std::string_view::npos || !algo)
    return fail(ErrorKind::kInvalid, fmt::format("'{}' is not algo:hex", text));
  return parse(*algo, text.substr(colon + 1));
}

std::string Digest::tagged() const {
  return fmt::format("{}:{}", to_string(algo), hex);
}

struct Hasher::Context {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> evp{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Hasher::Hasher(DigestAlgo algo) : algo_(algo), context_(std::make_unique<Context>()) {
  if (!context_->evp || EVP_DigestInit_ex(context_->evp.get(), row(algo).evp(), nullptr) != 1)
    throw std::bad_alloc();
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size());
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned int n = 0;
  EVP_DigestFinal_ex(context_->evp.get(), out.data(), &n);
  return Digest{algo_, to_hex(std::span(out).first(n))};
}

}  // namespace imgcachefs
