// RemoteImage: a version of an image that upstream has and the cache has not, or not wholly.
//
// Its Fill is made by the first open and let go of when nobody has the image open and nothing more
// is being fetched; what it brought stays in incomplete/ for the next. Thread-safe; mutex_ protects
// the members below it and is not held while files are opened or saved: `moving_` says that this is
// happening, and who wants to open meanwhile is put down in opening_.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "cache/fill.h"
#include "cache/image.h"

namespace imgcachefs {

class RemoteImage;

// Who keeps the images. Called on the store's threads with no lock held.
class RemoteImageOwner {
 public:
  // Before it has its name: see FillObserver.
  virtual void image_committing(const RemoteImage& image, int fd,
                                const std::optional<Digest>& checksum, bool verified) = 0;
  virtual void image_committed(const RemoteImage& image, const std::optional<Digest>& checksum,
                               bool verified) = 0;
  virtual void image_died(const RemoteImage& image, const Error& error) = 0;
  virtual void image_not_found(const RemoteImage& image) = 0;  // upstream says so of a read of it
  virtual void forget_bytes(const RemoteImage& image) = 0;
  virtual void handle_closed() = 0;

 protected:
  ~RemoteImageOwner() = default;
};

class RemoteImage final : public Image,
                          public FillObserver,
                          public std::enable_shared_from_this<RemoteImage> {
 public:
  // `resume` false: what lies in incomplete/ may be another's, one that is being given up.
  RemoteImage(FillContext& context, RemoteImageOwner& owner, ImageInfo info, uint64_t serial,
              std::string last_error, bool resume);

  const ImageId& id() const override { return info_.id; }
  uint64_t serial() const override { return serial_; }
  bool is_cached() const override { return committed_; }
  ImageAttr attr() const override;
  ImageDetails details() const override;

  const ImageInfo& info() const { return info_; }
  bool dead() const { return dead_; }
  // Whether `st` is the file that it became when it was cached, and untouched since.
  bool became(const struct stat& st) const;
  std::shared_ptr<Fill> fill() const;

  using OpenDone = std::function<void(Result<std::unique_ptr<ImageHandle>>)>;
  // May open files: not for a thread that must not wait for the disk.
  void open(OpenDone done);

  // The whole image is to be cached though nobody opens it: Fill::fetch_whole. May open files too.
  void fetch_whole(Fill::WholeDone done);

  // Saves the chunk map; lets go of a fill that nobody needs. False when there is none any more.
  bool tend();

  // It is not upstream's version any more: readers get kStale, what was fetched is thrown away.
  void supersede(const std::string& why);
  void shut_down();  // answers all who wait

 private:
  class Handle;
  struct Opening {
    OpenDone done;
    bool reads;  // false: it is no access of the image
  };
  void open(Opening opening);
  std::unique_ptr<ImageHandle> new_handle(bool reads);  // with mutex_ held
  void moved();                                         // ends `moving_`
  void open_fill();
  bool over() const;  // nothing is to be opened any more; with mutex_ held
  tl::unexpected<Error> stale() const;
  void release();
  void drop_finished_fill();
  void fill_committing(const Fill& fill, int fd) override;
  void fill_committed(const Fill& fill) override;
  void fill_dying(const Fill&) override { dead_ = true; }
  void fill_died(const Fill& fill, const Error& error) override;
  void forget_bytes() override { owner_.forget_bytes(*this); }
  void fill_not_found() override { owner_.image_not_found(*this); }

  FillContext& context_;
  RemoteImageOwner& owner_;
  const ImageInfo info_;
  const uint64_t serial_;
  const std::shared_ptr<Delivered> delivered_ = std::make_shared<Delivered>();
  std::atomic<bool> dead_{false};
  std::atomic<bool> committed_{false};
  std::atomic<bool> resume_;

  mutable std::mutex mutex_;
  std::shared_ptr<Fill> fill_;
  unsigned handles_ = 0;
  bool moving_ = false;
  std::vector<Opening> opening_;
  std::string last_error_;
  std::optional<WallTime> last_accessed_;
  std::unique_ptr<const struct stat> cached_file_;  // most images never have one
};

}  // namespace imgcachefs
