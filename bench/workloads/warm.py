"""Reading a cached image, beside a file that was written in one go on the same file system."""

import contextlib
import dataclasses
import shutil

import fio
from measure import drop_caches, settle, warm_up
from peers import imgcachefs
from results import Goal

NAME = "warm"
SUMMARY = "cached image: sequential, random 4 KiB, mmap, O_DIRECT, against the native file"

HOT, DISK = "page cache hot", "from disk"


@dataclasses.dataclass(frozen=True)
class Case:
    what: str
    state: str
    pattern: str
    block: str
    engine: str = "psync"
    depth: int = 1
    direct: bool = False

    def name(self):
        return f"{self.what}, {self.state}"


CASES = [
    Case("sequential", HOT, "read", "1M"),
    Case("sequential", DISK, "read", "1M"),
    Case("random 4k", HOT, "randread", "4k"),
    Case("random 4k", DISK, "randread", "4k"),
    Case("mmap sequential", HOT, "read", "4k", "mmap"),
    Case("mmap sequential", DISK, "read", "4k", "mmap"),
    Case("mmap random 4k", HOT, "randread", "4k", "mmap"),
    Case("mmap random 4k", DISK, "randread", "4k", "mmap"),
    Case("O_DIRECT sequential", DISK, "read", "1M", "libaio", 4, True),
    Case("O_DIRECT 4k qd1 libaio", DISK, "randread", "4k", "libaio", 1, True),
    Case("O_DIRECT 4k qd16 libaio", DISK, "randread", "4k", "libaio", 16, True),
    Case("O_DIRECT 4k qd1 io_uring", DISK, "randread", "4k", "io_uring", 1, True),
    Case("O_DIRECT 4k qd16 io_uring", DISK, "randread", "4k", "io_uring", 16, True),
]


def goal_of(label, case):
    if label == "passthrough":
        return Goal(">=", 0.97)
    if label == "no passthrough":
        return Goal(">=", 0.7 if case.direct else 0.9)
    return None


def run(bench):
    size = bench.size(1 << 30, 64 << 20)
    image = bench.images.random(size)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(bench.upstream())
        scratch = stack.enter_context(bench.scratch())
        native = scratch / "native.img"
        shutil.copyfile(bench.images.path(image), native)
        ours = [("passthrough", bench.ours("imgcachefs")),
                ("no passthrough", bench.ours("imgcachefs, passthrough=off", passthrough="off"))]
        sides = ours + [("peer", peer) for peer in bench.peers(NAME, keeping=True)]
        mounts = []
        for label, side in sides:
            with bench.results.side(NAME, side.name):
                mounted = stack.enter_context(
                    side.mounted(upstream.url(), image, scratch / str(len(mounts))))
                warm_up(mounted.path(image))
                if label != "peer":
                    imgcachefs.wait_until_cached(mounted.path(image))
                mounts.append((label, side, mounted))
                if label == "passthrough" and imgcachefs.status(mounted)["passthrough"] != "on":
                    bench.results.note(NAME, "passthrough was asked for and is off")
        settle()
        # The host of a virtual disk is slower the first time it reads what was written.
        for path in [native, *(mounted.path(image) for _, _, mounted in mounts)]:
            drop_caches()
            warm_up(path)
        for case in CASES:
            measure_case(bench, case, native, image, size, mounts)


def measure_case(bench, case, native, image, size, mounts):
    for sides in bench.rounds(mounts):
        beside = None  # the native figure nearest in time
        for label, side, mounted in sides:
            if bench.results.is_left_out(NAME, side.name):
                continue
            # Every figure of ours has a native one of its own; peers take the last there was.
            if beside is None or label != "peer":
                beside = one(bench, case, native, size)
            with bench.results.side(NAME, side.name):
                cpu = mounted.cpu_seconds()
                value, unit = one(bench, case, mounted.path(image), size)
                bench.results.add(
                    NAME, case.name(), side.name, value, unit, "more",
                    yardstick=("native", beside[0]), goal=goal_of(label, case),
                    beside={"daemon CPU s": mounted.cpu_seconds() - cpu})


def one(bench, case, path, size):
    if case.state == HOT:
        warm_up(path)
    else:
        drop_caches()
    # A sequential read from disk ends with the file: what is read again would be hot.
    once = case.pattern == "read" and case.state == DISK
    figures = fio.read(path, case.pattern, case.block, case.engine, case.depth, case.direct,
                       size=size, seconds=None if once else bench.size(2, 1))
    return (figures["mib_s"], "MiB/s") if case.pattern == "read" else (figures["iops"], "reads/s")
