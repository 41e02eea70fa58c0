#include "support/terminal_window.h"

#include <sstream>
#include <stdexcept>

#include "support/mounted.h"

namespace imgcachefs::test {

TerminalWindow::TerminalWindow(const std::string& command, const WindowSpec& spec) {
  // The shell says how it ended, and stays, so that what was shown can be looked at.
  // (What ctrl-C sends is for the command; with a trap of its own the shell goes on.)
  dir_.write("run", "trap : INT\n" + command + "\necho \"ended with $?\"\nexec cat\n");
  std::vector<std::string> args = {
      "new-session", "-d", "-x", std::to_string(spec.columns), "-y", std::to_string(spec.rows)};
  std::map<std::string, std::string> env = spec.env;
  env.emplace("LC_ALL", "C.UTF-8");
  for (const auto& [name, value] : env) args.insert(args.end(), {"-e", name + "=" + value});
  args.insert(args.end(), {"sh", dir_.file("run")});
  if (auto started = tmux(std::move(args)); !started.ok())
    throw std::runtime_error("tmux: " + started.describe());
}

TerminalWindow::~TerminalWindow() {
  tmux({"kill-server"});
}

CommandResult TerminalWindow::tmux(std::vector<std::string> args) const {
  // No status line, and of nobody's configuration.
  const std::string config = dir_.file("config");
  if (read_file(config).empty())
    dir_.write("config", "set -g status off\nset -g default-terminal screen-256color\n");
  args.insert(args.begin(), {"tmux", "-u", "-f", config, "-S", dir_.file("socket")});
  RunOptions options;
  options.env = {{"LC_ALL", "C.UTF-8"}};
  return run(args, options);
}

std::vector<std::string> TerminalWindow::lines() const {
  std::istringstream shown(text());
  std::vector<std::string> lines;
  for (std::string line; std::getline(shown, line);) lines.push_back(line);
  return lines;
}

std::string TerminalWindow::text() const {
  return tmux({"capture-pane", "-p"}).out;
}

std::string TerminalWindow::text_with_colours() const {
  return tmux({"capture-pane", "-p", "-e"}).out;
}

bool TerminalWindow::wait_for(const std::string& shown) const {
  return wait_until([&] { return text().find(shown) != std::string::npos; });
}

bool TerminalWindow::wait_until_gone(const std::string& shown) const {
  return wait_until([&] { return text().find(shown) == std::string::npos; });
}

bool TerminalWindow::on_other_screen() const {
  return tmux({"display-message", "-p", "#{alternate_on}"}).out == "1\n";
}

std::string TerminalWindow::processes_tty() const {
  const std::string tty = tmux({"display-message", "-p", "#{pane_tty}"}).out;
  return tty.substr(0, tty.find('\n'));
}

void TerminalWindow::type(const std::string& text) {
  tmux({"send-keys", "-l", "--", text});
}

void TerminalWindow::press(const std::string& key) {
  tmux({"send-keys", "--", key});
}

void TerminalWindow::resize(size_t columns, size_t rows) {
  tmux({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
}

}  // namespace imgcachefs::test
