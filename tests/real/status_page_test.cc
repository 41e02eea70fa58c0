// The status page in a real browser: headless Chromium, light and dark.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <fstream>
#include <regex>
#include <sstream>
#include <thread>

#include "fs/http_listener.h"
#include "fs/status_html.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kSize = 6 << 20;
constexpr int kWidth = 1100, kHeight = 1400;

enum class Scheme { kLight, kDark };

class Browser {
 public:
  // The document after scripts have run for so long, by the browser's own clock.
  std::string dom(const std::string& url, std::chrono::milliseconds runs = {}) {
    auto argv = command(Scheme::kLight);
    argv.push_back("--dump-dom");
    if (runs.count() > 0) argv.push_back("--virtual-time-budget=" + std::to_string(runs.count()));
    argv.push_back(url);
    return said(argv).out;
  }

  // A picture of the page, in a file.
  std::string picture(const std::string& url, Scheme scheme) {
    const std::string file = dir_.file(scheme == Scheme::kDark ? "dark.png" : "light.png");
    auto argv = command(scheme);
    argv.insert(argv.end(),
                {"--screenshot=" + file, "--hide-scrollbars",
                 "--window-size=" + std::to_string(kWidth) + "," + std::to_string(kHeight), url});
    said(argv);
    return file;
  }

  // What the browser had to complain of: what the page's policy has blocked, too.
  const std::string& complaints() const { return complaints_; }

 private:
  std::vector<std::string> command(Scheme scheme) const {
    return {"chromium",
            "--headless",
            "--no-sandbox",  // it does not run as root with one
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--enable-logging=stderr",
            "--user-data-dir=" + dir_.file("profile"),
            std::string("--blink-settings=preferredColorScheme=") +
                (scheme == Scheme::kDark ? "0" : "1")};
  }
  CommandResult said(const std::vector<std::string>& argv) {
    CommandResult result = run(argv, {.env = {{"HOME", dir_.path().string()}}, .directory = {}});
    EXPECT_TRUE(result.ok()) << result.describe();
    std::istringstream lines(result.err);
    for (std::string line; std::getline(lines, line);)
      if (line.find(":CONSOLE") != std::string::npos) complaints_ += line + "\n";
    return result;
  }

  TempDir dir_;
  std::string complaints_;
};

struct Colour {
  int red = 0, green = 0, blue = 0;
  // Relative luminance, 0 to 1, roughly: enough to tell light from dark.
  double light() const { return (0.21 * red + 0.72 * green + 0.07 * blue) / 255; }
};

// In the order of the places.
std::vector<Colour> colours(const std::string& file, const std::vector<std::pair<int, int>>& at) {
  std::vector<std::string> argv = {"python3", std::string(IMGCACHEFS_REAL_DIR) + "/png.py", file};
  for (const auto& [x, y] : at) argv.push_back(std::to_string(x) + "," + std::to_string(y));
  const CommandResult result = run(argv);
  EXPECT_TRUE(result.ok()) << result.describe();
  std::istringstream text(result.out);
  std::vector<Colour> found(at.size());
  for (Colour& colour : found) text >> colour.red >> colour.green >> colour.blue;
  return found;
}

// The lightest and the darkest of a line from top to bottom.
std::pair<double, double> extremes(const std::string& file, int x) {
  std::vector<std::pair<int, int>> places;
  for (int y = 0; y < kHeight; y += 2) places.emplace_back(x, y);
  double darkest = 1, lightest = 0;
  for (const Colour& colour : colours(file, places)) {
    darkest = std::min(darkest, colour.light());
    lightest = std::max(lightest, colour.light());
  }
  return {darkest, lightest};
}

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++found;
  return found;
}

// A mount with something of everything: images cached, a fill under way, an upstream that failed,
// an image in the queue that cannot be had.
class StatusPage : public testing::Test {
 protected:
  StatusPage() {
    server_.put("/cached", Content::generated(kSize));
    server_.put("/coming-<i>'\"&amp;", Content::generated(64 << 20, 2));
    server_.put("/broken", Content::generated(kSize));
    server_.fault(Behaviour::of_status(500), {.method = {}, .path = "/broken"}, 0);
    server_.on_request([](const Request& request) {
      Behaviour slow;
      if (request.path.starts_with("/coming")) slow.bytes_per_second = 256 << 10;
      return slow;
    });
    mount_.emplace(MountSpec{
        .source = server_.url("/"),
        .options = {"metrics_listen=127.0.0.1:0", "retries=0", "max_size=100M", "fill=full"}});
    static const std::regex line("metrics and status page: (http://[0-9.:]+/)");
    const std::string log = mount_->log();
    std::smatch match;
    if (std::regex_search(log, match, line)) url_ = match[1];
    mount_->read_all("cached");
    mount_->wait_state("cached", "cached");
    mount_->read_all("cached");
    mount_->read(kComing, 0, 4096);
    std::ofstream(mount_->cache_dir() + "/queue/broken");
  }

  const std::string kComing = "coming-<i>'\"&amp;";
  FaultServer server_;
  std::optional<Mounted> mount_;
  std::string url_;
  Browser browser_;
};

TEST_F(StatusPage, ShowsWhatIsGoingOn) {
  ASSERT_TRUE(wait_until([&] {
    const auto queue = mount_->status()["queue"];
    return !queue.empty() && !queue[0]["error"].is_null();
  }));
  const std::string dom = browser_.dom(url_);
  EXPECT_THAT(dom, HasSubstr("<h1>imgcachefs</h1>"));
  for (const char* section : {"cache", "upstream", "fills", "history", "queue"})
    EXPECT_THAT(dom, HasSubstr("<section id=\"" + std::string(section) + "\""));
  EXPECT_EQ(count(dom, "<table"), count(dom, "<caption"));
  EXPECT_EQ(count(dom, "<svg"), count(dom, "role=\"img\" aria-label=\""));
  // The name is one piece of text, whatever it looks like.
  EXPECT_THAT(dom, HasSubstr("<th scope=\"row\">coming-&lt;i&gt;'\"&amp;amp;</th>"));
  EXPECT_THAT(dom, HasSubstr("of 100.0 MiB used"));
  EXPECT_THAT(dom, HasSubstr("HTTP status 500"));
  EXPECT_THAT(dom, HasSubstr("does not answer"));
  EXPECT_EQ(browser_.complaints(), "");
}

TEST_F(StatusPage, IsLightOrDarkAsTheBrowserWants) {
  const std::string light = browser_.picture(url_, Scheme::kLight);
  const std::string dark = browser_.picture(url_, Scheme::kDark);
  const std::vector<std::pair<int, int>> corners = {{2, 2}, {kWidth - 3, 2}, {2, kHeight - 3}};
  for (const Colour& colour : colours(light, corners)) EXPECT_GT(colour.light(), 0.9);
  for (const Colour& colour : colours(dark, corners)) EXPECT_LT(colour.light(), 0.15);
  // There is text on it, and it can be told from its ground.
  const auto [light_dark, light_light] = extremes(light, 100);
  EXPECT_LT(light_dark, 0.5);
  EXPECT_GT(light_light, 0.9);
  const auto [dark_dark, dark_light] = extremes(dark, 100);
  EXPECT_LT(dark_dark, 0.15);
  EXPECT_GT(dark_light, 0.5);
  EXPECT_EQ(browser_.complaints(), "");
}

// The script may run, and may ask where it comes from.
TEST(StatusPageScript, TakesOverANewerPage) {
  std::atomic<int> asked{0};
  History history;
  UpstreamStats upstream;
  const auto text = [&] {
    StoreStatus store;
    store.queued = static_cast<uint64_t>(++asked) * 1000;
    return status_html({"1", "http://h/", "/c"}, false, store, upstream, history,
                       std::chrono::system_clock::now());
  };
  auto listener =
      HttpListener::start(ListenAddress::parse("127.0.0.1:0").value(),
                          {{"/", {"text/html; charset=utf-8", text, status_html_policy()}}});
  ASSERT_TRUE(listener) << listener.error().message;
  Browser browser;
  const std::string dom = browser.dom((*listener)->url(), std::chrono::seconds(12));
  EXPECT_GE(asked, 2);
  EXPECT_THAT(dom, Not(HasSubstr("<p>Queued images: 1000.</p>")));
  EXPECT_THAT(dom, HasSubstr("000.</p>"));
  EXPECT_EQ(browser.complaints(), "");
}

}  // namespace
}  // namespace imgcachefs::test
