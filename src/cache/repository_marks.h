// In which repositories of upstream's an image was found, noted on its file.
//
//     user.imgcachefs.repositories    their names, one on a line, in the order in which it was
//     found
//
// On a cached file: it is found there again while upstream is silent, after a restart, too. On a
// file of the queue: where it is to be fetched from. A hint, no proof: upstream's word goes before
// it. A file system without attributes has no marks. Whoever adds and removes marks of one file
// from several threads sees to it that it is one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace imgcachefs {

std::vector<std::string> marked_repositories(int fd);

// A file that has kilobytes of marks gets no more: that is no error.
Status mark_repository(int fd, const std::string& repository);
Status unmark_repository(int fd, const std::string& repository);

}  // namespace imgcachefs
