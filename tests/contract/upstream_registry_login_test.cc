// Who is let in to a registry, and who gets to see a login.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/oci_upstream.h"
#include "support/log_capture.h"

namespace imgcachefs {
namespace {

using namespace test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class RegistryLogin : public RegistryUpstream {
 protected:
  // Shows one after the other.
  ScriptedAuth& open_with(std::vector<std::string> values) {
    auto auth = std::make_unique<ScriptedAuth>(std::move(values));
    ScriptedAuth& script = *auth;
    open({.auth = std::move(auth), .believe = std::chrono::seconds(0)});
    return script;
  }
  static constexpr const char* kPull = "repository:team/vm:pull";
};

TEST_F(RegistryLogin, NothingIsSentBeforeItIsAskedFor) {
  open();
  expect_right(kWhole);
  for (const Request& request : server_.requests())
    EXPECT_EQ(request.headers.count("authorization"), 0u);
}

TEST_F(RegistryLogin, AChallengeIsAnsweredOnce) {
  registry_.token("good", {kPull, "registry:catalog:*"});
  ScriptedAuth& auth = open_with({"", "Bearer good"});
  EXPECT_EQ(expect_right(kWhole), 1u);
  ASSERT_EQ(auth.challenges().size(), 1u);
  EXPECT_THAT(auth.challenges()[0], HasSubstr("scope=\"repository:team/vm:pull\""));
  EXPECT_TRUE(repositories().tags("team/vm", Patience::kFull, {}));
  EXPECT_TRUE(repositories().catalogue(Patience::kFull, {}));
  EXPECT_EQ(auth.challenges().size(), 1u);
  EXPECT_THAT(auth.scopes(), UnorderedElementsAre(kPull, "registry:catalog:*"));
  EXPECT_EQ(upstream_->stats().errors, 0u);  // it was a question
}

TEST_F(RegistryLogin, AReadAnswersAChallengeToo) {
  registry_.basic("Basic good");
  open_with({"", "Basic good"});
  layer_info_->set(digest_, {"team/vm", kSize});
  StringSink sink;
  auto outcome = upstream_->read(stat_of(*upstream_, blob_), kWhole, sink, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->attempts, 2u);
}

TEST_F(RegistryLogin, ATokenThatRanOutIsRenewedForEveryKindOfQuestion) {
  registry_.tag("team/vm", "latest", FakeRegistry::image_of({{"disk", blob_}}));
  ScriptedAuth& auth =
      open_with({"Bearer t0", "Bearer t1", "Bearer t2", "Bearer t3", "Bearer t4", "Bearer t5"});
  int number = 0;
  auto next = [&] {
    registry_.revoke("t" + std::to_string(number++));
    registry_.token("t" + std::to_string(number), {kPull, "registry:catalog:*"});
  };
  next();
  const ImageInfo image = info();
  next();
  EXPECT_TRUE(repositories().tags("team/vm", Patience::kOneTry, {}));
  next();
  EXPECT_TRUE(repositories().tag("team/vm", "latest", Patience::kFull, {}));
  next();
  EXPECT_TRUE(repositories().catalogue(Patience::kFull, {}));
  next();
  StringSink sink;
  EXPECT_TRUE(upstream_->read(image, kPart, sink, {}));
  EXPECT_EQ(auth.challenges().size(), 5u);
  for (const std::string& challenge : auth.challenges())
    EXPECT_THAT(challenge, HasSubstr("invalid_token"));
}

TEST_F(RegistryLogin, OneThatRunsOutInTheMiddleEndsNothing) {
  registry_.token("t0", {kPull});
  registry_.token("t1", {kPull});
  open_with({"Bearer t0", "Bearer t1"});
  const ImageInfo image = info();
  StringSink sink;
  sink.on_write = [&] { registry_.revoke("t0"); };
  server_.fault({.cut_after = 50'000}, get());
  auto outcome = upstream_->read(image, kWhole, sink, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(sink.text == bytes_);
  EXPECT_EQ(outcome->attempts, 3u);  // cut, 401, the rest
}

TEST_F(RegistryLogin, ARefusalForGoodIsDenied) {
  const ImageInfo image = (open(), info());
  registry_.token("good", {});
  LogCapture log;
  ScriptedAuth& auth = open_with({"Bearer s3cret"});
  layer_info_->set(digest_, {"team/vm", kSize});
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kDenied);
  EXPECT_KIND(repositories().tags("team/vm", Patience::kFull, {}), ErrorKind::kDenied);
  EXPECT_KIND(repositories().tag("team/vm", "latest", Patience::kFull, {}), ErrorKind::kDenied);
  EXPECT_KIND(repositories().catalogue(Patience::kFull, {}), ErrorKind::kDenied);
  const std::string message = expect_error(image, kWhole, ErrorKind::kDenied);
  EXPECT_THAT(message, HasSubstr("there is no other login"));
  EXPECT_THAT(message + log.text(), Not(HasSubstr("s3cret")));
  EXPECT_EQ(auth.challenges().size(), 5u);  // each asked once
  EXPECT_EQ(upstream_->stats().errors, 5u);
}

TEST_F(RegistryLogin, ALoginThatKeepsBeingRenewedIsDenied) {
  const ImageInfo image = (open(), info());
  registry_.token("good", {});
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back("Bearer " + std::to_string(i));
  open_with(many);
  layer_info_->set(digest_, {"team/vm", kSize});
  server_.forget_requests();
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kDenied);
  EXPECT_EQ(server_.requests().size(), 4u);
  expect_error(image, kWhole, ErrorKind::kDenied);
  EXPECT_EQ(server_.requests().size(), 8u);
}

TEST_F(RegistryLogin, WhatTheTokenServerSaysIsPassedOn) {
  ScriptedAuth& auth = open_with({""});
  auth.deny(kPull);
  auth.deny("registry:catalog:*");
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kDenied);
  EXPECT_KIND(repositories().catalogue(Patience::kFull, {}), ErrorKind::kDenied);
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(RegistryLogin, A403IsDeniedWithoutANewLogin) {
  registry_.refuse("team/vm", 403);
  ScriptedAuth& auth = open_with({"", "Bearer other"});
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kDenied);
  EXPECT_THAT(auth.challenges(), IsEmpty());
}

// With the login of credentials=FILE, and a token server.

class RegistryTokenServer : public RegistryLogin {
 protected:
  void SetUp() override {
    RegistryLogin::SetUp();
    use_tokens(registry_, tokens_);
  }
  void open_as_alice(const std::string& password = "alicepw") {
    upstream_ = open_registry_source(registry_.url(), "alice", password);
  }
  TokenServer tokens_{kTokensForAlice};
};

TEST_F(RegistryTokenServer, OneTokenForEachRepositoryAndOneForTheCatalogue) {
  registry_.push("other", bytes_);
  open_as_alice();
  expect_right(kWhole);
  expect_right(kPart);
  EXPECT_EQ(tokens_.count(), 1u);
  info("other");
  EXPECT_TRUE(repositories().catalogue(Patience::kFull, {}));
  EXPECT_TRUE(repositories().tags("other", Patience::kFull, {}));
  EXPECT_EQ(tokens_.count(), 3u);
}

TEST_F(RegistryTokenServer, TokensThatAreNotGoodAnyMoreAreRenewedInTheMiddle) {
  open_as_alice();
  const ImageInfo image = info();
  StringSink sink;
  sink.on_write = [&] {
    if (tokens_.count() == 1) tokens_.revoke_all();
  };
  server_.fault({.cut_after = 50'000}, get());
  auto outcome = upstream_->read(image, kWhole, sink, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(sink.text == bytes_);
  EXPECT_EQ(tokens_.count(), 2u);
}

TEST_F(RegistryTokenServer, AWrongPasswordIsDeniedAndNotShown) {
  LogCapture log;
  open_as_alice("wrong-s3cret");
  auto got = stat("team/vm", blob_);
  EXPECT_KIND(got, ErrorKind::kDenied);
  EXPECT_KIND(repositories().catalogue(Patience::kFull, {}), ErrorKind::kDenied);
  EXPECT_THAT(got.error().message + log.text(), Not(HasSubstr("s3cret")));
}

// Stores that a registry sends us to.

class RegistryStore : public RegistryLogin {
 protected:
  void SetUp() override {
    RegistryLogin::SetUp();
    registry_.redirect(&store_);
    registry_.push("team/vm", bytes_);
    registry_.token("good", {kPull});
    auth_ = &open_with({"", "Bearer good"});
  }
  Match in_store(const std::string& method) const { return {method, "/store/" + blob_}; }

  FaultServer store_;
  ScriptedAuth* auth_ = nullptr;
};

TEST_F(RegistryStore, ALoginDoesNotLeaveTheRegistry) {
  expect_right(kWhole);
  expect_right(kPart);
  ASSERT_EQ(store_.count(in_store("GET")), 2u);
  EXPECT_EQ(store_.requests().back().range(), "bytes=1000-1999");
  for (const Request& request : store_.requests())
    EXPECT_EQ(request.headers.count("authorization"), 0u);
}

TEST_F(RegistryStore, ItsEtagsAreItsOwn) {
  store_.fault({.cut_after = 100'000, .etag = "\"a\"", .last_modified = "x"}, in_store("GET"));
  store_.fault({.etag = "\"b\"", .last_modified = "y"}, in_store("GET"));
  EXPECT_EQ(expect_right(kWhole), 2u);
}

TEST_F(RegistryStore, AUrlThatIsSignedForAGetOnly) {
  store_.fault(Behaviour::of_status(403), in_store("HEAD"), 0);
  expect_right(kPart);
  expect_right(kPart);
}

TEST_F(RegistryStore, ItsRefusalsAreNotTheRegistrys) {
  const ImageInfo image = info();
  for (int status : {401, 403, 404}) {
    Behaviour refused = Behaviour::of_status(status);
    refused.headers = {{"Www-Authenticate", "Basic realm=\"give it to me\""}};
    for (const char* method : {"GET", "HEAD"}) store_.fault(refused, in_store(method), 0);
    const std::string message = expect_error(image, kWhole, ErrorKind::kUnavailable);
    EXPECT_THAT(message, HasSubstr(std::to_string(status)));
    EXPECT_THAT(message, Not(HasSubstr("s3cret")));  // the signature
    expect_error(image, kPart, ErrorKind::kUnavailable);
    store_.clear_faults();
    refused.headers.clear();
    for (const char* method : {"GET", "HEAD"}) store_.fault(refused, in_store(method), 0);
    EXPECT_TRUE(layer_info_->contains("team/vm", digest_));
    layer_info_->remove("team/vm", digest_);  // so that it has to be asked about
    EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kUnavailable);
    store_.clear_faults();
    EXPECT_TRUE(stat("team/vm", blob_));
  }
  EXPECT_EQ(auth_->challenges().size(), 1u);  // the registry's own, at the start
}

TEST_F(RegistryStore, ItsRefusalMayBeOfAUrlThatRanOut) {
  const ImageInfo image = info();
  for (int status : {401, 403, 404}) {
    store_.fault({.cut_after = 100'000}, in_store("GET"));
    store_.fault(Behaviour::of_status(status), in_store("GET"));
    const size_t before = server_.count(get());
    StringSink sink;
    auto outcome = upstream_->read(image, kWhole, sink, {});
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(sink.text == bytes_);
    EXPECT_EQ(server_.count(get()), before + 3);  // each of them was sent on anew
  }
}

TEST_F(RegistryStore, WithoutRanges) {
  for (const char* method : {"GET", "HEAD"})
    store_.fault({.ignore_range = true, .no_accept_ranges = true}, in_store(method), 0);
  const ImageInfo image = info();
  expect_error(image, kPart, ErrorKind::kNoRanges);
  EXPECT_EQ(info().ranges, RangeSupport::kNo);
  expect_right(kWhole);
}

}  // namespace
}  // namespace imgcachefs
