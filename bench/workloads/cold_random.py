"""4 KiB at random places of an image that was never touched."""

import random
import subprocess

import children
from children import Failed
from downloads import timed_reads
from measure import percentile
from network import RemoteHost
from results import Goal

NAME = "cold-random"
SUMMARY = "4 KiB at random places of an untouched 4 GiB image, loopback and 20 ms away"

FRESH, KEPT, NBDKIT = "curl -r, new connection", "curl -r, kept connection", "nbdkit + nbdfuse"
PATIENCE = 20  # seconds of reading for a side that is slow; it has fewer values then


def run(bench):
    image = bench.images.sparse(bench.size(4 << 30, 256 << 20))
    with bench.upstream() as upstream:
        measure_place(bench, upstream, "loopback", image, bench.size(1000, 100))
    with bench.scratch() as scratch, RemoteHost(20, None, scratch) as host:
        with bench.upstream(host) as upstream:
            bench.results.note(NAME, f"20 ms: by {host.how}, measured "
                                     f"{host.measured_rtt_ms():.1f} ms")
            measure_place(bench, upstream, "20 ms", image, bench.size(300, 30))


def measure_place(bench, upstream, place, image, reads):
    sides = [bench.ours("imgcachefs, fill=auto"),
             bench.ours("imgcachefs, fill=demand", fill="demand"), *bench.peers(NAME)]
    size = bench.images.path(image).stat().st_size
    for number, order in enumerate(bench.rounds(sides)):
        offsets = isolated_offsets(size, reads, number)
        url = upstream.url(name=image)
        fresh = fresh_connections(url, offsets[:bench.size(200, 20)])
        times = {FRESH: fresh, KEPT: kept_connection(url, offsets)}
        sent = {}
        for side in order:
            if bench.results.is_left_out(NAME, f"{side.name}, {place}"):
                continue
            with bench.results.side(NAME, f"{side.name}, {place}"):
                times[side.name], sent[side.name] = cold_reads(
                    bench, side, upstream, image, offsets)
        add_round(bench, place, times, sent)


def add_round(bench, place, times, sent):
    yardstick = FRESH if place == "loopback" else KEPT
    for name, values in times.items():
        ours = name.startswith("imgcachefs")
        for percent in (50, 99):
            goal = None
            if ours and place == "20 ms":
                goal = Goal("<=", 1.05 if percent == 50 else 1.2)
            add_percentile(bench, f"{place}, p{percent}", percent, times, name, yardstick, goal,
                           {"reads": len(values)})
            if ours and place == "loopback" and NBDKIT in times:
                add_percentile(bench, f"{place}, p{percent}, beside nbdkit", percent, times, name,
                               NBDKIT, Goal("<=", 1.0))
    for name, traffic in sent.items():
        reads = len(times[name])
        # A fill that goes on beside the reads is not sent for them.
        goal = Goal("<=", 64, "value") if name == "imgcachefs, fill=demand" else None
        bench.results.add(NAME, f"{place}, sent for each read", name,
                          traffic.body / reads / 1024, "KiB", "less", None, goal,
                          {"requests / read": traffic.requests / reads})


def add_percentile(bench, case, percent, times, name, yardstick, goal, beside=None):
    if name == yardstick:
        return
    bench.results.add(NAME, case, name, percentile(times[name], percent), "us", "less",
                      (yardstick, percentile(times[yardstick], percent)), goal, beside)


def isolated_offsets(size, count, seed):
    """Multiples of 4 KiB, each in a MiB of its own."""
    chooser = random.Random(seed)
    places = chooser.sample(range(size >> 20), min(count, size >> 20))
    return [(place << 20) + 4096 * chooser.randrange(256) for place in places]


def cold_reads(bench, side, upstream, image, offsets):
    """Microseconds of each read, with a new cache; and what was sent for them."""
    with bench.scratch() as scratch:
        with side.mounted(upstream.url(), image, scratch) as mounted:
            upstream.mark()
            times = timed_reads(mounted.path(image), [(offset, 4096) for offset in offsets],
                                PATIENCE)
        return times, upstream.sent()


def fresh_connections(url, offsets):
    return [1e6 * float(children.run(["curl", "-sSf", "-r", f"{offset}-{offset + 4095}", "-o",
                                      "/dev/null", "-w", "%{time_total}", url]))
            for offset in offsets]


def kept_connection(url, offsets):
    """One curl asks for all of them, over one connection; the first opens it and is left out."""
    requests = [f'url = "{url}"\nrange = "{offset}-{offset + 4095}"\noutput = "/dev/null"\n'
                'silent\nshow-error\nfail\nwrite-out = "%{time_total}\\n"\n'
                for offset in [0, *offsets]]
    done = subprocess.run(["curl", "-q", "-K", "-"], input="next\n".join(requests),
                          capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise Failed(f"curl: {done.stderr.strip()}")
    return [1e6 * float(line) for line in done.stdout.split()][1:]
