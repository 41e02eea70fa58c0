"""httpdirfs with its cache."""

import contextlib
import os

from children import Child
from .mounted import Mounted, mountpoint


class Httpdirfs:
    name = "httpdirfs"
    keeps = True
    many = True

    @contextlib.contextmanager
    def mounted(self, url, image, scratch):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(mountpoint(scratch))
            cache = scratch / "cache"
            cache.mkdir(parents=True, exist_ok=True)
            # Its range check asks for something that nginx answers without Accept-Ranges.
            daemon = stack.enter_context(Child(
                ["httpdirfs", "-f", "--no-range-check", "--cache", "--cache-location", cache, url,
                 directory], scratch / "httpdirfs.log", env={"HOME": str(scratch)}))
            daemon.wait_until(lambda: os.path.ismount(directory), "mounted")
            yield Mounted(directory, [daemon], cache)
