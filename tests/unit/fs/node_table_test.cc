#include "fs/node_table.h"

#include <gtest/gtest.h>

#include "fake_image.h"

namespace imgcachefs {
namespace {

TEST(NodeTable, KeepsAnImageUntilTheKernelHasForgottenEveryLookUp) {
  NodeTable table;
  auto image = std::make_shared<FakeImage>("a", 0);
  const uint64_t node = table.add(image);
  EXPECT_EQ(table.add(image), node);
  EXPECT_EQ(node, node::of_serial(0));
  EXPECT_GT(node, node::kStatus);
  table.forget(node, 1);
  EXPECT_EQ(table.find_image(node), image);
  table.forget(node, 1);
  EXPECT_EQ(table.find_image(node), nullptr);
  EXPECT_EQ(image.use_count(), 1);
  EXPECT_EQ(table.size(), 0u);
}

TEST(NodeTable, GivesEveryVersionItsOwnNode) {
  NodeTable table;
  EXPECT_NE(table.add(std::make_shared<FakeImage>("a", 1)),
            table.add(std::make_shared<FakeImage>("a", 2)));
}

TEST(NodeTable, ForgetsWhatItDoesNotKnow) {
  NodeTable table;
  table.forget(node::kRoot, 1);
  table.forget(4711, 3);
  const uint64_t node = table.add(std::make_shared<FakeImage>("a"));
  table.forget(node, 100);
  EXPECT_EQ(table.size(), 0u);
}

TEST(NodeTable, ALinkIsKeptAsAnImageIsAndIsAnotherWhenItLeadsElsewhere) {
  NodeTable table;
  const Link cirros{"by-name/cirros", "../1"};
  const NamedNode link = cirros;
  const uint64_t node = table.add(link);
  EXPECT_EQ(table.add(link), node);
  EXPECT_EQ(table.find_named<Link>(node), cirros);
  EXPECT_EQ(table.find_image(node), nullptr);
  const uint64_t other = table.add(NamedNode(Link{"by-name/cirros", "../2"}));
  EXPECT_NE(other, node);
  table.forget(node, 2);
  EXPECT_EQ(table.find_named<Link>(node), std::nullopt);
  EXPECT_NE(table.add(link), node);  // an id is never used twice
  EXPECT_EQ(table.size(), 2u);
}

TEST(NodeTable, AnImageIsNoLink) {
  NodeTable table;
  EXPECT_EQ(table.find_named<Link>(table.add(std::make_shared<FakeImage>("a"))), std::nullopt);
  EXPECT_EQ(table.find_named<Link>(node::kRoot), std::nullopt);
}

TEST(NodeTable, ATextIsAnotherNodeWhenItSaysSomethingElse) {
  NodeTable table;
  const auto text = [](const char* says) {
    return NamedNode(TextFile{"a/manifest.json", std::make_shared<std::string>(says)});
  };
  const uint64_t node = table.add(text("{}"));
  EXPECT_EQ(table.add(text("{}")), node);
  EXPECT_NE(table.add(text("{ }")), node);
}

}  // namespace
}  // namespace imgcachefs
