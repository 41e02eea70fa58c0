"""The first read of an image that is some milliseconds away."""

from downloads import cold_read, curl
from network import RemoteHost
from results import Goal

NAME = "cold-sequential-far"
SUMMARY = "first read of 512 MiB from 1 ms and 20 ms away, against curl -o"

# Name, round trip in ms, rate of the link, and bytes that the server has on their way for a connection:
# where these are few, one connection does not fill the link.
PLACES = [
    ("1 ms, 1 Gbit/s", 1, "1gbit", None),
    ("20 ms, 1 Gbit/s", 20, "1gbit", None),
    ("20 ms, no limit", 20, None, None),
    ("20 ms, 512 KiB on their way", 20, None, 512 << 10),
]
# One image behind a block device: with 20 ms a block it would take minutes, and its rate is even.
PORTION = 32 << 20


def run(bench):
    size = bench.size(512 << 20, 64 << 20)
    image = bench.images.random(size)
    for case, rtt, rate, window in PLACES:
        with bench.scratch() as scratch, RemoteHost(rtt, rate, scratch, window) as host:
            with bench.upstream(host) as upstream:
                bench.results.note(NAME, f"{case}: by {host.how}, measured "
                                         f"{host.measured_rtt_ms():.1f} ms")
                measure_place(bench, upstream, case, image, size)


def measure_place(bench, upstream, case, image, size):
    for order in bench.rounds([bench.ours(), *bench.peers(NAME)]):
        for side in order:
            ours = side.name == "imgcachefs"
            if bench.results.is_left_out(NAME, f"{side.name}, {case}"):
                continue
            download = curl(bench, upstream.url(name=image))
            with bench.results.side(NAME, f"{side.name}, {case}"):
                part = size if side.many else min(size, PORTION)
                if part < size:
                    bench.results.note(NAME, f"{side.name}: of the first {part >> 20} MiB")
                seconds, beside = cold_read(bench, side, upstream, "plain", image, part,
                                            timeout=180)
                bench.results.add(NAME, case, side.name, part / seconds / 2**20, "MiB/s", "more",
                                  ("curl -o", size / download / 2**20),
                                  Goal(">=", 0.95) if ours else None, beside)
