#include "ctl/report.h"

#include <fmt/format.h>

#include <cstdio>

#include "ctl/shown_text.h"

namespace imgcachefs {

void Report::did(const ImageId& id, const std::string& what, const Json& also) {
  Json image = {{"image_id", id.str()}, {"result", what}};
  image.update(also);
  images_.push_back(std::move(image));
  if (as_json_) return;
  fmt::print("{}: {}\n", shown(id.str()), what);
  std::fflush(stdout);  // some verbs take long: who reads a pipe sees how far they are
}

void Report::failed(const ImageId& id, const std::string& message, ExitCode code) {
  errors_.push_back(
      {{"image_id", id.str()}, {"error", message}, {"exit_code", static_cast<int>(code)}});
  complain(message);
  if (code_ == ExitCode::kDone || code == ExitCode::kVerificationFailed) code_ = code;
}

ExitCode Report::finish() const {
  if (as_json_)
    std::fputs((to_text({{"images", images_}, {"errors", errors_}}) + "\n").c_str(), stdout);
  return code_;
}

}  // namespace imgcachefs
