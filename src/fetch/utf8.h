// Is it UTF-8? What others send us as a name may be anything.
#pragma once

#include <cstddef>
#include <string_view>

namespace imgcachefs {

// Length of the UTF-8 sequence `text` begins with; 0 when it begins with none (overlong forms,
// surrogates and code points past U+10FFFF are none).
size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

}  // namespace imgcachefs
