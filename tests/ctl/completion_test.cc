// The completions, typed at real shells: bash and zsh, in a real terminal.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <regex>
#include <set>

#include "support/mounted.h"
#include "support/scratch_cache.h"
#include "support/terminal_window.h"

namespace imgcachefs::test {
namespace {

const std::string kCompletions = std::string(IMGCACHEFS_SOURCE_DIR) + "/mount-helpers/completions";

// The words that begin lines of the help: verbs (indented, then blanks and text), or options.
std::set<std::string> in_help(const std::vector<std::string>& args, const std::string& pattern) {
  std::vector<std::string> argv = {built("imgcachectl")};
  argv.insert(argv.end(), args.begin(), args.end());
  const std::string help = run(argv).out;
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(help.begin(), help.end(), regex), end; at != end; ++at)
    found.insert((*at)[1]);
  return found;
}

std::set<std::string> verbs() {
  return in_help({"--help"}, "\n  ([a-z]+) +[a-z]");
}

// The shell.
class Completion : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    cache_.file("cached-one", 10);
    cache_.file("cached-two", 10);
    cache_.file("sha256:5f70bf18a086", 10);
    cache_.file("incomplete/half", 10);
    cache_.file("queue/waiting", 0);
    std::string start;
    if (GetParam() == std::string("bash")) {
      rc_.write("rc", "PS1='ready> '\nPATH=" + bin() + ":$PATH\n. " + kCompletions +
                          "/imgcachectl.bash\nbind 'set show-all-if-ambiguous on'\n"
                          "bind 'set page-completions off'\nbind 'set completion-query-items 0'\n"
                          "bind 'set bell-style none'\n");
      start = "bash --noprofile --rcfile " + rc_.file("rc") + " -i";
    } else {
      rc_.write(".zshrc", "PS1='ready> '\nPATH=" + bin() + ":$PATH\nfpath=(" + kCompletions +
                              " $fpath)\nautoload -Uz compinit\ncompinit -D -u\n"
                              "unsetopt beep\nLISTMAX=0\nsetopt auto_list no_list_ambiguous\n");
      start = "ZDOTDIR=" + rc_.path().string() + " zsh -d -i";
    }
    window_.emplace(start, WindowSpec{.columns = 100, .rows = 80});
    ASSERT_TRUE(window_->wait_for("ready>")) << window_->text();
  }
  static std::string bin() {
    return std::filesystem::path(built("imgcachectl")).parent_path().string();
  }
  // What there is to go on with after `typed`: each of these words has to be shown, and none of the
  // others.
  void expect_offered(const std::string& typed, const std::set<std::string>& words,
                      const std::set<std::string>& others = {}) {
    window_->press("C-u");
    window_->press("C-l");
    ASSERT_TRUE(wait_until([&] { return window_->text().find_last_not_of("\n ") == 5; }))
        << window_->text();  // nothing but "ready>"
    window_->type(typed);
    window_->press("Tab");
    for (const std::string& word : words)
      EXPECT_TRUE(wait_until([&] { return shows(word); })) << typed << ": " << word << "\n"
                                                           << window_->text();
    for (const std::string& word : others) EXPECT_FALSE(shows(word)) << typed << ": " << word;
  }
  // As a word of its own.
  bool shows(const std::string& word) const {
    const std::string text = window_->text();
    const auto goes_on = [&](size_t at) {
      return at < text.size() && (std::isalnum(text[at]) || text[at] == '-' || text[at] == '_');
    };
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
      if ((at == 0 || !goes_on(at - 1)) && !goes_on(at + word.size())) return true;
    return false;
  }
  std::string ctl(const std::string& arguments) const {
    return "imgcachectl -c " + cache_.dir() + " " + arguments;
  }

  ScratchCache cache_;
  TempDir rc_;
  std::optional<TerminalWindow> window_;
};

TEST_P(Completion, OffersAllVerbsOfTheHelp) {
  ASSERT_GT(verbs().size(), 10u);
  expect_offered("imgcachectl ", verbs());
}

TEST_P(Completion, OffersTheOptionsOfTheHelp) {
  const auto options = [](const std::vector<std::string>& args) {
    auto found = in_help(args, "\n  (?:-[a-zA-Z], )?(--[a-z-]+)");
    found.erase("--help");
    return found;
  };
  expect_offered("imgcachectl --", options({"--help"}));
  for (const std::string& verb : verbs()) {
    const auto own = options({verb, "--help"});
    if (!own.empty()) expect_offered(ctl(verb + " --"), own);
  }
}

TEST_P(Completion, OffersTheImagesAVerbIsFor) {
  const std::set<std::string> cached = {"cached-one", "cached-two", "sha256:5f70bf18a086"};
  for (const char* verb : {"pin", "verify"})
    expect_offered(ctl(verb) + " ", cached, {"half", "waiting"});
  std::set<std::string> on_disk = cached;
  on_disk.insert("half");
  for (const char* verb : {"info", "map", "evict"})
    expect_offered(ctl(verb) + " ", on_disk, {"waiting"});
  expect_offered(ctl("unqueue w"), {"waiting"}, {"half"});
}

TEST_P(Completion, GoesOnInTheMidstOfAnIdWithAColon) {
  expect_offered(ctl("info sha256:5f"), {"info sha256:5f70bf18a086"});
}

TEST_P(Completion, OffersWhatBelongsBehindAnOption) {
  expect_offered("imgcachectl -c " + cache_.dir() + "/inco", {cache_.dir() + "/incomplete"});
}

TEST_P(Completion, OffersMountOptionsOfTheHelp) {
  const std::string help = run({built("imgcachefs"), "--help"}).out;
  const std::regex line("\n  ([a-z_]+)(=[^ \n]+)? ");
  std::set<std::string> names;
  for (std::sregex_iterator at(help.begin(), help.end(), line), end; at != end; ++at)
    names.insert((*at)[1]);
  ASSERT_GT(names.size(), 30u);
  expect_offered("imgcachefs http://host/ /mnt -o ", names);
  std::set<std::string> long_options;
  for (std::string name : names) {
    std::replace(name.begin(), name.end(), '_', '-');
    long_options.insert("--" + name);
  }
  expect_offered("imgcachefs http://host/ /mnt --", long_options);
}

TEST_P(Completion, OffersTheValuesOfAMountOption) {
  expect_offered("imgcachefs http://host/ /mnt -o max_size=5G,fill=", {"auto", "demand", "full"});
  expect_offered("imgcachefs http://host/ /mnt -o max_size=5G,fill=de",
                 {"max_size=5G,fill=demand"});
  expect_offered("imgcachefs http://host/ /mnt -o driver=x", {"driver=xattr"});
}

INSTANTIATE_TEST_SUITE_P(Shells, Completion, testing::Values("bash", "zsh"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace imgcachefs::test
