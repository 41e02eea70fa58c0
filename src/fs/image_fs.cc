#include "fs/image_fs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "fs/by_name.h"
#include "fs/directories.h"
#include "fs/metrics_page.h"
#include "fs/parked.h"
#include "fs/status_page.h"

namespace imgcachefs {
namespace {

// Seconds the kernel believes us without asking.
constexpr double kBriefly = 1;        // long enough for a scan, short enough to show what changed
constexpr double kIncompleteFor = 0;  // the next open after the commit must see the new node

void reply_bytes(fuse_req_t request, const ImageBytes& bytes, fuse_buf_copy_flags flags) {
  if (bytes.fd < 0) {
    const void* data = bytes.buffer ? bytes.buffer->data() + bytes.offset : nullptr;
    fuse_reply_buf(request, static_cast<const char*>(data), bytes.length);
    return;
  }
  fuse_bufvec vector = FUSE_BUFVEC_INIT(bytes.length);
  vector.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  vector.buf[0].fd = bytes.fd;
  vector.buf[0].pos = static_cast<off_t>(bytes.offset);
  fuse_reply_data(request, &vector, flags);
}

// Text that a getxattr or listxattr asked for with room for `size` bytes; 0 asks how long it is.
void reply_xattr_text(fuse_req_t request, const std::string& text, size_t size) {
  if (size == 0)
    fuse_reply_xattr(request, text.size());
  else if (size < text.size())
    fuse_reply_err(request, ERANGE);
  else
    fuse_reply_buf(request, text.data(), text.size());
}

}  // namespace

ImageFs::ImageFs(ImageStore& store, const UpstreamStats& upstream, MountFacts facts,
                 Ownership ownership)
    : store_(store),
      upstream_(upstream),
      facts_(std::move(facts)),
      ownership_(ownership),
      mounted_at_(std::chrono::system_clock::now()),
      errors_(redacted_url(facts_.source)) {}

void ImageFs::init(fuse_conn_info& connection) {
  auto want = [&](unsigned capability) { connection.want |= connection.capable & capability; };
  want(FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE | FUSE_CAP_PARALLEL_DIROPS);
  // With ASYNC_DIO the kernel waits for O_DIRECT reads where no signal can reach the reader.
  // AUTO_INVAL_DATA would drop pages when a time stamp changes: a node is one version of an image,
  // and when its bytes are wrong we say so (on_forget_bytes).
  connection.want &=
      ~unsigned{FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS |
                FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_WRITEBACK_CACHE};
  // Readers that hang on a silent upstream must leave room for all others.
  connection.max_background = 16384;
  connection.congestion_threshold = 16000;
  if (ready_) ready_();
}

void ImageFs::reply_error(fuse_req_t request, std::string_view operation, std::string_view image_id,
                          const Error& error) {
  fuse_reply_err(request, errors_.report(operation, image_id, error));
}

void ImageFs::reply_image_entry(fuse_req_t request, const std::shared_ptr<Image>& image) {
  fuse_entry_param entry{};
  entry.attr = image_attributes(*image, ownership_);
  entry.ino = nodes_.add(image);
  entry.entry_timeout = entry.attr_timeout = image->is_cached() ? kBriefly : kIncompleteFor;
  // The kernel counts the look-up only if the reply arrives.
  if (fuse_reply_entry(request, &entry) < 0) nodes_.forget(entry.ino, 1);
}

void ImageFs::reply_own_entry(fuse_req_t request, uint64_t node) {
  fuse_entry_param entry{};
  entry.ino = node;
  own_attributes(node, entry.attr);
  entry.entry_timeout = entry.attr_timeout = kBriefly;
  fuse_reply_entry(request, &entry);
}

bool ImageFs::own_attributes(uint64_t node, struct stat& st) const {
  if (node == node::kRoot || node == node::kControl || node == node::kByName)
    st = directory_attributes(node, ownership_, mounted_at_);
  else if (node == node::kMetrics || node == node::kStatus)
    st = page_attributes(node, ownership_, mounted_at_);
  else
    return false;
  return true;
}

void ImageFs::lookup(fuse_req_t request, uint64_t parent, const char* name) {
  const std::string_view wanted(name);
  if (auto own = own_node(parent, wanted, store_.has_names()))
    return reply_own_entry(request, *own);
  if (parent == node::kByName) return lookup_by_name(request, name);
  auto id = ImageId::parse(wanted);
  if (parent != node::kRoot) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  // Not by the name itself: it can be anything.
  if (!id)
    return reply_error(request, "lookup", "of no image",
                       {ErrorKind::kNotFound, id.error().message});
  auto parked = Parked::park(request, departures_);
  store_.lookup(*id, [this, parked, id = *id](Result<std::shared_ptr<Image>> image) {
    fuse_req_t waiting = parked->claim();
    if (!waiting) return;
    if (image)
      reply_image_entry(waiting, *image);
    else
      reply_error(waiting, "lookup", id.str(), image.error());
  });
}

void ImageFs::lookup_by_name(fuse_req_t request, const std::string& file_name) {
  auto image_name = image_name_of(file_name);
  if (!image_name) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  auto parked = Parked::park(request, departures_);
  store_.find_named(*image_name, [this, parked, file_name](Result<ImageId> id) {
    fuse_req_t waiting = parked->claim();
    if (!waiting) return;
    if (!id) return reply_error(waiting, "lookup", by_name_path(file_name), id.error());
    const Link link = by_name_link(file_name, *id);
    fuse_entry_param entry{};
    entry.attr = link_attributes(link, ownership_, mounted_at_);
    entry.ino = nodes_.add(link);
    entry.entry_timeout = entry.attr_timeout = kBriefly;
    if (fuse_reply_entry(waiting, &entry) < 0) nodes_.forget(entry.ino, 1);
  });
}

void ImageFs::readlink(fuse_req_t request, uint64_t node) {
  if (auto link = nodes_.find_link(node))
    fuse_reply_readlink(request, link->target.c_str());
  else
    fuse_reply_err(request, EINVAL);
}

void ImageFs::getattr(fuse_req_t request, uint64_t node) {
  struct stat st {};
  if (own_attributes(node, st)) {
    fuse_reply_attr(request, &st, kBriefly);
    return;
  }
  if (auto link = nodes_.find_link(node)) {
    st = link_attributes(*link, ownership_, mounted_at_);
    fuse_reply_attr(request, &st, kBriefly);
    return;
  }
  auto image = nodes_.find(node);
  if (!image) {
    fuse_reply_err(request, ESTALE);
    return;
  }
  st = image_attributes(*image, ownership_);
  fuse_reply_attr(request, &st, kBriefly);
}

void ImageFs::reply_open(fuse_req_t request, fuse_file_info reply, OpenFile::What what) {
  reply.fh = files_.add(std::move(what));
  if (fuse_reply_open(request, &reply) < 0) files_.remove(reply.fh);
}

std::string ImageFs::page_text(uint64_t node) const {
  const StoreStatus status = store_.status();
  if (node == node::kStatus) return status_page(facts_, status, upstream_);
  return metrics_page(facts_, status, upstream_, {hit_bytes_, miss_bytes_, errors_.counts()});
}

void ImageFs::open(fuse_req_t request, uint64_t node, const fuse_file_info& file) {
  if ((file.flags & O_ACCMODE) != O_RDONLY) {
    fuse_reply_err(request, EROFS);
    return;
  }
  if (node == node::kMetrics || node == node::kStatus) {
    fuse_file_info reply = file;
    reply.direct_io = 1;  // its length is known only now, and every open shows what is so then
    return reply_open(request, reply, OpenPage{page_text(node)});
  }
  auto image = nodes_.find(node);
  if (!image) {
    fuse_reply_err(request, ESTALE);
    return;
  }
  auto parked = Parked::park(request, departures_);
  store_.open_image(
      image, [this, parked, image, file](Result<std::unique_ptr<ImageHandle>> handle) {
        fuse_req_t waiting = parked->claim();
        if (!waiting) return;
        if (!handle) return reply_error(waiting, "open", image->id().str(), handle.error());
        fuse_file_info reply = file;
        reply.keep_cache = 1;  // a node is one version of the image: what is cached of it is right
        reply_open(waiting, reply, OpenImage{image, image->attr().size, std::move(*handle)});
      });
}

void ImageFs::read(fuse_req_t request, size_t size, off_t offset, const fuse_file_info& file) {
  OpenFile& open = OpenFiles::get(file.fh);
  const ByteRange wanted{static_cast<uint64_t>(offset), static_cast<uint64_t>(offset) + size};
  if (auto* page = std::get_if<OpenPage>(&open.what)) {
    const auto keep = open.shared_from_this();
    const ByteRange range = clip(wanted, page->text.size());
    fuse_reply_buf(request, page->text.data() + range.begin, range.size());
    return;
  }
  auto& opened = std::get<OpenImage>(open.what);
  const ByteRange range = clip(wanted, opened.size);
  if (const int fd = opened.handle->complete_fd(); fd >= 0) {
    hit_bytes_.fetch_add(range.size(), std::memory_order_relaxed);
    OpenFiles::before_reply(file.fh);
    return reply_bytes(request, {fd, range.begin, range.size(), nullptr}, FUSE_BUF_SPLICE_MOVE);
  }

  // From here on the reader may leave, be answered and close the file, and all that while this
  // thread still calls the handle. (What the answer points to is used only while the request is
  // ours, and the kernel then holds the file open.)
  const auto keep = open.shared_from_this();
  auto parked = Parked::park(request, departures_);
  opened.handle->read(range,
                      [this, parked, image = opened.image, fh = file.fh](Result<ImageBytes> bytes) {
                        fuse_req_t waiting = parked->claim();
                        if (!waiting) return;
                        OpenFiles::before_reply(fh);
                        if (bytes) miss_bytes_.fetch_add(bytes->length, std::memory_order_relaxed);
                        // Not moved: pages of a file that is being filled are under write-back, and
                        // to take them over would wait for the disk.
                        if (bytes)
                          reply_bytes(waiting, *bytes, static_cast<fuse_buf_copy_flags>(0));
                        else
                          reply_error(waiting, "read", image->id().str(), bytes.error());
                      });
}

void ImageFs::lseek(fuse_req_t request, off_t offset, int whence, const fuse_file_info& file) {
  auto* opened = std::get_if<OpenImage>(&OpenFiles::get(file.fh).what);
  if (!opened || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  const off_t size = static_cast<off_t>(opened->size);
  off_t found = whence == SEEK_DATA ? offset : size;  // incomplete: holes are not known yet
  if (offset < 0 || offset >= size) {
    fuse_reply_err(request, ENXIO);
    return;
  }
  // The position of the descriptor, which this moves, is used by nobody.
  if (const int fd = opened->handle->complete_fd(); fd >= 0) found = ::lseek(fd, offset, whence);
  const int error = errno;
  OpenFiles::before_reply(file.fh);
  if (found < 0)
    fuse_reply_err(request, error);
  else
    fuse_reply_lseek(request, found);
}

void ImageFs::release(fuse_req_t request, const fuse_file_info& file) {
  files_.remove(file.fh);
  fuse_reply_err(request, 0);
}

void ImageFs::opendir(fuse_req_t request, uint64_t node, const fuse_file_info& file) {
  if (node == node::kControl) return reply_open(request, file, control_directory());
  auto parked = Parked::park(request, departures_);
  if (node == node::kByName)
    return store_.list_named([this, parked, file](Result<std::vector<NamedImage>> images) {
      fuse_req_t waiting = parked->claim();
      if (!waiting) return;
      if (images)
        reply_open(waiting, file, by_name_directory(*images));
      else
        reply_error(waiting, "list", by_name_path(""), images.error());
    });
  store_.list([this, parked, file](Result<std::vector<ImageId>> ids) {
    fuse_req_t waiting = parked->claim();
    if (!waiting) return;
    if (ids)
      reply_open(waiting, file, root_directory(*ids));
    else
      reply_error(waiting, "list", "/", ids.error());
  });
}

void ImageFs::readdir(fuse_req_t request, size_t size, off_t offset, const fuse_file_info& file) {
  const auto& entries = std::get<OpenDirectory>(OpenFiles::get(file.fh).what).entries;
  std::string buffer(size, '\0');
  size_t used = 0;
  for (size_t i = static_cast<size_t>(offset); i < entries.size(); ++i) {
    struct stat st {};
    st.st_ino = entries[i].inode;
    st.st_mode = entries[i].mode;
    const size_t needed =
        fuse_add_direntry(request, buffer.data() + used, size - used, entries[i].name.c_str(), &st,
                          static_cast<off_t>(i + 1));
    if (needed > size - used) break;
    used += needed;
  }
  OpenFiles::before_reply(file.fh);
  fuse_reply_buf(request, buffer.data(), used);
}

void ImageFs::statfs(fuse_req_t request) {
  const struct statvfs st = file_system_attributes(store_.space());
  fuse_reply_statfs(request, &st);
}

Xattrs ImageFs::xattrs_of(uint64_t node) const {
  if (node == node::kRoot) return root_xattrs(facts_);
  if (auto image = nodes_.find(node)) return image_xattrs(image->details());
  return {};
}

void ImageFs::getxattr(fuse_req_t request, uint64_t node, const char* name, size_t size) {
  const Xattrs xattrs = is_our_xattr(name) ? xattrs_of(node) : Xattrs{};
  if (const std::string* value = find_xattr(xattrs, name))
    reply_xattr_text(request, *value, size);
  else
    fuse_reply_err(request, ENODATA);
}

void ImageFs::listxattr(fuse_req_t request, uint64_t node, size_t size) {
  reply_xattr_text(request, xattr_list(xattrs_of(node)), size);
}

}  // namespace imgcachefs
