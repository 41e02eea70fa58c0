// The blobs of a registry: which repository has which, how large they are, and their bytes.
//
// A blob is known by its digest alone, so it is asked for in whichever repository has it. What is
// learnt is put into the LayerInfoCache; what others put there is a hint, given up as soon as the
// registry's own answer says otherwise.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "fetch/blob_places.h"
#include "fetch/layer_info.h"
#include "fetch/rangeless_images.h"
#include "fetch/registry_client.h"

namespace imgcachefs {

// Thread-safe.
class OciBlobs {
 public:
  OciBlobs(RegistryClient& client, LayerInfoCache known, std::shared_ptr<BlobPlaces> places)
      : client_(client), known_(std::move(known)), places_(std::move(places)) {}

  // Asks the registry. kNotFound: the repository does not have it. kDenied: it may not be pulled.
  Result<ImageInfo> look(const std::string& repository, const Digest& blob, const Limits& limits);
  // What is known without asking; of any repository, and of one.
  std::optional<ImageInfo> known(const Digest& blob);
  std::optional<ImageInfo> known_in(const std::string& repository, const Digest& blob);
  // What is known, else asked for in a repository that may have it.
  Result<ImageInfo> stat(const Digest& blob, const Limits& limits);

  // Somebody says that the repository has it.
  void hint(const std::string& repository, const Digest& blob) {
    places_->hinted(blob, repository);
  }
  // What is known of its size may be wrong.
  void forget(const Digest& blob) { known_.infos->remove(blob); }

  // As Upstream::read().
  Result<ReadOutcome> read(const Digest& blob, const ImageInfo& info, ByteRange range,
                           ByteSink& sink, std::stop_token stop);

 private:
  class Place;

  // Of a blob in a repository, as the registry has it now.
  struct Seen {
    uint64_t size = 0;
    RangeSupport ranges = RangeSupport::kUnknown;
  };
  Result<Seen> ask(const std::string& repository, const Digest& blob, const Limits& limits);
  Result<Seen> ask_by_first_byte(RegistryQuestion question, const Limits& limits);

  std::vector<std::string> repositories_of(const Digest& blob);
  ImageInfo info_of(const Digest& blob, uint64_t size, RangeSupport ranges) const;
  void found(const std::string& repository, const Digest& blob, uint64_t size);
  void lost(const std::string& repository, const Digest& blob);
  void found_no_ranges(const ImageId& id);

  RegistryClient& client_;
  const LayerInfoCache known_;
  const std::shared_ptr<BlobPlaces> places_;
  RangelessImages without_ranges_;
  std::atomic<bool> no_head_{false};  // the registry knows no HEAD
};

}  // namespace imgcachefs
