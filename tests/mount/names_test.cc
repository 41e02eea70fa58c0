// Which names a mount has (DESIGN 2.2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"

namespace imgcachefs::test {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr size_t kSize = (2 << 20) + 123;

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename());
  return names;
}

int stat_errno(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 ? 0 : errno;
}

// Reads the image to its end, and waits until it is cached.
void cache(const Mounted& mount, const std::string& id, const std::string& bytes) {
  ASSERT_EQ(mount.read_all(id), bytes);
  ASSERT_TRUE(mount.wait_state(id, "cached")) << mount.log();
}

// SEMANTICS: A name appears when upstream has an image of that name, whether or not it is listed.
TEST(Names, AppearWhenUpstreamHasThemListedOrNot) {
  FaultServer server;
  const std::string odd = "fedora 41 (x86_64)%20+ä#?&.qcow2";
  server.put("/listed", Content::generated(kSize, 1));
  server.put("/unlisted", Content::generated(kSize, 2));
  server.put("/" + odd, Content::generated(kSize, 3));
  server.put("/", Content::of("<html><body><a href=\"listed\">listed</a></body></html>"));
  for (const char* list : {"list=cached", "list=all"}) {
    Mounted mount({.source = server.url(), .options = {list}});
    if (list == std::string("list=all"))
      EXPECT_THAT(names_in(mount.path()), ElementsAre("listed"));
    else
      EXPECT_THAT(names_in(mount.path()), IsEmpty());
    EXPECT_EQ(stat_errno(mount.path("listed")), 0);
    EXPECT_EQ(stat_errno(mount.path("unlisted")), 0);
    EXPECT_EQ(mount.read("unlisted", 0, kSize), pattern_string(2, 0, kSize));
    EXPECT_EQ(mount.read(odd, 70'000, 1000), pattern_string(3, 70'000, 1000));
  }
}

// SEMANTICS: A name that upstream does not have is ENOENT.
TEST(Names, ThatUpstreamDoesNotHaveAreEnoentUntilItHasThem) {
  FaultServer server;
  server.put("/directory/", Content::of("<html></html>"));
  Mounted mount({.source = server.url(), .options = {"negative_ttl=1"}});
  EXPECT_EQ(stat_errno(mount.path("later")), ENOENT);
  EXPECT_EQ(mount.read_errno("later"), ENOENT);
  EXPECT_EQ(stat_errno(mount.path("directory")), ENOENT);
  EXPECT_EQ(stat_errno(mount.path("directory/later")), ENOENT);
  server.put("/later", Content::generated(kSize, 4));
  EXPECT_TRUE(wait_until([&] { return stat_errno(mount.path("later")) == 0; }));
  EXPECT_EQ(mount.read("later", 0, kSize), pattern_string(4, 0, kSize));
}

// SEMANTICS: A name that cannot be an image ID is ENOENT, and upstream is not asked for it.
TEST(Names, ThatCannotBeAnImageIdAreEnoentWithoutAskingUpstream) {
  FaultServer server;
  // It has, or seems to have, something of every name.
  Behaviour anything;
  anything.other_content = Content::generated(kSize, 5);
  server.fault(anything, {}, 0);
  Mounted mount({.source = server.url(), .options = {}});
  for (const std::string& name :
       {std::string("incomplete"), std::string("invalid"), std::string("queue"),
        std::string("maps"), std::string("cache.db"), std::string("cache.db-journal"),
        std::string("image_cache_db_init"), std::string("checkme"), std::string("a\nb"),
        std::string("\x7f"), std::string("not-utf8-\xff"), std::string(256, 'x')}) {
    EXPECT_EQ(stat_errno(mount.path(name)), ENOENT) << name;
    EXPECT_EQ(mount.read_errno(name), ENOENT) << name;
  }
  EXPECT_EQ(stat_errno(mount.path(".imgcachefs/image")), ENOENT);
  EXPECT_THAT(server.requests(), IsEmpty());
  EXPECT_EQ(stat_errno(mount.path(std::string(255, 'x'))), 0);
}

// SEMANTICS: The directory lists the cached images with their real sizes.
TEST(Names, ListedAreThoseOfTheCachedImagesWithTheirSizes) {
  FaultServer server;
  for (int i = 0; i < 3; ++i)
    server.put("/image-" + std::to_string(i), Content::generated(kSize + i * 100'000, i));
  Mounted mount({.source = server.url(), .options = {"fill=demand"}});
  for (int round = 0; round < 2; ++round) {
    cache(mount, "image-0", pattern_string(0, 0, kSize));
    cache(mount, "image-2", pattern_string(2, 0, kSize + 200'000));
    mount.read("image-1", 0, 100);  // incomplete
    EXPECT_THAT(names_in(mount.path()), ElementsAre("image-0", "image-2"));
    for (const auto& entry : std::filesystem::directory_iterator(mount.path()))
      EXPECT_EQ(entry.file_size(), entry.path().filename() == "image-0" ? kSize : kSize + 200'000);
    ASSERT_EQ(mount.unmount(), 0);
    mount.start();
    EXPECT_THAT(names_in(mount.path()), ElementsAre("image-0", "image-2"));
  }
}

// SEMANTICS: With `list=all` the directory lists upstream's catalogue too.
TEST(Names, ListedAreThoseOfUpstreamTooWithListAll) {
  TempDir images;
  for (const char* name : {"one", "two", "with space", "cached"}) images.write(name, name);
  for (const char* format : {"html", "json"}) {
    images.write("cached", "cached");
    Nginx nginx(images.path(), {.autoindex = format});
    Mounted mount({.source = nginx.url(), .options = {"list=all", "revalidate=1"}});
    EXPECT_THAT(names_in(mount.path()), UnorderedElementsAre("one", "two", "with space", "cached"));
    cache(mount, "cached", "cached");
    std::filesystem::remove(images.path() / "cached");
    images.write("three", "three");
    // What upstream does not list any more is cached still.
    const auto all = UnorderedElementsAre("one", "two", "three", "with space", "cached");
    EXPECT_TRUE(wait_until([&] { return testing::Value(names_in(mount.path()), all); }));
    std::filesystem::remove(images.path() / "three");
  }
}

// SEMANTICS: Listing the directory transfers no image data.
TEST(Names, AreListedWithoutATransferOfImageData) {
  FaultServer server;
  std::string index;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "image-" + std::to_string(i);
    server.put("/" + name, Content::generated(kSize, i));
    index += "<a href=\"" + name + "\">" + name + "</a>\n";
  }
  server.put("/", Content::of("<html><body>" + index + "</body></html>"));
  Mounted mount({.source = server.url(), .options = {"list=all"}});
  CommandResult ls = run({"ls", "-l", mount.path()});
  EXPECT_TRUE(ls.ok()) << ls.describe();
  EXPECT_TRUE(run({"find", mount.path(), "-ls"}).ok());
  for (int i = 0; i < 20; ++i) {
    const std::string name = "image-" + std::to_string(i);
    EXPECT_THAT(ls.out, testing::HasSubstr(std::to_string(kSize)));
    EXPECT_THAT(ls.out, testing::HasSubstr(name));
    EXPECT_EQ(server.sent_bytes("/" + name), 0u);
    EXPECT_EQ(mount.xattr(name, "state"), "uncached");
  }
}

class NamesInAnOutage : public testing::TestWithParam<const char*> {
 protected:
  NamesInAnOutage() {
    for (const char* id : {"/first", "/second", "/cold"})
      server_.put(id, Content::generated(kSize, id[1]));
    server_.put("/", Content::of("<html><a href=\"first\">first</a></html>"));
    mount_.emplace(MountSpec{.source = server_.url(),
                             .options = {GetParam(), "revalidate=1", "connect_timeout=60",
                                         "low_speed_time=60", "retries=100"}});
  }
  ~NamesInAnOutage() override {
    server_.clear_faults();
    server_.release();
  }

  void cache_both() {
    cache(*mount_, "first", pattern_string('f', 0, kSize));
    cache(*mount_, "second", pattern_string('s', 0, kSize));
  }
  void expect_cached_listed_and_readable() {
    EXPECT_THAT(names_in(mount_->path()), ElementsAre("first", "second"));
    EXPECT_EQ(std::filesystem::file_size(mount_->path("second")), kSize);
    EXPECT_EQ(mount_->read("first", 0, kSize), pattern_string('f', 0, kSize));
    EXPECT_EQ(mount_->read("second", 0, kSize), pattern_string('s', 0, kSize));
    EXPECT_EQ(mount_->xattr("first", "state"), "cached");
  }

  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: When upstream does not answer, the cached images stay listed and readable.
TEST_P(NamesInAnOutage, OfCachedImagesStayListedAndReadable) {
  cache_both();
  Behaviour silent;
  silent.stall_before_head = true;
  Behaviour reset;
  reset.reset_before_head = true;
  for (const Behaviour& outage : {silent, reset, Behaviour::of_status(503)}) {
    server_.clear_faults();
    server_.fault(outage, {}, 0);
    std::this_thread::sleep_for(seconds(2));  // what upstream said is not believed any more
    expect_cached_listed_and_readable();
    ASSERT_EQ(mount_->unmount(), 0);
    mount_->start();
    expect_cached_listed_and_readable();
  }
}

// More than there are threads that could wait with them.
TEST_P(NamesInAnOutage, OfCachedImagesStayListedAndReadableHoweverManyLookUpsWait) {
  cache_both();
  Behaviour silent;
  silent.stall_before_head = true;
  server_.fault(silent, {}, 0);
  std::vector<std::thread> lookups;
  for (int i = 0; i < 100; ++i)
    lookups.emplace_back([&, i] { stat_errno(mount_->path("missing-" + std::to_string(i))); });
  EXPECT_TRUE(server_.wait_for({.method = "HEAD"}, 10, seconds(60)));
  std::this_thread::sleep_for(seconds(2));
  // In a process of its own, so that the test comes to its end whatever happens.
  CommandResult ls = run({"ls", mount_->path()});
  EXPECT_EQ(ls.out, "first\nsecond\n") << ls.describe();
  for (const char* id : {"first", "second"}) {
    CommandResult sum = run({"cat", mount_->path(id)});
    EXPECT_TRUE(sum.ok() && sum.out == pattern_string(id[0], 0, kSize)) << id << sum.err;
  }
  EXPECT_EQ(mount_->terminate(SIGTERM), 0);
  for (std::thread& lookup : lookups) lookup.join();
}

INSTANTIATE_TEST_SUITE_P(Lists, NamesInAnOutage, testing::Values("list=cached", "list=all"),
                         [](const auto& test) { return std::string(test.param).substr(5); });

}  // namespace
}  // namespace imgcachefs::test
