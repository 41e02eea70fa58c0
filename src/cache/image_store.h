// ImageStore: the cache as its users see it. Owns the index, the fills, the transfers and the
// janitor.
//
// No call here waits for upstream or for a fill: what must wait is answered through a callback,
// once, from one of the store's own threads (or at once, from the caller's). So any number of
// readers of a silent upstream hold no thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cache/image.h"
#include "cache/store_config.h"
#include "cache/store_status.h"
#include "fetch/upstream.h"

namespace imgcachefs {

class ImageStore {
 public:
  // Takes the directory (locks, source record), repairs the index, starts the threads. Asks nothing
  // of upstream. kBusy: another daemon has the directory. kInvalid: it belongs to another source.
  static Result<std::unique_ptr<ImageStore>> open(const StoreConfig& config, Upstream& upstream);

  virtual ~ImageStore() = default;  // shutdown(), then frees all

  using LookupDone = std::function<void(Result<std::shared_ptr<Image>>)>;
  // The image of that name as it is now: from the cache, from what upstream said within
  // `revalidate`, else by asking upstream. kNotFound when there is none.
  virtual void lookup(const ImageId& id, LookupDone done) = 0;

  using OpenDone = std::function<void(Result<std::unique_ptr<ImageHandle>>)>;
  // kStale: `image` is not the current one of its name any more: look up again.
  virtual void open_image(const std::shared_ptr<Image>& image, OpenDone done) = 0;

  using ListDone = std::function<void(Result<std::vector<ImageId>>)>;
  // The names `ls` shows, sorted: cached images, and with list_all upstream's catalogue; when
  // upstream does not answer, what is cached and what it said last.
  virtual void list(ListDone done) = 0;

  virtual SpaceUsage space() const = 0;    // for statfs; never waits
  virtual StoreStatus status() const = 0;  // for .imgcachefs/; reads the cache directory

  // Told, on a thread of the store and with no lock held, that the bytes of `image` handed out so
  // far are to be dropped wherever they are kept (it is corrupt or stale). Set once, before the
  // first open.
  using ForgetBytes = std::function<void(const Image& image)>;
  virtual void on_forget_bytes(ForgetBytes hook) = 0;

  // Cancels transfers, answers all who wait (kCancelled), saves maps and counters, joins.
  // Idempotent. Handles may be destroyed after.
  virtual void shutdown() = 0;
};

}  // namespace imgcachefs
