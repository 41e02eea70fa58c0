// One HTTP request by curl(1), for talking to a server's own API.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace imgcachefs::test {

struct HttpCall {
  std::string method = "GET";
  std::string url;
  std::map<std::string, std::string> headers = {};
  std::string body = {};         // sent as it is; or:
  std::string upload_file = {};  // a file to be sent, streamed
};

struct HttpReply {
  int status = 0;                              // 0: there was none
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

HttpReply http(const HttpCall& call);
// The same, and std::runtime_error when the status is not 2xx.
HttpReply http_ok(const HttpCall& call);

}  // namespace imgcachefs::test
