// An upstream in whose place another can be put while it is used: with other secrets, or another
// patience.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe. A call goes to the upstream that is there when it begins, to its end: a transfer
// that runs is not cut. What is begun anew, the next range of the same image too, goes to the other
// one.
class ExchangeableUpstream final : public Upstream, public ImageNames, public Repositories {
 public:
  // `first` and all that follow are of one kind, of one source, and count in the same figures,
  // which outlive this.
  explicit ExchangeableUpstream(std::shared_ptr<Upstream> first);

  // The former one ends with the last call to it.
  void exchange(std::shared_ptr<Upstream> next);

  Result<ImageInfo> stat(const ImageId& id, Patience patience, std::stop_token stop) override;
  Result<std::vector<CatalogueEntry>> list(Patience patience, std::stop_token stop) override;
  ImageNames* names() override { return has_names_ ? this : nullptr; }
  Repositories* repositories() override { return has_repositories_ ? this : nullptr; }
  Result<std::optional<Digest>> digest(const ImageInfo& info, bool fresh,
                                       std::stop_token stop) override;
  Result<ReadOutcome> read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                           std::stop_token stop) override;
  const UpstreamStats& stats() const override { return stats_; }

  Result<CatalogueEntry> find_named(const std::string& name, Patience patience,
                                    std::stop_token stop) override;

  Result<std::vector<std::string>> catalogue(Patience patience, std::stop_token stop) override;
  Result<std::vector<std::string>> tags(const std::string& repository, Patience patience,
                                        std::stop_token stop) override;
  Result<Tag> tag(const std::string& repository, const std::string& tag, Patience patience,
                  std::stop_token stop) override;
  Result<ImageInfo> stat(const std::string& repository, const ImageId& id, Patience patience,
                         std::stop_token stop) override;

 private:
  std::shared_ptr<Upstream> now() const;

  mutable std::mutex mutex_;  // protects now_; not held during a call
  std::shared_ptr<Upstream> now_;
  const UpstreamStats& stats_;
  const bool has_names_, has_repositories_;
};

}  // namespace imgcachefs
