#include "ctl/progress.h"

#include "ctl/shown_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr uint64_t kMiB = 1 << 20;

Terminal of_columns(size_t columns) {
  Terminal terminal;
  terminal.is_one = terminal.moves = terminal.utf8 = true;
  terminal.columns = columns;
  return terminal;
}

ProgressFigures one_image() {
  ProgressFigures figures;
  figures.image = "debian-12.qcow2";
  figures.bytes = figures.image_bytes = 40 * kMiB;
  figures.size = figures.image_size = 100 * kMiB;
  figures.rate = 4 * kMiB;
  return figures;
}

ProgressFigures several_images() {
  ProgressFigures figures = one_image();
  figures.done = 2;
  figures.count = 5;
  figures.image_bytes = 10 * kMiB;
  return figures;
}

TEST(ProgressTest, ABarHasPercentRateAndTimeLeft) {
  EXPECT_EQ(progress_bar_line(one_image(), of_columns(92)),
            "debian-12.qcow2 [########------------]  40 %  40.0 MiB of 100.0 MiB  4.0 MiB/s  "
            "0:15 left");
}

TEST(ProgressTest, OfSeveralItSaysWhichOneAndTheWhole) {
  const std::string line = progress_bar_line(several_images(), of_columns(120));
  EXPECT_THAT(line, StartsWith("[3/5] debian-12.qcow2 10 % [#"));
  EXPECT_THAT(line, EndsWith("]  40 %  40.0 MiB of 100.0 MiB  4.0 MiB/s  0:15 left"));
}

TEST(ProgressTest, WhileSomeSizesAreUnknownImagesAreCounted) {
  ProgressFigures figures = several_images();
  figures.more = true;
  EXPECT_THAT(progress_bar_line(figures, of_columns(120)), HasSubstr("]  40 %  "));  // 2 of 5
  EXPECT_THAT(progress_bar_line(figures, of_columns(120)), Not(HasSubstr("left")));
  figures.image.clear();
  EXPECT_THAT(progress_bar_line(figures, of_columns(120)), StartsWith("[3/5] waiting ["));
}

TEST(ProgressTest, ABarFitsEveryWidth) {
  ProgressFigures wide = several_images();
  wide.image =
      "画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像画像";
  for (const ProgressFigures& figures : {one_image(), several_images(), wide, ProgressFigures{}})
    for (size_t columns = 1; columns <= 150; ++columns) {
      const std::string line = progress_bar_line(figures, of_columns(columns));
      // There is room for "^C", and the last column is left alone: a terminal would go on to the
      // next line.
      EXPECT_LE(width(line), std::max<size_t>(columns, 4) - 3) << line;
      if (columns >= 20) {
        EXPECT_THAT(line, HasSubstr(" %")) << columns;
      }
    }
}

TEST(ProgressTest, ALineOfALogHasTheSame) {
  EXPECT_EQ(progress_plain_line(one_image()),
            "debian-12.qcow2: 40 %, 40.0 MiB of 100.0 MiB, 4.0 MiB/s, 0:15 left");
  EXPECT_EQ(progress_plain_line(several_images()),
            "[3/5] debian-12.qcow2 10 %: all 40 %, 40.0 MiB of 100.0 MiB, 4.0 MiB/s, 0:15 left");
  ProgressFigures waiting;
  waiting.image = "debian-12.qcow2";
  waiting.more = true;
  EXPECT_EQ(progress_plain_line(waiting), "debian-12.qcow2: 0 %, waiting");
}

TEST(ProgressTest, TellsTheTimeLeftOnlyWhereItCan) {
  EXPECT_EQ(time_left(0, 100, 0), std::nullopt);
  EXPECT_EQ(time_left(0, 100, 30), std::chrono::seconds(4));
  EXPECT_EQ(time_left(100, 100, 30), std::chrono::seconds(0));
}

}  // namespace
}  // namespace imgcachefs
