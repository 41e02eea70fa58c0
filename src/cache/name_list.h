// NameList: the names of a directory, in two pieces of memory however many they are. A hundred
// thousand strings that come and go leave memory in pieces that nobody can use. Each name has a
// zero byte behind it, for C.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace imgcachefs {

class NameList {
 public:
  void add(std::string_view name) {
    places_.push_back({text_.size(), name.size()});
    text_.append(name).push_back('\0');
    ++added_;
  }
  void reserve(size_t names, size_t bytes) {
    places_.reserve(names);
    text_.reserve(bytes + names);
  }
  // Valid until the next add().
  std::string_view operator[](size_t i) const {
    return std::string_view(text_).substr(places_[i].at, places_[i].length);
  }
  class Iterator {
   public:
    Iterator(const NameList& list, size_t at) : list_(&list), at_(at) {}
    std::string_view operator*() const { return (*list_)[at_]; }
    Iterator& operator++() { return ++at_, *this; }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const NameList* list_;
    size_t at_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }
  size_t size() const { return places_.size(); }
  size_t bytes() const { return text_.size() - added_; }  // of all names, those that went included

  // Each once, in order.
  void sort() {
    const auto name = [this](const Place& one) {
      return std::string_view(text_).substr(one.at, one.length);
    };
    std::sort(places_.begin(), places_.end(),
              [&](const Place& a, const Place& b) { return name(a) < name(b); });
    const auto same = [&](const Place& a, const Place& b) { return name(a) == name(b); };
    places_.erase(std::unique(places_.begin(), places_.end(), same), places_.end());
  }

 private:
  struct Place {
    size_t at, length;
  };
  std::string text_;
  size_t added_ = 0;
  std::vector<Place> places_;
};

}  // namespace imgcachefs
