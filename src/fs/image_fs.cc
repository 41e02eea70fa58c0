#include "fs/image_fs.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "fs/answers.h"
#include "fs/control_directory.h"
#include "fs/parked.h"

namespace imgcachefs {
namespace {

// Seconds the kernel believes us without asking.
constexpr double kBriefly = 1;        // long enough for a scan, short enough to show what changed
constexpr double kIncompleteFor = 0;  // the next open after the commit must see the new node

void reply_bytes(fuse_req_t request, const ImageBytes& bytes, fuse_buf_copy_flags flags) {
  if (bytes.fd < 0) {
    std::vector<iovec> parts;
    for (const SharedBytes& part : bytes.parts)
      parts.push_back({const_cast<std::byte*>(part.bytes.get()), part.size});
    fuse_reply_iov(request, parts.data(), static_cast<int>(parts.size()));
    return;
  }
  fuse_bufvec vector = FUSE_BUFVEC_INIT(bytes.length);
  vector.buf[0].flags = static_cast<fuse_buf_flags>(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK);
  vector.buf[0].fd = bytes.fd;
  vector.buf[0].pos = static_cast<off_t>(bytes.offset);
  fuse_reply_data(request, &vector, flags);
}

uint64_t directory_inode(std::string_view path) {  // as stat(2) says it
  return path.empty() ? node::kRoot : inode_number(path);
}

std::string_view directory_above(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

constexpr size_t kDots = 2;

DirectoryEntry entry_at(const OpenDirectory& directory, size_t i) {
  if (i >= kDots) return directory[i - kDots];
  return {i == 0 ? "." : "..", i == 0 ? directory.self : directory.above, S_IFDIR};
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
                 Ownership ownership, bool passthrough)
    : store_(store),
      tree_(tree_of(store)),
      facts_(std::move(facts)),
      ownership_(ownership),
      errors_(redacted_url(facts_.source)),
      backing_files_(passthrough),
      pages_(store, upstream, facts_, requests_, errors_, backing_files_) {}

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
  ask_for_passthrough(connection, backing_files_);
  if (ready_) ready_();
}

void ImageFs::reply_error(fuse_req_t request, Operation operation, std::string_view image_id,
                          const Error& error) {
  fuse_reply_err(request, errors_.report(to_string(operation), image_id, error));
}

struct stat ImageFs::attributes(const Found& found) const {
  if (const auto* image = std::get_if<std::shared_ptr<Image>>(&found))
    return image_attributes(**image, ownership_);
  return named_attributes(std::get<NamedNode>(found), ownership_, facts_.mounted_at);
}

std::optional<struct stat> ImageFs::attributes(uint64_t node) const {
  if (node == node::kControl) return directory_attributes(node, ownership_, facts_.mounted_at);
  if (is_control_page(node)) return page_attributes(node, ownership_, facts_.mounted_at);
  if (node == node::kRoot) return directory_attributes(node, ownership_, facts_.mounted_at);
  if (const auto found = nodes_.find(node)) return attributes(*found);
  return std::nullopt;
}

void ImageFs::reply_entry(fuse_req_t request, const Found& found) {
  const auto* image = std::get_if<std::shared_ptr<Image>>(&found);
  fuse_entry_param entry{};
  entry.attr = attributes(found);
  entry.ino = nodes_.add(found);
  entry.entry_timeout = entry.attr_timeout =
      image == nullptr || (*image)->is_cached() ? kBriefly : kIncompleteFor;
  // The kernel counts the look-up only if the reply arrives.
  if (fuse_reply_entry(request, &entry) < 0) nodes_.forget(entry.ino, 1);
}

void ImageFs::reply_control_entry(fuse_req_t request, uint64_t node) {
  fuse_entry_param entry{};
  entry.ino = node;
  entry.attr = *attributes(node);
  entry.entry_timeout = entry.attr_timeout = kBriefly;
  fuse_reply_entry(request, &entry);
}

void ImageFs::lookup(fuse_req_t request, uint64_t parent, const char* name) {
  RequestTimer timer = requests_.begin(Operation::kLookup);
  if (auto own = control_node(parent, name)) return reply_control_entry(request, *own);
  const auto directory = nodes_.find_named<Directory>(parent);
  if (!directory) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  auto parked = Parked::park(request, departures_, std::move(timer));
  tree_->find(directory->path, name,
              [this, parked, above = directory->path,
               wanted = std::string(name)](const Result<Found>& found) {
                fuse_req_t waiting = parked->claim();
                if (!waiting) return;
                const RequestTimer timed = parked->take_timer();
                if (found) return reply_entry(waiting, *found);
                // Not any text may go to the log.
                reply_error(waiting, Operation::kLookup,
                            ImageId::parse(wanted) ? path_in(above, wanted) : "of no image",
                            found.error());
              });
}

void ImageFs::readlink(fuse_req_t request, uint64_t node) {
  const RequestTimer timer = requests_.begin(Operation::kReadlink);
  if (auto link = nodes_.find_named<Link>(node))
    fuse_reply_readlink(request, link->target.c_str());
  else
    fuse_reply_err(request, EINVAL);
}

void ImageFs::getattr(fuse_req_t request, uint64_t node) {
  const RequestTimer timer = requests_.begin(Operation::kGetattr);
  if (const auto st = attributes(node))
    fuse_reply_attr(request, &*st, kBriefly);
  else
    fuse_reply_err(request, ESTALE);
}

void ImageFs::reply_open(fuse_req_t request, fuse_file_info reply, OpenFile::What what) {
  const auto* image = std::get_if<OpenImage>(&what);
  const int backing_id = image != nullptr && image->backing ? image->backing->id() : 0;
  reply.fh = files_.add(std::move(what));
  if (reply_opened(request, reply, backing_id) < 0) files_.remove(reply.fh);
}

void ImageFs::open(fuse_req_t request, uint64_t node, const fuse_file_info& file) {
  RequestTimer timer = requests_.begin(Operation::kOpen);
  if ((file.flags & O_ACCMODE) != O_RDONLY) {
    fuse_reply_err(request, EROFS);
    return;
  }
  if (is_control_page(node)) {
    fuse_file_info reply = file;
    reply.direct_io = 1;  // its length is known only now, and every open shows what is so then
    return reply_open(request, reply,
                      OpenPage{std::make_shared<std::string>(
                          node == node::kStatus ? pages_.status() : pages_.metrics())});
  }
  if (auto text = nodes_.find_named<TextFile>(node)) {
    fuse_file_info reply = file;
    reply.keep_cache = 1;  // another text is another node
    return reply_open(request, reply, OpenPage{std::move(text->text)});
  }
  auto image = nodes_.find_image(node);
  if (!image) {
    fuse_reply_err(request, ESTALE);
    return;
  }
  auto parked = Parked::park(request, departures_, std::move(timer));
  store_.open_image(
      image, [this, parked, image, node, file](Result<std::unique_ptr<ImageHandle>> handle) {
        fuse_req_t waiting = parked->claim();
        if (!waiting) return;
        const RequestTimer timed = parked->take_timer();
        if (!handle)
          return reply_error(waiting, Operation::kOpen, image->id().str(), handle.error());
        fuse_file_info reply = file;
        reply.keep_cache = 1;  // a node is one version of the image: what is cached of it is right
        auto backing = backing_files_.open(node, (*handle)->passthrough_file());
        if (image->is_cached()) requests_.opened_cached(backing && backing->id() > 0);
        reply_open(waiting, reply,
                   OpenImage{image, image->attr().size, std::move(*handle), std::move(backing)});
      });
}

void ImageFs::read(fuse_req_t request, size_t size, off_t offset, const fuse_file_info& file) {
  RequestTimer timer = requests_.begin(Operation::kRead);
  OpenFile& open = OpenFiles::get(file.fh);
  const ByteRange wanted{static_cast<uint64_t>(offset), static_cast<uint64_t>(offset) + size};
  if (auto* page = std::get_if<OpenPage>(&open.what)) {
    const auto keep = open.shared_from_this();
    const ByteRange range = clip(wanted, page->text->size());
    fuse_reply_buf(request, page->text->data() + range.begin, range.size());
    return;
  }
  auto& opened = std::get<OpenImage>(open.what);
  const ByteRange range = clip(wanted, opened.size);
  if (const int fd = opened.handle->complete_fd(); fd >= 0) {
    requests_.read_hit(range.size());
    OpenFiles::before_reply(file.fh);
    return reply_bytes(request, ImageBytes::in_file(fd, range), FUSE_BUF_SPLICE_MOVE);
  }

  // From here on the reader may leave, be answered and close the file, and all that while this
  // thread still calls the handle. (What the answer points to is used only while the request is
  // ours, and the kernel then holds the file open.)
  const auto keep = open.shared_from_this();
  auto parked = Parked::park(request, departures_, std::move(timer));
  opened.handle->read(range,
                      [this, parked, image = opened.image, fh = file.fh](Result<ImageBytes> bytes) {
                        fuse_req_t waiting = parked->claim();
                        if (!waiting) return;
                        const RequestTimer timed = parked->take_timer();
                        OpenFiles::before_reply(fh);
                        if (bytes) requests_.read_miss(bytes->length);
                        // Not moved: pages of a file that is being filled are under write-back, and
                        // to take them over would wait for the disk.
                        if (bytes)
                          reply_bytes(waiting, *bytes, static_cast<fuse_buf_copy_flags>(0));
                        else
                          reply_error(waiting, Operation::kRead, image->id().str(), bytes.error());
                      });
}

void ImageFs::lseek(fuse_req_t request, off_t offset, int whence, const fuse_file_info& file) {
  const RequestTimer timer = requests_.begin(Operation::kLseek);
  const auto& what = OpenFiles::get(file.fh).what;
  const auto* opened = std::get_if<OpenImage>(&what);
  const auto* page = std::get_if<OpenPage>(&what);
  if ((!opened && !page) || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  const off_t size = static_cast<off_t>(opened ? opened->size : page->text->size());
  off_t found = whence == SEEK_DATA ? offset : size;  // incomplete: holes are not known yet
  if (offset < 0 || offset >= size) {
    fuse_reply_err(request, ENXIO);
    return;
  }
  // The position of the descriptor, which this moves, is used by nobody.
  if (const int fd = opened ? opened->handle->complete_fd() : -1; fd >= 0)
    found = ::lseek(fd, offset, whence);
  const int error = errno;
  OpenFiles::before_reply(file.fh);
  if (found < 0)
    fuse_reply_err(request, error);
  else
    fuse_reply_lseek(request, found);
}

void ImageFs::release(fuse_req_t request, const fuse_file_info& file) {
  const RequestTimer timer = requests_.begin(Operation::kRelease);
  files_.remove(file.fh);
  fuse_reply_err(request, 0);
}

void ImageFs::opendir(fuse_req_t request, uint64_t node, const fuse_file_info& file) {
  RequestTimer timer = requests_.begin(Operation::kList);
  if (node == node::kControl) return reply_open(request, file, control_directory());
  const auto directory = nodes_.find_named<Directory>(node);
  if (!directory) {
    fuse_reply_err(request, ENOTDIR);
    return;
  }
  auto parked = Parked::park(request, departures_, std::move(timer));
  tree_->list(
      directory->path, [this, parked, file, path = directory->path](Result<OpenDirectory> listed) {
        fuse_req_t waiting = parked->claim();
        if (!waiting) return;
        const RequestTimer timed = parked->take_timer();
        if (!listed)
          return reply_error(waiting, Operation::kList, path.empty() ? "/" : path, listed.error());
        listed->self = directory_inode(path);
        listed->above = directory_inode(directory_above(path));
        reply_open(waiting, file, std::move(*listed));
      });
}

void ImageFs::readdir(fuse_req_t request, size_t size, off_t offset, const fuse_file_info& file) {
  const RequestTimer timer = requests_.begin(Operation::kReaddir);
  const auto& directory = std::get<OpenDirectory>(OpenFiles::get(file.fh).what);
  std::string buffer(size, '\0');
  size_t used = 0;
  for (size_t i = static_cast<size_t>(offset); i < kDots + directory.size(); ++i) {
    const DirectoryEntry entry = entry_at(directory, i);
    struct stat st {};
    st.st_ino = entry.inode;
    st.st_mode = entry.mode;
    const size_t needed = fuse_add_direntry(request, buffer.data() + used, size - used, entry.name,
                                            &st, static_cast<off_t>(i + 1));
    if (needed > size - used) break;
    used += needed;
  }
  OpenFiles::before_reply(file.fh);
  fuse_reply_buf(request, buffer.data(), used);
}

void ImageFs::statfs(fuse_req_t request) {
  const RequestTimer timer = requests_.begin(Operation::kStatfs);
  const struct statvfs st = file_system_attributes(store_.space());
  fuse_reply_statfs(request, &st);
}

Xattrs ImageFs::xattrs_of(uint64_t node) const {
  if (node == node::kRoot) return root_xattrs(facts_);
  if (auto image = nodes_.find_image(node)) return image_xattrs(image->details());
  return {};
}

void ImageFs::getxattr(fuse_req_t request, uint64_t node, const char* name, size_t size) {
  const RequestTimer timer = requests_.begin(Operation::kGetxattr);
  const Xattrs xattrs = is_our_xattr(name) ? xattrs_of(node) : Xattrs{};
  if (const std::string* value = find_xattr(xattrs, name))
    reply_xattr_text(request, *value, size);
  else
    fuse_reply_err(request, ENODATA);
}

void ImageFs::listxattr(fuse_req_t request, uint64_t node, size_t size) {
  const RequestTimer timer = requests_.begin(Operation::kListxattr);
  reply_xattr_text(request, xattr_list(xattrs_of(node)), size);
}

}  // namespace imgcachefs
