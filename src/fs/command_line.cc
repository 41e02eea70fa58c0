#include "fs/command_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "fs/config_file.h"
#include "fs/effective_options.h"
#include "fs/glance_conf.h"
#include "fs/option_table.h"
#include "fs/option_values.h"
#include "fs/settings.h"

namespace imgcachefs {
namespace {

struct Arguments {
  bool help = false, version = false, check_config = false, foreground = false, debug = false;
  std::string source, mountpoint;
  std::vector<std::string> dash_o;
  Settings long_options;
};

std::string with_dashes(std::string_view name) {
  std::string dashed(name);
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return dashed;
}

// Every option of the table is a long option as well, in both spellings.
std::string long_names(std::string_view name) {
  const std::string dashed = with_dashes(name);
  if (dashed == name) return "--" + dashed;
  return fmt::format("--{},--{}", dashed, name);
}

Result<Arguments> split(std::vector<std::string> argv) {
  Arguments arguments;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", arguments.help);
  app.add_flag("-V,--version", arguments.version);
  app.add_flag("--check-config", arguments.check_config);
  app.add_flag("-f,--foreground", arguments.foreground);
  app.add_flag("-d,--debug", arguments.debug);
  app.add_option("-o", arguments.dash_o)->allow_extra_args(false);
  app.add_option("source", arguments.source);
  app.add_option("mountpoint", arguments.mountpoint);
  std::vector<std::pair<std::string_view, CLI::Option*>> long_options;
  auto add_long = [&](std::string_view name, Option::Takes takes) {
    long_options.emplace_back(name, takes == Option::Takes::kFlag
                                        ? app.add_flag(long_names(name))
                                        : app.add_option(long_names(name))->take_all());
  };
  add_long("config", Option::Takes::kValue);
  for (const Option& option : option_table()) add_long(option.name, option.takes);

  try {
    std::reverse(argv.begin(), argv.end());  // CLI11 takes the vector from its end
    app.parse(argv);
  } catch (const CLI::ParseError& error) {
    return fail(ErrorKind::kInvalid, fmt::format("command line: {}", error.what()));
  }
  if (arguments.help || arguments.version) return arguments;
  for (const std::string& extra : app.remaining())
    return fail(ErrorKind::kInvalid,
                extra.starts_with('-') && extra.size() > 1
                    ? fmt::format("command line: unknown option '{}'", extra)
                    : fmt::format("command line: too many arguments: '{}'", extra));
  for (const auto& [name, option] : long_options) {
    if (option->count() == 0) continue;
    auto added =
        add_setting(arguments.long_options, name, option->results().back(), "command line");
    if (!added) return fail(added.error());
  }
  return arguments;
}

// The mount point as the kernel knows it. A dead mount there cannot be resolved, but where it lies
// can; of what does not exist the mount says what is wrong.
std::string resolved(const std::string& mountpoint) {
  std::error_code error;
  if (auto real = std::filesystem::canonical(mountpoint, error); !error) return real.string();
  const std::filesystem::path absolute(parse_path(mountpoint).value_or(mountpoint));
  auto directory = std::filesystem::canonical(absolute.parent_path(), error);
  return error ? absolute.string() : (directory / absolute.filename()).string();
}

// Of a mount point, to find its section by.
std::vector<std::string> spellings(const std::string& mountpoint) {
  if (mountpoint.empty()) return {};
  return {mountpoint, resolved(mountpoint), parse_path(mountpoint).value_or(mountpoint)};
}

// The file that a unit's LoadCredential=credentials:FILE gives us (systemd.exec(5)).
Settings systemd_credentials(const std::map<std::string, std::string>& environment) {
  Settings settings;
  const auto directory = environment.find("CREDENTIALS_DIRECTORY");
  if (directory == environment.end() || directory->second.empty()) return settings;
  const std::string path = directory->second + "/credentials";
  std::error_code error;
  if (std::filesystem::exists(path, error))
    settings.list.push_back({find_option("credentials"), path, "systemd: LoadCredential"});
  return settings;
}

// What is mounted, and where: by the command line, else by the config file.
Status say_what(const Arguments& arguments, const Settings& config, MountOptions& options) {
  options.source = arguments.source;
  std::string mountpoint = arguments.mountpoint;
  if (options.source.empty() && mountpoint.empty()) {
    options.source = config.source.value_or("");
    mountpoint = config.mountpoint.value_or("");
  }
  if (arguments.check_config && options.source.empty() && mountpoint.empty()) return {};
  if (options.source.empty() || mountpoint.empty())
    return fail(ErrorKind::kInvalid,
                "usage: imgcachefs SOURCE MOUNTPOINT [-o opt[,opt...]] [-f] [-d] [-h] [-V]");
  auto where = Source::parse(options.source);
  if (!where) return fail(where.error());
  options.where = std::move(*where);
  options.mountpoint = resolved(mountpoint);
  return {};
}

// What the file that glance_conf names says; `layers` with the one that wins first.
Result<Settings> settings_from_glance(const std::vector<const Settings*>& layers) {
  for (const Settings* layer : layers)
    for (auto setting = layer->list.rbegin(); setting != layer->list.rend(); ++setting) {
      if (setting->option->name != "glance_conf") continue;
      auto path = parse_optional_path(setting->value);
      return path && !path->empty() ? read_glance_conf(*path) : Settings{};
    }
  return Settings{};
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       const std::map<std::string, std::string>& environment) {
  auto split_up = split(arguments);
  if (!split_up) return fail(split_up.error());
  CommandLine line;
  if (split_up->help) line.action = CommandLine::Action::kHelp;
  if (split_up->version) line.action = CommandLine::Action::kVersion;
  if (line.action != CommandLine::Action::kMount) return line;
  if (split_up->check_config) line.action = CommandLine::Action::kCheckConfig;
  Settings dash_o;
  for (const std::string& text : split_up->dash_o)
    if (auto added = add_dash_o(dash_o, text); !added) return fail(added.error());
  auto from_environment = settings_from_environment(environment);
  if (!from_environment) return fail(from_environment.error());

  Settings from_config;
  for (const Settings* layer : {&split_up->long_options, &dash_o, &*from_environment}) {
    if (!layer->config) continue;
    auto config = read_config_file(*layer->config, spellings(split_up->mountpoint));
    if (!config) return fail(config.error());
    from_config = std::move(*config);
    break;
  }
  MountOptions& options = line.options;
  if (auto said = say_what(*split_up, from_config, options); !said) return fail(said.error());

  options.uid = ::getuid();
  options.gid = ::getgid();
  auto from_glance =
      settings_from_glance({&split_up->long_options, &dash_o, &*from_environment, &from_config});
  if (!from_glance) return fail(from_glance.error());
  const auto from_systemd = systemd_credentials(environment);
  const std::vector<const Settings*> layers = {&*from_glance, &from_systemd,
                                               &from_config,  &*from_environment,
                                               &dash_o,       &split_up->long_options};
  if (auto applied = apply(layers, options); !applied) return fail(applied.error());
  if (line.action == CommandLine::Action::kCheckConfig) line.effective = effective_options(layers);
  for (const auto& [option, setting] : winning_settings(layers))
    options.given.emplace(option->name, setting->value);
  options.foreground = split_up->foreground || split_up->debug;
  options.log.background = !options.foreground;
  if (split_up->debug) options.log.level = "debug";
  return line;
}

std::string help_text() {
  return "usage: imgcachefs SOURCE MOUNTPOINT [-o opt[,opt...]] [-f] [-d] [-h] [-V]\n"
         "       imgcachefs --config=FILE [-o opt[,opt...]] [-f] [-d]\n"
         "       imgcachefs --check-config [SOURCE MOUNTPOINT] [-o opt[,opt...]]\n"
         "\n"
         "Shows the images of SOURCE as read-only files at MOUNTPOINT and keeps what is read of\n"
         "them in a cache directory. SOURCE is one of\n"
         "\n"
         "  http://HOST/DIR/       a plain HTTP directory; https too\n"
         "  glance+http://HOST     OpenStack's Glance there; glance+https too\n"
         "  glance:[AUTH_URL]      Glance where Keystone's catalogue says it is\n"
         "  oci+http://HOST[:PORT] an OCI or Docker registry; oci+https too\n"
         "\n"
         "  -f  stay in the foreground\n"
         "  -d  stay in the foreground, with debug log\n"
         "  -h  print this and exit\n"
         "  -V  print the version and exit\n"
         "  --check-config  print what each option is and who says so, and exit; nothing is "
         "mounted\n"
         "\n"
         "Options, each as -o option=value, as --option=value, as environment variable\n"
         "IMGCACHEFS_OPTION and as a line of a config file; `_` and `-` in names are the same.\n"
         "Sizes take K M G T, times s m h d; a comma in a value of -o is written \\,\n"
         "The default is in brackets.\n"
         "\n"
         "  config=FILE                      options, for all mounts or in a section [MOUNTPOINT]; "
         "source= and mountpoint= too [none]\n" +
         option_help();
}

std::string version_text() {
  return "imgcachefs " IMGCACHEFS_VERSION "\n";
}

}  // namespace imgcachefs
