"""Ours."""

import contextlib
import json
import os
import pathlib
import time

from children import Child, Failed
from .mounted import Mounted, mountpoint

XATTR = "user.imgcachefs."


class Imgcachefs:
    keeps = True
    many = True

    def __init__(self, programs, label="imgcachefs", **options):
        """`options` are those of the mount; the cache has room for all there is."""
        self.program = pathlib.Path(programs) / "imgcachefs"
        self.name = label
        self.options = {"max_size": "1000G", **options}

    @contextlib.contextmanager
    def mounted(self, url, image, scratch):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(mountpoint(scratch))
            cache = scratch / "cache"
            options = ",".join(f"{k}={v}" for k, v in {"cache_dir": cache, **self.options}.items())
            daemon = stack.enter_context(Child(
                [self.program, url, directory, "-f", "-o", options], scratch / "imgcachefs.log"))
            daemon.wait_until(lambda: os.path.ismount(directory), "mounted")
            yield Mounted(directory, [daemon], cache)


def status(mounted):
    return json.loads((mounted.directory / ".imgcachefs" / "status").read_text())


def state(path):
    return os.getxattr(path, XATTR + "state").decode()


def wait_until_cached(path, patience=300):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if state(path) == "cached":
            return
        time.sleep(0.05)
    raise Failed(f"{path} is {state(path)} after {patience} s")
