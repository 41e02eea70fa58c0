// Lists that come in pages: where the next one is.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

// The query of the next page's URL `next`, as the page that came from the URL `from` has it. Only
// that is to be used of it: a server behind a proxy does not know the path it is seen at, and a
// page must not lead a login elsewhere. kProtocol when it is of another origin, or its path does
// not end in `path`.
Result<std::string> query_of_next(const std::string& next, const std::string& from,
                                  std::string_view path);

}  // namespace imgcachefs
