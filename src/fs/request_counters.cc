#include "fs/request_counters.h"

#include <string>

namespace imgcachefs {

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::kLookup:
      return "lookup";
    case Operation::kGetattr:
      return "getattr";
    case Operation::kReadlink:
      return "readlink";
    case Operation::kOpen:
      return "open";
    case Operation::kRead:
      return "read";
    case Operation::kLseek:
      return "lseek";
    case Operation::kRelease:
      return "release";
    case Operation::kList:
      return "list";
    case Operation::kReaddir:
      return "readdir";
    case Operation::kStatfs:
      return "statfs";
    case Operation::kGetxattr:
      return "getxattr";
    case Operation::kListxattr:
      return "listxattr";
  }
  return "";
}

RequestFigures RequestCounters::figures() const {
  RequestFigures figures{.hit_bytes = hit_bytes_,
                         .miss_bytes = miss_bytes_,
                         .errors = {},
                         .operations = {},
                         .passed_opens = passed_opens_,
                         .own_opens = own_opens_};
  for (size_t i = 0; i < kOperations; ++i)
    figures.operations.push_back(
        {std::string(to_string(static_cast<Operation>(i))), times_[i].figures()});
  return figures;
}

}  // namespace imgcachefs
