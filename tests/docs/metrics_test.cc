// docs/METRICS.md has every metric of the page, with its type and its labels, and no other.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "fs/metrics_page.h"
#include "fs/request_counters.h"

namespace imgcachefs {
namespace {

struct Metric {
  std::string type;
  std::set<std::string> labels;
  bool operator==(const Metric&) const = default;
};
using Metrics = std::map<std::string, Metric>;

void PrintTo(const Metric& metric, std::ostream* out) {
  *out << metric.type;
  for (const std::string& label : metric.labels) *out << " " << label;
}

std::set<std::string> all_of(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at)
    found.insert((*at)[1]);
  return found;
}

// A page that shows all there can be.
Metrics of_the_page() {
  StoreStatus store;
  store.pruned = std::chrono::system_clock::now();
  UpstreamStats upstream;
  upstream.answered(200, std::chrono::milliseconds(1));
  RequestFigures requests = RequestCounters().figures();
  requests.errors = {{"read", "EIO", 1}};
  std::istringstream lines(
      metrics_page({"1", "http://h/", "/c"}, store, upstream, requests, process_figures()));
  static const std::regex type("# TYPE (\\S+) (\\S+)"), label("[{,](\\w+)=\"");
  Metrics metrics;
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (std::smatch match; std::regex_match(line, match, type)) {
      name = match[1];
      metrics[name].type = match[2];
    } else if (!line.starts_with("#")) {
      metrics[name].labels.merge(all_of(line, label));
      metrics[name].labels.erase("le");  // the bounds of a histogram
    }
  }
  return metrics;
}

Metrics of_the_docs() {
  std::ifstream file(std::filesystem::path(IMGCACHEFS_SOURCE_DIR) / "docs/METRICS.md");
  static const std::regex row(R"(\| `(\w+)` \| (\w+) \| ([^|]*)\|.*)"), word("`(\\w+)`");
  Metrics metrics;
  for (std::string line; std::getline(file, line);)
    if (std::smatch match; std::regex_match(line, match, row))
      metrics[match[1]] = {match[2], all_of(match[3], word)};
  return metrics;
}

TEST(MetricsDocs, SayOfEachMetricWhatItIs) {
  const Metrics page = of_the_page(), docs = of_the_docs();
  ASSERT_GT(page.size(), 30u);
  for (const auto& [name, metric] : page) {
    const auto at = docs.find(name);
    if (at == docs.end())
      ADD_FAILURE() << name << " is not in docs/METRICS.md";
    else
      EXPECT_EQ(metric, at->second) << name;
  }
  for (const auto& [name, metric] : docs) EXPECT_TRUE(page.contains(name)) << "no metric " << name;
}

}  // namespace
}  // namespace imgcachefs
