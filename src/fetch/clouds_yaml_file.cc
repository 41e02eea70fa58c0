#include "fetch/clouds_yaml_file.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "base/posix.h"
#include "fetch/utf8.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

constexpr size_t kLongestFile = 4 << 20;

// Copies a tree of a library's into ours. Throws std::runtime_error: of what is too large (aliases
// can make a short file an endless one), and of what is no text.
class TreeCopy {
 public:
  json of(const YAML::Node& node) {
    const Depth depth(*this);
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return text(node.Scalar());
      case YAML::NodeType::Sequence: {
        json out = json::array();
        for (const auto& item : node) out.push_back(of(item));
        return out;
      }
      case YAML::NodeType::Map:
        return map(node);
      default:
        return nullptr;
    }
  }

  json of(const json& node) {
    const Depth depth(*this);
    if (node.is_null()) return nullptr;
    if (node.is_string()) return text(node.get_ref<const std::string&>());
    if (!node.is_structured()) return node.dump();
    json out = node.is_array() ? json::array() : json::object();
    for (const auto& [key, value] : node.items()) {
      if (node.is_array())
        out.push_back(of(value));
      else if (!value.is_null())
        out[key] = of(value);
    }
    return out;
  }

 private:
  struct Depth {
    explicit Depth(TreeCopy& copy) : copy_(copy) {
      constexpr int kDeepest = 50, kMostNodes = 100'000;
      if (++copy_.depth_ > kDeepest || ++copy_.nodes_ > kMostNodes)
        throw std::runtime_error("it is too deep or too large");
    }
    ~Depth() { --copy_.depth_; }
    TreeCopy& copy_;
  };

  json map(const YAML::Node& node) {
    json out = json::object(), merged = json::object();
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) continue;
      const std::string& key = pair.first.Scalar();
      json value = of(pair.second);
      if (key == "<<" && (value.is_object() || value.is_array())) {
        // Of several the first one counts, and before all the keys that stand here.
        for (const json& more : value.is_object() ? json::array({value}) : value)
          if (more.is_object()) merged.insert(more.begin(), more.end());
      } else if (!value.is_null()) {
        out[text(key)] = std::move(value);
      }
    }
    out.insert(merged.begin(), merged.end());
    return out;
  }

  static std::string text(const std::string& text) {
    if (!is_utf8(text)) throw std::runtime_error("it is not UTF-8");
    return text;
  }

  int depth_ = 0, nodes_ = 0;
};

// Errors say where, and never what stands there: it can be a password.
Result<json> parse(const std::string& path, const std::string& text) {
  auto invalid = [&](const std::string& why) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}", path, why));
  };
  try {
    json tree;
    if (path.ends_with(".json")) {
      const json parsed = json::parse(text, nullptr, false);
      if (parsed.is_discarded()) return invalid("is no JSON");
      tree = TreeCopy().of(parsed);
    } else {
      tree = TreeCopy().of(YAML::Load(text));
    }
    if (tree.is_null()) return json::object();
    if (!tree.is_object()) return invalid("is no mapping");
    return tree;
  } catch (const YAML::Exception& error) {
    return invalid(
        fmt::format("is no YAML: line {}, column {}", error.mark.line + 1, error.mark.column + 1));
  } catch (const std::exception& error) {
    return invalid(error.what());
  }
}

}  // namespace

Result<std::optional<CloudsFile>> first_clouds_file(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    // O_NONBLOCK: a pipe put in its place must not hang the mount.
    auto fd = posix::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (!fd) {
      if (fd.error().kind != ErrorKind::kNotFound && fd.error().sys_errno != ENOTDIR)
        spdlog::warn("{}, left out", fd.error().message);
      continue;
    }
    auto st = posix::stat_fd(fd->get());
    if (!st) return fail(st.error().in(path));
    if (!S_ISREG(st->st_mode)) {
      spdlog::warn("{}: not a regular file, left out", path);
      continue;
    }
    std::string text(kLongestFile, '\0');
    auto size = posix::read_at(fd->get(), std::as_writable_bytes(std::span(text)), 0);
    if (!size) return fail(size.error().in(path));
    if (*size == kLongestFile) return fail(ErrorKind::kInvalid, path + ": too large");
    text.resize(*size);
    auto tree = parse(path, text);
    if (!tree) return fail(tree.error());
    return CloudsFile{path, (st->st_mode & S_IROTH) != 0, std::move(*tree)};
  }
  return std::nullopt;
}

json with_normal_keys(const json& cloud) {
  if (!cloud.is_object()) return cloud;
  json out = json::object();
  for (const auto& [key, value] : cloud.items()) {
    std::string normal = key;
    std::replace(normal.begin(), normal.end(), '-', '_');
    out[normal] = with_normal_keys(value);
  }
  return out;
}

void merge_tree(json& under, const json& over) {
  if (!under.is_object() || !over.is_object()) {
    under = over;
    return;
  }
  for (const auto& [key, value] : over.items()) {
    auto it = under.find(key);
    if (it == under.end())
      under[key] = value;
    else
      merge_tree(*it, value);
  }
}

}  // namespace imgcachefs
