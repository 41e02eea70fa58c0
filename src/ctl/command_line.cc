#include "ctl/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <map>

#include "base/units.h"
#include "cache/store_config.h"

namespace imgcachefs {
namespace {

ExitCode usage_error(const std::string& message) {
  fmt::print(stderr, "imgcachectl: {}\nRun imgcachectl --help for its usage.\n", message);
  return ExitCode::kUsage;
}

const std::map<std::string, Verb> kVerbs = {
    {"list", Verb::kList},   {"info", Verb::kInfo},   {"status", Verb::kStatus},
    {"evict", Verb::kEvict}, {"prune", Verb::kPrune}, {"clean", Verb::kClean},
};

// The texts as typed, before they are given a meaning.
struct Words {
  bool queued = false, incomplete = false, invalid = false;
  std::vector<std::string> ids;
  std::string max_size, stall_time;
};

void describe(CLI::App& app, CommandLine& command, Words& words) {
  app.name("imgcachectl");
  app.require_subcommand(0, 1);
  app.allow_extras();  // told from each other, and named, in interpret()
  app.fallthrough();   // the options of all verbs may stand behind the verb as well
  app.set_version_flag("-V,--version", std::string("imgcachectl ") + IMGCACHEFS_VERSION);
  auto* mount = app.add_option("-m,--mount", command.mountpoint,
                               "Work on the cache of the imgcachefs mounted there");
  app.add_option(
         "-c,--cache-dir", command.cache_dir,
         "Work on this cache directory, mounted or not (default: " + StoreConfig{}.cache_dir + ")")
      ->excludes(mount);
  app.add_flag("--json", command.json, "Print JSON");

  auto* list = app.add_subcommand("list", "List the cached images");
  auto* places = list->add_option_group("places", "List others instead");
  places->add_flag("--queued", words.queued, "Those waiting to be cached, first one first");
  places->add_flag("--incomplete", words.incomplete, "Those being filled");
  places->add_flag("--invalid", words.invalid, "Those that failed their checksum");
  places->require_option(0, 1);

  app.add_subcommand("info", "Tell all that is known of an image")
      ->add_option("ID", words.ids, "The image")
      ->required()
      ->expected(1);

  app.add_subcommand("status", "Tell the state of the cache");

  auto* evict = app.add_subcommand("evict", "Take images out of the cache");
  auto* which = evict->add_option_group("which");
  which->add_option("ID", words.ids, "The images");
  which->add_flag("--all", command.all, "All that are neither pinned nor in use");
  which->require_option(1);

  auto* prune =
      app.add_subcommand("prune", "Take out the least recently used images until the others fit");
  prune->add_option("--max-size", words.max_size,
                    "What the cache may hold (K, M, G, T; default: the mount's max_size)");
  prune->add_flag("--dry-run", command.dry_run, "Only tell what would go");

  auto* clean =
      app.add_subcommand("clean", "Remove invalid images, and incomplete ones nobody fills");
  clean->add_option("--stall-time", words.stall_time,
                    "How long an incomplete image must lie untouched (s, m, h, d; default: 1d)");
  clean->add_flag("--dry-run", command.dry_run, "Only tell what would go");

  // Verbs of the contract that this version does not have yet are known by name, so that what is
  // said of them is not "unknown".
  for (const char* verb : {"queue", "unqueue", "prefetch", "pin", "unpin", "verify"})
    app.add_subcommand(verb, "")->group("");
}

std::variant<CommandLine, ExitCode> interpret(const CLI::App& app, CommandLine command,
                                              const Words& words) {
  const std::vector<std::string> extras = app.remaining(true);
  if (app.get_subcommands().empty())
    return usage_error(extras.empty() ? "what is to be done? (list, info, status, evict, ...)"
                                      : fmt::format("there is no verb '{}'", extras.front()));
  const std::string verb = app.get_subcommands().front()->get_name();
  auto known = kVerbs.find(verb);
  if (known == kVerbs.end())
    return usage_error(fmt::format("'{}' is not in this version ({})", verb, IMGCACHEFS_VERSION));
  if (!extras.empty()) return usage_error(fmt::format("{}: what is '{}'?", verb, extras.front()));
  command.verb = known->second;
  if (command.cache_dir.empty()) command.cache_dir = StoreConfig{}.cache_dir;
  if (words.queued) command.place = Place::kQueue;
  if (words.incomplete) command.place = Place::kIncomplete;
  if (words.invalid) command.place = Place::kInvalid;
  if (command.all && !words.ids.empty()) return usage_error("evict: either --all or IDs");
  for (const std::string& text : words.ids) {
    auto id = ImageId::parse(text);
    if (!id) return usage_error(id.error().message);
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
  return command;
}

}  // namespace

std::variant<CommandLine, ExitCode> parse_command_line(int argc, const char* const* argv) {
  CommandLine command;
  Words words;
  CLI::App app("Manage the cache of imgcachefs.");
  describe(app, command, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version come as errors too, with the exit code 0.
    if (error.get_exit_code() == 0) return static_cast<ExitCode>(app.exit(error, std::cout));
    return usage_error(error.what());
  }
  return interpret(app, std::move(command), words);
}

}  // namespace imgcachefs
