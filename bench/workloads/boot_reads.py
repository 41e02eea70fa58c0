"""What a guest reads of its image while it boots, one read after another and nothing between.

A boot is mostly computing, all the more where the guest is emulated; this is the part of it that a
cache can make long or short. qemu has several reads on their way at times: a boot waits less.
"""

from downloads import timed_reads
from guest import Guest
from measure import drop_caches, warm_up
from network import RemoteHost
from results import Goal

NAME = "boot-reads"
SUMMARY = "the reads of a guest's boot, replayed cold, 1 ms and 20 ms away: time, bytes sent"

LOCAL, NBDKIT = "local file", "nbdkit + nbdfuse"
AUTO, DEMAND = "imgcachefs, fill=auto", "imgcachefs, fill=demand"
PATIENCE = 240


def run(bench):
    guest = Guest(bench.work / "guest", bench.images)
    guest.make()
    with bench.scratch() as scratch:
        guest.choose_processor(scratch)
        places = guest.reads(scratch)
    bench.results.note(NAME, f"{len(places)} reads of {sum(n for _, n in places) / 2**20:.0f} MiB")
    places = places[:bench.size(len(places), 300)]
    for rtt in (1, 20):
        with bench.scratch() as scratch, RemoteHost(rtt, "1gbit", scratch) as host:
            with bench.upstream(host) as upstream:
                bench.results.note(NAME, f"{rtt} ms: by {host.how}, measured "
                                         f"{host.measured_rtt_ms():.1f} ms")
                measure_place(bench, upstream, guest, places, f"cold, {rtt} ms, 1 Gbit/s")


def measure_place(bench, upstream, guest, places, case):
    sides = [bench.ours(AUTO), bench.ours(DEMAND, fill="demand"), *bench.peers(NAME)]
    for order in bench.rounds(sides):
        drop_caches()
        local = sum(timed_reads(guest.path, places, PATIENCE)) / 1e6
        times, sent = {}, {}
        for side in order:
            if not bench.results.is_left_out(NAME, f"{side.name}, {case}"):
                with bench.results.side(NAME, f"{side.name}, {case}"):
                    times[side.name], sent[side.name] = replay(bench, side, upstream, guest, places)
        for name, seconds in times.items():
            bench.results.add(NAME, case, name, seconds, "s", "less", (LOCAL, local))
            thrifty = sent.get(NBDKIT)
            bench.results.add(
                NAME, f"{case}: sent", name, sent[name].bytes / 2**20, "MiB", "less",
                (NBDKIT, thrifty.bytes / 2**20) if thrifty else None,
                Goal("<=", 1) if name == DEMAND else None, {"requests": sent[name].requests})


def replay(bench, side, upstream, guest, places):
    with bench.scratch() as scratch:
        drop_caches()
        warm_up(guest.path)  # upstream's own
        with side.mounted(upstream.url(), guest.image, scratch) as mounted:
            upstream.mark()
            times = timed_reads(mounted.path(guest.image), places, PATIENCE)
        return check(times, places), upstream.sent()


def check(times, places):
    if len(times) < len(places):
        raise TimeoutError(f"{len(times)} of {len(places)} reads in {PATIENCE} s")
    return sum(times) / 1e6
