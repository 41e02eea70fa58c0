#include "support/server_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>

namespace imgcachefs::test {

ServerConnection::ServerConnection(UniqueFd fd, SSL_CTX* tls) : fd_(std::move(fd)) {
  int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (tls != nullptr) {
    ssl_ = SSL_new(tls);
    SSL_set_fd(ssl_, fd_.get());
  }
}

ServerConnection::~ServerConnection() {
  if (ssl_ != nullptr) SSL_free(ssl_);
}

bool ServerConnection::handshake() {
  // OpenSSL writes with write(2): a client that left must not kill the test with SIGPIPE.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  return ssl_ == nullptr || SSL_accept(ssl_) == 1;
}

std::optional<std::string> ServerConnection::read_head() {
  for (;;) {
    if (size_t end = buffer_.find("\r\n\r\n"); end != std::string::npos) {
      std::string head = buffer_.substr(0, end);
      buffer_.erase(0, end + 4);
      return head;
    }
    if (!receive()) return std::nullopt;
  }
}

std::optional<std::string> ServerConnection::read_body(size_t size) {
  while (buffer_.size() < size)
    if (!receive()) return std::nullopt;
  std::string body = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return body;
}

bool ServerConnection::receive() {
  char piece[4096];
  ssize_t n;
  if (ssl_ != nullptr) {
    n = SSL_read(ssl_, piece, sizeof piece);
  } else {
    do n = ::recv(fd_.get(), piece, sizeof piece, 0);
    while (n < 0 && errno == EINTR);
  }
  if (n <= 0) return false;
  buffer_.append(piece, static_cast<size_t>(n));
  return true;
}

bool ServerConnection::send(const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t n;
    if (ssl_ != nullptr) {
      n = SSL_write(ssl_, bytes.data() + done, static_cast<int>(bytes.size() - done));
    } else {
      do n = ::send(fd_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      while (n < 0 && errno == EINTR);
    }
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// The descriptor itself stays open until the destructor, so that shut_down() from another thread
// never meets a number that has become somebody else's.
void ServerConnection::close() {
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  ::shutdown(fd_.get(), SHUT_RDWR);
}

void ServerConnection::reset() {
  // Connecting to AF_UNSPEC aborts a TCP connection: a reset goes out now, not at close().
  linger now{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  sockaddr none{};
  none.sa_family = AF_UNSPEC;
  ::connect(fd_.get(), &none, sizeof none);
}

void ServerConnection::shut_down() {
  ::shutdown(fd_.get(), SHUT_RDWR);
}

ServerListener::ServerListener(const std::string& cert, const std::string& key,
                               const std::string& client_ca) {
  if (!cert.empty()) {
    tls_.reset(SSL_CTX_new(TLS_server_method()));
    if (!tls_ || SSL_CTX_use_certificate_chain_file(tls_.get(), cert.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls_.get(), key.c_str(), SSL_FILETYPE_PEM) != 1)
      throw std::runtime_error("fault server: cannot use certificate " + cert);
    if (!client_ca.empty()) {
      if (SSL_CTX_load_verify_locations(tls_.get(), client_ca.c_str(), nullptr) != 1)
        throw std::runtime_error("fault server: cannot use CA " + client_ca);
      SSL_CTX_set_verify(tls_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
  }
  fd_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length) < 0 ||
      ::listen(fd_.get(), 512) < 0 ||
      ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0)
    throw std::runtime_error("fault server: cannot listen");
  port_ = ntohs(address.sin_port);
}

std::unique_ptr<ServerConnection> ServerListener::accept() {
  int fd;
  do fd = ::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0) return nullptr;
  return std::make_unique<ServerConnection>(UniqueFd(fd), tls_.get());
}

void ServerListener::shut_down() {
  ::shutdown(fd_.get(), SHUT_RDWR);
}

}  // namespace imgcachefs::test
