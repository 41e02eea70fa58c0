// Filling a blob from a registry that refuses, loses, cuts and lies in the middle of it (DESIGN 2.2
// to 2.4).
#include <fcntl.h>

#include <atomic>
#include <thread>

#include "base/posix.h"
#include "mount/registry_faults.h"
#include "support/token_server.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class RegistryFill : public RegistryFaults {
 protected:
  // The token server says who is let in; alice's login is not needed to be anybody.
  void want_tokens() {
    registry_.judged_by([this](const std::string& scope,
                               const std::string& authorization) -> std::optional<std::string> {
      if (tokens_.allows(authorization, scope)) return std::nullopt;
      if (authorization.empty()) return tokens_.challenge(scope);
      return tokens_.challenge(
          scope, tokens_.knows(authorization) ? "insufficient_scope" : "invalid_token");
    });
  }
  // Readers of the whole blob, each of its part, who wait in the middle of its transfer.
  void begin_reading(size_t readers) {
    Behaviour stuck;
    stuck.stall_after = 100'000;  // less than a read
    stuck.cut_after = 110'000;
    server_.fault(stuck, get(), 0);
    const size_t part = kSize / readers;
    for (size_t i = 0; i < readers; ++i)
      readers_.push_back(std::async(std::launch::async, [this, i, part, readers] {
        return read_path(
            mount_->path(in("team/vm")),
            {.begin = i * part, .end = i + 1 == readers ? UINT64_MAX : (i + 1) * part});
      }));
    ASSERT_TRUE(server_.wait_for(get(), 1, kPatience));
    ASSERT_TRUE(wait_until(
        [&] { return std::stoull(*mount_->xattr(in("team/vm"), "cached_bytes")) >= kChunk; }));
    ASSERT_TRUE(wait_until([&] { return mount_->status()["fills"].size() == 1; }));
  }
  std::string bytes_read() {
    std::string bytes;
    for (auto& reader : readers_) {
      const Got got = reader.get();
      EXPECT_EQ(got.error, 0) << strerrorname_np(got.error);
      bytes += got.bytes;
    }
    readers_.clear();
    return bytes;
  }
  void expect_all_fail_with(int error) {
    for (auto& reader : readers_) {
      const Got got = reader.get();
      EXPECT_EQ(got.error, error) << strerrorname_np(got.error);
      EXPECT_LT(got.bytes.size(), kSize);
    }
    readers_.clear();
    EXPECT_FALSE(has(blob_));
  }

  std::atomic<bool> may_{true};
  TokenServer tokens_{{.may = [this](auto&&...) { return may_.load(); }}};
  std::vector<std::future<Got>> readers_;
};

// SEMANTICS: A token that expires in the middle of a fill is replaced, and no reader sees it.
TEST_F(RegistryFill, OutlivesATokenThatIsRevokedWhileTheConnectionIsCut) {
  want_tokens();
  mount({"fill=full"});
  begin_reading(16);
  const size_t before = tokens_.count();
  tokens_.revoke_all();
  well_again();
  EXPECT_TRUE(bytes_read() == bytes_);
  EXPECT_TRUE(mount_->wait_state(in("team/vm"), "cached"));
  EXPECT_EQ(tokens_.count(), before + 1);
  EXPECT_EQ(mount_->xattr(in("team/vm"), "error"), std::nullopt);
  EXPECT_EQ(log_lines("EACCES"), 0u) << mount_->log();
}

TEST_F(RegistryFill, ThatTheTokenServerRefusesForGoodIsEacces) {
  want_tokens();
  mount({"fill=full"});
  begin_reading(16);
  may_ = false;
  tokens_.revoke_all();
  well_again();
  expect_all_fail_with(EACCES);
  EXPECT_EQ(log_lines("[EACCES]"), 1u) << mount_->log();
  EXPECT_EQ(mount_->xattr(in("team/vm"), "state"), "incomplete");
}

TEST_F(RegistryFill, ThatIsRefusedGoesOnWhenItIsLetInAgain) {
  mount({"fill=full"});
  begin_reading(16);
  registry_.refuse("team/vm", 403);
  well_again();
  expect_all_fail_with(EACCES);
  EXPECT_EQ(log_lines("[EACCES]"), 1u) << mount_->log();
  registry_.refuse("team/vm", 0);
  expect_well_and_cached();
  // A chunk of which a part had come is fetched anew, by each of the connections that were cut.
  EXPECT_LE(server_.sent_bytes(get().path), kSize + 8 * kChunk);
}

// SEMANTICS: A blob that could not be read because its repository has lost it is asked for anew by
// the next look-up and the next read.
TEST_F(RegistryFill, OfABlobThatIsDeletedIsEnoentAndGoesOnWhenItIsBack) {
  mount({"fill=full"});
  begin_reading(4);
  registry_.remove("team/vm", blob_);
  well_again();
  expect_all_fail_with(ENOENT);
  EXPECT_EQ(log_lines("[ENOENT]"), 1u) << mount_->log();
  registry_.push("team/vm", bytes_);
  expect_well_and_cached();
  EXPECT_LE(server_.sent_bytes(get().path), kSize + 8 * kChunk);
}

TEST_F(RegistryFill, OutlivesWhatTheRegistryOutlives) {
  Behaviour silent, reset, late = Behaviour::of_status(429);
  silent.stall_after = 100'000;
  reset.reset_before_head = true;
  late.headers = {{"Retry-After", "1"}};
  for (const Behaviour& fault : {silent, reset, late, Behaviour::of_status(500)}) {
    // What is slow is measured over some seconds.
    mount({"fill=full", "low_speed_limit=100K"});
    begin_reading(4);
    well_again();  // the next attempts come after a pause
    server_.fault(fault, get());
    EXPECT_TRUE(bytes_read() == bytes_);
    expect_well_and_cached();
    well_again();
  }
}

TEST_F(RegistryFill, OutlivesAConnectionThatIsCutEvery64KiB) {
  Behaviour cut;
  cut.cut_after = kChunk;
  server_.fault(cut, get(), 0);
  mount({"fill=full", "retries=1"});
  expect_well_and_cached();
  EXPECT_GE(server_.count(get()), kSize / kChunk);
  EXPECT_LE(server_.sent_bytes(get().path), kSize + 8 * kChunk);
}

TEST_F(RegistryFill, WithALyingContentLengthIsNeverAWrongByte) {
  for (const char* lie : {"1000", "6291532", "6291534", "9000000000"})
    for (const Match& what : {head(), get()}) {
      SCOPED_TRACE(what.method + " " + lie);
      well_again();
      mount({"fill=full", "retries=0"});
      Behaviour lying;
      lying.content_length = lie;
      server_.fault(lying, what, 0);
      const Got got = read(in("team/vm"));
      if (got.error == 0) {
        EXPECT_TRUE(got.bytes == bytes_);
      } else {
        EXPECT_TRUE(got.error == EIO || got.error == ESTALE) << strerrorname_np(got.error);
        EXPECT_TRUE(bytes_.starts_with(got.bytes));
      }
      well_again();
      EXPECT_TRUE(wait_until([&] { return read(in("team/vm")).bytes == bytes_; }));
      expect_well_and_cached();
    }
}

// SEMANTICS: An image with a wrong checksum is moved to `invalid/`, and its readers get EIO.
TEST_F(RegistryFill, OfACorruptBlobIsEioAndTriedAnew) {
  mount({"fill=full"});
  Behaviour corrupt;
  corrupt.flip_bit_at = 1000;
  server_.fault(corrupt, get(), 0);
  const Got got = read(in("team/vm"));
  EXPECT_EQ(got.error, EIO);
  EXPECT_LT(got.bytes.size(), kSize);
  EXPECT_TRUE(has("invalid/" + blob_));
  EXPECT_FALSE(has(blob_));
  EXPECT_EQ(log_lines("moved to invalid/"), 1u) << mount_->log();
  well_again();
  expect_well_and_cached();
}

// A store of blobs that the registry sends us to.
class RegistryStore : public RegistryFill {
 protected:
  RegistryStore() {
    registry_.redirect(&store_);
    registry_.push("team/vm", bytes_);
    want_tokens();
  }
  ~RegistryStore() override {
    // What it has to say is said to the registry's secrets only.
    for (const Request& request : store_.requests()) EXPECT_EQ(request.header("authorization"), "");
    EXPECT_EQ(log_lines("s3cret"), 0u);
  }
  Match stored() const { return {"GET", "/store/" + blob_}; }
  FaultServer store_;
};

TEST_F(RegistryStore, GetsNoLogin) {
  mount({"fill=full"});
  expect_well_and_cached();
  EXPECT_GE(store_.count(stored()), 1u);
  EXPECT_EQ(server_.sent_bytes(get().path), 0u);
}

TEST_F(RegistryStore, ThatIsDownIsEioAndTriedAnew) {
  Behaviour reset;
  reset.reset_before_head = true;
  for (const Behaviour& fault : {reset, Behaviour::of_status(503)}) {
    mount({"fill=full"});
    store_.fault(fault, {}, 0);
    EXPECT_EQ(stat_errno(in("team/vm")), EIO);
    store_.clear_faults();
    ASSERT_EQ(stat_errno(in("team/vm")), 0);
    store_.fault(fault, {}, 0);
    EXPECT_EQ(read(in("team/vm")).error, EIO);
    store_.clear_faults();
    expect_well_and_cached();
    store_.fault(fault, {}, 0);
    EXPECT_TRUE(read(in("team/vm")).bytes == bytes_);
    store_.clear_faults();
  }
}

TEST_F(RegistryStore, WhoseUrlHasRunOutIsAskedForAnother) {
  for (int status : {401, 403, 404}) {
    SCOPED_TRACE(status);
    mount({"fill=demand"});
    Behaviour cut;
    cut.cut_after = 500'000;
    store_.fault(cut, stored());
    store_.fault(Behaviour::of_status(status), stored());
    UniqueFd fd(::open(mount_->path(in("team/vm")).c_str(), O_RDONLY | O_DIRECT));
    EXPECT_TRUE(read_fd(fd.get(), {.end = 1 << 20, .piece = 1 << 20, .direct = true}).bytes ==
                bytes_.substr(0, 1 << 20));
    EXPECT_GE(server_.count(get()), 3u);
    // For good: the registry is not what refuses.
    store_.fault(Behaviour::of_status(status), stored(), 0);
    EXPECT_EQ(read(in("team/vm")).error, EIO);
    store_.clear_faults();
    expect_well_and_cached();
  }
}

// SEMANTICS: An upstream without ranges is read in one sequential pass, and a read waits for it to
// come by.
TEST_F(RegistryFill, WithoutRangesIsOnePass) {
  registry_.no_ranges();
  mount({"fill=full"});
  expect_well_and_cached();
  EXPECT_EQ(mount_->xattr(in("team/vm"), "verified"), "1");
  EXPECT_LE(server_.count(get()), 2u);  // one to see that there are none
}

TEST_F(RegistryFill, WhoseRangesAreAnsweredWithAllOfItIsOnePass) {
  Behaviour all;
  all.ignore_range = true;
  server_.fault(all, get(), 0);
  mount({"fill=full"});
  EXPECT_EQ(mount_->read(in("team/vm"), kSize - 100, 100), bytes_.substr(kSize - 100));
  expect_well_and_cached();
}

// SEMANTICS: A fill that was interrupted, by a crash too, is taken up where its saved map says.
TEST_F(RegistryFill, ThatACrashInterruptsIsTakenUpInAnotherRepository) {
  registry_.push("other", bytes_);
  mount({"fill=demand"});
  ASSERT_TRUE(mount_->read(in("team/vm"), 0, 4 << 20) == bytes_.substr(0, 4 << 20));
  ASSERT_TRUE(wait_until([&] { return has("maps/" + blob_); }));
  std::this_thread::sleep_for(1500ms);  // the map may lag the data by a second
  mount_->kill9();
  registry_.refuse("team/vm", 403);
  mount_->start();
  EXPECT_EQ(stat_errno(in("team/vm")), EACCES);
  EXPECT_TRUE(read(in("other")).bytes == bytes_);
  EXPECT_LE(server_.sent_bytes(FakeRegistry::blob("other", blob_).path), (2u << 20) + 77 + kChunk);
  EXPECT_EQ(stat_errno(in("team/vm")), EACCES);
  EXPECT_EQ(names_in("other"), std::set<std::string>{blob_});
}

}  // namespace
}  // namespace imgcachefs::test
