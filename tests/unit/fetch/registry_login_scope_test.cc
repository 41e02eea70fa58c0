#include "fetch/registry_login_scope.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(LoginScopes, OneForEach) {
  LoginScopes scopes;
  const auto a = scopes.of("repository:a:pull"), b = scopes.of("repository:b:pull");
  EXPECT_NE(a, b);
  EXPECT_EQ(scopes.of("repository:a:pull"), a);
  EXPECT_EQ(scopes.of(""), scopes.of(""));
}

TEST(LoginScopes, AreBoundedAndTheLeastUsedLeaves) {
  LoginScopes scopes;
  const std::weak_ptr<LoginScope> used = scopes.of("used"), idle = scopes.of("idle");
  const auto held = scopes.of("held");
  for (int i = 0; i < 1500; ++i) {
    scopes.of(fmt::format("repository:{}:pull", i));
    EXPECT_EQ(scopes.of("used"), used.lock());
  }
  EXPECT_FALSE(used.expired());
  EXPECT_TRUE(idle.expired());
  EXPECT_NE(scopes.of("held"), held);  // who has it goes on with it
}

TEST(LoginScope, CountsRefusalsInARow) {
  LoginScope scope("x");
  EXPECT_EQ(scope.count_refused(true), 1u);
  EXPECT_EQ(scope.count_refused(true), 2u);
  EXPECT_EQ(scope.count_refused(false), 1u);
  EXPECT_EQ(scope.count_refused(true), 2u);
  scope.forget_count();
  EXPECT_EQ(scope.count_refused(true), 1u);
}

}  // namespace
}  // namespace imgcachefs
