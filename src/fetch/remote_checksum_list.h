// A list of checksums on the server, asked for when it is needed and believed for a while.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "base/digest.h"
#include "fetch/checksum_list.h"
#include "fetch/http_client.h"
#include "fetch/shared_question.h"

namespace imgcachefs {

// Thread-safe; callers that need an answer at the same time share one request.
class RemoteChecksumList {
 public:
  // `client` and `stats` must outlive the list.
  RemoteChecksumList(HttpClient& client, UpstreamStats& stats, std::string url, DigestAlgo algo,
                     std::chrono::seconds believe, unsigned retries);

  // What the list says of `name`; nullopt when it does not name it or when there is no list (404,
  // 410, and 403, which some servers answer for what does not exist). Any other trouble is an
  // error: nobody shall take an image for one without a checksum because a server hiccupped.
  // `fresh`: only an answer to a request begun after this call counts.
  Result<std::optional<Digest>> find(const std::string& name, bool fresh, std::stop_token stop);

 private:
  struct Known {
    ChecksumList list;  // empty when there is none upstream
    Validator validator;
    std::chrono::steady_clock::time_point since;
  };
  using Question = SharedQuestion<Known>;
  Result<Known> ask_upstream(const Question::Known& old, bool fresh, std::stop_token stop) const;
  bool believed(const Known& known) const;

  HttpClient& client_;
  UpstreamStats& stats_;
  const std::string url_;
  const DigestAlgo algo_;
  const std::chrono::seconds believe_;
  const unsigned retries_;
  Question question_;
};

}  // namespace imgcachefs
