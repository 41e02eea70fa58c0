#include "fs/answers.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

#include "fs/image_fs.h"
#include "fs/passthrough_abi.h"

namespace imgcachefs {

namespace {

// libfuse answers FUSE_INIT on the thread that read it.
struct InitRequest {
  uint64_t unique = 0;  // 0: this thread has not read it
  bool offers_passthrough = false;
};
thread_local InitRequest init_request;

InitRequest parse_init(const fuse_in_header& header, const char* body, size_t size) {
  InitRequest request{header.unique, false};
  fuse_init_in init;
  if (size < sizeof init) return request;  // a kernel without FUSE_INIT_EXT
  std::memcpy(&init, body, sizeof init);
  const uint64_t flags = init.flags | uint64_t{init.flags2} << 32;
  constexpr uint64_t kBoth = passthrough_abi::kInitExtended | passthrough_abi::kInitPassthrough;
  request.offers_passthrough = (flags & kBoth) == kBoth;
  return request;
}

ssize_t read_request(int fd, void* buffer, size_t size, void*) {
  const ssize_t n = ::read(fd, buffer, size);
  fuse_in_header header;
  if (n >= static_cast<ssize_t>(sizeof header)) {
    std::memcpy(&header, buffer, sizeof header);
    if (header.opcode == FUSE_INIT)
      init_request = parse_init(header, static_cast<const char*>(buffer) + sizeof header,
                                static_cast<size_t>(n) - sizeof header);
  }
  return n;
}

void amend(fuse_init_out& reply, bool passthrough) {
  reply.flags |= FUSE_PARALLEL_DIROPS;  // a kernel that does not know it does not look at it
  if (!passthrough) return;
  reply.flags |= static_cast<uint32_t>(passthrough_abi::kInitExtended);
  reply.flags2 |= static_cast<uint32_t>(passthrough_abi::kInitPassthrough >> 32);
  std::memcpy(reinterpret_cast<char*>(&reply) + passthrough_abi::kStackDepthAt,
              &passthrough_abi::kStackDepth, sizeof passthrough_abi::kStackDepth);
}

ssize_t write_reply(int fd, iovec* parts, int count, void* image_fs) {
  if (init_request.unique == 0 || count != 2 || parts[1].iov_len < sizeof(fuse_init_out))
    return ::writev(fd, parts, count);
  fuse_out_header header;
  std::memcpy(&header, parts[0].iov_base, sizeof header);
  if (header.unique != init_request.unique) return ::writev(fd, parts, count);
  init_request.unique = 0;
  fuse_init_out reply;
  std::memcpy(&reply, parts[1].iov_base, sizeof reply);
  amend(reply,
        static_cast<ImageFs*>(image_fs)->backing_files().accept(init_request.offers_passthrough));
  std::memcpy(parts[1].iov_base, &reply, sizeof reply);
  return ::writev(fd, parts, count);
}

ssize_t splice_bytes(int from, off_t* from_offset, int to, off_t* to_offset, size_t size,
                     unsigned flags, void*) {
  return ::splice(from, from_offset, to, to_offset, size, flags);
}

}  // namespace

void ask_for_passthrough(fuse_conn_info&, BackingFiles&) {}

Status amend_init_reply(fuse_session* session) {
  fuse_custom_io io{};
  io.read = read_request;
  io.writev = write_reply;
  io.splice_receive = io.splice_send = splice_bytes;
  const int result = fuse_session_custom_io(session, &io, fuse_session_fd(session));
  if (result != 0) return fail_errno("fuse_session_custom_io", -result);
  return {};
}

int reply_opened(fuse_req_t request, const fuse_file_info& file, int backing_id) {
  if (backing_id == 0) return fuse_reply_open(request, &file);
  // It is answered as a buffer is: with these bytes.
  const passthrough_abi::OpenOut out{file.fh, passthrough_abi::kOpenPassthrough, backing_id};
  return fuse_reply_buf(request, reinterpret_cast<const char*>(&out), sizeof out);
}

}  // namespace imgcachefs
