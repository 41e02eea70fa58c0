// Which opens of a node get which backing id, in whatever order they and their closes come.
#include "fs/backing_files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "base/posix.h"
#include "support/log_capture.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// What the kernel would say, and what it has.
struct FakeKernel {
  std::mutex mutex;
  std::set<int> ids;
  int last = 0;
  int refusal = 0;
};

class FakeIds final : public BackingIds {
 public:
  explicit FakeIds(FakeKernel& kernel) : kernel_(kernel) {}
  Result<int> open(int) override {
    std::lock_guard lock(kernel_.mutex);
    if (kernel_.refusal != 0) return fail_errno("BACKING_OPEN", kernel_.refusal);
    kernel_.ids.insert(++kernel_.last);
    return kernel_.last;
  }
  void close(int id) override {
    std::lock_guard lock(kernel_.mutex);
    EXPECT_EQ(kernel_.ids.erase(id), 1u) << id;
  }

 private:
  FakeKernel& kernel_;
};

bool may_administrate_here() {
  BackingFiles files(true);
  return files.accept(true);
}

// Of this thread alone.
void drop_sys_admin() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  ASSERT_EQ(::syscall(SYS_capget, &header, sets.data()), 0);
  sets[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
  ASSERT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
}

class BackingFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!may_administrate_here()) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
    file_ = UniqueFd(::open(dir_.write("image", "bytes").c_str(), O_RDONLY));
    ASSERT_TRUE(files_.accept(true));
    files_.begin(std::make_unique<FakeIds>(kernel_));
  }
  GivenFile given() const { return {file_.get(), kept_}; }
  void let_go() { files_.let_go(BackingFiles::Duration::zero()); }

  test::TempDir dir_;
  UniqueFd file_;
  std::shared_ptr<int> kept_ = std::make_shared<int>();
  FakeKernel kernel_;
  BackingFiles files_{true};
};

TEST_F(BackingFilesTest, AllOpensOfANodeShareOneIdThatIsClosedAfterTheLast) {
  auto first = files_.open(16, given());
  auto second = files_.open(16, given());
  auto other = files_.open(17, given());
  EXPECT_GT(first->id(), 0);
  EXPECT_EQ(second->id(), first->id());
  EXPECT_NE(other->id(), first->id());
  first.reset();
  EXPECT_EQ(kernel_.ids.size(), 2u);
  let_go();
  EXPECT_EQ(kernel_.ids.size(), 2u);
  second.reset();
  other.reset();
  let_go();
  EXPECT_THAT(kernel_.ids, IsEmpty());
  auto again = files_.open(16, given());
  EXPECT_EQ(kernel_.ids, std::set{again->id()});
}

TEST_F(BackingFilesTest, AClosedFileIsKeptForAMomentAndTakenUpAgain) {
  const int id = files_.open(16, given())->id();
  EXPECT_EQ(kernel_.ids, std::set{id});
  EXPECT_EQ(kept_.use_count(), 2);
  EXPECT_EQ(files_.open(16, given())->id(), id);
  files_.let_go(std::chrono::hours(1));
  EXPECT_EQ(kernel_.ids, std::set{id});
  // Another file, or one that must not be given away any more.
  const auto other = std::make_shared<int>();
  const int of_other = files_.open(16, {file_.get(), other})->id();
  EXPECT_EQ(kernel_.ids, std::set{of_other});
  EXPECT_NE(of_other, id);
  EXPECT_EQ(files_.open(16, {})->id(), 0);
  EXPECT_THAT(kernel_.ids, IsEmpty());
  EXPECT_EQ(kept_.use_count(), 1);
  EXPECT_EQ(other.use_count(), 1);
}

TEST_F(BackingFilesTest, NotManyAreKept) {
  std::vector<std::unique_ptr<const BackingFile>> open;
  for (uint64_t node = 0; node < 1000; ++node) open.push_back(files_.open(node, given()));
  EXPECT_EQ(kernel_.ids.size(), 1000u);
  open.clear();
  EXPECT_LE(kernel_.ids.size(), 100u);
  EXPECT_GE(kernel_.ids.size(), 10u);
  let_go();
  EXPECT_THAT(kernel_.ids, IsEmpty());
  EXPECT_EQ(kept_.use_count(), 1);
}

TEST_F(BackingFilesTest, TheFirstOpenDecidesForAsLongAsTheNodeIsOpen) {
  auto first = files_.open(16, {});  // its file is not to be given away
  auto second = files_.open(16, given());
  EXPECT_EQ(first->id(), 0);
  EXPECT_EQ(second->id(), 0);
  first.reset();
  EXPECT_EQ(files_.open(16, given())->id(), 0);
  second.reset();
  auto passed = files_.open(16, given());
  EXPECT_GT(passed->id(), 0);
  EXPECT_EQ(files_.open(16, {})->id(), passed->id());
}

TEST_F(BackingFilesTest, ARefusalThatSpeaksOfAllFilesEndsItAndIsSaidOnce) {
  const auto passed = files_.open(15, given());
  test::LogCapture log;
  kernel_.refusal = ELOOP;
  const auto refused = files_.open(16, given());
  EXPECT_EQ(refused->id(), 0);
  EXPECT_FALSE(files_.on());
  kernel_.refusal = 0;
  EXPECT_EQ(files_.open(17, given())->id(), 0);
  EXPECT_EQ(files_.open(15, {})->id(), passed->id());  // it is open so
  EXPECT_THAT(log.text(), HasSubstr("stacked file system"));
  EXPECT_EQ(log.text().find("no passthrough"), log.text().rfind("no passthrough"));
}

TEST_F(BackingFilesTest, AnyOtherRefusalIsOfTheNodeWhileItIsOpen) {
  kernel_.refusal = ENOMEM;
  auto refused = files_.open(16, given());
  kernel_.refusal = 0;
  EXPECT_EQ(refused->id(), 0);
  EXPECT_EQ(files_.open(16, given())->id(), 0);
  EXPECT_GT(files_.open(17, given())->id(), 0);
  EXPECT_TRUE(files_.on());
  refused.reset();
  EXPECT_GT(files_.open(16, given())->id(), 0);
}

TEST_F(BackingFilesTest, NothingIsSaidToTheKernelAfterTheEnd) {
  auto open = files_.open(16, given());
  files_.end();
  EXPECT_FALSE(files_.on());
  open.reset();
  EXPECT_EQ(kernel_.ids.size(), 1u);  // they went with the connection
  EXPECT_EQ(files_.open(16, given())->id(), 0);
}

TEST_F(BackingFilesTest, IsNotTakenWithoutTheRightToIt) {
  std::thread([] {
    drop_sys_admin();
    test::LogCapture log;
    BackingFiles files(true);
    EXPECT_FALSE(files.accept(true));
    EXPECT_FALSE(files.on());
    EXPECT_THAT(log.text(), HasSubstr("CAP_SYS_ADMIN"));
  }).join();
}

TEST_F(BackingFilesTest, IsNotTakenWhenItIsNotOfferedOrNotWanted) {
  test::LogCapture log;
  BackingFiles unwanted(false);
  EXPECT_FALSE(unwanted.accept(true));
  EXPECT_FALSE(unwanted.accept(false));
  EXPECT_EQ(log.text(), "");
  BackingFiles wanted(true);
  EXPECT_FALSE(wanted.accept(false));
  EXPECT_FALSE(wanted.on());
  EXPECT_THAT(log.text(), HasSubstr("the kernel does not offer it"));
}

// As the kernel does it: a node that is open has one mode and one id.
TEST_F(BackingFilesTest, NoOrderOfOpensAndClosesShowsTwoModesOfANode) {
  constexpr int kNodes = 3;
  struct Node {
    std::mutex mutex;
    int open = 0, id = 0;
  };
  std::array<Node, kNodes> nodes;
  std::vector<std::thread> threads;
  std::atomic<int> mixed{0};
  for (unsigned seed = 0; seed < 4; ++seed)
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 5000; ++i) {
        const size_t n = random() % kNodes;
        auto file = files_.open(16 + n, random() % 3 == 0 ? GivenFile{} : given());
        {
          std::lock_guard lock(nodes[n].mutex);  // the answer is taken in
          if (nodes[n].open++ == 0) nodes[n].id = file->id();
          mixed += nodes[n].id != file->id();
        }
        if (random() % 2 == 0) std::this_thread::yield();
        {
          std::lock_guard lock(nodes[n].mutex);  // closed; the release is on its way
          --nodes[n].open;
        }
        file.reset();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(mixed, 0);
  let_go();
  EXPECT_THAT(kernel_.ids, IsEmpty());
}

}  // namespace
}  // namespace imgcachefs
