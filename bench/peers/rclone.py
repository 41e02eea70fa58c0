"""rclone mount, with its cache of files (the only mode that keeps anything)."""

import contextlib
import os

from children import Child
from .mounted import Mounted, mountpoint


class Rclone:
    name = "rclone mount"
    keeps = True
    many = True

    @contextlib.contextmanager
    def mounted(self, url, image, scratch):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(mountpoint(scratch))
            cache = scratch / "cache"
            daemon = stack.enter_context(Child(
                ["rclone", "mount", ":http:", directory, "--http-url", url, "--read-only",
                 "--vfs-cache-mode", "full", "--cache-dir", cache],
                scratch / "rclone.log", env={"RCLONE_CONFIG": "/dev/null"}))
            daemon.wait_until(lambda: os.path.ismount(directory), "mounted")
            yield Mounted(directory, [daemon], cache)
