#include "base/log.h"

#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>

#include <memory>
#include <mutex>

namespace imgcachefs {
namespace {

// spdlog's own file sink keeps the file it was made with.
class LogFile final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LogFile(const std::string& path) : file_(opened(path)) {}

  void reopen(const std::string& path) {
    auto file = opened(path);
    std::lock_guard lock(mutex_);
    file_.swap(file);
  }

 private:
  using File = std::unique_ptr<spdlog::details::file_helper>;

  static File opened(const std::string& path) {
    auto file = std::make_unique<spdlog::details::file_helper>();
    file->open(path);
    return file;
  }

  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_->write(line);
  }
  void flush_() override { file_->flush(); }

  File file_;  // protected by the base's mutex_
};

tl::unexpected<Error> log_error(const spdlog::spdlog_ex& error) {
  return fail(ErrorKind::kInvalid, std::string("log: ") + error.what());
}

}  // namespace

bool is_log_level(const std::string& level) {
  return level == "off" || spdlog::level::from_str(level) != spdlog::level::off;
}

Status start_log(const LogConfig& config) {
  spdlog::sink_ptr sink;
  try {
    if (!config.file.empty())
      sink = std::make_shared<LogFile>(config.file);
    else if (config.background)
      sink =
          std::make_shared<spdlog::sinks::syslog_sink_mt>("imgcachefs", LOG_PID, LOG_DAEMON, false);
    else
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } catch (const spdlog::spdlog_ex& error) {
    return log_error(error);
  }
  auto logger = std::make_shared<spdlog::logger>("imgcachefs", std::move(sink));
  logger->set_level(spdlog::level::from_str(config.level));
  logger->flush_on(spdlog::level::info);
  // UTC with milliseconds, as the JSON has it; syslog puts its own time before the line.
  if (config.background && config.file.empty())
    logger->set_pattern("%l: %v");
  else
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l: %v", spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

Status reopen_log(const LogConfig& config) {
  const auto logger = spdlog::default_logger();
  for (const auto& sink : logger->sinks()) {
    auto* file = dynamic_cast<LogFile*>(sink.get());
    if (file == nullptr || config.file.empty()) continue;
    try {
      file->reopen(config.file);
    } catch (const spdlog::spdlog_ex& error) {
      return log_error(error);
    }
  }
  logger->set_level(spdlog::level::from_str(config.level));
  return {};
}

std::string redacted_url(const std::string& url) {
  std::string out = url;
  if (size_t scheme = out.find("://"); scheme != std::string::npos) {
    size_t host = scheme + 3;
    size_t end = out.find_first_of("/?#", host);
    size_t at = out.rfind('@', end == std::string::npos ? std::string::npos : end);
    if (at != std::string::npos && at >= host) out.erase(host, at + 1 - host);
  }
  // Signed URLs carry their secret in the query.
  if (size_t query = out.find('?'); query != std::string::npos)
    out.replace(query, std::string::npos, "?...");
  return out;
}

}  // namespace imgcachefs
