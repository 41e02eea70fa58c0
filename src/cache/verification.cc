#include "cache/verification.h"

#include <fmt/format.h>

#include "base/log.h"

namespace imgcachefs {

std::string wrong_checksum(const ImageId& id, const Digest& expected, const Digest& actual) {
  return fmt::format("{}: wrong checksum: {} was published, the bytes on disk have {}", id.str(),
                     expected.tagged(), actual.tagged());
}

Result<Verification> verify_cached(const CacheLayout& layout, CacheIndex* index, const ImageId& id,
                                   const VerifyProgress& progress) {
  auto held = HeldImage::hold(layout, id);
  if (!held) return fail(held.error());
  Verification verification;
  verification.size = held->size();
  if (index == nullptr) return verification;
  auto row = index->find(id);
  if (!row) return fail(ErrorKind::kIo, row.error().message);
  if (!*row || !(*row)->checksum) return verification;
  verification.expected = (*row)->checksum;

  auto actual = held->hash(verification.expected->algo, progress);
  if (!actual) return fail(actual.error());
  verification.actual = std::move(*actual);

  if (verification.actual == verification.expected) {
    verification.verdict = Verdict::kRight;
    // As it is now: hits may have been counted meanwhile.
    auto fresh = index->find(id);
    if (!fresh) return fail(ErrorKind::kIo, fresh.error().message);
    if (!*fresh || (*fresh)->verified || (*fresh)->checksum != verification.expected)
      return verification;
    (*fresh)->verified = true;
    if (auto put = index->put(**fresh); !put) return fail(ErrorKind::kIo, put.error().message);
    return verification;
  }
  verification.verdict = Verdict::kWrong;
  auto moved = held->quarantine(wrong_checksum(id, *verification.expected, *verification.actual));
  if (!moved) return fail(moved.error().in(id.str()));
  if (auto removed = index->remove(id); !removed)
    spdlog::warn("{}: moved to invalid/, but its row stays in the index for now: {}", id.str(),
                 removed.error().message);
  return verification;
}

}  // namespace imgcachefs
