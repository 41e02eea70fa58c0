// A small file system of a test's own, mounted as long as it lives. Needs root, as CI has it: a
// test fails without.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

class SmallFileSystem {
 public:
  // "tmpfs" (12 MiB), "ext4" (16 MiB), "overlay" (over a tmpfs), or "ramfs", which has no
  // attributes, no O_DIRECT and no bound; `options`:
  // of mount(8), as "noatime".
  explicit SmallFileSystem(const std::string& type, const std::string& options = "rw") {
    std::string commands = "set -e; mkdir \"$1/fs\"; ";
    if (type == "tmpfs")
      commands += "mount -t tmpfs -o \"size=12M,$2\" none \"$1/fs\"";
    else if (type == "overlay")
      commands +=
          "mkdir \"$1/below\"; mount -t tmpfs none \"$1/below\"; cd \"$1/below\"; "
          "mkdir lower upper work; mount -t overlay "
          "-o \"lowerdir=lower,upperdir=upper,workdir=work,$2\" none \"$1/fs\"";
    else if (type == "ramfs")
      commands += "mount -t ramfs -o \"$2\" none \"$1/fs\"";
    else
      commands +=
          "truncate -s 16M \"$1/disk\"; mkfs.ext4 -q -m 0 \"$1/disk\"; "
          "mount -o \"loop,$2\" \"$1/disk\" \"$1/fs\"";
    const CommandResult made =
        run({"bash", "-c", commands, "small", dir_.path().string(), options});
    EXPECT_TRUE(made.ok()) << "a file system could not be mounted (root is needed): "
                           << made.describe();
  }
  ~SmallFileSystem() { run({"umount", "-l", "-q", dir_.file("fs"), dir_.file("below")}); }
  SmallFileSystem(const SmallFileSystem&) = delete;
  SmallFileSystem& operator=(const SmallFileSystem&) = delete;

  std::string cache_dir() const { return dir_.file("fs/cache"); }
  // Takes all that is left of it.
  void fill_up() const {
    run({"dd", "if=/dev/zero", "of=" + dir_.file("fs/other"), "bs=64K", "status=none"});
  }

 private:
  TempDir dir_;
};

}  // namespace imgcachefs::test
