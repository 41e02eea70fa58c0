// Checksums in response headers: Repr-Digest (RFC 9530), Digest (RFC 3230) and Content-MD5
// (RFC 1864). Content-Digest is not among them: it speaks of the body of one message.
#pragma once

#include <optional>
#include <string_view>

#include "base/digest.h"
#include "fetch/http_head.h"

namespace imgcachefs {

// The strongest checksum of the whole image that these headers carry. Repr-Digest and Digest speak
// of the whole image in every answer; Content-MD5 does only in a 200.
std::optional<Digest> digest_of_headers(const HttpHead& head);

}  // namespace imgcachefs
