// JSON that others send, read with distrust.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace imgcachefs {

// kProtocol when the text is no object, is nested too deep, or has a key twice: which of two values
// counts is everybody's own guess, and so a way to show different things to different readers.
Result<nlohmann::json> parse_json_object(std::string_view text);

// The fields of an object, each with the type it must have. The first that is wrong is remembered.
// Refers to the object.
class JsonFields {
 public:
  explicit JsonFields(const nlohmann::json& object) : object_(object) {}

  // "" also for null and for what is not there.
  std::string text(const char* name);
  // A whole number from 0 up to the size that a file can have.
  std::optional<uint64_t> number(const char* name);
  std::optional<WallTime> time(const char* name);
  // nullptr for null and for what is not there.
  const nlohmann::json* array(const char* name);
  const nlohmann::json* object(const char* name);

  bool has(const char* name) const { return find(name) != nullptr; }
  void wrong(const char* name) {
    if (wrong_.empty()) wrong_ = name;
  }
  const std::string& wrong() const { return wrong_; }  // "": none

 private:
  const nlohmann::json* find(const char* name) const;
  const nlohmann::json& object_;
  std::string wrong_;
};

}  // namespace imgcachefs
