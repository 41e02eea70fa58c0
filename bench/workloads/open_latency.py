"""open, read 4 KiB, close of a cached image: what a scan of headers costs."""

import contextlib
import json
import shutil

import children
from measure import settle, warm_up
from peers import imgcachefs
from results import Goal

NAME = "open-latency"
SUMMARY = "open + 4 KiB read + close of a cached image, and how many a second with 2 threads"


def run(bench):
    images = bench.images.copies(bench.size(16 << 20, 4 << 20), 2)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(bench.upstream())
        scratch = stack.enter_context(bench.scratch())
        native = [scratch / image for image in images]
        for image, file in zip(images, native):
            shutil.copyfile(bench.images.path(image), file)
        ours = bench.ours()
        off = bench.ours("imgcachefs, passthrough=off", passthrough="off")
        mounts = []
        for side in [ours, off, *bench.peers(NAME, keeping=True)]:
            shown = images if side.many else images[:1]
            with bench.results.side(NAME, side.name):
                mounted = stack.enter_context(
                    side.mounted(upstream.url(), images[0], scratch / str(len(mounts))))
                paths = [mounted.path(image) for image in shown]
                for path in paths:
                    warm_up(path)
                    if side in (ours, off):
                        imgcachefs.wait_until_cached(path)
                mounts.append((side, mounted, paths))
        settle()
        for order in bench.rounds(mounts):
            for side, mounted, paths in order:
                if not bench.results.is_left_out(NAME, side.name):
                    with bench.results.side(NAME, side.name):
                        compare(bench, side, mounted, paths, native[:len(paths)])


def compare(bench, side, mounted, paths, native):
    goals = (Goal("<=", 25, "value"), Goal(">=", 40000, "value")) \
        if side.name == "imgcachefs" else (None, None)
    for threads in (1, 2):
        yardstick = opened(bench, native, threads)
        cpu = mounted.cpu_seconds()
        figures = opened(bench, paths, threads)
        beside = {"daemon CPU s": mounted.cpu_seconds() - cpu}
        if threads == 1:
            bench.results.add(NAME, "p50, 1 thread", side.name, figures["p50_us"], "us", "less",
                              ("native", yardstick["p50_us"]), goals[0],
                              beside | {"p99 us": figures["p99_us"]})
        else:
            bench.results.add(NAME, "2 threads", side.name, figures["per_second"], "opens/s",
                              "more", ("native", yardstick["per_second"]), goals[1], beside)


def opened(bench, paths, threads):
    return json.loads(children.run([bench.tools / "open_latency", str(bench.size(2, 1)),
                                    str(threads), *paths], timeout=120))
