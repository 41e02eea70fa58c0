// Metrics and status of a real mount, in the mount and over HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <sstream>
#include <thread>

#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/server_socket.h"

namespace imgcachefs::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr uint64_t kSize = 5 << 20;

// The sum of all lines of a metric whose labels have that text; nullopt: there is no such line.
std::optional<double> value_of(const std::string& page, const std::string& name,
                               const std::string& labels = "") {
  std::istringstream lines(page);
  std::optional<double> sum;
  for (std::string line; std::getline(lines, line);) {
    const size_t end = line.find_first_of("{ ");
    if (line.substr(0, end) != "imgcachefs_" + name || line.find(labels) == std::string::npos)
      continue;
    sum = sum.value_or(0) + std::stod(line.substr(line.rfind(' ')));
  }
  return sum;
}

class Metrics : public testing::Test {
 protected:
  Metrics() { server_.put("/images/image-of-a-name", Content::generated(kSize)); }

  void mount(std::vector<std::string> options = {}) {
    options.push_back("metrics_listen=127.0.0.1:0");
    mount_.emplace(MountSpec{.source = server_.url("/images/"), .options = options});
    static const std::regex line("metrics and status page: (http://[0-9.:]+/)");
    std::smatch match;
    const std::string log = mount_->log();
    ASSERT_TRUE(std::regex_search(log, match, line)) << log;
    url_ = match[1];
  }
  std::string get(const std::string& path, std::vector<std::string> more = {}) const {
    std::vector<std::string> argv = {"curl",       "--noproxy", "*",        "-sS",
                                     "--max-time", "20",        url_ + path};
    argv.insert(argv.end(), more.begin(), more.end());
    const CommandResult result = run(argv);
    return result.ok() ? result.out : result.describe();
  }

  FaultServer server_;
  std::optional<Mounted> mount_;
  std::string url_;
};

// SEMANTICS: `.imgcachefs/metrics` has the mount's figures for Prometheus, and so has
// `http://ADDR:PORT/metrics` with `metrics_listen=ADDR:PORT`.
TEST_F(Metrics, AreTheSameInTheMountAndOverHttp) {
  mount();
  mount_->read_all("image-of-a-name");
  ASSERT_TRUE(mount_->wait_state("image-of-a-name", "cached"));
  mount_->read_all("image-of-a-name");
  for (const std::string& page : {mount_->metrics(), get("metrics")}) {
    EXPECT_EQ(value_of(page, "cache_images", "state=\"cached\""), 1);
    EXPECT_EQ(value_of(page, "cache_misses_total"), 1);
    EXPECT_GE(value_of(page, "cache_hits_total"), 1);
    EXPECT_GE(value_of(page, "upstream_bytes_total"), kSize);
    EXPECT_EQ(value_of(page, "upstream_up"), 1);
    EXPECT_GE(value_of(page, "upstream_ttfb_seconds_count"), 2);
    EXPECT_GE(value_of(page, "upstream_requests_total", "code=\"206\""), 1);
    EXPECT_EQ(value_of(page, "fetch_duration_seconds_count"), 1);
    EXPECT_GE(value_of(page, "requests_total", "op=\"read\""), 1);
    EXPECT_GE(value_of(page, "passthrough_opens_total"), 1);
    EXPECT_GT(value_of(page, "last_prune_timestamp_seconds"), 1.7e9);
  }
  auto status = nlohmann::json::parse(get("status"));
  EXPECT_EQ(status["images"]["cached"], 1);
  EXPECT_EQ(status["upstream"]["up"], true);
  EXPECT_THAT(get("", {"-i"}), HasSubstr("Content-Type: text/html"));
  EXPECT_EQ(mount_->unmount(), 0);
  EXPECT_THAT(get("metrics"), HasSubstr("exit code 7"));  // curl: could not connect
}

// SEMANTICS: The metrics have no ID of an image and no secret.
TEST_F(Metrics, HaveNoIdsOfImages) {
  server_.put("/images/broken", Content::generated(kSize));
  server_.fault(Behaviour::of_status(500), {.method = {}, .path = "/images/broken"}, 0);
  mount({"retries=0"});
  mount_->read_all("image-of-a-name");
  EXPECT_EQ(mount_->read_errno("no-such-image"), ENOENT);
  EXPECT_EQ(mount_->read_errno("broken"), EIO);
  const std::string page = get("metrics");
  for (const char* id : {"image-of-a-name", "broken", "no-such-image"})
    EXPECT_THAT(page, Not(HasSubstr(id)));
  EXPECT_EQ(value_of(page, "upstream_up"), 0);
  EXPECT_GE(value_of(page, "upstream_requests_total", "code=\"500\""), 1);
  EXPECT_GE(value_of(page, "upstream_errors_total", "class=\"unavailable\""), 1);
  EXPECT_GE(value_of(page, "request_errors_total", "errno=\"EIO\""), 1);
  EXPECT_THAT(get(""), HasSubstr("does not answer"));
}

TEST_F(Metrics, TimeARequestUntilItIsAnsweredHoweverLongItWaits) {
  mount({"fill=demand", "low_speed_time=60"});
  server_.fault({.stall_before_head = true}, {.method = "GET", .path = "/images/image-of-a-name"});
  std::jthread reader([&] { mount_->read("image-of-a-name", 0, 4096); });
  ASSERT_TRUE(
      wait_until([&] { return value_of(get("metrics"), "fetch_waiters").value_or(0) > 0; }));
  const std::string page = get("metrics");
  EXPECT_GE(value_of(page, "fetches_in_flight"), 1);
  EXPECT_EQ(value_of(page, "requests_total", "op=\"read\""), 0);  // it is not answered yet
  EXPECT_THAT(get(""), HasSubstr("image-of-a-name"));
  server_.release();
  reader.join();
  ASSERT_TRUE(wait_until(
      [&] { return value_of(get("metrics"), "requests_total", "op=\"read\"").value_or(0) > 0; }));
}

// SEMANTICS: A `metrics_listen` that cannot be had refuses the mount.
TEST_F(Metrics, RefuseTheMountWhereTheyCannotBeShown) {
  ServerListener taken("", "", "");
  mount();
  ASSERT_EQ(mount_->unmount(), 0);
  mount_->options() = {"metrics_listen=127.0.0.1:" + std::to_string(taken.port())};
  const CommandResult refused = mount_->try_start();
  EXPECT_EQ(refused.exit_code, 32) << refused.describe();
  EXPECT_THAT(refused.err, HasSubstr("metrics_listen=127.0.0.1:" + std::to_string(taken.port())));
  EXPECT_TRUE(std::filesystem::is_empty(mount_->path()));
  mount_->options() = {"metrics_listen=:9109"};
  const CommandResult wrong = mount_->try_start();
  EXPECT_EQ(wrong.exit_code, 1) << wrong.describe();
  EXPECT_THAT(wrong.err, HasSubstr("ADDR:PORT"));
  mount_->options() = {};
  mount_->start();
}

}  // namespace
}  // namespace imgcachefs::test
