// A registry with a blob in it, and the upstream that is made of it.
#pragma once

#include "contract/oci_fixture.h"

namespace imgcachefs::test {

class RegistryUpstream : public ::testing::Test {
 protected:
  struct Options {
    std::unique_ptr<ScriptedAuth> auth = std::make_unique<ScriptedAuth>();
    HttpConfig http = quick_config();
    std::optional<std::chrono::seconds> believe = std::chrono::seconds(300);
    Platform platform = {"linux", "amd64", ""};
  };

  void SetUp() override {
    blob_ = registry_.push("team/vm", bytes_);
    digest_ = Digest::parse_tagged(blob_).value();
  }

  // With nothing known.
  Upstream& open(Options options) {
    layer_info_ = std::make_shared<SimpleLayerInfo>();
    return open_again(std::move(options));
  }
  Upstream& open() { return open(Options()); }
  // With what is known in layer_info_, as after a restart.
  Upstream& open_again(Options options) {
    RegistryConfig config = registry_config(registry_.url());
    config.auth = std::move(options.auth);
    config.layer_info = {layer_info_, layer_info_};
    config.http = options.http;
    config.believe = options.believe;
    config.platform = options.platform;
    upstream_ = open_registry_at(std::move(config));
    return *upstream_;
  }
  Upstream& open_again() { return open_again(Options()); }

  Repositories& repositories() { return *upstream_->repositories(); }
  Result<ImageInfo> stat(const std::string& repository, const std::string& id,
                         Patience patience = Patience::kFull) {
    return repositories().stat(repository, id_of(id), patience, {});
  }
  ImageInfo info(const std::string& repository, const std::string& id) {
    auto got = stat(repository, id);
    if (!got) throw std::runtime_error(got.error().message);
    return *got;
  }
  ImageInfo info(const std::string& repository = "team/vm") { return info(repository, blob_); }

  // Reads `range` of the blob, expects the right bytes.
  unsigned expect_right(ByteRange range) { return expect_read(*upstream_, info(), range, bytes_); }
  // Reads `range` of `image`, expects the error and no bytes; its message.
  std::string expect_error(const ImageInfo& image, ByteRange range, ErrorKind kind) {
    return expect_read_error(*upstream_, image, range, kind);
  }
  // "METHOD path", in order.
  std::vector<std::string> asked() const {
    std::vector<std::string> out;
    for (const Request& request : server_.requests())
      out.push_back(request.method + " " + request.path);
    return out;
  }
  Match head() const { return FakeRegistry::blob_head("team/vm", blob_); }
  Match get() const { return FakeRegistry::blob("team/vm", blob_); }

  static constexpr uint64_t kSize = 300'001;
  static constexpr ByteRange kWhole{0, kSize}, kPart{1000, 2000};
  const std::string bytes_ = pattern_string(9, 0, kSize);
  std::string blob_;
  Digest digest_;
  FakeRegistry registry_;
  FaultServer& server_ = registry_.server();
  std::shared_ptr<SimpleLayerInfo> layer_info_ = std::make_shared<SimpleLayerInfo>();
  std::unique_ptr<Upstream> upstream_;
};

}  // namespace imgcachefs::test
