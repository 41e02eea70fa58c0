#include "ctl/help.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string_view>
#include <vector>

#include "ctl/verb_texts.h"

namespace imgcachefs {
namespace {

constexpr std::string_view kFirstSteps =
    "First steps:\n"
    "  imgcachectl -m /mnt/images status                    how full is it, what does it do\n"
    "  imgcachectl -m /mnt/images prefetch debian.qcow2     cache an image, and wait for it\n"
    "  imgcachectl -m /mnt/images list                      what is cached now\n"
    "  imgcachectl -m /mnt/images top                       watch it; q ends\n"
    "  imgcachectl evict --help                             all about one verb\n";

constexpr std::string_view kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such image or not cached (unqueue: not\n"
    "queued), 4 verification failed, 5 upstream unreachable or refusing, 6 no space, 7 in use or\n"
    "pinned. Of several images, the first that failed decides; a wrong checksum comes first.\n";

// "-m, --mount MOUNTPOINT"
std::string left_side(const CLI::Option& option) {
  std::string text;
  for (const std::string& name : option.get_snames()) text += (text.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) text += (text.empty() ? "--" : ", --") + name;
  if (option.get_type_size() > 0 && !option.get_type_name().empty())
    text += " " + option.get_type_name();
  return text;
}

// Of an option group too, which is an App without a name.
void add_options(const CLI::App& app, std::vector<std::pair<std::string, std::string>>& lines) {
  for (const CLI::Option* option : app.get_options())
    if (option->nonpositional() && !(app.get_parent() != nullptr && option == app.get_help_ptr()))
      lines.emplace_back(left_side(*option), option->get_description());
  for (const CLI::App* group :
       app.get_subcommands([](const CLI::App* inner) { return inner->get_name().empty(); }))
    add_options(*group, lines);
}

std::string options_of(const CLI::App& app) {
  std::vector<std::pair<std::string, std::string>> lines;
  add_options(app, lines);
  std::string text;
  for (const auto& [left, right] : lines) text += fmt::format("  {:<24} {}\n", left, right);
  return text;
}

}  // namespace

std::string help_of_all(const CLI::App& app) {
  std::string text =
      "usage: imgcachectl [-m MOUNTPOINT | -c CACHE_DIR] [--json] VERB [ID...] [option...]\n"
      "\n"
      "Manages the cache of an imgcachefs: the images that lie on this host's disk. Works beside\n"
      "the daemon, and but for prefetch and top without one.\n";
  std::string_view group;
  for (const VerbText& verb : verb_texts()) {
    if (verb.group != group) text += fmt::format("\n{}:\n", verb.group);
    group = verb.group;
    text += fmt::format("  {:<10} {}\n", verb.name, verb.summary);
  }
  return text + "\nOptions, before the verb or behind it:\n" + options_of(app) + "\n" +
         std::string(kFirstSteps) + "\n" + std::string(kExitCodes);
}

std::string help_of_verb(const CLI::App& verb) {
  std::string out;
  for (const VerbText& text : verb_texts()) {
    if (text.name != verb.get_name()) continue;
    out = fmt::format("usage: imgcachectl [-m MOUNTPOINT | -c CACHE_DIR] [--json] {}\n\n{}\n",
                      text.usage, text.what);
    if (const std::string options = options_of(verb); !options.empty())
      out += "Options:\n" + options + "\n";
    out += fmt::format("Examples:\n{}", text.examples);
  }
  return out;
}

}  // namespace imgcachefs
