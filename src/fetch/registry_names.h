// A registry's lists of names: its repositories, the tags of one. They come in pages
// (https://distribution.github.io/distribution/spec/api/, "Pagination").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fetch/registry_client.h"

namespace imgcachefs {

struct NameList {
  std::string path;
  RegistryScope scope;
  const char* field;                  // of the JSON, that has the names
  bool (*is_name)(std::string_view);  // what is none is left out
  std::vector<int> untold = {};       // statuses that mean kDenied: this registry does not tell
};

// All its pages, each name once. A page is given the whole time that `patience` has. kProtocol when
// a page is no such list, leads elsewhere, or the list has no end.
Result<std::vector<std::string>> list_names(RegistryClient& client, const NameList& list,
                                            Patience patience, std::stop_token stop);

}  // namespace imgcachefs
