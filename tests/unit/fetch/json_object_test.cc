// What is taken for an object, and for its fields.
#include "fetch/json_object.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(JsonObject, OnlyOneThatEverybodyReadsAlike) {
  EXPECT_TRUE(parse_json_object("{}"));
  EXPECT_TRUE(parse_json_object("{\"a\":{\"b\":1},\"c\":{\"b\":1}}"));
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("null"), std::string("{\"a\":1"),
        std::string("{\"a\":1,\"a\":1}"), std::string("{\"b\":[{\"a\":1,\"a\":2}]}"),
        std::string("{} {}"), std::string("{\"a\":\"\xff\"}"), std::string(100'000, '[')}) {
    auto got = parse_json_object(bad);
    ASSERT_FALSE(got) << bad.substr(0, 100);
    EXPECT_EQ(got.error().kind, ErrorKind::kProtocol);
  }
}

TEST(JsonObject, FieldsHaveTheirTypes) {
  const auto object = parse_json_object(
      R"({"text":"t","number":7,"big":9223372036854775808,"minus":-1,"real":1.5,"null":null,
          "array":[1],"object":{"x":1},"time":"2026-11-20T04:41:20Z"})");
  ASSERT_TRUE(object);
  JsonFields good(*object);
  EXPECT_EQ(good.text("text"), "t");
  EXPECT_EQ(good.number("number"), 7u);
  EXPECT_TRUE(good.time("time"));
  EXPECT_EQ(good.array("array")->size(), 1u);
  EXPECT_EQ(good.object("object")->size(), 1u);
  for (const char* none : {"null", "absent"}) {
    EXPECT_EQ(good.text(none), "");
    EXPECT_FALSE(good.number(none));
    EXPECT_EQ(good.array(none), nullptr);
    EXPECT_EQ(good.object(none), nullptr);
    EXPECT_FALSE(good.has(none));
  }
  EXPECT_TRUE(good.has("number"));
  EXPECT_EQ(good.wrong(), "");
  for (const char* wrong : {"big", "minus", "real", "text", "array"}) {
    JsonFields fields(*object);
    EXPECT_FALSE(fields.number(wrong));
    EXPECT_EQ(fields.wrong(), wrong);
  }
  JsonFields fields(*object);
  EXPECT_EQ(fields.array("object"), nullptr);
  EXPECT_EQ(fields.text("number"), "");
  EXPECT_EQ(fields.wrong(), "object");  // the first
}

}  // namespace
}  // namespace imgcachefs
