#include "fs/init_reply.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>

namespace imgcachefs {

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)

Status allow_parallel_lookups(fuse_session*) {
  return {};
}

#else

namespace {

// libfuse answers FUSE_INIT on the thread that read it. 0: this one has not read it.
thread_local uint64_t init_request = 0;

ssize_t read_request(int fd, void* buffer, size_t size, void*) {
  const ssize_t n = ::read(fd, buffer, size);
  fuse_in_header header;
  if (n >= static_cast<ssize_t>(sizeof header)) {
    std::memcpy(&header, buffer, sizeof header);
    if (header.opcode == FUSE_INIT) init_request = header.unique;
  }
  return n;
}

ssize_t write_reply(int fd, iovec* parts, int count, void*) {
  if (init_request == 0 || count != 2 || parts[1].iov_len < sizeof(fuse_init_out))
    return ::writev(fd, parts, count);
  fuse_out_header header;
  std::memcpy(&header, parts[0].iov_base, sizeof header);
  if (header.unique != init_request) return ::writev(fd, parts, count);
  init_request = 0;
  fuse_init_out reply;
  std::memcpy(&reply, parts[1].iov_base, sizeof reply);
  reply.flags |= FUSE_PARALLEL_DIROPS;  // a kernel that does not know it does not look at it
  std::memcpy(parts[1].iov_base, &reply, sizeof reply);
  return ::writev(fd, parts, count);
}

ssize_t splice_bytes(int from, off_t* from_offset, int to, off_t* to_offset, size_t size,
                     unsigned flags, void*) {
  return ::splice(from, from_offset, to, to_offset, size, flags);
}

}  // namespace

Status allow_parallel_lookups(fuse_session* session) {
  fuse_custom_io io{};
  io.read = read_request;
  io.writev = write_reply;
  io.splice_receive = io.splice_send = splice_bytes;
  const int result = fuse_session_custom_io(session, &io, fuse_session_fd(session));
  if (result != 0) return fail_errno("fuse_session_custom_io", -result);
  return {};
}

#endif

}  // namespace imgcachefs
