#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>

#include <memory>

namespace imgcachefs {

bool is_log_level(const std::string& level) {
  return level == "off" || spdlog::level::from_str(level) != spdlog::level::off;
}

Status start_log(const LogConfig& config) {
  spdlog::sink_ptr sink;
  try {
    if (!config.file.empty())
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(config.file);
    else if (config.background)
      sink =
          std::make_shared<spdlog::sinks::syslog_sink_mt>("imgcachefs", LOG_PID, LOG_DAEMON, false);
    else
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } catch (const spdlog::spdlog_ex& error) {
    return fail(ErrorKind::kInvalid, std::string("log: ") + error.what());
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
