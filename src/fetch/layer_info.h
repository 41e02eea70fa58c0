// What is known of a registry's blobs without asking it: the layer info cache (DESIGN 2.7).
//
// Two things, kept apart because neither implies the other: which blobs a repository has, and how
// long a blob is and where it was found. Both are hints that others may have written: a size is
// held against upstream's first answer, and leave to pull a repository is not in here at all.
//
// Implementations: memory_layer_info.h (this process), redis_layer_info.h (shared by hosts, and
// with the registry's own blob descriptor cache). Both pass tests/contract/layer_info_contract.
// Calls are thread-safe and short: one that cannot be answered within a fraction of a second is a
// miss, never an error of the reader's; what cannot be written is let go, with a line in the log
// once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/digest.h"

namespace imgcachefs {

class LayerMembership {
 public:
  virtual ~LayerMembership() = default;
  // False: not known, which does not say that it is not so.
  virtual bool contains(const std::string& repository, const Digest& blob) = 0;
  virtual void add(const std::string& repository, const Digest& blob) = 0;
  virtual void remove(const std::string& repository, const Digest& blob) = 0;  // it is not so
};

struct LayerInfo {
  std::string path;     // where it was found: the repository; "" when that is not known
  uint64_t length = 0;  // bytes
  bool operator==(const LayerInfo&) const = default;
};

class LayerInfos {
 public:
  virtual ~LayerInfos() = default;
  virtual std::optional<LayerInfo> get(const Digest& blob) = 0;
  virtual void set(const Digest& blob, const LayerInfo& info) = 0;
  virtual void remove(const Digest& blob) = 0;  // what is known of it is wrong
};

struct LayerInfoCache {
  std::shared_ptr<LayerMembership> membership;
  std::shared_ptr<LayerInfos> infos;
};

}  // namespace imgcachefs
