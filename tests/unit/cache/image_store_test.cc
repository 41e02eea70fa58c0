// The store over an upstream in memory: filling, holding back, committing, going around, resuming.
#include "cache/image_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "support/fake_upstream.h"
#include "support/image_bytes.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::digest_of;
using test::FakeUpstream;
using test::pattern_bytes;
namespace files = std::filesystem;

constexpr uint64_t kMiB = 1 << 20;
constexpr auto kPatience = 20s;

ImageId id_of(const std::string& name) {
  return ImageId::parse(name).value();
}

class ImageStoreTest : public ::testing::Test {
 protected:
  ImageStoreTest() {
    config_.cache_dir = (files::path(dir_.path()) / "cache").string();
    config_.source = "fake:";
    config_.max_size = 1 << 30;
  }

  void mount() {
    auto store = ImageStore::open(config_, upstream_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    store_->on_forget_bytes([this](const Image&) { ++forgotten_; });
  }

  Result<std::shared_ptr<Image>> lookup(const std::string& name) {
    std::promise<Result<std::shared_ptr<Image>>> answer;
    store_->lookup(id_of(name), [&](auto image) { answer.set_value(std::move(image)); });
    return answer.get_future().get();
  }

  // As the kernel does it: an open that is stale looks up again.
  Result<std::unique_ptr<ImageHandle>> open(const std::string& name) {
    for (int attempt = 0;; ++attempt) {
      auto image = lookup(name);
      if (!image) return fail(image.error());
      std::promise<Result<std::unique_ptr<ImageHandle>>> answer;
      store_->open_image(*image, [&](auto handle) { answer.set_value(std::move(handle)); });
      auto handle = answer.get_future().get();
      if (handle || handle.error().kind != ErrorKind::kStale || attempt > 0) return handle;
    }
  }

  using Bytes = std::vector<std::byte>;
  static std::future<Result<Bytes>> read_later(ImageHandle& handle, ByteRange range) {
    auto promise = std::make_shared<std::promise<Result<Bytes>>>();
    handle.read(range, [promise](Result<ImageBytes> got) {
      if (!got) return promise->set_value(fail(got.error()));
      promise->set_value(bytes_of(*got));
    });
    return promise->get_future();
  }
  static Result<Bytes> read(ImageHandle& handle, ByteRange range) {
    auto later = read_later(handle, range);
    if (later.wait_for(kPatience) != std::future_status::ready)
      return fail(ErrorKind::kTimeout, "no answer");
    return later.get();
  }
  // In pieces of the kernel's size; the bytes got before an error, and the error.
  static std::pair<Bytes, std::optional<Error>> read_all(ImageHandle& handle, uint64_t size) {
    Bytes all;
    for (uint64_t at = 0; at < size || at == 0; at += 128 << 10) {
      auto piece = read(handle, {at, at + (128 << 10)});
      if (!piece) return {std::move(all), piece.error()};
      all.insert(all.end(), piece->begin(), piece->end());
    }
    return {std::move(all), std::nullopt};
  }

  bool eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
      if (condition()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return condition();
  }
  files::path cached(const std::string& name) const {
    return files::path(config_.cache_dir) / name;
  }
  std::string attribute(const std::string& name, const std::string& attribute) const {
    UniqueFd fd(::open(cached(name).c_str(), O_RDONLY));
    return posix::get_xattr(fd.get(), attribute).value_or("no attributes").value_or("none");
  }
  Bytes offer(const std::string& name, uint64_t size, bool with_digest = true) {
    Bytes bytes = pattern_bytes(size, size + name.size());
    FakeUpstream::Image image;
    image.bytes = bytes;
    if (with_digest) image.digest = digest_of(bytes);
    upstream_.put(name, std::move(image));
    return bytes;
  }
  static Bytes part(const Bytes& bytes, ByteRange range) {
    return Bytes(bytes.begin() + static_cast<ptrdiff_t>(range.begin),
                 bytes.begin() + static_cast<ptrdiff_t>(range.end));
  }

  test::TempDir dir_;
  FakeUpstream upstream_;
  StoreConfig config_;
  std::atomic<int> forgotten_{0};
  std::unique_ptr<ImageStore> store_;
};

TEST_F(ImageStoreTest, FirstReadFetchesAndLaterReadsComeFromDisk) {
  const auto bytes = offer("a", 5 * kMiB + 123);
  mount();
  {
    auto handle = open("a").value();
    EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
    // Who has read an image to its end finds it cached.
    EXPECT_TRUE(files::exists(cached("a")));
    EXPECT_GE(handle->complete_fd(), 0);
  }
  EXPECT_EQ(upstream_.sent(), bytes.size());
  auto handle = open("a").value();
  EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
  EXPECT_EQ(upstream_.sent(), bytes.size());
  auto details = lookup("a").value()->details();
  EXPECT_EQ(details.state, ImageState::kCached);
  EXPECT_TRUE(details.verified);
  EXPECT_EQ(details.hits, 1u);
  EXPECT_FALSE(files::exists(cached("maps/a")));
  EXPECT_FALSE(files::exists(cached("incomplete/a")));
}

// So that Glance, with either driver, finds nothing missing on it.
TEST_F(ImageStoreTest, ACachedFileCarriesItsHitsFromTheFirstMomentOn) {
  for (const char* driver : {"sqlite", "xattr"}) {
    config_.driver = driver;
    const std::string name = driver;
    const auto bytes = offer(name, kMiB);
    mount();
    EXPECT_EQ(store_->status().driver, driver);
    auto handle = open(name).value();
    EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
    EXPECT_EQ(attribute(name, "user.hits"), "0");
    const auto details = lookup(name).value()->details();
    EXPECT_TRUE(details.verified);
    EXPECT_EQ(details.hits, 0u);
    handle.reset();
    store_.reset();
  }
  EXPECT_FALSE(files::exists(cached("cache.db")));
  EXPECT_NE(attribute("xattr", "user.imgcachefs.checksum"), "none");
  EXPECT_NE(attribute("sqlite", "user.imgcachefs.checksum"), "none");  // taken over
}

TEST_F(ImageStoreTest, EmptyImage) {
  offer("empty", 0);
  mount();
  auto handle = open("empty").value();
  EXPECT_EQ(read(*handle, {0, 4096}).value().size(), 0u);
  EXPECT_TRUE(eventually([&] { return files::exists(cached("empty")); }));
}

// As through a mount: the kernel asks for no byte of an empty file.
TEST_F(ImageStoreTest, EmptyImageIsCachedByBeingOpened) {
  for (FillMode fill : {FillMode::kAuto, FillMode::kDemand, FillMode::kFull}) {
    config_.fill = fill;
    const std::string id = "empty" + std::to_string(static_cast<int>(fill));
    offer(id, 0);
    store_.reset();  // who holds the directory
    mount();
    open(id).value().reset();
    EXPECT_TRUE(eventually([&] { return files::exists(cached(id)); })) << id;
  }
}

TEST_F(ImageStoreTest, LookAtAHeaderFetchesAChunkAndStartsNothing) {
  offer("a", 64 * kMiB);
  mount();
  auto handle = open("a").value();
  ASSERT_TRUE(read(*handle, {0, 1024}));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(upstream_.sent(), config_.chunk_size);
}

TEST_F(ImageStoreTest, ReaderThatGoesOnStartsTheFillOfTheRest) {
  const auto bytes = offer("a", 16 * kMiB);
  mount();
  auto handle = open("a").value();
  for (uint64_t at = 0; at < 2 * kMiB; at += 128 << 10)
    ASSERT_TRUE(read(*handle, {at, at + (128 << 10)}));
  handle.reset();  // a reader that leaves ends nothing
  EXPECT_TRUE(eventually([&] { return files::exists(cached("a")); }));
  EXPECT_EQ(upstream_.sent(), bytes.size());
}

TEST_F(ImageStoreTest, DemandFetchesOnlyWhatIsRead) {
  config_.fill = FillMode::kDemand;
  const auto bytes = offer("a", 16 * kMiB);
  mount();
  auto handle = open("a").value();
  for (uint64_t at = 0; at < 4 * kMiB; at += 128 << 10)
    ASSERT_TRUE(read(*handle, {at, at + (128 << 10)}));
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(upstream_.sent(), 4 * kMiB);
}

TEST_F(ImageStoreTest, FullFillsOnTheFirstRead) {
  config_.fill = FillMode::kFull;
  offer("a", 16 * kMiB);
  mount();
  auto handle = open("a").value();
  ASSERT_TRUE(read(*handle, {0, 1}));
  EXPECT_TRUE(eventually([&] { return files::exists(cached("a")); }));
}

TEST_F(ImageStoreTest, AnyNumberOfReadersCauseOneTransfer) {
  const auto bytes = offer("a", 24 * kMiB);
  mount();
  std::vector<std::thread> readers;
  std::atomic<int> right{0};
  for (int i = 0; i < 16; ++i)
    readers.emplace_back([&] {
      auto handle = open("a").value();
      if (read_all(*handle, bytes.size()).first == bytes) ++right;
    });
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(right, 16);
  EXPECT_EQ(upstream_.sent(), bytes.size());
}

TEST_F(ImageStoreTest, RandomReadDoesNotWaitForAStalledFill) {
  config_.fill = FillMode::kFull;
  const auto bytes = offer("a", 64 * kMiB);
  mount();
  auto handle = open("a").value();
  upstream_.close_gate(256 << 10);  // each transfer stalls after so much; a chunk is less
  auto first = read_later(*handle, {0, 4096});
  const ByteRange range{40 * kMiB + 5, 40 * kMiB + 4101};
  EXPECT_EQ(read(*handle, range).value(), part(bytes, range));
  upstream_.open_gates();
  EXPECT_TRUE(first.get());
}

TEST_F(ImageStoreTest, LastPieceWaitsForTheChecksum) {
  const auto bytes = offer("a", 4 * kMiB);
  mount();
  upstream_.close_digest_gate();
  auto handle = open("a").value();
  // A guest reads its backup partition table first, and is not held up.
  const ByteRange tail{bytes.size() - 4096, bytes.size()};
  EXPECT_EQ(read(*handle, tail).value(), part(bytes, tail));
  uint64_t at = 0;
  for (; at < bytes.size() - (256 << 10); at += 128 << 10)
    ASSERT_TRUE(read(*handle, {at, at + (128 << 10)}));
  // Now the only chunks nobody was given lie before the tail: one more read would complete the
  // image.
  auto held = read_later(*handle, {at, bytes.size() - (64 << 10)});
  EXPECT_EQ(held.wait_for(200ms), std::future_status::timeout);
  EXPECT_FALSE(files::exists(cached("a")));
  upstream_.open_gates();
  ASSERT_EQ(held.wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(held.get());
  EXPECT_TRUE(files::exists(cached("a")));
}

TEST_F(ImageStoreTest, BeforeReadServesNothingUnverified) {
  config_.verify = VerifyMode::kBeforeRead;
  const auto bytes = offer("a", 4 * kMiB);
  mount();
  upstream_.close_digest_gate();
  auto handle = open("a").value();
  auto held = read_later(*handle, {0, 4096});
  EXPECT_EQ(held.wait_for(200ms), std::future_status::timeout);
  upstream_.open_gates();
  EXPECT_EQ(held.get().value(), part(bytes, {0, 4096}));
}

TEST_F(ImageStoreTest, CorruptImageGoesToInvalidAndTheNextOpenTriesAnew) {
  auto bytes = offer("a", 4 * kMiB);
  upstream_.put("a", {bytes, "\"v1\"", digest_of(pattern_bytes(10)), RangeSupport::kYes});
  mount();
  {
    auto handle = open("a").value();
    auto [got, error] = read_all(*handle, bytes.size());
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::kCorrupt);
    EXPECT_LT(got.size(), bytes.size());
    EXPECT_TRUE(eventually([&] { return forgotten_ == 1; }));
    EXPECT_FALSE(files::exists(cached("a")));
    EXPECT_TRUE(files::exists(cached("invalid/a")));
    EXPECT_THAT(attribute("invalid/a", "user.error"), ::testing::HasSubstr("wrong checksum"));
    EXPECT_EQ(read(*handle, {0, 10}).error().kind, ErrorKind::kCorrupt);
  }
  upstream_.put("a", {bytes, "\"v1\"", digest_of(bytes)});
  EXPECT_THAT(lookup("a").value()->details().error, ::testing::HasSubstr("wrong checksum"));
  auto handle = open("a").value();
  EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
  EXPECT_TRUE(files::exists(cached("a")));
}

TEST_F(ImageStoreTest, NoChecksumPublished) {
  const auto bytes = offer("a", 3 * kMiB, false);
  mount();
  auto handle = open("a").value();
  EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
  const auto details = lookup("a").value()->details();
  EXPECT_EQ(details.state, ImageState::kCached);
  EXPECT_FALSE(details.verified);
  EXPECT_FALSE(details.checksum);
}

TEST_F(ImageStoreTest, ChangeUpstreamIsStaleAndNeverMixed) {
  offer("a", 8 * kMiB);
  mount();
  auto handle = open("a").value();
  ASSERT_TRUE(read(*handle, {0, 4096}));
  const auto changed = pattern_bytes(8 * kMiB, 77);
  upstream_.put("a", {changed, "\"v2\"", digest_of(changed)});
  EXPECT_EQ(read(*handle, {4 * kMiB, 4 * kMiB + 10}).error().kind, ErrorKind::kStale);
  EXPECT_EQ(read(*handle, {0, 10}).error().kind, ErrorKind::kStale);
  auto anew = open("a").value();
  EXPECT_EQ(read_all(*anew, changed.size()).first, changed);
}

// A reply that is on its way when the image is given up.
TEST_F(ImageStoreTest, BytesOnTheirWayAreNotOverwrittenByTheNextVersion) {
  const auto old = offer("a", 2 * kMiB);
  mount();
  auto handle = open("a").value();
  std::promise<ImageBytes> given;
  handle->read({0, 4096}, [&](Result<ImageBytes> bytes) { given.set_value(*bytes); });
  const ImageBytes bytes = given.get_future().get();
  const auto changed = pattern_bytes(2 * kMiB, 5);
  upstream_.put("a", {changed, "\"v2\"", digest_of(changed)});
  EXPECT_EQ(read(*handle, {kMiB, kMiB + 10}).error().kind, ErrorKind::kStale);
  auto anew = open("a").value();
  EXPECT_EQ(read_all(*anew, changed.size()).first, changed);
  ASSERT_LT(bytes.fd, 0);
  EXPECT_EQ(bytes_of(bytes), part(old, {0, 4096}));
}

TEST_F(ImageStoreTest, CachedImageThatChangedIsFetchedAnewAndTheOldOneReadsOn) {
  config_.revalidate = 0s;
  const auto old = offer("a", 2 * kMiB);
  mount();
  auto first = open("a").value();
  EXPECT_EQ(read_all(*first, old.size()).first, old);
  auto cached_handle = open("a").value();
  const auto changed = pattern_bytes(3 * kMiB, 5);
  upstream_.put("a", {changed, "\"v2\"", digest_of(changed)});
  auto anew = open("a").value();
  EXPECT_EQ(read_all(*anew, changed.size()).first, changed);
  EXPECT_EQ(read_all(*cached_handle, old.size()).first, old);
  // Upstream silent: the cached one is served.
  upstream_.fail_with(Error{ErrorKind::kUnavailable, "down"});
  auto served = open("a").value();
  EXPECT_EQ(read_all(*served, changed.size()).first, changed);
}

// SEMANTICS: A cached image that upstream refuses or has no more is refused by the first open after
// `revalidate`.
TEST_F(ImageStoreTest, RefusalAndRemovalUpstreamCountForWhatIsCached) {
  config_.revalidate = 0s;
  config_.negative_ttl = 0s;
  const auto bytes = offer("a", kMiB);
  mount();
  {
    auto handle = open("a").value();
    EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
  }
  upstream_.fail_with(Error{ErrorKind::kDenied, "401"});
  EXPECT_EQ(open("a").error().kind, ErrorKind::kDenied);
  EXPECT_TRUE(files::exists(cached("a")));
  upstream_.fail_with(std::nullopt);
  EXPECT_TRUE(open("a"));
  upstream_.remove("a");
  EXPECT_EQ(open("a").error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(files::exists(cached("a")));
}

TEST_F(ImageStoreTest, ACrowdThatOpensCachedImagesDoesNotWaitForASilentUpstreamInTurn) {
  constexpr unsigned kCrowd = 60;
  config_.revalidate = 0s;
  mount();
  std::vector<std::shared_ptr<Image>> images;
  for (unsigned i = 0; i < kCrowd; ++i) {
    const std::string name = fmt::format("image-{}", i);
    const auto bytes = offer(name, 1000 + i);
    EXPECT_EQ(read_all(*open(name).value(), bytes.size()).first, bytes);
    images.push_back(lookup(name).value());
  }
  upstream_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  upstream_.take_time(300ms);
  const unsigned asked = upstream_.stats_asked();
  std::atomic<unsigned> opened{0};
  for (const auto& image : images)
    store_->open_image(image, [&](const auto& handle) { opened += handle.has_value(); });
  EXPECT_TRUE(eventually([&] { return opened == kCrowd; }));
  EXPECT_LT(upstream_.stats_asked() - asked, kCrowd / 2);
}

TEST_F(ImageStoreTest, NamesThatAreNotThereTakeBoundedRoom) {
  ImageTable table(300s, 86400s);
  constexpr size_t kNames = 300'000;
  size_t remembered = 0;
  for (size_t i = 0; i < kNames; ++i)
    table.refused(id_of(fmt::format("{}", i)), Error{ErrorKind::kNotFound, "not there"});
  for (size_t i = 0; i < kNames; ++i)
    remembered += table.refusal(id_of(fmt::format("{}", i))).has_value();
  EXPECT_GT(remembered, 1000u);
  EXPECT_LT(remembered, kNames / 2);
  // What upstream has is known all the same.
  table.heard(id_of("there"));
  EXPECT_TRUE(table.believed(id_of("there")));
}

TEST_F(ImageStoreTest, OneOddAnswerKeepsNobodyFromAskingAboutOthers) {
  offer("odd", 1000);
  offer("gone", 1000);
  config_.revalidate = 0s;
  mount();
  for (const char* name : {"odd", "gone"}) {
    auto handle = open(name).value();
    ASSERT_FALSE(read_all(*handle, 1000).second);
  }
  upstream_.fail_with(Error{ErrorKind::kProtocol, "nonsense"});
  EXPECT_TRUE(open("odd"));
  upstream_.fail_with(std::nullopt);
  upstream_.remove("gone");
  EXPECT_EQ(open("gone").error().kind, ErrorKind::kNotFound);
}

TEST_F(ImageStoreTest, UpstreamWithoutRangesIsReadInOnePass) {
  auto bytes = pattern_bytes(12 * kMiB);
  upstream_.put("a", {bytes, "\"v1\"", digest_of(bytes), RangeSupport::kNo});
  mount();
  auto handle = open("a").value();
  const ByteRange far{9 * kMiB, 9 * kMiB + 4096};
  EXPECT_EQ(read(*handle, far).value(), part(bytes, far));
  EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
  EXPECT_TRUE(files::exists(cached("a")));
  EXPECT_EQ(upstream_.sent(), bytes.size());
}

TEST_F(ImageStoreTest, NoRoomIsServedAroundTheCache) {
  config_.max_size = 4 * kMiB;
  for (bool ranges : {true, false}) {
    const std::string name = ranges ? "ranges" : "pass";
    auto bytes = pattern_bytes(20 * kMiB, ranges);
    upstream_.put(
        name, {bytes, "\"v1\"", digest_of(bytes), ranges ? RangeSupport::kYes : RangeSupport::kNo});
    if (!store_) mount();
    {
      auto handle = open(name).value();
      auto [got, error] = read_all(*handle, bytes.size());
      EXPECT_FALSE(error) << error->message;
      EXPECT_TRUE(got == bytes);
      EXPECT_EQ(handle->complete_fd(), -1);
    }
    EXPECT_FALSE(files::exists(cached(name)));
    EXPECT_TRUE(eventually([&] { return store_->space().used == 0; }));
  }
}

TEST_F(ImageStoreTest, AroundTheCacheTheChecksumCountsAllTheSame) {
  config_.max_size = 4 * kMiB;
  auto bytes = pattern_bytes(20 * kMiB);
  upstream_.put("bad", {bytes, "\"v1\"", digest_of(pattern_bytes(3))});
  mount();
  auto handle = open("bad").value();
  // From the end to the start: the digest cannot follow, so the rest streams by once more before
  // the last piece, at the latest.
  std::optional<Error> error;
  for (uint64_t at = bytes.size(); at > 0 && !error; at -= kMiB) {
    auto piece = read(*handle, {at - kMiB, at});
    if (!piece) error = piece.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::kCorrupt);
}

TEST_F(ImageStoreTest, LeastRecentlyUsedMakesWayAndOpenOnesStay) {
  config_.max_size = 10 * kMiB;
  for (const char* name : {"a", "b", "c", "d"}) offer(name, 4 * kMiB);
  mount();
  for (const char* name : {"a", "b"}) {
    auto handle = open(name).value();
    EXPECT_FALSE(read_all(*handle, 4 * kMiB).second);
  }
  auto a = open("a").value();  // the older one is in use
  {
    auto c = open("c").value();
    EXPECT_FALSE(read_all(*c, 4 * kMiB).second);
  }
  EXPECT_TRUE(files::exists(cached("a")));
  EXPECT_FALSE(files::exists(cached("b")));
  EXPECT_TRUE(files::exists(cached("c")));
  EXPECT_LE(store_->space().used, config_.max_size);
}

// As Glance's pruner and imgcachectl do it: nobody tells the store.
TEST_F(ImageStoreTest, RoomThatOthersMadeIsUsedBeforeAnythingIsEvicted) {
  config_.max_size = 8 * kMiB;
  for (const char* name : {"a", "b", "c", "d"}) offer(name, 4 * kMiB);
  mount();
  const auto cache = [&](const char* name) {
    auto handle = open(name).value();
    EXPECT_FALSE(read_all(*handle, 4 * kMiB).second);
    EXPECT_TRUE(files::exists(cached(name))) << name;
  };
  for (const char* name : {"a", "b"}) cache(name);
  files::remove(cached("b"));
  cache("c");
  EXPECT_TRUE(files::exists(cached("a")));  // used least recently, and not in anybody's way
  for (const char* name : {"a", "c"}) files::remove(cached(name));
  cache("d");
  EXPECT_EQ(store_->status().counters.for_room.images, 0u);
}

TEST_F(ImageStoreTest, InterruptedImageIsResumedAndHarmedBytesAreFetchedAgain) {
  const auto bytes = offer("a", 8 * kMiB);
  mount();
  {
    auto handle = open("a").value();
    ASSERT_TRUE(read(*handle, {0, kMiB}));
  }
  store_.reset();
  EXPECT_TRUE(files::exists(cached("maps/a")));
  {
    std::fstream file(cached("incomplete/a"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100'000);
    file.write("harmed", 6);
  }
  mount();
  auto handle = open("a").value();
  EXPECT_EQ(lookup("a").value()->details().state,
            ImageState::kUncached);  // nothing is believed yet
  EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
  EXPECT_EQ(upstream_.sent(), bytes.size() + config_.chunk_size);  // the harmed chunk once more
  EXPECT_TRUE(files::exists(cached("a")));
}

TEST_F(ImageStoreTest, FailureReachesWhoWaitsAndTheNextTrySucceeds) {
  const auto bytes = offer("a", 2 * kMiB);
  mount();
  auto handle = open("a").value();
  upstream_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  EXPECT_EQ(read(*handle, {0, 10}).error().kind, ErrorKind::kTimeout);
  upstream_.fail_with(std::nullopt);
  EXPECT_EQ(read_all(*handle, bytes.size()).first, bytes);
}

TEST_F(ImageStoreTest, NotThereIsBelievedForNegativeTtl) {
  config_.negative_ttl = 3600s;
  mount();
  EXPECT_EQ(lookup("nope").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(lookup("nope").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(upstream_.stats_asked(), 1u);
}

TEST_F(ImageStoreTest, ListShowsWhatIsCachedAndOnRequestTheCatalogue) {
  offer("a", 1000);
  offer("b", 1000);
  config_.list_all = true;
  mount();
  std::promise<NameList> listed;
  store_->list([&](const auto& all) { listed.set_value(*all); });
  const NameList names = listed.get_future().get();
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0], "a");
  EXPECT_EQ(names[1], "b");
}

TEST_F(ImageStoreTest, DirectoryBelongsToOneSource) {
  mount();
  store_.reset();
  config_.source = "fake:other";
  auto other = ImageStore::open(config_, upstream_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kInvalid);
}

TEST_F(ImageStoreTest, ShutdownAnswersEveryReader) {
  offer("a", 8 * kMiB);
  mount();
  auto handle = open("a").value();
  upstream_.close_gate(0);
  auto waiting = read_later(*handle, {0, 4096});
  store_->shutdown();
  ASSERT_EQ(waiting.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(waiting.get().error().kind, ErrorKind::kCancelled);
}

}  // namespace
}  // namespace imgcachefs
