// What came of each image that a verb was given: for people as it happens, or as JSON at the end.
#pragma once

#include <string>

#include "ctl/exit_code.h"
#include "ctl/image_json.h"

namespace imgcachefs {

class Report {
 public:
  explicit Report(bool json) : as_json_(json) {}

  // "ID: what"; `also`: further keys of its JSON object.
  void did(const ImageId& id, const std::string& what, const Json& also = Json::object());
  // `message` names the image.
  void failed(const ImageId& id, const std::string& message, ExitCode code);
  void failed(const ImageId& id, const Error& error) {
    failed(id, error.message, exit_code_of(error));
  }

  // Prints the JSON {"images": [...], "errors": [...]}. The code of the first failure; a wrong
  // checksum comes before all others.
  ExitCode finish() const;

 private:
  const bool as_json_;
  Json images_ = Json::array(), errors_ = Json::array();
  ExitCode code_ = ExitCode::kDone;
};

}  // namespace imgcachefs
