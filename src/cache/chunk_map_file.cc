#include "cache/chunk_map_file.h"

#include <endian.h>
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <span>

#include "cache/chunk_map.h"

namespace imgcachefs {
namespace {

constexpr char kMagic[8] = {'I', 'M', 'G', 'C', 'M', 'A', 'P', '1'};
constexpr size_t kFixed = 40;
constexpr uint32_t kLongestValidator = 64 << 10;

struct FixedHeader {
  char magic[8];
  uint32_t chunk_size;
  uint32_t chunks;
  uint64_t image_size;
  uint32_t etag_length;
  uint32_t last_modified_length;
  uint64_t checksum;
};
static_assert(sizeof(FixedHeader) == kFixed);

uint64_t chunks_of(const ChunkMapHeader& header) {
  return (header.image_size + header.chunk_size - 1) / header.chunk_size;
}

uint64_t entries_offset(const Validator& validator) {
  return (kFixed + validator.etag.size() + validator.last_modified.size() + 7) & ~uint64_t{7};
}

std::string encode(const ChunkMapHeader& header, const std::string& name) {
  FixedHeader fixed{};
  std::memcpy(fixed.magic, kMagic, sizeof kMagic);
  fixed.chunk_size = htole32(header.chunk_size);
  fixed.chunks = htole32(static_cast<uint32_t>(chunks_of(header)));
  fixed.image_size = htole64(header.image_size);
  fixed.etag_length = htole32(static_cast<uint32_t>(header.validator.etag.size()));
  fixed.last_modified_length =
      htole32(static_cast<uint32_t>(header.validator.last_modified.size()));
  const std::string text = header.validator.etag + header.validator.last_modified;
  std::string summed(reinterpret_cast<const char*>(&fixed), offsetof(FixedHeader, checksum));
  summed += text + name;
  fixed.checksum = htole64(chunk_checksum(summed.data(), summed.size()));
  std::string out(reinterpret_cast<const char*>(&fixed), sizeof fixed);
  out += text;
  out.resize(entries_offset(header.validator), '\0');
  return out;
}

}  // namespace

Result<ChunkMapFile> ChunkMapFile::create(int dir, const std::string& name,
                                          const ChunkMapHeader& header) {
  auto fd = posix::open_at(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
  if (!fd) return fail(fd.error());
  const std::string bytes = encode(header, name);
  if (auto ok = posix::write_at(fd->get(), std::as_bytes(std::span(bytes)), 0); !ok)
    return fail(ok.error());
  if (auto ok = posix::truncate(fd->get(), bytes.size() + 8 * chunks_of(header)); !ok)
    return fail(ok.error());
  return ChunkMapFile(std::move(*fd), bytes.size());
}

Result<ChunkMapFile::Loaded> ChunkMapFile::load(int dir, const std::string& name) {
  auto fd = posix::open_at(dir, name, O_RDWR | O_NOFOLLOW);
  if (!fd) return fail(fd.error());
  const auto harmed = [&] {
    return fail(ErrorKind::kInvalid, fmt::format("maps/{}: not a chunk map", name));
  };
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error());
  std::string bytes(kFixed, '\0');
  const auto read_in = [&](uint64_t offset, std::span<char> into) -> bool {
    auto n = posix::read_at(fd->get(), std::as_writable_bytes(into), offset);
    return n && *n == into.size();
  };
  if (!read_in(0, bytes)) return harmed();
  FixedHeader fixed;
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  const uint32_t etag = le32toh(fixed.etag_length), modified = le32toh(fixed.last_modified_length);
  if (std::memcmp(fixed.magic, kMagic, sizeof kMagic) != 0 || fixed.chunk_size == 0 ||
      etag > kLongestValidator || modified > kLongestValidator)
    return harmed();
  std::string text(etag + modified, '\0');
  if (!read_in(kFixed, text)) return harmed();
  ChunkMapHeader header{le32toh(fixed.chunk_size), le64toh(fixed.image_size),
                        Validator{text.substr(0, etag), text.substr(etag)}};
  const uint64_t at = entries_offset(header.validator);
  if (header.image_size > kLargestImage || encode(header, name).compare(0, kFixed, bytes) != 0 ||
      static_cast<uint64_t>(st->st_size) != at + 8 * chunks_of(header))
    return harmed();
  std::vector<uint64_t> entries(chunks_of(header));
  auto n = posix::read_at(fd->get(), std::as_writable_bytes(std::span(entries)), at);
  if (!n || *n != entries.size() * 8) return harmed();
  Loaded loaded{ChunkMapFile(std::move(*fd), at), std::move(header), {}};
  for (uint32_t i = 0; i < entries.size(); ++i)
    if (entries[i] != 0) loaded.present.emplace_back(i, le64toh(entries[i]));
  return loaded;
}

bool ChunkMapFile::is_map(int dir, const std::string& name) {
  auto fd = posix::open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return false;
  std::array<std::byte, sizeof kMagic> magic{};
  auto n = posix::read_at(fd->get(), magic, 0);
  return n && *n == magic.size() && std::memcmp(magic.data(), kMagic, magic.size()) == 0;
}

Status ChunkMapFile::save(const std::vector<ChunkChecksum>& entries) {
  // Chunks land mostly in order: neighbours go out in one write.
  std::vector<uint64_t> run;
  for (size_t i = 0; i < entries.size();) {
    const uint32_t first = entries[i].first;
    run.clear();
    while (i < entries.size() && entries[i].first == first + run.size())
      run.push_back(htole64(entries[i++].second));
    if (auto ok =
            posix::write_at(fd_.get(), std::as_bytes(std::span(run)), entries_at_ + 8ULL * first);
        !ok)
      return ok;
  }
  return posix::sync_data(fd_.get());
}

}  // namespace imgcachefs
