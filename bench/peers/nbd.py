"""One image as a network block device, shown as a file by nbdfuse: nbdkit's curl plugin, qemu's."""

import contextlib
import os

from children import Child
from .mounted import Mounted, mountpoint


class _Nbd:
    many = False

    @contextlib.contextmanager
    def served(self, url, image, scratch):
        """The daemon that serves the image, and the URI where."""
        scratch.mkdir(parents=True, exist_ok=True)
        socket = scratch / "nbd.sock"
        socket.unlink(missing_ok=True)
        with self.server(url + image, socket, scratch) as daemon:
            daemon.wait_until(socket.exists, "serving")
            yield daemon, f"nbd+unix:///?socket={socket}"

    @contextlib.contextmanager
    def mounted(self, url, image, scratch):
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(mountpoint(scratch))
            server, uri = stack.enter_context(self.served(url, image, scratch))
            nbdfuse = stack.enter_context(Child(
                ["nbdfuse", "-r", directory / image, uri], scratch / "nbdfuse.log"))
            nbdfuse.wait_until(lambda: os.path.ismount(directory), "mounted")
            yield Mounted(directory, [server, nbdfuse])


class Nbdkit(_Nbd):
    """nbdkit's curl plugin; its cache filter fetches, and keeps, blocks of `block`."""

    keeps = True

    def __init__(self, block="64K"):
        self.block = block
        self.name = "nbdkit + nbdfuse" + ("" if block == "64K" else f" ({block} blocks)")

    def server(self, url, socket, scratch):
        # TMPDIR is where the filter keeps its blocks: on the file system of all caches.
        return Child(["nbdkit", "-f", "-r", "-U", socket, "--filter=cache", "curl", f"url={url}",
                      "cache-on-read=true", f"cache-min-block-size={self.block}"],
                     scratch / "nbdkit.log", env={"TMPDIR": str(scratch)})


class QemuCurl(_Nbd):
    """qemu's curl driver, which keeps nothing."""

    keeps = False
    name = "qemu-nbd (curl) + nbdfuse"

    def server(self, url, socket, scratch):
        return Child(["qemu-nbd", "-r", "-t", "-e", "16", "-k", socket, "--image-opts",
                      f"driver=raw,file.driver=http,file.url={url}"], scratch / "qemu-nbd.log")
