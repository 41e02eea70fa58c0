#include "cache/image.h"

namespace imgcachefs {

std::string_view to_string(ImageState state) {
  switch (state) {
    case ImageState::kUncached:
      return "uncached";
    case ImageState::kIncomplete:
      return "incomplete";
    case ImageState::kCached:
      return "cached";
  }
  return "unknown";
}

}  // namespace imgcachefs
