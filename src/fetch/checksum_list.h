// Lists of checksums as sha256sum(1) and its kin write them, on GNU and on BSD.
//
// Understood, line by line; anything else (comments, a PGP signature around the list, HTML) is no
// line of a list and is passed over:
//     <hash>  name          GNU, text mode (one blank is enough)
//     <hash> *name          GNU, binary mode
//     \<hash>  a\nb         GNU, a name with escapes: \\ \n \r
//     SHA256 (name) = hash  BSD, and GNU with --tag; a leading \ as above
// A name may begin with "./"; other directories are not ours. Lines may end in CRLF.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"

namespace imgcachefs {

class ChecksumList {
 public:
  ChecksumList() = default;
  // `algo` is that of lines without a tag (it follows from the list's name). Of several lines for
  // one name the last counts: lists grow at their end.
  static ChecksumList parse(std::string_view text, DigestAlgo algo);

  std::optional<Digest> find(const std::string& name) const;
  size_t size() const { return digests_.size(); }

 private:
  std::map<std::string, Digest> digests_;
};

}  // namespace imgcachefs
