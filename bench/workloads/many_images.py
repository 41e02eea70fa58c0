"""A cache directory of a hundred thousand images."""

import subprocess
import time

import children
from measure import settle
from peers import imgcachefs
from results import Goal

NAME = "many-images"
SUMMARY = "100,000 cached images: time to mount, ls of them, memory"


def run(bench):
    count = bench.size(100_000, 5_000)
    with bench.upstream() as upstream:
        for _ in range(bench.runs):
            with bench.scratch() as scratch:
                cache = scratch / "cache"
                fill(cache, count)
                mount_and_list(bench, upstream, scratch, count, "first mount")
                mount_and_list(bench, upstream, scratch, count, "second mount")


def fill(cache, count):
    """As another program would: files only, no index. They take no room."""
    cache.mkdir(mode=0o700)
    for number in range(count):
        with open(cache / f"image-{number:06}.img", "wb") as f:
            f.truncate(1 << 20)
    settle()


def mount_and_list(bench, upstream, scratch, count, which):
    cache = scratch / "cache"
    native = children.seconds(["sh", "-c", f"ls -f {cache} | wc -l"])
    start = time.perf_counter()
    with bench.ours().mounted(upstream.url(), "", scratch) as mounted:
        # Looking at the directory is enough: it is the daemon that answers.
        (mounted.directory / ".imgcachefs" / "status").stat()
        took = time.perf_counter() - start
        bench.results.add(NAME, f"{which}: until it answers", "imgcachefs", took, "s", "less", None,
                          Goal("<=", 0.5, "value") if which == "second mount" else None)
        start = time.perf_counter()
        shown = int(subprocess.run(["sh", "-c", f"ls -f {mounted.directory} | wc -l"], timeout=300,
                                   capture_output=True, text=True, check=True).stdout)
        listing = time.perf_counter() - start
        if shown != count + 2:
            raise children.Failed(f"ls shows {shown} names of {count} and . and ..")
        bench.results.add(NAME, f"{which}: ls -f", "imgcachefs", listing, "s", "less",
                          ("1.5 x native + 0.5 s", 1.5 * native + 0.5), Goal("<=", 1),
                          {"native s": native})
        bench.results.add(NAME, f"{which}: RSS after ls", "imgcachefs",
                          mounted.memory_kib() / 1024, "MiB", "less", None,
                          Goal("<=", 100, "value"),
                          {"cached": imgcachefs.status(mounted)["images"]["cached"]})
