#include "fetch/exchangeable_upstream.h"

#include <utility>

namespace imgcachefs {

ExchangeableUpstream::ExchangeableUpstream(std::shared_ptr<Upstream> first)
    : now_(std::move(first)),
      stats_(now_->stats()),
      has_names_(now_->names() != nullptr),
      has_repositories_(now_->repositories() != nullptr) {}

std::shared_ptr<Upstream> ExchangeableUpstream::now() const {
  std::lock_guard lock(mutex_);
  return now_;
}

void ExchangeableUpstream::exchange(std::shared_ptr<Upstream> next) {
  std::lock_guard lock(mutex_);
  now_.swap(next);
}

Result<ImageInfo> ExchangeableUpstream::stat(const ImageId& id, Patience patience,
                                             std::stop_token stop) {
  return now()->stat(id, patience, std::move(stop));
}

Result<std::vector<CatalogueEntry>> ExchangeableUpstream::list(Patience patience,
                                                               std::stop_token stop) {
  return now()->list(patience, std::move(stop));
}

Result<std::optional<Digest>> ExchangeableUpstream::digest(const ImageInfo& info, bool fresh,
                                                           std::stop_token stop) {
  return now()->digest(info, fresh, std::move(stop));
}

Result<ReadOutcome> ExchangeableUpstream::read(const ImageInfo& info, ByteRange range,
                                               ByteSink& sink, std::stop_token stop) {
  return now()->read(info, range, sink, std::move(stop));
}

Result<CatalogueEntry> ExchangeableUpstream::find_named(const std::string& name, Patience patience,
                                                        std::stop_token stop) {
  const auto upstream = now();
  return upstream->names()->find_named(name, patience, std::move(stop));
}

Result<std::vector<std::string>> ExchangeableUpstream::catalogue(Patience patience,
                                                                 std::stop_token stop) {
  const auto upstream = now();
  return upstream->repositories()->catalogue(patience, std::move(stop));
}

Result<std::vector<std::string>> ExchangeableUpstream::tags(const std::string& repository,
                                                            Patience patience,
                                                            std::stop_token stop) {
  const auto upstream = now();
  return upstream->repositories()->tags(repository, patience, std::move(stop));
}

Result<Tag> ExchangeableUpstream::tag(const std::string& repository, const std::string& tag,
                                      Patience patience, std::stop_token stop) {
  const auto upstream = now();
  return upstream->repositories()->tag(repository, tag, patience, std::move(stop));
}

Result<ImageInfo> ExchangeableUpstream::stat(const std::string& repository, const ImageId& id,
                                             Patience patience, std::stop_token stop) {
  const auto upstream = now();
  return upstream->repositories()->stat(repository, id, patience, std::move(stop));
}

}  // namespace imgcachefs
