#include "ctl/presence.h"

#include <algorithm>
#include <sstream>

#include "ctl/presence_drawing.h"
#include "ctl/shown_text.h"
#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20;

TEST(PresenceTest, CountsWhatLiesWithin) {
  const Presence presence{100, 10, {{0, 20}, {50, 60}, {90, 100}}};
  EXPECT_EQ(presence.present_bytes(), 40u);
  EXPECT_EQ(presence.present_bytes({0, 10}), 10u);
  EXPECT_EQ(presence.present_bytes({15, 55}), 10u);
  EXPECT_EQ(presence.present_bytes({20, 50}), 0u);
  EXPECT_EQ(presence.present_bytes({95, 100}), 5u);
  EXPECT_EQ(presence.present_bytes({0, 0}), 0u);
}

TEST(PresenceDrawingTest, ACharacterIsAChunkWhereTheyFit) {
  const Presence presence{
      5 * 64 * kKiB + 10, 64 * kKiB, {{0, 128 * kKiB}, {320 * kKiB, 320 * kKiB + 10}}};
  const PresenceGrid grid = presence_grid(presence, 80);
  EXPECT_EQ(grid.cell, 64 * kKiB);
  EXPECT_EQ(grid.columns, 64u);
  EXPECT_EQ(presence_drawing(presence, grid, {}),
            "       0 B ##...#" + std::string(58, ' ') + "  40%\n");
}

TEST(PresenceDrawingTest, ALargeImageHasMoreBytesACharacter) {
  // 1 GiB in 64 KiB chunks, the first MiB and one chunk more of it.
  const Presence presence{1024 * kMiB, 64 * kKiB, {{0, kMiB + 64 * kKiB}}};
  const PresenceGrid grid = presence_grid(presence, 80);
  EXPECT_EQ(grid.cell, kMiB);
  const std::string drawing = presence_drawing(presence, grid, {});
  EXPECT_EQ(drawing.substr(0, drawing.find('\n')),
            "       0 B #+" + std::string(62, '.') + "   1%");
  EXPECT_NE(drawing.find("\n  64.0 MiB "), std::string::npos) << drawing;
  EXPECT_EQ(std::count(drawing.begin(), drawing.end(), '\n'), 16);
}

TEST(PresenceDrawingTest, OfNothingThereIsNothing) {
  EXPECT_EQ(presence_drawing({}, presence_grid({}, 80), {}), "");
}

TEST(PresenceDrawingTest, FitsEveryWidthAndAFewLines) {
  for (uint64_t size :
       {uint64_t{1}, 63 * kKiB, 64 * kMiB + 1, uint64_t{1} << 40, uint64_t{1} << 46})
    for (size_t columns : {20, 24, 40, 79, 80, 100, 200}) {
      const uint32_t chunk = size > (uint64_t{1} << 36) ? 64 << 20 : 64 << 10;
      const Presence presence{size, chunk, {{0, size / 3}}};
      std::istringstream lines(presence_drawing(presence, presence_grid(presence, columns), {}));
      int count = 0;
      for (std::string line; std::getline(lines, line); ++count)
        EXPECT_LE(width(line), columns) << line;
      EXPECT_GE(count, 1);
      EXPECT_LE(count, 16);
    }
}

}  // namespace
}  // namespace imgcachefs
