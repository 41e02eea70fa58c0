#include "ctl/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <map>

#include "base/units.h"
#include "cache/store_config.h"
#include "fetch/oci_names.h"

namespace imgcachefs {
namespace {

ExitCode usage_error(const std::string& message) {
  fmt::print(stderr, "imgcachectl: {}\nRun imgcachectl --help for its usage.\n", message);
  return ExitCode::kUsage;
}

const std::map<std::string, Verb> kVerbs = {
    {"list", Verb::kList},   {"info", Verb::kInfo},       {"status", Verb::kStatus},
    {"queue", Verb::kQueue}, {"unqueue", Verb::kUnqueue}, {"prefetch", Verb::kPrefetch},
    {"evict", Verb::kEvict}, {"pin", Verb::kPin},         {"unpin", Verb::kUnpin},
    {"prune", Verb::kPrune}, {"clean", Verb::kClean},     {"verify", Verb::kVerify},
};

constexpr const char* kExitCodes =
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such image or not cached (unqueue: not\n"
    "queued), 4 verification failed, 5 upstream unreachable or refusing, 6 no space, 7 in use or\n"
    "pinned. Of several images, the first that failed decides; a wrong checksum comes first.";

constexpr const char* kPrefetchNotes =
    "The running daemon fetches them, oldest first and below what readers ask for. Exit code 0 "
    "only\n"
    "when all of them are cached and their checksums were right. What fails for now (5, 6) or is\n"
    "interrupted stays queued, and the daemon goes on trying; unqueue ends that.";

constexpr const char* kQueueNotes =
    "Images are cached in the order in which they were queued, by the daemon (within seconds), or\n"
    "by Glance's prefetcher on the same directory. It is no error when one is queued, cached or\n"
    "being cached already. What cannot be cached stays queued; list --queued tells why.\n"
    "An image of a registry is given as REPOSITORY/ID, for the daemon to know where it is.";

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
  app.footer(kExitCodes);
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

  const auto images = [&words](CLI::App* verb) {
    verb->add_option("ID", words.ids, "The images")->required();
    return verb;
  };
  const auto images_or_all = [&](CLI::App* verb, const char* all, size_t least) {
    auto* which = verb->add_option_group("which");
    which->add_option("ID", words.ids, "The images");
    which->add_flag("--all", command.all, all);
    which->require_option(least, 1);
    return verb;
  };
  images(app.add_subcommand("queue", "Have images cached in the background"))->footer(kQueueNotes);
  images_or_all(app.add_subcommand("unqueue", "Take images out of the queue"),
                "All that are queued", 1)
      ->footer("What is being fetched already may go on.");
  images(app.add_subcommand("prefetch", "Have images cached, and wait for it"))
      ->footer(kPrefetchNotes);
  images_or_all(app.add_subcommand("evict", "Take images out of the cache"),
                "All that are neither pinned nor in use", 1);
  images(app.add_subcommand("pin", "Keep cached images: they are never evicted or pruned"))
      ->footer("A pinned image still goes when it changes upstream, or is gone there.");
  images(app.add_subcommand("unpin", "Let images be evicted and pruned again"));

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

  images_or_all(app.add_subcommand("verify", "Re-hash what is on disk of cached images"),
                "All that are cached; those without a known checksum are skipped (the default)", 0)
      ->footer(
          "An image with a wrong checksum is moved to invalid/, and fetched anew when it is read.");
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
