#include "fetch/auth_challenge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

namespace imgcachefs {
namespace {

// "scheme(token68){name=value;...} ..."
std::string shown(const std::vector<AuthChallenge>& challenges) {
  std::string out;
  for (const AuthChallenge& one : challenges) {
    out += (out.empty() ? "" : " ") + one.scheme;
    if (!one.token68.empty()) out += "(" + one.token68 + ")";
    if (one.params.empty()) continue;
    out += "{";
    for (const auto& [name, value] : one.params) out += name + "=" + value + ";";
    out += "}";
  }
  return out;
}

std::string parsed(std::string_view line) {
  return shown(parse_challenges(line));
}

TEST(AuthChallenge, AsRegistriesSendThem) {
  EXPECT_EQ(parsed(R"(Basic realm="basic-realm")"), "basic{realm=basic-realm;}");
  EXPECT_EQ(parsed(R"(Bearer realm="http://127.0.0.1:15009/token",service="my-registry",)"
                   R"(scope="repository:team/vm:pull,push",error="insufficient_scope")"),
            "bearer{error=insufficient_scope;realm=http://127.0.0.1:15009/token;"
            "scope=repository:team/vm:pull,push;service=my-registry;}");
  EXPECT_EQ(parse_challenges(R"(Bearer realm="a")")[0].get("realm"), "a");
  EXPECT_EQ(parse_challenges(R"(Bearer realm="a")")[0].get("scope"), "");
}

TEST(AuthChallenge, SeveralInOneLine) {
  EXPECT_EQ(
      parsed(R"(Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"")"),
      R"(basic{realm=simple;} newauth{realm=apps;title=Login to "apps";type=1;})");
  EXPECT_EQ(parsed("Negotiate, Basic realm=x,Bearer realm=y , service=z"),
            "negotiate basic{realm=x;} bearer{realm=y;service=z;}");
  EXPECT_EQ(parsed(R"(Negotiate dG9rZW42OA==, NTLM abc/+-._~, Basic realm="x")"),
            "negotiate(dG9rZW42OA==) ntlm(abc/+-._~) basic{realm=x;}");
  EXPECT_EQ(parsed("A,B , C"), "a b c");
}

TEST(AuthChallenge, ATokenIsNoParameterAndTheOtherWayRound) {
  EXPECT_EQ(parsed("X abc="), "x(abc=)");
  EXPECT_EQ(parsed("X abc=d"), "x{abc=d;}");
  EXPECT_EQ(parsed("X abc==d"), "x{abc==d;}");
  EXPECT_EQ(parsed("X abc=  , Y"), "x(abc=) y");
  EXPECT_EQ(parsed("X abc"), "x(abc)");
  EXPECT_EQ(parsed(R"(X Y realm="z")"), "x y{realm=z;}");  // a comma is missing
}

TEST(AuthChallenge, CaseAndBlanks) {
  EXPECT_EQ(parsed("\t bEaReR \t REALM\t= \t\"a b\" ,, \t, Service =s ,"),
            "bearer{realm=a b;service=s;}");
  EXPECT_EQ(parsed(R"(Bearer ,realm="x")"), "bearer{realm=x;}");
  EXPECT_EQ(parsed(R"(Bearer realm="x" service="y")"), "bearer{realm=x;service=y;}");
}

TEST(AuthChallenge, QuotedStrings) {
  EXPECT_EQ(parsed(R"(A a="", b="\\", c="\"", d="x, B y=\"z\"", e=",")"),
            R"(a{a=;b=\;c=";d=x, B y="z";e=,;})");
  EXPECT_EQ(parsed(R"(A a="\x")"), "a{a=x;}");
  EXPECT_EQ(parsed(R"(A realm=http://x/token?a=b, s=t)"), "a{realm=http://x/token?a=b;s=t;}");
  EXPECT_EQ(parsed(R"(A a="first", A="second")"), "a{a=first;}");
}

TEST(AuthChallenge, Garbage) {
  EXPECT_EQ(parsed(""), "");
  EXPECT_EQ(parsed(" , ,\t,"), "");
  EXPECT_EQ(parsed(R"(realm="x")"), "");  // of which challenge?
  EXPECT_EQ(parsed(R"("Basic realm=x", Bearer realm="y")"), "bearer{realm=y;}");
  EXPECT_EQ(parsed(R"({"error": "x, Basic realm=z"}, Bearer realm="y")"), "bearer{realm=y;}");
  EXPECT_EQ(parsed(R"(Bearer realm="x"y"z,", service="s")"), "bearer{realm=x;service=s;}");
  EXPECT_EQ(parsed(R"(Bearer service="s", realm="no end, scope=x)"), "bearer{service=s;}");
  EXPECT_EQ(parsed("Bearer realm=\"x\\"), "bearer");
  EXPECT_EQ(parsed("Bearer realm="), "bearer(realm=)");
  EXPECT_EQ(parsed("Bearer realm=,service=s"), "bearer(realm=){service=s;}");
  EXPECT_EQ(parsed(std::string("A\0B c=d, E", 10)), "a e");
  EXPECT_EQ(parsed("Bearer \xff\xfe=x, realm=\"\xc3\xa4\""), "bearer{realm=\xc3\xa4;}");
}

TEST(AuthChallenge, LinesAreApart) {
  HttpHead head;
  head.headers = {{"www-authenticate", R"(Bearer realm="no end)"},
                  {"content-type", "Basic realm=no"},
                  {"www-authenticate", R"(Basic realm="x")"}};
  EXPECT_EQ(shown(challenges_of(head)), "bearer basic{realm=x;}");
  EXPECT_EQ(shown(challenges_of({})), "");
}

TEST(AuthChallenge, IsBounded) {
  std::string many, params = "A ", quoted = "A a=\"";
  for (int i = 0; i < 100; ++i) {
    many += "Scheme x=y,";
    params += fmt::format("p{}=1,", i);
  }
  EXPECT_EQ(parse_challenges(many).size(), 16u);
  EXPECT_EQ(parse_challenges(params).at(0).params.size(), 32u);
  quoted += std::string(1 << 20, 'x') + "\"";
  EXPECT_EQ(parsed(quoted), "a");
  HttpHead head;
  for (int i = 0; i < 100; ++i) head.headers.emplace_back("www-authenticate", many);
  EXPECT_EQ(challenges_of(head).size(), 16u);
}

// Whatever comes, it ends, and nothing is found that no grammar allows.
TEST(AuthChallenge, AnyBytes) {
  constexpr std::string_view kLikely = "Bearer realm=\"\\\", \t=,,Basic x68==";
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string line(random() % 60, '\0');
    for (char& c : line)
      c = random() % 4 == 0 ? static_cast<char>(random()) : kLikely[random() % kLikely.size()];
    for (const AuthChallenge& one : parse_challenges(line)) {
      EXPECT_FALSE(one.scheme.empty());
      for (char c : one.scheme) EXPECT_TRUE(c > ' ' && c < 0x7f && !(c >= 'A' && c <= 'Z')) << line;
      for (const auto& [name, value] : one.params) {
        EXPECT_FALSE(name.empty());
        EXPECT_LT(value.size(), line.size());
      }
    }
  }
}

}  // namespace
}  // namespace imgcachefs
