// The listings of a directory that nginx (HTML, JSON) and Apache (plain, fancy, table) make.
//
// Of HTML, what counts is where its links lead: to a name in the directory itself, or elsewhere
// (the parent, subdirectories, sort orders, other hosts), which is passed over. Texts of links are
// of no use: both servers shorten them.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "fetch/image_id.h"
#include "fetch/url.h"

namespace imgcachefs {

// `directory`: the URL the listing came from; `content_type`: as the response had it. IDs come
// sorted, each once; names that are no ImageId are left out. kProtocol for JSON that is no listing.
Result<std::vector<ImageId>> parse_autoindex(std::string_view text, std::string_view content_type,
                                             const Url& directory);

// `text` with HTML's character references replaced (the named ones that XML knows, and numbers).
std::string html_unescape(std::string_view text);

}  // namespace imgcachefs
