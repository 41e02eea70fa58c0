#include "fetch/clouds_yaml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "fetch/clouds_yaml_file.h"
#include "fetch/service_catalogue.h"
#include "fetch/url.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

const json& member(const json& object, const std::string& key) {
  static const json none;
  if (!object.is_object()) return none;
  auto it = object.find(key);
  return it == object.end() ? none : *it;
}

// Does this part of a file hold a secret?
bool has_secret(const json& cloud) {
  for (const json* place : {&cloud, &member(cloud, "auth")})
    for (const char* key : {"password", "token", "auth_token", "application_credential_secret"})
      if (!member(*place, key).is_null()) return true;
  return false;
}

// An entry, with everything merged into it, and what we make of it.
class CloudEntry {
 public:
  CloudEntry(std::string where, json cloud, const CloudPlaces& places)
      : where_(std::move(where)), cloud_(std::move(cloud)), places_(places) {}

  Result<Cloud> read();

 private:
  using Names = std::initializer_list<const char*>;

  void apply_region();
  void read_domains();
  Status read_identity();
  Status read_tls();
  Status read_endpoint();

  // The first of these keys that is set, in the cloud itself; "" when none is.
  std::string value(Names keys) { return text_of(cloud_, keys); }
  // The same in `auth`, then beside it; of some it is the other way round, as openstacksdk has it.
  std::string auth(Names keys) {
    std::string text = text_of(member(cloud_, "auth"), keys);
    return text.empty() ? value(keys) : text;
  }
  std::string beside_auth(Names keys) {
    std::string text = value(keys);
    return text.empty() ? text_of(member(cloud_, "auth"), keys) : text;
  }
  std::string text_of(const json& object, Names keys) {
    for (const char* key : keys) {
      const json& found = member(object, key);
      if (found.is_null()) continue;
      if (found.is_string()) return found.get<std::string>();
      not_text_ = key;
    }
    return "";
  }
  std::string path(const char* key) {
    std::string text = value({key});
    if (text.starts_with("~/") && !places_.home.empty()) text = places_.home + text.substr(1);
    // The daemon's working directory is another one.
    std::error_code error;
    auto absolute = text.empty() ? std::filesystem::path() : std::filesystem::absolute(text, error);
    return error ? text : absolute.string();
  }
  std::optional<bool> boolean(const char* key, bool otherwise);

  tl::unexpected<Error> invalid(std::string_view why) const {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}", where_, why));
  }

  const std::string where_;
  json cloud_;
  const CloudPlaces& places_;
  Cloud out_;
  std::string not_text_;  // a key of ours that holds no text
};

// `regions` is a list of names, or of names with values that hold for them; the first one counts,
// or the one that region_name says.
void CloudEntry::apply_region() {
  const json regions = member(cloud_, "regions");
  if (!regions.is_array()) {
    const std::string names = value({"region_name"});
    if (names.find(',') != std::string::npos)
      cloud_["region_name"] = names.substr(0, names.find(','));
    return;
  }
  for (const json& region : regions) {
    const std::string name =
        region.is_string() ? region.get<std::string>() : text_of(region, {"name"});
    if (name.empty() || !(value({"region_name"}).empty() || value({"region_name"}) == name))
      continue;
    cloud_["region_name"] = name;
    if (const json& values = member(region, "values"); values.is_object())
      merge_tree(cloud_, values);
    return;
  }
}

void CloudEntry::read_domains() {
  for (const char* whose : {"user", "project"}) {
    const std::string id_key = fmt::format("{}_domain_id", whose),
                      name_key = fmt::format("{}_domain_name", whose);
    std::string id = beside_auth({id_key.c_str()}), name = beside_auth({name_key.c_str()});
    // One for both, then what is meant where nothing is said.
    if (id.empty() && name.empty()) {
      id = beside_auth({"domain_id"});
      name = beside_auth({"domain_name"});
    }
    if (id.empty() && name.empty()) {
      id = auth({"default_domain_id", "default_domain"});
      if (id.empty()) name = auth({"default_domain_name"});
    }
    out_.secrets.set(id_key, id);
    out_.secrets.set(name_key, name);
  }
}

Status CloudEntry::read_identity() {
  std::string type = value({"auth_type", "auth_plugin"});
  const std::string version = value({"identity_api_version"});
  if (version.starts_with('2') || type.starts_with("v2"))
    return invalid("Keystone v2 is not supported: use v3");
  const std::string token = beside_auth({"token", "auth_token"});
  const std::string credential = auth({"application_credential_secret"});
  if (type.empty() || type == "None")
    type = !token.empty()        ? "token"
           : !credential.empty() ? "v3applicationcredential"
           : type == "None"      ? "none"
                                 : "password";

  auto take = [this](const char* key, std::string text) {
    if (!text.empty()) out_.secrets.set(key, std::move(text));
  };
  if (type == "none") return {};
  std::string auth_url = auth({"auth_url"});
  if (const size_t at = auth_url.find("{region_name}"); at != std::string::npos)
    auth_url.replace(at, std::string_view("{region_name}").size(), value({"region_name"}));
  take("auth_url", auth_url);
  if (type == "token" || type == "v3token" || type == "admin_token" || type == "token_endpoint") {
    if (token.empty()) return invalid(fmt::format("auth_type {} without a token", type));
    take("token", token);
    return {};
  }
  const bool by_password = type == "password" || type == "v3password";
  if (!by_password && type != "v3applicationcredential")
    return invalid(
        fmt::format("auth_type '{}' is not supported: there are password, "
                    "v3applicationcredential, token and none",
                    type));
  take("username", auth({"username", "user_name"}));
  take("user_id", auth({"user_id"}));
  read_domains();
  if (by_password) {
    take("password", auth({"password"}));
    take("project_id", beside_auth({"project_id", "tenant_id"}));
    take("project_name", beside_auth({"project_name", "tenant_name"}));
  } else {
    take("application_credential_secret", credential);
    take("application_credential_id", auth({"application_credential_id"}));
    take("application_credential_name", auth({"application_credential_name"}));
  }
  return {};
}

std::optional<bool> CloudEntry::boolean(const char* key, bool otherwise) {
  std::string text = value({key});
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  if (text.empty()) return otherwise;
  for (const char* yes : {"true", "yes", "on", "1"})
    if (text == yes) return true;
  for (const char* no : {"false", "no", "off", "0"})
    if (text == no) return false;
  return std::nullopt;
}

Status CloudEntry::read_tls() {
  const auto verify = boolean("verify", true), insecure = boolean("insecure", false);
  if (!verify) return invalid("verify is neither true nor false");
  if (!insecure) return invalid("insecure is neither true nor false");
  out_.verify = *verify && !*insecure;
  out_.ca_file = path("cacert");
  out_.cert = path("cert");
  out_.key = path("key");
  return {};
}

Status CloudEntry::read_endpoint() {
  out_.region = value({"image_region_name", "region_name"});
  const std::string interface =
      value({"image_interface", "image_endpoint_type", "interface", "endpoint_type"});
  if (!interface.empty()) out_.interface_ = normal_interface(interface);
  std::string endpoint = value({"image_endpoint_override"});
  if (endpoint.empty()) endpoint = auth({"endpoint"});
  if (endpoint.empty()) return {};
  auto url = Url::parse(endpoint);
  if (!url || !url->user_info.empty() || !url->query.empty())
    return invalid("image_endpoint_override is no http or https URL");
  out_.image_endpoint = without_image_version(url->str());
  return {};
}

Result<Cloud> CloudEntry::read() {
  apply_region();
  if (auto done = read_identity(); !done) return fail(done.error());
  if (auto done = read_tls(); !done) return fail(done.error());
  if (auto done = read_endpoint(); !done) return fail(done.error());
  if (!not_text_.empty()) return invalid(fmt::format("{} is not a text", not_text_));
  return std::move(out_);
}

// What the profile that `cloud` names says; an object without anything when it names none.
Result<json> profile_of(const std::string& where, const json& cloud, const CloudPlaces& places) {
  const json& named =
      member(cloud, "profile").is_null() ? member(cloud, "cloud") : member(cloud, "profile");
  if (!named.is_string()) return json::object();
  auto file = first_clouds_file(places.vendors);
  if (!file) return fail(file.error());
  const json none;
  const json& profile =
      *file ? member(member((*file)->tree, "public-clouds"), named.get<std::string>()) : none;
  if (!profile.is_object())
    return fail(
        ErrorKind::kInvalid,
        fmt::format("{}: profile '{}' is in no clouds-public.yaml, and those that come with "
                    "openstacksdk are not known here: write what it says into the cloud",
                    where, named.get<std::string>()));
  if (!member(profile, "profile").is_null())
    return fail(ErrorKind::kInvalid,
                fmt::format("{}: profile '{}' names another profile, which is not supported", where,
                            named.get<std::string>()));
  return with_normal_keys(profile);
}

}  // namespace

Result<Cloud> load_cloud(const std::string& name, const CloudPlaces& places) {
  auto clouds = first_clouds_file(places.clouds);
  if (!clouds) return fail(clouds.error());
  auto secure = first_clouds_file(places.secure);
  if (!secure) return fail(secure.error());
  if (!*clouds && !*secure)
    return fail(ErrorKind::kInvalid, fmt::format("cloud '{}': there is none of these files: {}",
                                                 name, fmt::join(places.clouds, ", ")));

  std::vector<std::string> files;
  std::set<std::string> names;  // most are in both files
  json own;
  for (const auto* file : {&*clouds, &*secure}) {
    if (!*file) continue;
    files.push_back((*file)->path);
    const json& all = member((*file)->tree, "clouds");
    if (!all.is_null() && !all.is_object())
      return fail(ErrorKind::kInvalid, fmt::format("{}: clouds is no mapping", (*file)->path));
    for (const auto& [key, value] : all.items()) names.insert(key);
    const json here = with_normal_keys(member(all, name));
    if (here.is_null()) continue;
    merge_tree(own, here);
    if ((*file)->open_to_all && has_secret(here))
      spdlog::warn("{}: holds a secret of cloud '{}' and can be read by everybody", (*file)->path,
                   name);
  }
  if (own.is_null())
    return fail(ErrorKind::kInvalid,
                fmt::format("cloud '{}' is not in {}; there are: {}", name,
                            fmt::join(files, " and "), fmt::join(names, ", ")));
  const std::string where = fmt::format("{}: cloud '{}'", fmt::join(files, " and "), name);
  if (!own.is_object()) return fail(ErrorKind::kInvalid, where + " is no mapping");

  auto cloud = profile_of(where, own, places);
  if (!cloud) return fail(cloud.error());
  merge_tree(*cloud, own);
  return CloudEntry(where, std::move(*cloud), places).read();
}

}  // namespace imgcachefs
