// Fill: the busy part of an image, alive only while it is incomplete.
//
// Readers ask for ranges of bytes; chunks come from transfers; a Fill brings the two together. It
// has four things going on, all of them under one mutex and none of them waiting under it:
//
//   readers      settle(): a read whose chunks are all here is answered; else it is put down
//                under its first missing chunk, after the missing ones were claimed and asked for.
//                Whoever lands a chunk settles its waiters again. No thread waits with a reader.
//   transfers    A demand transfer brings what a reader lacks, a background one the next segment
//                of the rest (flow.h), so short that a reader who needs a byte in the middle of
//                one waits for it rather than fetch it twice. Upstream without ranges: one pass
//                over the whole image, landing what is missing.
//   digest       A frontier moves over the chunks in order, as they come, and hashes what is in
//                memory still (ChunkWindow) or in the file. It starts when it is clear that the
//                whole image will be needed.
//   commit       When all chunks are here and the digest is right: stable storage, rename, index.
//
// Holding back. "No program that reads the whole image gets its last byte before the checksum was
// right", and the kernel's page cache hands bytes from one program to another without asking us. So
// what is tracked is what the kernel got at all (Delivered): the read that would give it the last
// chunk it does not have yet is held until the image is committed. Everything else goes out at
// once, in whatever order, so a guest reading the backup GPT first waits for nothing. With
// verify=before-read every read is held.
//
// Around the cache. Where there is no room, the same Fill goes on without a file: chunks live in a
// small window in memory and are forgotten when newer ones come. Nothing is committed, and the
// digest is still checked: when the frontier could not follow the readers, the rest of the image
// streams through the window once more before the held read is answered.
//
// The body is in several files: fill.cc (readers), fill_life.cc (making, end, saved map, figures),
// fill_transfer.cc and fill_pass.cc (transfers, with fill_sinks.h), fill_space.cc (room),
// fill_around.cc, fill_verify.cc (digest, commit, chunks of an earlier run).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/digest.h"
#include "base/worker_pool.h"
#include "cache/chunk_buffers.h"
#include "cache/chunk_map.h"
#include "cache/chunk_map_file.h"
#include "cache/chunk_window.h"
#include "cache/delivered.h"
#include "cache/fill_counters.h"
#include "cache/flow.h"
#include "cache/image.h"
#include "cache/image_file.h"
#include "cache/space_budget.h"
#include "cache/store_config.h"
#include "cache/throttle.h"
#include "cache/transfer_queue.h"
#include "fetch/upstream.h"

namespace imgcachefs {

class Fill;

// What a fill became; told on one of the store's threads, with no lock held.
class FillObserver {
 public:
  // All bytes are in `fd` and right, and are about to get the name that makes them cached.
  virtual void fill_committing(const Fill& fill, int fd) = 0;
  virtual void fill_committed(const Fill& fill) = 0;
  // kStale, kCorrupt: nobody may use these bytes any more. Not told at shutdown. First that it will
  // be so, before any reader gets an error; then that the file is out of the way; and when all
  // readers have their answer, that what they were given before is to be dropped.
  virtual void fill_dying(const Fill& fill) = 0;
  virtual void fill_died(const Fill& fill, const Error& error) = 0;
  virtual void forget_bytes() = 0;
  // Upstream has said that it has no such image: before a reader hears of it. The fill goes on when
  // it has.
  virtual void fill_not_found() = 0;

 protected:
  ~FillObserver() = default;
};

// What all fills of a store share; outlives them.
struct FillContext {
  const StoreConfig& config;
  const CacheLayout& layout;
  Upstream& upstream;
  SpaceBudget& budget;
  TransferQueue& transfers;
  ChunkBuffers& buffers;
  WorkerPool& workers;  // hashing and the local disk
  WorkerPool& askers;   // questions to upstream
  Throttle& throttle;
  FillCounters& counters;
  std::stop_token stop;
};

class Fill final : public ChunkMap::Owner, public std::enable_shared_from_this<Fill> {
 public:
  // Takes up incomplete/<id> where its map speaks of this very version, else, or with `resume`
  // false, begins anew in a file of its own; around the cache when there can be no file. Reads and
  // writes the disk. `delivered` outlives the fill: it belongs to the version, not to one time of
  // filling it.
  static std::shared_ptr<Fill> open(FillContext& context, const ImageInfo& info,
                                    std::shared_ptr<Delivered> delivered,
                                    std::weak_ptr<FillObserver> observer, bool resume);

  // What a reader (one open) has asked for so far; tells a look at the header from a reader that
  // goes on.
  struct Reader {
    uint64_t asked = 0;  // bytes
    uint64_t next = 0;   // where it would go on
  };

  // Never waits; see ImageHandle::read.
  void read(ByteRange range, Reader& reader, ImageHandle::ReadDone done);

  // All of it is to come, in the background, though nobody reads it. `done` is told once, on any
  // thread and with no lock held, that it is cached, or why it will not be for now. Where there is
  // no room it is kNoSpace: what nobody reads is not streamed around the cache.
  using WholeDone = std::function<void(const Status&)>;
  void fetch_whole(WholeDone done);

  int complete_fd() const { return complete_.load(std::memory_order_acquire) ? file_->fd() : -1; }
  const ImageInfo& info() const { return info_; }
  // Whether `st` is the file that it fills and has not committed.
  bool is_filling(const struct stat& st) const { return file_ && file_->is(st); }
  void reclaim() { file_->reclaim(); }  // ... when another program's rename has taken it elsewhere

  // What was put off for the sake of readers at random places. Now and then, for the keeper.
  void go_on();
  // Makes presence durable: the data first, then the map. For the checkpointer and whoever closes.
  void checkpoint();
  bool has_unsaved() const;
  bool idle() const;         // nothing is being fetched, and nothing will be without a read
  void log_partial() const;  // one line for what was fetched and is not complete

  // Another version is upstream's now: whoever waits or comes gets kStale, the bytes are thrown
  // away.
  void supersede(const std::string& why) { die(Error{ErrorKind::kStale, why}, Disposal::kDiscard); }
  void shut_down();  // answers all who wait with kCancelled; the file stays

  // Seen from outside.
  uint64_t present_bytes() const;
  double rate() const;  // bytes per second, lately; 0 when nothing came
  size_t waiting() const;
  std::optional<Digest> checksum() const;  // as far as known
  bool verified() const;
  bool around() const;
  bool fetches_whole() const;  // what is missing is being fetched, or being checked
  std::string last_error() const;

 private:
  struct Waiter {
    ByteRange range;
    ChunkRange chunks;
    ImageHandle::ReadDone done;
    bool held = false;  // is to be held for the commit, whatever it asks for
    bool waited = false;
  };
  // What is decided under the mutex and done after it.
  struct Actions {
    struct Answer {
      ImageHandle::ReadDone done;
      Result<ImageBytes> result;
      ByteRange range = {};
      bool from_incomplete = false;  // `range` is to be read from a file that others may harm
    };
    std::vector<Answer> answers;
    std::vector<std::function<void()>> then;
  };
  enum class Disposal { kKeep, kDiscard, kQuarantine };
  enum class DigestState { kUnknown, kAsking, kKnown };
  class ChunkSink;
  class ClaimSink;
  class PassSink;

  Fill(FillContext& context, const ImageInfo& info, uint32_t chunk_size,
       std::shared_ptr<Delivered> delivered, std::weak_ptr<FillObserver> observer);

  // fill.cc; those with Actions are called with mutex_ held
  void settle(Waiter waiter, Actions& actions);
  void settle_all(Actions& actions);
  void want(ChunkRange chunks, Actions& actions);
  void answer(Waiter waiter, Actions& actions);
  void wake(uint32_t chunk, Actions& actions);
  void fail_waiters(const Error& error, Actions& actions);
  void settle_wholes(const Status& status, Actions& actions);
  bool goes_on(const Reader& reader) const;
  bool jumps(ByteRange range, const Reader& reader) const;
  void perform(Actions actions);  // without mutex_
  // Reads what is in the file; kStale when it is not ours any more, and then nothing is answered.
  Status read_incomplete(Actions::Answer& answer);
  void ask_again(Actions::Answer answer);
  void die(Error error, Disposal disposal);
  void give_back(ChunkRange chunks) override;

  bool given_up() const;  // fill_life.cc

  // fill_transfer.cc
  void start_background(uint32_t from, Actions& actions);
  void pump_background(Actions& actions);
  std::optional<ChunkRange> next_segment() const;
  uint32_t segment_chunks() const;
  bool one_more_stream() const;
  void submit_background(Actions& actions);
  void submit_demand(ChunkRange chunks, Actions& actions);
  void transfer(ChunkMap::Claim claim, Priority priority, std::stop_token stop);
  void finish_transfer(ChunkMap::Claim claim, unsigned generation, Priority priority,
                       Result<ReadOutcome> outcome);
  bool probing() const;  // with mutex_ held
  bool ends_the_fill(const Result<ReadOutcome>& outcome);
  bool someone_waits_in(ChunkRange chunks) const;  // with mutex_ held
  // A chunk is whole, in memory: who waits for it need not wait until it is written, too.
  void arrived(uint32_t chunk, unsigned generation, const SharedBytes& bytes);
  // It is where it belongs. False: this transfer is of no use any more. `space` pays for the chunk.
  // `bytes`: around the cache; else they arrived() before, or there is too much of them.
  bool landed(uint32_t chunk, unsigned generation, uint64_t checksum, SharedBytes bytes,
              SpaceReservation& space);
  void note_rate(uint64_t bytes);

  // fill_pass.cc
  void start_pass(Actions& actions);
  void pass(std::stop_token stop);
  bool wait_until_pass_wanted(uint32_t chunk, unsigned generation, std::stop_token stop);

  // fill_space.cc
  Result<SpaceReservation> reserve(uint64_t bytes);
  Result<SpaceReservation> reserve_for(uint64_t bytes);
  Status reserve_ahead(uint32_t chunk);
  void reserve_rest();

  // fill_around.cc
  void go_around(const Error& why);
  void trim_window();
  uint32_t window_chunks() const;
  ChunkRange digest_gap() const;

  // fill_verify.cc
  void take_up(std::vector<ChunkChecksum> recorded);
  void check_recorded(ChunkMap::Claim claim);
  void learn_digest(Actions& actions);
  Status learn_digest_now();
  void digest_learnt(Result<std::optional<Digest>> digest);
  void move_frontier(Actions& actions);
  void hash_some();
  void conclude();
  void judge(const Digest& actual, Result<std::optional<Digest>> fresh);
  void found_right();
  void commit();
  Status commit_again();
  void settled(Actions& actions);

  FillContext& context_;
  const std::shared_ptr<Delivered> delivered_;  // protected by mutex_
  const std::weak_ptr<FillObserver> observer_;
  std::shared_ptr<ImageFile> file_;  // set by open(); stays until the end, also when around
  std::atomic<bool> complete_{false};

  mutable std::mutex mutex_;  // protects all that follows, up to the next mutex
  ImageInfo info_;            // but `ranges` constant
  ChunkMap map_;
  std::optional<Error> dead_;
  std::unordered_multimap<uint32_t, Waiter> waiting_;  // by the first chunk they lack
  std::vector<Waiter> held_;                           // for the commit
  std::vector<WholeDone> wholes_;                      // who wants it cached without a reader
  std::string last_error_;

  bool background_ = false;     // the whole image is wanted
  bool by_readers_ = false;     // ... by a reader, who is served around the cache if need be
  bool rest_reserved_ = false;  // reservation_ covers all of them
  unsigned background_running_ = 0, demand_running_ = 0, checks_running_ = 0;
  uint32_t cursor_ = 0;  // where the next background segment is looked for
  bool pass_running_ = false;
  std::condition_variable_any pass_wanted_;
  SpaceReservation reservation_;  // for chunks that no transfer has claimed

  bool around_ = false;
  std::optional<Error> around_because_;
  unsigned generation_ =
      0;  // one more when going around: what transfers of before bring is not taken
  // Around the cache the only place where bytes are; else they are in the file too, or arriving_.
  ChunkWindow window_;
  std::unordered_set<uint32_t> arriving_;  // in the window and on their way to the file

  DigestState digest_state_ = DigestState::kUnknown;
  std::optional<Digest> expected_;
  std::optional<Hasher> hasher_;  // used by the one hashing job, outside the mutex
  uint32_t frontier_ = 0;         // the next chunk to be hashed
  bool hashing_ = false;          // a job of hash_some(), conclude() or commit() is on its way
  bool committing_ = false;       // all bytes are here and right: nothing needs room any more
  bool must_verify_ = false;      // around: a held read needs the digest
  bool settled_ = false;          // the image is whole and right, or upstream publishes no checksum
  bool verified_ = false;

  std::chrono::steady_clock::time_point started_{}, sampled_{},
      landed_{};  // first, last sample, last chunk
  uint64_t fetched_ = 0, sampled_bytes_ = 0;
  double rate_ = 0;
  Flow flow_;
  unsigned attempts_ = 0;

  // What is missing is promised once: to a transfer, or to the rest. Held across evictions by the
  // store's threads. Taken before mutex_, never after.
  std::mutex reserve_mutex_;

  // Serialises writing the map with closing and committing; held across I/O on purpose: only the
  // checkpointer and the one who commits or closes ever take it. Taken before mutex_, never after.
  std::mutex map_mutex_;
  std::optional<ChunkMapFile> map_file_;
  bool map_closed_ = false;
};

}  // namespace imgcachefs
