// The metrics of a real mount as a real Prometheus has them: every query of the Grafana dashboard
// returns data, and its own tool finds nothing wrong with the page and the alarms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "support/child_server.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

using nlohmann::json;

constexpr uint64_t kSize = 3 << 20;
const std::filesystem::path kHelpers = IMGCACHEFS_HELPERS_DIR;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// Every `expr` of the dashboard, with what Grafana puts in where it has variables.
std::vector<std::string> dashboard_queries() {
  std::vector<std::string> queries;
  const json dashboard = json::parse(read_file(kHelpers / "grafana/imgcachefs.json"));
  for (const json& panel : dashboard.at("panels"))
    for (const json& target : panel.value("targets", json::array()))
      queries.push_back(replaced(
          replaced(replaced(target.at("expr"), "$__rate_interval", "20s"), "$__range", "1m"),
          "$instance", ".*"));
  return queries;
}

class Prometheus {
 public:
  explicit Prometheus(const std::string& target) {
    const std::string config =
        dir_.write("prometheus.yml",
                   "global: {scrape_interval: 1s}\n"
                   "scrape_configs:\n"
                   "  - {job_name: imgcachefs, static_configs: [{targets: ['" +
                       target + "']}]}\n");
    start_at_free_port([&](uint16_t port) {
      url_ = "http://127.0.0.1:" + std::to_string(port);
      server_.start({.argv = {"prometheus", "--config.file=" + config,
                              "--storage.tsdb.path=" + dir_.file("data"),
                              "--web.listen-address=127.0.0.1:" + std::to_string(port)},
                     .log = dir_.file("log"),
                     .ready = [port] { return answers(port); }});
    });
  }

  // Whether the query has a value that is a number, for any series.
  bool has_data(const std::string& query) const {
    const CommandResult result = run({"curl", "--noproxy", "*", "-sS", "-G", "--data-urlencode",
                                      "query=" + query, url_ + "/api/v1/query"});
    const json answer = json::parse(result.out, nullptr, false);
    if (!result.ok() || answer.value("status", "") != "success") {
      ADD_FAILURE() << query << ": " << result.describe();
      return false;
    }
    for (const json& series : answer["data"]["result"])
      if (series["value"][1] != "NaN") return true;
    return false;
  }

 private:
  TempDir dir_;
  std::string url_;
  ChildServer server_;
};

// An operator's day in seconds: hits, misses, fills, errors, evictions, all the time.
class Traffic {
 public:
  explicit Traffic(const Mounted& mount)
      : mount_(mount), thread_([this](std::stop_token stop) {
          for (int round = 0; !stop.stop_requested(); ++round) {
            const std::string fresh = "image-" + std::to_string(round % kImages);
            try {
              mount_.read_all(fresh);
              mount_.wait_state(fresh, "cached");
              for (int i = 0; i < 3; ++i) mount_.read_all(fresh);
            } catch (const std::system_error& error) {
              errors_ = errors_ + 1;
            }
            mount_.read_errno("broken");
            mount_.read_errno("no-such-image");
          }
        }) {}
  ~Traffic() { EXPECT_EQ(errors_, 0); }

  static constexpr int kImages = 12;

 private:
  const Mounted& mount_;
  std::atomic<int> errors_{0};
  std::jthread thread_;
};

class MetricsPrometheus : public testing::Test {
 protected:
  MetricsPrometheus() {
    for (int i = 0; i < Traffic::kImages; ++i)
      server_.put("/image-" + std::to_string(i), Content::generated(kSize, i + 1));
    server_.put("/broken", Content::generated(kSize));
    server_.fault(Behaviour::of_status(500), {.method = {}, .path = "/broken"}, 0);
    // Room for half of the images.
    mount_.emplace(MountSpec{
        .source = server_.url("/"),
        .options = {"metrics_listen=127.0.0.1:0", "max_size=20M", "retries=1", "negative_ttl=1"}});
    static const std::regex line("metrics and status page: http://([0-9.:]+)/");
    const std::string log = mount_->log();
    std::smatch match;
    if (std::regex_search(log, match, line)) address_ = match[1];
  }

  FaultServer server_;
  std::optional<Mounted> mount_;
  std::string address_;
};

TEST_F(MetricsPrometheus, AnswerEveryQueryOfTheDashboard) {
  const auto queries = dashboard_queries();
  ASSERT_GT(queries.size(), 30u);
  const Prometheus prometheus(address_);
  const Traffic traffic(*mount_);
  std::vector<std::string> without = queries;
  const bool all = wait_until(
      [&] {
        std::erase_if(without, [&](const auto& query) { return prometheus.has_data(query); });
        return without.empty() || testing::Test::HasFailure();
      },
      std::chrono::seconds(90));
  EXPECT_TRUE(all);
  EXPECT_THAT(without, testing::IsEmpty());
}

TEST_F(MetricsPrometheus, AreWrittenAsPrometheusWantsThem) {
  {
    const Traffic traffic(*mount_);
    ASSERT_TRUE(wait_until([&] {
      return mount_->metrics().find("imgcachefs_request_errors_total{") != std::string::npos;
    }));
  }
  const CommandResult checked =
      run({"sh", "-c", "promtool check metrics < " + mount_->path(".imgcachefs/metrics")});
  EXPECT_TRUE(checked.ok() && checked.err.empty()) << checked.describe();
  EXPECT_EQ(mount_->metrics().find("image-"), std::string::npos);
}

TEST(PrometheusRules, AreGood) {
  const CommandResult checked =
      run({"promtool", "check", "rules", kHelpers / "prometheus/imgcachefs.rules.yml"});
  EXPECT_TRUE(checked.ok()) << checked.describe();
}

}  // namespace
}  // namespace imgcachefs::test
