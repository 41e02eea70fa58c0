#include "ctl/table.h"

#include <sstream>

#include "ctl/shown_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

using testing::HasSubstr;
using testing::Not;

Terminal of_columns(size_t columns) {
  Terminal terminal;
  terminal.is_one = columns > 0;
  terminal.columns = columns;
  terminal.utf8 = true;
  return terminal;
}

Table images() {
  constexpr auto kRight = Table::Align::kRight;
  constexpr auto kLeft = Table::Align::kLeft;
  Table table({{"ID"}, {"SIZE", kRight, 1}, {"HITS", kRight, 3}, {"ERROR", kLeft, 2, 6}});
  table.add({"debian-12", "3.0 GiB", "4", "no such thing there"});
  table.add({"b", "10 B", "12345", "-"});
  return table;
}

TEST(TableTest, IsAsWideAsItMustBe) {
  EXPECT_EQ(images().text(of_columns(0)),
            "ID            SIZE   HITS  ERROR\n"
            "debian-12  3.0 GiB      4  no such thing there\n"
            "b             10 B  12345  -\n");
}

TEST(TableTest, ShortensFirstWhatMayBe) {
  EXPECT_EQ(images().text(of_columns(40)),
            "ID            SIZE   HITS  ERROR\n"
            "debian-12  3.0 GiB      4  no such thin…\n"
            "b             10 B  12345  -\n");
}

TEST(TableTest, LetsTheLeastImportantColumnGo) {
  EXPECT_EQ(images().text(of_columns(30)),
            "ID            SIZE  ERROR\n"
            "debian-12  3.0 GiB  no such t…\n"
            "b             10 B  -\n");
  EXPECT_EQ(images().text(of_columns(20)),
            "ID            SIZE\n"
            "debian-12  3.0 GiB\n"
            "b             10 B\n");
}

TEST(TableTest, CutsTheFirstColumnLastOfAll) {
  EXPECT_EQ(images().text(of_columns(9)), "ID\ndebian-12\nb\n");
  EXPECT_EQ(images().text(of_columns(5)), "ID\ndebi…\nb\n");
}

TEST(TableTest, NeverIsWiderThanTheTerminal) {
  for (size_t columns = 1; columns < 60; ++columns) {
    std::istringstream lines(images().text(of_columns(columns)));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(width(line), columns) << line;
  }
}

TEST(TableTest, ColoursOnlyWhereThereIsColour) {
  Table table({{"ID"}});
  table.add({Table::Cell("bad", Style::kBad)});
  EXPECT_EQ(table.text(of_columns(80)), "ID\nbad\n");
  Terminal colours = of_columns(80);
  colours.colour = true;
  EXPECT_EQ(table.text(colours), "\033[1mID\033[0m\n\033[31mbad\033[0m\n");
}

TEST(TableTest, EscapesWhatOthersWrote) {
  Table table({{"ID"}});
  table.add({"a\033[2Jb"});
  EXPECT_THAT(table.text(of_columns(80)), HasSubstr("a\\x1b[2Jb"));
  EXPECT_THAT(table.text(of_columns(80)), Not(HasSubstr("\033")));
}

}  // namespace
}  // namespace imgcachefs
