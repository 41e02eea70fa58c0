// ImageStore: the cache as its users see it. Owns the index, the fills, the transfers and the
// janitor.
//
// No call here waits for upstream or for a fill: what must wait is answered through a callback,
// once, from one of the store's own threads (or at once, from the caller's). So any number of
// readers of a silent upstream hold no thread.
//
// Threads
//     transfer  (`connections`)  bring bytes                      transfer_queue.h
//     asker     (16)             ask upstream, with all its patience
//     opener    (8)              what must go on when upstream is silent: open files to be filled,
//                                read the directory, and ask upstream what has to be known within
//                                seconds
//     lister    (1)              reads upstream's catalogue
//     repo lister (2)            ask for all tags of a repository, one after the other
//     worker    (2)              hash, commit, look at chunks of an earlier run
//     keeper    (1)              saves chunk maps twice a second, lets go of idle fills
//     prefetcher (1)             takes up what is queued                     prefetcher.h
//     verifier  (1)              hashes what was adopted, at low priority     adopted_images.h
//     janitor   (1)              looks through the directory; then hits every two seconds, and
//                                prune and clean every janitor_interval
//
// Locks, and what each protects. They are taken in this order, most of them alone; none is held
// across I/O, a call to upstream or a callback, but for those whose purpose it is, as said there.
//     Fill::reserve_mutex_     promises to one image             held across an eviction
//     SpaceBudget::evicting_   one eviction at a time            held while files are unlinked
//     SqliteIndex, XattrIndex  one call of the index             held across its I/O
//     Fill::map_mutex_         the saved map of one image        held while it is written
//     CacheLayout::names_mutex names in incomplete/              held while one is renamed
//     ImageTable::mutex_       which image stands for which ID
//     RemoteImage::mutex_      the fill of an image, its opens
//     CachedImage::mutex_, then CachedFile::mutex_   the open file of a cached image, and who uses
//                              it                         held while it is opened and locked
//     Fill::mutex_             everything of one fill
//     CacheRecords::mutex_     the index in memory
//     RepositoryImages::marking_   marks on the files            held across their I/O
//     NamedImages::mutex_      the names of the last catalogue
//     Believed::mutex_         what was heard of names, repositories, tags; then ImageTable::mutex_
//                              or FoundImages::mutex_
//     FoundImages::mutex_      which images were found in which repositories
//     Catalogue::mutex_, Inquiries::mutex_   what upstream said, and who waits for it
//     Prefetcher::mutex_       what is being tried of the queue
//     AdoptedImages::mutex_    which files were held against upstream's checksum
//     Gate::mutex_             who waits for the marks to be read
//     SpaceBudget::mutex_, TransferQueue::mutex_, WorkerPool::mutex_, Throttle::mutex_   leaves
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/periodic_task.h"
#include "cache/adopted_images.h"
#include "cache/cache_records.h"
#include "cache/cached_images.h"
#include "cache/catalogue.h"
#include "cache/image.h"
#include "cache/image_table.h"
#include "cache/inquiries.h"
#include "cache/janitor.h"
#include "cache/prefetcher.h"
#include "cache/remote_image.h"
#include "cache/repository_images.h"
#include "cache/store_config.h"
#include "cache/store_status.h"
#include "fetch/upstream.h"

namespace imgcachefs {

class ImageStore final : private RemoteImageOwner {
 public:
  // Takes the directory (locks, source record) and starts the threads. What takes longer the more
  // images there are (to repair the index, to count bytes) is theirs: until it is done each image
  // is looked at as it is asked for, and who needs room waits. Asks nothing of upstream, which must
  // outlive the store. kBusy: another daemon has the directory. kInvalid:
  // it belongs to another source.
  static Result<std::unique_ptr<ImageStore>> open(const StoreConfig& config, Upstream& upstream);

  ~ImageStore();  // shutdown(), then frees all

  using LookupDone = std::function<void(Result<std::shared_ptr<Image>>)>;
  // The image of that name as it is now: from the cache, from what upstream said within
  // `revalidate`, else by asking upstream. kNotFound when there is none.
  void lookup(const ImageId& id, LookupDone done);

  using OpenDone = RemoteImage::OpenDone;
  // kStale: `image` is not the current one of its name any more: look up again. One that has been
  // cached since is opened as what it became.
  void open_image(const std::shared_ptr<Image>& image, OpenDone done);

  using ListDone = std::function<void(const Result<NameList>&)>;
  // The names `ls` shows, sorted: cached images, and with list_all upstream's catalogue; when
  // upstream does not answer, what is cached and what it said last.
  void list(ListDone done);

  // Where upstream's images lie in repositories: whom to ask which of them shows which image,
  // before it is looked up here. nullptr where they do not. Lives as long as the store.
  RepositoryImages* repositories() { return repositories_.get(); }

  // Whether upstream's images have names beside their IDs.
  bool has_names() const { return named_.exist(); }
  using NameDone = std::function<void(Result<ImageId>)>;
  // The image that upstream's name stands for. kNotFound when there is none.
  void find_named(const std::string& name, NameDone done);
  using ListNamedDone = std::function<void(Result<std::vector<NamedImage>>)>;
  void list_named(ListNamedDone done);  // with list_all; else none

  // For statfs; never waits for upstream, but for the janitor's first look through the directory.
  SpaceUsage space() const;
  std::vector<FillStatus> fills() const;  // in progress
  StoreStatus status() const;             // for .imgcachefs/; the same, and reads the directory
  StoreCounters counters() const;         // of it, without a wait or a look at anything

  // Told, on a thread of the store and with no lock held, that the bytes of `image` handed out so
  // far are to be dropped wherever they are kept (it is corrupt or stale). Set once, before the
  // first open.
  using ForgetBytes = std::function<void(const Image& image)>;
  void on_forget_bytes(ForgetBytes hook) { forget_bytes_ = std::move(hook); }

  // Told, in the middle of making room, that files were removed: who keeps some open that nobody
  // uses is to close them, for till then they take the room. Set once, before the first open.
  void on_files_removed(std::function<void()> hook) { files_removed_ = std::move(hook); }

  // From now on what is queued is cached in the background. Once, after on_forget_bytes().
  void take_up_queue() { prefetcher_.start(); }

  // Takes over what may change while the store runs: max_size, min_free, stall_time,
  // janitor_interval, limit_rate. Any thread.
  void set_limits(const StoreConfig& config);

  // Nothing that upstream said is believed any more: it is asked anew, and what is queued is tried
  // anew. What is known is kept for when it is silent; with revalidate=never nobody asks about what
  // is cached, as before. Any thread.
  void doubt_upstream();

  // The whole image is cached in the background, though nobody opens it; no hit and no miss is
  // counted. Told once what came of it, as to a reader; kNoSpace when there is no room.
  void fetch_whole(const ImageId& id, Fill::WholeDone done);
  // The same for one of the queue, which may say where it is.
  void fetch_queued(const ImageId& id, Fill::WholeDone done);

  // Cancels transfers, answers all who wait (kCancelled), saves maps and counters, joins.
  // Idempotent. Handles may be destroyed after.
  void shutdown();

 private:
  struct Counters {
    std::atomic<uint64_t> misses{0}, fills_completed{0}, fills_failed{0}, verify_failures{0};
  };

  ImageStore(const StoreConfig& config, Upstream& upstream, CacheLayout layout);
  Status start();
  Status claim_directory();

  Result<std::shared_ptr<Image>> learnt(const ImageId& id, const Result<ImageInfo>& said,
                                        std::chrono::steady_clock::time_point when);
  void open_remote(const std::shared_ptr<RemoteImage>& remote, OpenDone done);
  std::shared_ptr<CachedImage> what_became_of(const Image& image);

  void image_committing(const RemoteImage& image, int fd, const std::optional<Digest>& checksum,
                        bool verified) override;
  void image_committed(const RemoteImage& image, const std::optional<Digest>& checksum,
                       bool verified) override;
  void image_died(const RemoteImage& image, const Error& error) override;
  void image_not_found(const RemoteImage& image) override;
  void forget_bytes(const RemoteImage& image) override;
  void handle_closed() override;

  void found_wrong(const CachedImage& image, uint64_t freed);
  void keeper_round();

  const StoreConfig config_;
  Upstream& upstream_;
  CacheLayout layout_;
  std::unique_ptr<CacheIndex> index_;
  std::unique_ptr<CacheRecords> records_;
  std::unique_ptr<AdoptedImages> adopted_;
  std::unique_ptr<CachedImages> cached_;
  SpaceBudget budget_;
  Throttle throttle_;
  ChunkBuffers buffers_;
  ImageTable table_;
  Counters counters_;
  FillCounters fill_counters_;
  ForgetBytes forget_bytes_;
  std::function<void()> files_removed_;
  Prefetcher prefetcher_;
  std::stop_source stop_;
  std::atomic<bool> shut_down_{false};

  // The threads; last, so that what they use outlives them.
  WorkerPool workers_;
  WorkerPool askers_;
  WorkerPool openers_;
  WorkerPool verifier_;
  TransferQueue transfers_;
  FillContext context_;
  Inquiries inquiries_;
  NamedImages named_;
  std::unique_ptr<RepositoryImages> repositories_;
  Catalogue catalogue_;
  std::unique_ptr<PeriodicTask> keeper_;
  std::unique_ptr<Janitor> janitor_;
};

}  // namespace imgcachefs
