// A plain HTTP directory as upstream: image <id> is the file <id> in it (DESIGN 2.1, 2.4).
//
// Checksums come from SHA512SUMS, SHA256SUMS or MD5SUMS in the same directory, else from the
// response headers Repr-Digest (RFC 9530), Digest (RFC 3230) or Content-MD5 (RFC 1864) of the whole
// image.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "fetch/http_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// `url`: http or https, a directory (a missing last '/' is added), without user information.
// `believe`: how long the checksum lists are believed without asking again. `stats` is counted up.
Result<std::unique_ptr<Upstream>> open_http_directory(
    const std::string& url, const HttpConfig& config, std::chrono::seconds believe,
    std::shared_ptr<UpstreamStats> stats = std::make_shared<UpstreamStats>());

}  // namespace imgcachefs
