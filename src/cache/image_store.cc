#include "cache/image_store.h"

#include <fmt/format.h>

#include "base/log.h"
#include "cache/index_driver.h"

namespace imgcachefs {
namespace {

using std::chrono::steady_clock;

constexpr unsigned kAskers = 16;
constexpr unsigned kOpeners = 8;
constexpr unsigned kWorkers = 2;
constexpr std::chrono::milliseconds kKeeperInterval{500};
// Of all fills together; an image that is served around the cache may need more.
constexpr size_t kChunkBufferBytes = 64 << 20;

IndexRecord new_record(const RemoteImage& image, WallTime cached_at,
                       const std::optional<Digest>& checksum, bool verified) {
  return {image.id(), image.info().size,      0,    cached_at, cached_at, checksum,
          verified,   image.info().validator, false};
}

}  // namespace

ImageStore::ImageStore(const StoreConfig& config, Upstream& upstream, CacheLayout layout)
    : config_(config),
      upstream_(upstream),
      layout_(std::move(layout)),
      budget_(config.max_size, config.min_free, layout_,
              [this](uint64_t bytes) {
                const uint64_t freed = janitor_->make_room(bytes);
                if (freed > 0 && files_removed_) files_removed_();
                return freed;
              }),
      throttle_(config.limit_rate),
      buffers_(kChunkBufferBytes),
      table_(config.revalidate, config.negative_ttl),
      prefetcher_(layout_, [this](const ImageId& id,
                                  Prefetcher::Done done) { fetch_queued(id, std::move(done)); }),
      workers_("worker", kWorkers),
      askers_("asker", kAskers),
      openers_("opener", kOpeners),
      verifier_("verifier", 1),
      transfers_(config.connections),
      context_{config_,  layout_, upstream,  budget_,        transfers_,       buffers_,
               workers_, askers_, throttle_, fill_counters_, stop_.get_token()},
      inquiries_(upstream, askers_, openers_, stop_.get_token()),
      named_(
          config_, upstream.names(), {askers_, openers_},
          [this](const ImageId& id) { return table_.refusal(id).has_value(); }, stop_.get_token()),
      catalogue_(config_, layout_, upstream, named_, stop_.get_token()) {
  if (auto* repositories = upstream.repositories())
    repositories_ = std::make_unique<RepositoryImages>(
        config_, layout_, *repositories, AskingThreads{askers_, openers_}, stop_.get_token());
}

ImageStore::~ImageStore() {
  shutdown();
}

Result<std::unique_ptr<ImageStore>> ImageStore::open(const StoreConfig& config,
                                                     Upstream& upstream) {
  auto layout = CacheLayout::open(config.cache_dir, CacheLayout::Access::kDaemon);
  if (!layout) return fail(layout.error());
  std::unique_ptr<ImageStore> store(new ImageStore(config, upstream, std::move(*layout)));
  if (auto started = store->start(); !started) return fail(started.error());
  return store;
}

Status ImageStore::start() {
  auto index = open_index(layout_, config_.driver);
  if (!index) return fail(index.error());
  index_ = std::move(*index);
  records_ = std::make_unique<CacheRecords>(*index_);
  adopted_ = std::make_unique<AdoptedImages>(
      layout_, *records_, upstream_, verifier_, stop_.get_token(),
      [this](const CachedImage& image, uint64_t freed) { found_wrong(image, freed); });
  // The repositories say who sees an image; what its ID means does not change.
  const bool changeable = repositories_ == nullptr;
  cached_ = std::make_unique<CachedImages>(config_, layout_, *records_, table_, budget_, inquiries_,
                                           *adopted_, changeable);
  if (auto ours = claim_directory(); !ours) return ours;
  janitor_ = std::make_unique<Janitor>(config_, layout_, *index_, *records_, budget_, table_,
                                       stop_.get_token());
  janitor_->start();
  if (repositories_) openers_.submit([this] { repositories_->load(); });
  keeper_ = std::make_unique<PeriodicTask>("keeper", kKeeperInterval, [this] { keeper_round(); });
  return {};
}

// A directory belongs to one source: the same ID means something else elsewhere.
Status ImageStore::claim_directory() {
  auto recorded = index_->source();
  if (!recorded) return fail(recorded.error());
  if (!*recorded) return index_->set_source(config_.source);
  if (**recorded == config_.source) return {};
  return fail(ErrorKind::kInvalid, fmt::format("{} is the cache of {}, not of {}",
                                               config_.cache_dir, **recorded, config_.source));
}

void ImageStore::lookup(const ImageId& id, LookupDone done) {
  if (shut_down_) return done(fail(ErrorKind::kCancelled, "the cache is being unmounted"));
  if (auto image = cached_->find(id)) {
    cached_->refresh(image);
    return done(std::move(image));
  }
  if (auto remote = table_.remote(id); remote && !remote->dead() && table_.believed(id))
    return done(remote);
  // Where repositories say what there is, who comes here was sent by one. That none was known to
  // have it a moment ago (to who did not say where) is no answer to that.
  if (auto refusal = table_.refusal(id); refusal && !repositories_) return done(fail(*refusal));
  if (auto said = catalogue_.said_of(id); said && !table_.refused_since(id, said->when))
    return done(learnt(id, said->info, said->when));
  inquiries_.ask(id, Patience::kFull,
                 [this, id, done = std::move(done)](const Result<ImageInfo>& said) {
                   auto image = learnt(id, said, steady_clock::now());
                   auto remote = table_.remote(id);
                   // Upstream silent: what was believed of an image that is partly here goes on
                   // being believed.
                   if (!image && remote && !remote->dead() && is_silence(image.error()))
                     return done(remote);
                   done(std::move(image));
                 });
}

// Takes in what upstream said of an image that is not cached.
Result<std::shared_ptr<Image>> ImageStore::learnt(const ImageId& id, const Result<ImageInfo>& said,
                                                  steady_clock::time_point when) {
  auto remote = table_.remote(id);
  if (!said) {
    if (said.error().kind == ErrorKind::kNotFound) table_.refused(id, said.error());
    return fail(said.error());
  }
  if (said->size > kLargestImage)
    return fail(ErrorKind::kProtocol,
                fmt::format("{}: upstream says it has {} bytes, more than can be kept", id.str(),
                            said->size));
  table_.heard(id, when);
  if (remote && !remote->dead()) {
    if (remote->info().size == said->size && remote->info().validator.same_version(said->validator))
      return std::shared_ptr<Image>(remote);
    remote->supersede(fmt::format("{}: changed upstream", id.str()));
  }
  // It may have been committed while we asked, by Glance too, and in an older version.
  if (auto cached = cached_->find(id)) {
    if (cached_->agrees(*said, *cached)) return std::shared_ptr<Image>(cached);
    cached_->drop(*cached, CachedImages::Why::kChanged);
  }
  const bool resume = !remote;  // a predecessor that is still in the table is being given up
  auto made = std::make_shared<RemoteImage>(context_, static_cast<RemoteImageOwner&>(*this), *said,
                                            table_.next_serial(), table_.last_error(id), resume);
  // Two answers may be taken in at once: one image comes of them, and one fill.
  if (!table_.put(made, remote.get())) return learnt(id, said, when);
  return std::shared_ptr<Image>(made);
}

void ImageStore::open_image(const std::shared_ptr<Image>& image, OpenDone done) {
  if (shut_down_) return done(fail(ErrorKind::kCancelled, "the cache is being unmounted"));
  if (!table_.is_current(*image)) {
    // A look-up would find it too, but not everybody makes one: a bind mount of the file and
    // /proc/PID/fd go on from what they found before.
    if (auto cached = what_became_of(*image)) return cached_->open(cached, std::move(done));
    return done(
        fail(ErrorKind::kStale, fmt::format("{}: another version is current", image->id().str())));
  }
  if (auto cached = std::dynamic_pointer_cast<CachedImage>(image))
    return cached_->open(cached, std::move(done));
  auto remote = std::static_pointer_cast<RemoteImage>(image);
  if (remote->dead())
    return done(fail(ErrorKind::kStale, fmt::format("{}: it was given up", image->id().str())));
  if (table_.believed(image->id())) return open_remote(remote, std::move(done));
  inquiries_.ask(image->id(), Patience::kFull,
                 [this, remote, done = std::move(done)](const Result<ImageInfo>& said) mutable {
                   auto current = learnt(remote->id(), said, steady_clock::now());
                   if (!current && !is_silence(current.error())) return done(fail(current.error()));
                   if (current && *current != remote)
                     return done(fail(ErrorKind::kStale,
                                      fmt::format("{}: changed upstream", remote->id().str())));
                   open_remote(remote, std::move(done));
                 });
}

// The cached image that an image was filled for; nullptr when that is not the one there is now.
std::shared_ptr<CachedImage> ImageStore::what_became_of(const Image& image) {
  const auto* remote = dynamic_cast<const RemoteImage*>(&image);
  if (!remote) return nullptr;
  auto cached = cached_->find(image.id());
  return cached && remote->became(cached->st()) ? cached : nullptr;
}

void ImageStore::open_remote(const std::shared_ptr<RemoteImage>& remote, OpenDone done) {
  ++counters_.misses;
  openers_.submit([remote, done = std::move(done)]() mutable { remote->open(std::move(done)); });
}

void ImageStore::set_limits(const StoreConfig& config) {
  budget_.set_limits(config.max_size, config.min_free);
  throttle_.set_rate(config.limit_rate);
  janitor_->set_times(config.stall_time, config.janitor_interval);
}

void ImageStore::doubt_upstream() {
  table_.forget_heard();
  cached_->forget_outage();
  catalogue_.doubt();
  named_.doubt_all();
  if (repositories_) repositories_->doubt_all();
  prefetcher_.try_all_now();
}

void ImageStore::fetch_whole(const ImageId& id, Fill::WholeDone done) {
  lookup(id, [this, done = std::move(done)](const Result<std::shared_ptr<Image>>& image) {
    if (!image) return done(fail(image.error()));
    auto remote = std::dynamic_pointer_cast<RemoteImage>(*image);
    if (!remote) return done({});
    openers_.submit([remote, done] { remote->fetch_whole(done); });
  });
}

void ImageStore::fetch_queued(const ImageId& id, Fill::WholeDone done) {
  if (!repositories_) return fetch_whole(id, std::move(done));
  repositories_->find_queued(id, [this, id, done = std::move(done)](const Status& found) {
    if (!found) return done(fail(found.error()));
    fetch_whole(id, done);
  });
}

void ImageStore::list(ListDone done) {
  if (shut_down_) return done(fail(ErrorKind::kCancelled, "the cache is being unmounted"));
  catalogue_.refresh([this, done = std::move(done)] {
    openers_.submit([this, done] { done(catalogue_.ids()); });
  });
}

void ImageStore::find_named(const std::string& name, NameDone done) {
  if (shut_down_) return done(fail(ErrorKind::kCancelled, "the cache is being unmounted"));
  if (!named_.exist()) return done(fail(ErrorKind::kNotFound, "upstream's images have no names"));
  named_.find(name, std::move(done));
}

void ImageStore::list_named(ListNamedDone done) {
  if (shut_down_) return done(fail(ErrorKind::kCancelled, "the cache is being unmounted"));
  if (!named_.exist()) return done({});
  catalogue_.refresh([this, done = std::move(done)] {
    openers_.submit([this, done] { done(catalogue_.names()); });
  });
}

void ImageStore::image_committing(const RemoteImage& image, int fd,
                                  const std::optional<Digest>& checksum, bool verified) {
  const auto now = std::chrono::system_clock::now();
  records_->stage(fd, new_record(image, now, checksum, verified));
  if (repositories_) repositories_->image_committing(image.id(), fd);
}

void ImageStore::image_committed(const RemoteImage& image, const std::optional<Digest>& checksum,
                                 bool verified) {
  // The file's own time: it stands for this version, and no driver has to change it.
  auto st = posix::stat_at(layout_.dir(Place::kCached), image.id().str());
  const auto cached_at = st ? wall_time(st->st_mtim) : std::chrono::system_clock::now();
  records_->put(new_record(image, cached_at, checksum, verified));
  if (st && !verified) adopted_->has_no_checksum(image.id(), *st);
  if (repositories_) repositories_->image_committed(image.id());
  if (!table_.remove(image, "")) {
    // Another version became current in the last moment: who reads this one keeps it, nobody else.
    if (auto cached = cached_->find(image.id()))
      cached_->drop(*cached, CachedImages::Why::kChanged);
  } else if (auto unqueued = ImageQueue(layout_).remove(image.id()); !unqueued) {
    spdlog::warn("{}: cached, but it stays queued for now: {}", image.id().str(),
                 unqueued.error().message);
  }
  ++counters_.fills_completed;
}

void ImageStore::image_died(const RemoteImage& image, const Error& error) {
  table_.remove(image, error.message);
  catalogue_.forget(image.id());
  ++counters_.fills_failed;
  if (error.kind == ErrorKind::kCorrupt) ++counters_.verify_failures;
}

void ImageStore::image_not_found(const RemoteImage& image) {
  if (repositories_) repositories_->not_read(image.id());
}

void ImageStore::forget_bytes(const RemoteImage& image) {
  if (forget_bytes_) forget_bytes_(image);
}

void ImageStore::found_wrong(const CachedImage& image, uint64_t freed) {
  table_.forget_cached(image.id());  // its next look-up has another node
  budget_.freed(freed);
  ++counters_.verify_failures;
  if (forget_bytes_) forget_bytes_(image);
}

void ImageStore::handle_closed() {
  keeper_->poke();
}

void ImageStore::keeper_round() {
  for (const auto& image : table_.remotes()) image->tend();
}

SpaceUsage ImageStore::space() const {
  SpaceUsage usage = budget_.usage();
  usage.images = records_->size();
  return usage;
}

std::vector<FillStatus> ImageStore::fills() const {
  std::vector<FillStatus> fills;
  for (const auto& image : table_.remotes())
    if (auto fill = image->fill(); fill && !fill->idle())
      fills.push_back({image->id(), image->info().size, fill->present_bytes(), fill->rate(),
                       fill->fetches_whole()});
  return fills;
}

StoreCounters ImageStore::counters() const {
  return {.hits = cached_->hits(),
          .misses = counters_.misses,
          .fills_completed = counters_.fills_completed,
          .fills_failed = counters_.fills_failed,
          .verify_failures = counters_.verify_failures,
          .for_room = janitor_->for_room(),
          .over_limit = janitor_->over_limit(),
          .cleaned = janitor_->cleaned(),
          .dropped_changed = cached_->dropped(CachedImages::Why::kChanged),
          .dropped_gone = cached_->dropped(CachedImages::Why::kGone),
          .coalesced_reads = fill_counters_.coalesced,
          .served_around = fill_counters_.around,
          .fill_times = fill_counters_.took.figures()};
}

StoreStatus ImageStore::status() const {
  StoreStatus status;
  status.space = space();
  status.max_size = budget_.max_size();
  status.chunk_size = config_.chunk_size;
  status.driver = index_->driver();
  const auto count = [this](Place place) { return layout_.count(place).value_or(0); };
  status.cached = count(Place::kCached);
  status.incomplete = count(Place::kIncomplete);
  status.invalid = count(Place::kInvalid);
  status.queued = count(Place::kQueue);
  status.pinned = records_->pinned();
  status.pruned = janitor_->pruned();
  status.counters = counters();
  for (const auto& image : table_.remotes())
    if (auto fill = image->fill()) status.readers_waiting += fill->waiting();
  status.fills = fills();
  status.queue = prefetcher_.status();
  return status;
}

void ImageStore::shutdown() {
  if (shut_down_.exchange(true)) return;
  layout_.stop_serving();
  stop_.request_stop();
  transfers_.stop();
  // Readers first: each is answered before anything is waited for.
  for (const auto& image : table_.remotes()) image->shut_down();
  prefetcher_.stop();
  if (janitor_) janitor_->stop();
  if (keeper_) keeper_->stop();
  transfers_.close();
  catalogue_.close();
  if (repositories_) repositories_->close();
  askers_.close();
  openers_.close();
  verifier_.close();
  workers_.close();
  // Those that were being opened meanwhile, and the last word of all of them to the disk.
  for (const auto& image : table_.remotes()) {
    image->shut_down();
    image->tend();
  }
  if (records_) records_->flush();
}

}  // namespace imgcachefs
