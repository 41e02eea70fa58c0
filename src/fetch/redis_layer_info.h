// The layer info cache in a Redis that hosts share, and that may be a registry's own.
//
//     HASH blobs::DIGEST                 digest, size, mediatype (the registry's fields),
//                                        path, length (ours)
//     SET  repository::REPO::blobs       digests
//     HASH repository::REPO::blobs::DIGEST   mediatype
//
// as docker-registry 2.8 keeps them (distribution/distribution, registry/storage/cache/redis), with
// no time to live. Both fields of a size are written, either is believed; where both are there and
// differ, or one is not a length, nothing of it is. What the registry has written of media types
// stays as it is. It takes a membership for true that is in here: nothing else may be added.
#pragma once

#include <string>

#include "base/result.h"
#include "fetch/layer_info.h"
#include "fetch/redis_pool.h"

namespace imgcachefs {

// Makes no connection. kInvalid when `url` is none (redis_url.h), without repeating it.
Result<LayerInfoCache> open_redis_layer_info(const std::string& url, RedisPatience patience = {});

}  // namespace imgcachefs
