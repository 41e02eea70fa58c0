"""A mount of somebody's, for as long as a `with` block."""

import contextlib
import os
import subprocess

from children import Child, Failed


class Mounted:
    """Where the images are, and the daemons that serve them."""

    def __init__(self, directory, daemons, cache=None):
        self.directory = directory
        self.daemons = daemons
        self.cache = cache  # directory on disk where it keeps what was read; None: nothing to see

    def path(self, image):
        return self.directory / image

    def cpu_seconds(self):
        return sum(d.cpu_seconds() for d in self.daemons)

    def memory_kib(self, which="VmRSS"):
        return sum(d.memory_kib(which) for d in self.daemons)


@contextlib.contextmanager
def mountpoint(scratch):
    """A directory to mount on. Whatever is mounted there in the end is taken away."""
    directory = scratch / "mnt"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield directory
    finally:
        take_away(directory)


@contextlib.contextmanager
def one_daemon(scratch, argv_of, env):
    """A mount by one daemon; `argv_of(directory, cache)` is its command line."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(mountpoint(scratch))
        cache = scratch / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        daemon = stack.enter_context(Child(argv_of(directory, cache), scratch / "daemon.log", env))
        daemon.wait_until(lambda: os.path.ismount(directory), "mounted")
        yield Mounted(directory, [daemon], cache)


def take_away(directory):
    # Lazily: a reader that hangs in it must not keep us.
    while os.path.ismount(directory) or _is_dead(directory):
        done = subprocess.run(["umount", "-l", directory], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"cannot unmount {directory}: {done.stderr.strip()}")


def _is_dead(directory):
    """A mount whose daemon is gone cannot be looked at."""
    try:
        os.stat(directory)
        return False
    except FileNotFoundError:
        return False
    except OSError:
        return True
