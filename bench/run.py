#!/usr/bin/env python3
"""Measures imgcachefs beside the native file system, curl and its peers. See docs/BENCHMARKS.md.

scripts/bench.sh builds and calls this.
"""

import argparse
import datetime
import fcntl
import os
import pathlib
import signal
import sys
import traceback

import bench
import machine
import report
import workloads
from results import without_directories


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="NAME[,NAME]", help="these workloads; see --list")
    parser.add_argument("--runs", type=int, default=5, help="values of each row (default 5)")
    parser.add_argument("--quick", action="store_true",
                        help="smaller sizes, to try the harness: its figures say little")
    parser.add_argument("--peers", metavar="NAME[,NAME]", default="all",
                        help="rclone, httpdirfs, nbdkit, qemu; or none (default all)")
    parser.add_argument("--list", action="store_true", help="name the workloads and end")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path("/var/tmp/imgcachefs-bench"),
                        help="images (kept), caches and mounts; its file system is what is measured"
                             " (default %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, help="where results go (default bench/results)")
    parser.add_argument("--programs", type=pathlib.Path, help="where imgcachefs was built")
    parser.add_argument("--tools", type=pathlib.Path, help="where bench/*.cc were built")
    return parser.parse_args()


def chosen(only):
    if not only:
        return workloads.ALL
    known = {w.NAME: w for w in workloads.ALL}
    unknown = [name for name in only.split(",") if name not in known]
    if unknown:
        sys.exit(f"bench: no workload {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in only.split(",")]


def end_on_signal(number, _frame):
    # As an exception, so that every `with` block is left.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


def measure(harness, todo, keep):
    for n, workload in enumerate(todo, 1):
        print(f"\n==> {workload.NAME}: {workload.SUMMARY}", file=sys.stderr, flush=True)
        try:
            workload.run(harness)
        except Exception as e:
            traceback.print_exc()
            harness.results.failures.append({"workload": workload.NAME,
                                             "why": without_directories(str(e))})
        written = keep(todo[:n])
    return written


def main():
    options = arguments()
    if options.list:
        for workload in workloads.ALL:
            print(f"{workload.NAME:18} {workload.SUMMARY}")
        return 0
    todo = chosen(options.only)
    if os.geteuid() != 0:
        sys.exit("bench: has to be root: it drops the page cache, mounts and makes a network")
    if machine.missing():
        sys.exit(f"bench: missing: {', '.join(machine.missing())}; scripts/bench.sh installs them")
    repository = pathlib.Path(__file__).resolve().parent.parent
    options.work.mkdir(parents=True, exist_ok=True)
    lock = open(options.work / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"bench: another run uses {options.work}")
    signal.signal(signal.SIGINT, end_on_signal)
    signal.signal(signal.SIGTERM, end_on_signal)
    signal.signal(signal.SIGHUP, end_on_signal)

    harness = bench.Bench(options, repository)
    if not (harness.tools / "crowd").exists() or not (harness.programs / "imgcachefs").exists():
        sys.exit("bench: nothing is built; scripts/bench.sh does that")
    harness.remove_left_overs()
    free = os.statvfs(options.work).f_bavail * os.statvfs(options.work).f_frsize >> 30
    if free < 25 and not options.quick:
        sys.exit(f"bench: {options.work} has {free} GiB free; 25 are needed (--work, or --quick)")
    # Local: the name of a run says when it was, whoever reads it.
    started = datetime.datetime.now()
    facts = machine.describe(repository, options.work)
    out = options.out or repository / "bench" / "results"
    run = {}

    # After each workload: a run is long, and may be ended.
    def keep(done):
        run.update({"started": started.isoformat(timespec="seconds"), "runs": options.runs,
                    "quick": options.quick, "workloads": [w.NAME for w in done], "machine": facts,
                    **harness.results.as_json()})
        return report.write(run, out, started.strftime("%Y%m%d-%H%M%S"))

    try:
        written = measure(harness, todo, keep)
    finally:
        harness.remove_left_overs()
    print(report.table(run))
    for path in written:
        print(f"written: {path}", file=sys.stderr)
    return 1 if run["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
