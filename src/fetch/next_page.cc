#include "fetch/next_page.h"

#include "base/log.h"
#include "fetch/url.h"

namespace imgcachefs {

Result<std::string> query_of_next(const std::string& next, const std::string& from,
                                  std::string_view path) {
  auto base = Url::parse(from);
  const bool only_query = next.starts_with('?');
  const bool relative = only_query || (next.starts_with('/') && !next.starts_with("//"));
  auto url = Url::parse(!relative || !base ? next
                                           : base->scheme + "://" + base->host +
                                                 (only_query ? base->path : "") + next);
  if (!base || !url || (!relative && !url->same_origin(*base)) || !url->user_info.empty() ||
      !url->path.ends_with(path))
    return fail(ErrorKind::kProtocol,
                redacted_url(from) + ": the URL of the next page leads elsewhere");
  return url->query;
}

}  // namespace imgcachefs
