// SOURCE, the first argument: which upstream it means.
#pragma once

#include <string>

#include "base/result.h"

namespace imgcachefs {

// kInvalid when it is no SOURCE this version can mount, saying why; a password in it is not
// repeated.
Status check_source(const std::string& source);

}  // namespace imgcachefs
