#include "ctl/top_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "ctl/bar.h"
#include "ctl/human_time.h"
#include "ctl/progress.h"
#include "ctl/shown_text.h"

namespace imgcachefs {
namespace {

constexpr size_t kName = 10;  // "upstream" and two blanks
constexpr size_t kMostBar = 30;

std::string rate_text(double a_second, const char* what) {
  return fmt::format("{:.{}f} {}/s", a_second, a_second < 9.95 ? 1 : 0, what);
}

class Page {
 public:
  explicit Page(const Terminal& terminal)
      : terminal_(terminal), columns_(terminal.is_one ? terminal.columns : kColumnsElsewhere) {}

  void line(std::string_view text, Style style = Style::kPlain) {
    lines_.push_back(terminal_.styled(style, cut(shown(text))));
  }

  // "name      one, two, three": as many of them as there is room for.
  void facts(const char* name, const std::vector<std::string>& texts, Style style = Style::kPlain) {
    std::string text;
    for (const std::string& fact : texts) {
      const std::string more = text.empty() ? fact : "  " + fact;
      if (!text.empty() && kName + width(text) + width(more) > columns_) break;
      text += more;
    }
    named(name, text, style);
  }

  // The bar takes what the text leaves.
  void bar_line(const char* name, uint64_t part, uint64_t of, const std::string& text) {
    const size_t taken = kName + 2 + width(text);
    if (columns_ < taken + 8) return named(name, text);
    const size_t room = std::min(columns_ - taken, kMostBar);
    const bool tight = of > 0 && percent_of(part, of) >= 95;
    lines_.push_back(terminal_.styled(Style::kTitle, fitted(name, kName, "")) +
                     terminal_.styled(tight ? Style::kWarning : Style::kGood, bar(part, of, room)) +
                     "  " + text);
  }

  // Below one another: name, bar, percent, and what else there is room for. `name`: its columns.
  void fill(const ImageId& id, const FillFigures& figures, size_t name) {
    std::string right = fmt::format("{:>3} %", percent_of(figures.cached_bytes, figures.size));
    if (columns_ >= 64) right += fmt::format("  {:>12}", human_size(figures.rate) + "/s");
    const auto left = time_left(figures.cached_bytes, figures.size, figures.rate);
    if (columns_ >= 44)
      right += fmt::format("  {:>12}", left ? duration_text(*left) + " left" : "");
    const size_t taken = name + 1 + 1 + right.size();
    if (columns_ < taken + 3) return line(right + " " + id.str());
    const size_t room = std::min(columns_ - taken, kMostBar);
    lines_.push_back(fitted(shown(id.str()), name, terminal_.ellipsis()) + " " +
                     terminal_.styled(Style::kGood, bar(figures.cached_bytes, figures.size, room)) +
                     " " + right);
  }

  size_t size() const { return lines_.size(); }
  size_t columns() const { return columns_; }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::string cut(std::string_view text) const {
    return shortened(text, columns_, terminal_.ellipsis());
  }
  void named(const char* name, const std::string& text, Style style = Style::kPlain) {
    if (columns_ <= kName) return line(text, style);
    lines_.push_back(
        terminal_.styled(Style::kTitle, fitted(name, kName, "")) +
        terminal_.styled(style, shortened(text, columns_ - kName, terminal_.ellipsis())));
  }

  const Terminal& terminal_;
  const size_t columns_;
  std::vector<std::string> lines_;
};

void add_summary(Page& page, const TopSnapshot& snapshot) {
  const MountFigures& figures = snapshot.figures;
  const std::optional<TopRates>& rates = snapshot.rates;
  page.line(fmt::format("{}  {}  {}", snapshot.mountpoint, rfc3339(snapshot.when), figures.source),
            Style::kTitle);
  page.bar_line(
      "cache", figures.used, figures.max_size,
      fmt::format("{} of {} ({} %)", human_size(figures.used), human_size(figures.max_size),
                  percent_of(figures.used, figures.max_size)));
  page.facts("images", {fmt::format("{} cached", figures.images.cached),
                        fmt::format("{} incomplete", figures.images.incomplete),
                        fmt::format("{} queued", figures.images.queued),
                        fmt::format("{} invalid", figures.images.invalid)});
  const auto all = hit_percent(figures.hits, figures.misses);
  std::vector<std::string> hits = {all ? fmt::format("{} %", *all) : "-"};
  if (rates) hits.push_back(fmt::format("now {} of {}", rates->hits, rates->hits + rates->misses));
  hits.push_back(fmt::format("({} hits, {} misses)", figures.hits, figures.misses));
  page.facts("hit rate", hits);
  const UpstreamFigures& upstream = figures.upstream;
  const bool down = upstream.up == false;
  const bool failing = down || (rates && rates->errors > 0);
  std::vector<std::string> texts;
  if (rates)
    texts = {human_size(static_cast<uint64_t>(rates->bytes)) + "/s",
             rate_text(rates->requests, "requests"), rate_text(rates->errors, "errors")};
  if (down) texts.insert(texts.begin(), "down");
  texts.push_back(fmt::format("({} in {} requests, {} errors)", human_size(upstream.bytes),
                              upstream.requests, upstream.errors));
  page.facts("upstream", texts, failing ? Style::kBad : Style::kPlain);
  if (down) page.facts("", {upstream.last_error}, Style::kBad);
}

// What is queued and could not be had yet, a line each. (What is being fetched is a fill.)
std::vector<std::string> failed_texts(const TopSnapshot& snapshot) {
  std::vector<std::string> texts;
  for (const auto& [id, entry] : snapshot.figures.queue) {
    if (!entry.error) continue;
    const auto next = parse_rfc3339(entry.next_try);
    texts.push_back(
        fmt::format("{}  {} failed, next try {}: {}", id.str(), entry.attempts,
                    next && *next > snapshot.when ? age_text(*next, snapshot.when) : "now",
                    entry.error->message));
  }
  return texts;
}

}  // namespace

std::vector<std::string> top_page(const TopSnapshot& snapshot, const Terminal& terminal,
                                  const std::string& hint) {
  const MountFigures& figures = snapshot.figures;
  Page page(terminal);
  add_summary(page, snapshot);
  // What is left of the screen below the summary, for lists and what stands about them.
  const size_t rows = terminal.is_one ? terminal.rows : SIZE_MAX;
  const size_t reserved = hint.empty() ? 0 : 1;
  const auto room = [&] {
    const size_t taken = page.size() + reserved;
    return rows > taken ? rows - taken : 0;
  };
  // A title and all entries, or as many as there is room for and how many there are beside them.
  const auto list = [&](const std::string& title, size_t count, size_t most, auto each) {
    if (count == 0 || most < 3) return;
    page.line("");
    page.line(fmt::format("{} ({})", title, count), Style::kTitle);
    const size_t shown = count <= most - 2 ? count : most - 3;
    each(shown);
    if (shown < count) page.line(fmt::format("... and {} more", count - shown), Style::kFaint);
  };
  const std::vector<std::string> failed = failed_texts(snapshot);
  // Fills first, but of a queue that has something to say a few lines are always seen.
  const size_t for_queue = failed.empty() ? 0 : std::min(failed.size() + 2, room() / 3);
  list("filling", figures.fills.size(), room() - for_queue, [&](size_t fitting) {
    size_t name = 0;
    for (const auto& [id, fill] : figures.fills) name = std::max(name, width(shown(id.str())));
    name = std::min(name, page.columns() / 3);
    for (auto fill = figures.fills.begin(); fitting > 0; ++fill, --fitting)
      page.fill(fill->first, fill->second, name);
  });
  list("queued, and failed", failed.size(), room(), [&](size_t shown) {
    for (size_t i = 0; i < shown; ++i) page.line(failed[i]);
  });
  if (figures.fills.empty() && failed.empty() && room() >= 2) {
    page.line("");
    page.line("nothing is being filled", Style::kFaint);
  }
  std::vector<std::string> lines = page.take();
  if (hint.empty()) return lines;
  lines.resize(rows > 0 ? rows - 1 : 0);
  lines.push_back(
      terminal.styled(Style::kFaint, shortened(hint, terminal.columns, terminal.ellipsis())));
  return lines;
}

}  // namespace imgcachefs
