// What the tests of upstreams share: sinks, and servers under one face.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fetch/authenticator.h"
#include "fetch/glance_images.h"
#include "fetch/http_directory.h"
#include "fetch/upstream.h"
#include "support/fake_glance.h"
#include "support/fault_server.h"
#include "support/nginx.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

using namespace std::chrono_literals;

// Keeps what it gets.
class StringSink : public ByteSink {
 public:
  bool write(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (on_write) on_write();
    return text.size() < enough;
  }
  std::string text;
  size_t enough = SIZE_MAX;  // ends the transfer once it has so many
  std::function<void()> on_write;
};

inline ImageId id_of(const std::string& text) {
  return ImageId::parse(text).value();
}

inline ImageInfo stat_of(Upstream& upstream, const std::string& id) {
  auto info = upstream.stat(id_of(id), Patience::kFull, {});
  if (!info) throw std::runtime_error(info.error().message);
  return *info;
}

// The kind of the error of a result, and its message when it is not the expected one.
#define EXPECT_KIND(result, expected)                                  \
  do {                                                                 \
    const auto& r_ = (result);                                         \
    if (r_.has_value())                                                \
      ADD_FAILURE() << "no error, expected " << to_string(expected);   \
    else                                                               \
      EXPECT_EQ(r_.error().kind, expected)                             \
          << to_string(r_.error().kind) << ": " << r_.error().message; \
  } while (false)

// Reads `range` of an image that is `bytes`, expects just that; the attempts it took.
inline unsigned expect_read(Upstream& upstream, const ImageInfo& image, ByteRange range,
                            const std::string& bytes) {
  StringSink sink;
  auto outcome = upstream.read(image, range, sink, {});
  EXPECT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(sink.text == bytes.substr(range.begin, range.size())) << sink.text.size();
  return outcome ? outcome->attempts : 0;
}
// ... expects the error and no bytes; its message.
inline std::string expect_read_error(Upstream& upstream, const ImageInfo& image, ByteRange range,
                                     ErrorKind kind) {
  StringSink sink;
  auto outcome = upstream.read(image, range, sink, {});
  EXPECT_KIND(outcome, kind);
  EXPECT_EQ(sink.text, "");
  return outcome ? "" : outcome.error().message;
}

// Patient enough for a loaded machine, with waits that a test can afford.
inline HttpConfig quick_config() {
  HttpConfig config;
  config.connect_timeout = 10s;
  config.retries = 2;
  return config;
}

inline std::unique_ptr<Upstream> open_directory(const std::string& url,
                                                const HttpConfig& config = quick_config(),
                                                std::chrono::seconds believe = 300s) {
  auto upstream = open_http_directory(url, config, believe);
  if (!upstream) throw std::runtime_error(upstream.error().message);
  return std::move(*upstream);
}

// A server that has images, whichever it is.
class ImageServer {
 public:
  virtual ~ImageServer() = default;
  // The ID of what a test calls `name`.
  virtual std::string id(const std::string& name) const { return name; }
  virtual void put(const std::string& name, const std::string& bytes) = 0;  // also a new version
  virtual void remove(const std::string& name) = 0;
  virtual void stop() = 0;  // it is gone, connections are refused
  virtual std::unique_ptr<Upstream> open(const HttpConfig& config) = 0;
  virtual bool ranges() const { return true; }
  // An ID is the digest of its bytes: there are no versions, nor times of them, and no need to ask
  // for the digest.
  virtual bool content_addressed() const { return false; }
  virtual unsigned hops() const { return 1; }  // requests it takes to get at data
};

class NginxImages : public ImageServer {
 public:
  explicit NginxImages(NginxOptions options = {}) : options_(with_index(options)) {}
  void put(const std::string& id, const std::string& bytes) override {
    const std::string path = dir_.write(id, bytes);
    // nginx's ETag is made of the size and the time in seconds: another second for each version.
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() -
                                               std::chrono::hours(1) +
                                               std::chrono::seconds(10 * ++versions_));
  }
  void remove(const std::string& id) override { std::filesystem::remove(dir_.file(id)); }
  void stop() override { nginx_.stop(); }
  std::unique_ptr<Upstream> open(const HttpConfig& config) override {
    return open_directory(nginx_.url(), config);
  }
  bool ranges() const override { return options_.ranges; }

 private:
  static NginxOptions with_index(NginxOptions options) {
    if (options.autoindex.empty()) options.autoindex = "html";
    return options;
  }
  NginxOptions options_;
  int versions_ = 0;
  TempDir dir_;
  Nginx nginx_{dir_.path(), options_};
};

class FaultServerImages : public ImageServer {
 public:
  FaultServerImages() : server_(std::make_unique<FaultServer>()) {}
  void put(const std::string& id, const std::string& bytes) override {
    names_[id] = true;
    server_->put("/images/" + id, Content::of(bytes));
    publish();
  }
  void remove(const std::string& id) override {
    names_.erase(id);
    server_->remove("/images/" + id);
    publish();
  }
  void stop() override { server_.reset(); }
  std::unique_ptr<Upstream> open(const HttpConfig& config) override {
    return open_directory(server_->url("/images"), config);
  }

 private:
  void publish() {
    std::string page;
    for (const auto& [id, there] : names_) {
      std::string link;
      for (unsigned char c : id) {
        char escaped[4];
        std::snprintf(escaped, sizeof escaped, "%%%02x", c);
        link += escaped;
      }
      page += "<a href=\"" + link + "\">x</a>\n";
    }
    Content content = Content::of(page);
    content.content_type = "text/html";
    server_->put("/images/", content);
  }
  std::map<std::string, bool> names_;
  std::unique_ptr<FaultServer> server_;
};

inline std::unique_ptr<Upstream> open_glance_at(const std::string& endpoint,
                                                const std::string& token = "",
                                                const HttpConfig& config = quick_config()) {
  auto upstream = open_glance(fixed_access(endpoint, token), config);
  if (!upstream) throw std::runtime_error(upstream.error().message);
  return std::move(*upstream);
}

class FakeGlanceImages : public ImageServer {
 public:
  explicit FakeGlanceImages(FakeImage like = {}, std::string token = "")
      : like_(std::move(like)), token_(std::move(token)) {
    if (!token_.empty()) glance_->tokens({token_});
    glance_->page(2);
  }
  std::string id(const std::string& name) const override { return uuid_of(name); }
  void put(const std::string& name, const std::string& bytes) override {
    FakeImage image = like_;
    image.name = name;
    image.bytes = bytes;
    glance_->put(image);
  }
  void remove(const std::string& name) override { glance_->remove(id(name)); }
  void stop() override { glance_.reset(); }
  std::unique_ptr<Upstream> open(const HttpConfig& config) override {
    return open_glance_at(glance_->endpoint(), token_, config);
  }
  bool ranges() const override { return like_.store == FakeStore::kFile; }

 private:
  const FakeImage like_;
  const std::string token_;
  std::unique_ptr<FakeGlance> glance_ = std::make_unique<FakeGlance>();
};

}  // namespace imgcachefs::test
