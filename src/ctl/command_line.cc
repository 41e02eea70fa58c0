#include "ctl/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "base/units.h"
#include "cache/store_config.h"
#include "ctl/help.h"
#include "ctl/shown_text.h"
#include "fetch/oci_names.h"

namespace imgcachefs {
namespace {

ExitCode usage_error(const std::string& message) {
  complain(message);
  fmt::print(stderr, "Run imgcachectl --help for its usage.\n");
  return ExitCode::kUsage;
}

const std::map<std::string, Verb> kVerbs = {
    {"list", Verb::kList},       {"info", Verb::kInfo},         {"map", Verb::kMap},
    {"status", Verb::kStatus},   {"top", Verb::kTop},           {"queue", Verb::kQueue},
    {"unqueue", Verb::kUnqueue}, {"prefetch", Verb::kPrefetch}, {"evict", Verb::kEvict},
    {"pin", Verb::kPin},         {"unpin", Verb::kUnpin},       {"prune", Verb::kPrune},
    {"clean", Verb::kClean},     {"verify", Verb::kVerify},
};

constexpr std::chrono::hours kLongestInterval{24};

// The texts as typed, before they are given a meaning.
struct Words {
  bool queued = false, incomplete = false, invalid = false;
  std::vector<std::string> ids;
  std::string max_size, stall_time;
  std::string interval;
  std::optional<uint64_t> count;
  bool once = false;
};

void describe_top(CLI::App& top, Words& words) {
  top.add_option("--interval", words.interval, "Time from one look to the next [1s]")
      ->type_name("TIME");
  auto* count = top.add_option("-n,--count", words.count, "Print so many plain snapshots and end")
                    ->type_name("N");
  top.add_flag("--once", words.once, "The same as -n 1")->excludes(count);
}

void describe(CLI::App& app, CommandLine& command, Words& words) {
  app.name("imgcachectl");
  app.require_subcommand(0, 1);
  app.allow_extras();  // told from each other, and named, in interpret()
  app.fallthrough();   // the options of all verbs may stand behind the verb as well
  auto* mount = app.add_option("-m,--mount", command.mountpoint,
                               "Work on the cache of the imgcachefs mounted there")
                    ->type_name("MOUNTPOINT");
  app.add_option("-c,--cache-dir", command.cache_dir,
                 "Work on this cache directory, mounted or not\n" + std::string(27, ' ') + "[" +
                     StoreConfig{}.cache_dir + "]")
      ->type_name("DIR")
      ->excludes(mount);
  app.add_flag("--json", command.json, "Print JSON: plain integers, times in RFC 3339");
  app.set_help_flag("-h,--help", "Print this, or behind a verb all about that verb");
  app.set_version_flag("-V,--version", std::string("imgcachectl ") + IMGCACHEFS_VERSION,
                       "Print the version");

  const auto images = [&](const char* verb) {
    app.add_subcommand(verb)->add_option("ID", words.ids)->required();
  };
  const auto one_image = [&](const char* verb) {
    app.add_subcommand(verb)->add_option("ID", words.ids)->required()->expected(1);
  };
  const auto images_or_all = [&](const char* verb, const char* all, size_t least) {
    auto* which = app.add_subcommand(verb)->add_option_group("which");
    which->add_option("ID", words.ids);
    which->add_flag("--all", command.all, all);
    which->require_option(least, 1);
  };

  auto* list = app.add_subcommand("list");
  auto* places = list->add_option_group("places");
  places->add_flag("--queued", words.queued, "Those waiting to be cached, first one first");
  places->add_flag("--incomplete", words.incomplete, "Those being filled");
  places->add_flag("--invalid", words.invalid, "Those that failed their checksum");
  places->require_option(0, 1);
  list->add_flag("--ids", command.only_ids, "Their IDs alone, one a line");
  one_image("info");
  one_image("map");
  app.add_subcommand("status");
  describe_top(*app.add_subcommand("top"), words);
  images("queue");
  images_or_all("unqueue", "All that are queued", 1);
  images("prefetch");
  images_or_all("evict", "All that are neither pinned nor in use", 1);
  images("pin");
  images("unpin");

  auto* prune = app.add_subcommand("prune");
  prune
      ->add_option("--max-size", words.max_size,
                   "What the cache may hold (K, M, G, T) [the mount's max_size]")
      ->type_name("SIZE");
  prune->add_flag("--dry-run", command.dry_run, "Only tell what would go");
  auto* clean = app.add_subcommand("clean");
  clean
      ->add_option("--stall-time", words.stall_time,
                   "How long an incomplete image must lie untouched (s, m, h, d) [1d]")
      ->type_name("TIME");
  clean->add_flag("--dry-run", command.dry_run, "Only tell what would go");
  images_or_all("verify", "All that are cached; those without a known checksum are skipped", 0);
}

std::variant<CommandLine, ExitCode> interpret(const CLI::App& app, CommandLine command,
                                              const Words& words) {
  const std::vector<std::string> extras = app.remaining(true);
  if (app.get_subcommands().empty())
    return usage_error(extras.empty() ? "what is to be done? (list, info, status, prefetch, ...)"
                                      : fmt::format("there is no verb '{}'", extras.front()));
  const std::string verb = app.get_subcommands().front()->get_name();
  if (!extras.empty()) return usage_error(fmt::format("{}: what is '{}'?", verb, extras.front()));
  command.verb = kVerbs.at(verb);
  if (command.cache_dir.empty()) command.cache_dir = StoreConfig{}.cache_dir;
  if (words.queued) command.place = Place::kQueue;
  if (words.incomplete) command.place = Place::kIncomplete;
  if (words.invalid) command.place = Place::kInvalid;
  if (command.all && !words.ids.empty()) return usage_error(verb + ": either --all or IDs");
  for (const std::string& text : words.ids) {
    // As it lies in the mount of a registry: an image is kept once, whatever repositories have it.
    const size_t slash = text.find(':') == std::string::npos ? std::string::npos : text.rfind('/');
    const std::string repository = slash == std::string::npos ? "" : text.substr(0, slash);
    auto id = ImageId::parse(std::string_view(text).substr(slash + 1));
    if (!id) return usage_error(id.error().message);
    if (slash != std::string::npos) {
      if (!is_repository_name(repository))
        return usage_error(fmt::format("{}: no repository can be called '{}'", verb, repository));
      command.repositories[*id] = repository;
    }
    command.ids.push_back(std::move(*id));
  }
  if (!words.max_size.empty()) {
    auto size = parse_size(words.max_size);
    if (!size) return usage_error("--max-size: " + size.error().message);
    command.max_size = *size;
  }
  if (!words.stall_time.empty()) {
    auto time = parse_duration(words.stall_time);
    if (!time) return usage_error("--stall-time: " + time.error().message);
    command.stall_time = *time;
  }
  if (!words.interval.empty()) {
    auto time = parse_duration(words.interval);
    if (!time) return usage_error("--interval: " + time.error().message);
    if (time->count() == 0 || *time > kLongestInterval)
      return usage_error("--interval: is a second at least, and a day at most");
    command.interval = *time;
  }
  if (words.count == 0) return usage_error("--count: is 1 at least");
  command.count = words.count;
  if (words.once) command.count = 1;
  return command;
}

}  // namespace

std::variant<CommandLine, ExitCode> parse_command_line(int argc, const char* const* argv) {
  CommandLine command;
  Words words;
  CLI::App app;
  describe(app, command, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto verbs = app.get_subcommands();
    std::fputs((verbs.empty() ? help_of_all(app) : help_of_verb(*verbs.front())).c_str(), stdout);
    return ExitCode::kDone;
  } catch (const CLI::CallForVersion& version) {
    fmt::print("{}\n", version.what());
    return ExitCode::kDone;
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  return interpret(app, std::move(command), words);
}

}  // namespace imgcachefs
