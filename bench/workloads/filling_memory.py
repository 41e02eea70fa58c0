"""What the daemon needs of memory while it fills ten large images at once."""

import contextlib
import os
import time

from children import Child, Failed
from downloads import READ
from peers import imgcachefs
from results import Goal

NAME = "filling-memory"
SUMMARY = "RSS of the daemon while ten 10 GiB images are read at once"

IMAGES = 10
LEFT_FREE = 15 << 30  # of the disk, for others


def run(bench):
    size = bench.size(10 << 30, 64 << 20)
    names = [bench.images.sparse(size, number) for number in range(IMAGES)]
    with bench.upstream() as upstream:
        for _ in range(min(bench.runs, 3)):  # each writes tens of GiB
            fill(bench, upstream, names, size)


def fill(bench, upstream, names, size):
    with bench.scratch() as scratch, contextlib.ExitStack() as stack:
        mounted = stack.enter_context(bench.ours().mounted(upstream.url(), "", scratch))
        start = time.perf_counter()
        readers = [stack.enter_context(Child(READ.format(mounted.path(name)).split(),
                                             scratch / "readers.log")) for name in names]
        most = 0
        while any(reader.running() for reader in readers) and free(scratch) > LEFT_FREE:
            most = max(most, mounted.memory_kib())
            time.sleep(0.05)
        took = time.perf_counter() - start
        failed = [r for r in readers if not r.running() and r.process.returncode != 0]
        if failed:
            raise Failed(f"a reader failed: {failed[0].last_words()}")
        filled = imgcachefs.status(mounted)["used"]
        # The kernel's own maximum has what came between two looks.
        most = max(most, mounted.memory_kib("VmHWM"))
        bench.results.add(NAME, f"{IMAGES} x {size / 2**30:g} GiB at once", "imgcachefs",
                          most / 1024, "MiB", "less", None, Goal("<=", 200, "value"),
                          {"GiB filled": filled / 2**30, "s": took})
        if filled < IMAGES * size:
            bench.results.note(NAME, f"stopped when {filled / 2**30:.0f} of "
                                     f"{IMAGES * size / 2**30:g} GiB were here: the disk has no more")


def free(path):
    of = os.statvfs(path)
    return of.f_bavail * of.f_frsize
