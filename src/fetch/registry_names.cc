#include "fetch/registry_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_set>

#include "base/log.h"
#include "fetch/json_object.h"
#include "fetch/link_header.h"
#include "fetch/next_page.h"

namespace imgcachefs {
namespace {

constexpr size_t kLongestNames = 32 << 20;
constexpr size_t kMostNamePages = 10'000;
constexpr size_t kMostNames = 1'000'000;
// As many as distribution sends at most, unless it is told otherwise.
constexpr std::string_view kFirstQuery = "n=1000";

Status add_names(const std::string& body, const NameList& list,
                 std::unordered_set<std::string>& names) {
  auto object = parse_json_object(body);
  if (!object) return fail(object.error());
  JsonFields fields(*object);
  const nlohmann::json* array = fields.array(list.field);
  // null is how Go writes an empty list.
  if (array == nullptr && (!fields.wrong().empty() || !object->contains(list.field)))
    return fail(ErrorKind::kProtocol, fmt::format("a list without '{}'", list.field));
  if (array == nullptr) return {};
  for (const nlohmann::json& name : *array) {
    if (!name.is_string()) return fail(ErrorKind::kProtocol, "a name that is no text");
    if (list.is_name(name.get_ref<const std::string&>())) names.insert(name.get<std::string>());
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> list_names(RegistryClient& client, const NameList& list,
                                            Patience patience, std::stop_token stop) {
  std::unordered_set<std::string> names;
  std::set<std::string> asked;
  for (std::string query(kFirstQuery);;) {
    RegistryQuestion question{.target = list.path + (query.empty() ? "" : "?" + query),
                              .scope = list.scope,
                              .good = list.untold,
                              .body_limit = kLongestNames};
    question.good.push_back(200);
    const bool may_be_too_many = query == kFirstQuery;
    if (may_be_too_many) question.good.push_back(400);
    auto answer = client.ask(question, {.patience = patience, .stop = stop});
    if (!answer) return fail(answer.error());
    const HttpHead& head = answer->head;
    const std::string shown = redacted_url(head.url);
    if (head.status == 400 && may_be_too_many) {  // how many it likes to send is its own affair
      asked.insert(std::move(query));
      query.clear();
      continue;
    }
    if (head.status != 200)
      return fail(ErrorKind::kDenied, fmt::format("{}: HTTP status {}: the registry does not tell",
                                                  shown, head.status));
    if (auto added = add_names(answer->body, list, names); !added)
      return fail(added.error().in(shown));
    const auto next = link_target(head.header("link").value_or(""), "next");
    if (!next) return std::vector<std::string>(names.begin(), names.end());
    auto next_query = query_of_next(*next, head.url, list.path);
    if (!next_query) return fail(next_query.error());
    asked.insert(std::move(query));
    if (asked.contains(*next_query) || asked.size() >= kMostNamePages || names.size() > kMostNames)
      return fail(ErrorKind::kProtocol, shown + ": a list without an end");
    query = std::move(*next_query);
  }
}

}  // namespace imgcachefs
