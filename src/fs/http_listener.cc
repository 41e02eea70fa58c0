#include "fs/http_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <microhttpd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <string_view>

#include "base/log.h"

namespace imgcachefs {
namespace {

using Response = std::unique_ptr<MHD_Response, decltype(&MHD_destroy_response)>;

Response response_of(const std::string& body, const std::string& type, const std::string& policy) {
  Response response(
      // It is copied, for MHD has no word for bytes that it may keep and not change.
      MHD_create_response_from_buffer(body.size(), const_cast<char*>(body.data()),
                                      MHD_RESPMEM_MUST_COPY),
      &MHD_destroy_response);
  if (response == nullptr) return response;
  for (const auto& [name, value] : {std::pair{"Content-Type", type.c_str()},
                                    {"Content-Security-Policy", policy.c_str()},
                                    {"Cache-Control", "no-store"},
                                    {"X-Content-Type-Options", "nosniff"},
                                    {"Referrer-Policy", "no-referrer"},
                                    {"Connection", "close"}})
    MHD_add_response_header(response.get(), name, value);
  return response;
}

Response refusal(const std::string& why) {
  return response_of(why + "\n", "text/plain; charset=utf-8", "default-src 'none'");
}

void log_line(void*, const char* format, va_list arguments) {
  std::array<char, 512> line;
  std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string_view text(line.data());
  if (text.ends_with('\n')) text.remove_suffix(1);
  spdlog::debug("metrics_listen: {}", text);
}

}  // namespace

void HttpListener::Stop::operator()(MHD_Daemon* server) const {
  MHD_stop_daemon(server);
}

Result<std::unique_ptr<HttpListener>> HttpListener::start(const ListenAddress& where, Pages pages) {
  auto listening = where.listen();
  if (!listening) return fail(listening.error().in("metrics_listen=" + where.str()));
  std::unique_ptr<HttpListener> listener(new HttpListener(std::move(pages)));
  listener->url_ = fmt::format("http://{}/", listening->address);

  const MHD_AccessHandlerCallback handler = [](void* self, MHD_Connection* connection,
                                               const char* path, const char* method, const char*,
                                               const char*, size_t*, void**) noexcept {
    return static_cast<MHD_Result>(
        static_cast<const HttpListener*>(self)->answer(connection, path, method));
  };
  // Its own: it closes what it is given.
  const int fd = ::fcntl(listening->fd.get(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return fail_errno("metrics_listen=" + where.str(), errno);
  listener->server_.reset(MHD_start_daemon(
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, nullptr, nullptr, handler,
      listener.get(), MHD_OPTION_EXTERNAL_LOGGER, &log_line, nullptr, MHD_OPTION_LISTEN_SOCKET, fd,
      MHD_OPTION_THREAD_POOL_SIZE, kThreads, MHD_OPTION_CONNECTION_LIMIT, kConnections,
      MHD_OPTION_PER_IP_CONNECTION_LIMIT, kConnectionsOfOneAddress, MHD_OPTION_CONNECTION_TIMEOUT,
      static_cast<unsigned>(kPatience.count()), MHD_OPTION_END));
  if (!listener->server_)
    return fail(ErrorKind::kIo,
                fmt::format("metrics_listen={}: libmicrohttpd does not start", where.str()));
  return listener;
}

int HttpListener::answer(MHD_Connection* connection, const std::string& path,
                         std::string_view method) const {
  const auto page = pages_.find(path);
  unsigned status = MHD_HTTP_OK;
  Response response(nullptr, &MHD_destroy_response);
  if (page == pages_.end()) {
    status = MHD_HTTP_NOT_FOUND;
    response = refusal("404 Not Found");
  } else if (method != "GET" && method != "HEAD") {
    status = MHD_HTTP_METHOD_NOT_ALLOWED;
    response = refusal("405 Method Not Allowed");
    if (response) MHD_add_response_header(response.get(), "Allow", "GET, HEAD");
  } else {
    response = response_of(page->second.text(), page->second.type, page->second.policy);
  }
  return response ? MHD_queue_response(connection, status, response.get()) : MHD_NO;
}

}  // namespace imgcachefs
