"""Many readers at once of what nobody has read before."""

import json

import children
from downloads import curl
from measure import settle
from network import RemoteHost
from results import Goal

NAME = "readers"
SUMMARY = "64 readers of one cold image, and of 64; peers with 16"

MANY, SOME = 64, 16


def run(bench):
    with bench.upstream() as upstream:
        one_image(bench, upstream, "loopback", bench.size(256 << 20, 32 << 20))
        some_readers(bench, upstream, bench.size(256 << 20, 32 << 20))
        many_images(bench, upstream, bench.size(16 << 20, 1 << 20))
    with bench.scratch() as scratch, RemoteHost(1, "1gbit", scratch) as host:
        with bench.upstream(host) as upstream:
            bench.results.note(NAME, f"1 ms: by {host.how}, measured "
                                     f"{host.measured_rtt_ms():.1f} ms")
            one_image(bench, upstream, "1 ms, 1 Gbit/s", bench.size(512 << 20, 32 << 20))


def one_image(bench, upstream, place, size):
    """Beside one reader of ours; and what so many reads cost when all is in the page cache."""
    image = bench.images.random(size)
    for _ in range(bench.runs):
        alone, _ = cold_crowd(bench, bench.ours(), upstream, [image], 1)
        crowd, sent = cold_crowd(bench, bench.ours(), upstream, [image], MANY)
        native = crowd_of(bench, MANY, [bench.images.path(image)])
        case = f"{MANY} readers of one image, {place}"
        bench.results.add(NAME, case, "imgcachefs", crowd, "s", "less", ("one reader", alone),
                          Goal("<=", 1.1))
        bench.results.add(NAME, f"{case}: sent / size", "imgcachefs", sent.bytes / size, "x",
                          "less", None, Goal("<=", 1.01, "value"))
        bench.results.add(NAME, case, "native file, page cache hot", native, "s", "less",
                          ("one reader", alone))


def some_readers(bench, upstream, size):
    image = bench.images.random(size)
    case = f"{SOME} readers of one image, loopback"
    for order in bench.rounds([bench.ours(), *bench.peers(NAME)]):
        for side in order:
            if bench.results.is_left_out(NAME, side.name):
                continue
            with bench.results.side(NAME, side.name):
                download = curl(bench, upstream.url(name=image))
                seconds, sent = cold_crowd(bench, side, upstream, [image], SOME)
                bench.results.add(NAME, case, side.name, seconds, "s", "less",
                                  ("curl -o", download), None, {"sent / size": sent.bytes / size})


def many_images(bench, upstream, size):
    images = bench.images.copies(size, MANY)
    case = f"{MANY} readers of {MANY} images, loopback"
    sides = [bench.ours()] + [p for p in bench.peers(NAME) if p.many]
    for order in bench.rounds(sides):
        for side in order:
            if bench.results.is_left_out(NAME, side.name):
                continue
            with bench.results.side(NAME, side.name):
                download = curl_all(bench, upstream, images)
                seconds, sent = cold_crowd(bench, side, upstream, images, MANY)
                bench.results.add(NAME, case, side.name, seconds, "s", "less",
                                  (f"curl -Z, {MANY} at once", download), None,
                                  {"sent / size": sent.bytes / size / MANY})


def curl_all(bench, upstream, images):
    with bench.scratch() as scratch:
        settle()
        argv = ["curl", "-sSf", "-Z", "--parallel-max", str(MANY), "--output-dir", scratch]
        for image in images:
            argv += ["-O", upstream.url(name=image)]
        return children.seconds(argv)


def cold_crowd(bench, side, upstream, images, readers):
    """Seconds until the last of them has all, with a new cache; and what was sent."""
    with bench.scratch() as scratch:
        with side.mounted(upstream.url(), images[0], scratch) as mounted:
            upstream.mark()
            settle()
            seconds = crowd_of(bench, readers, [mounted.path(image) for image in images])
        return seconds, upstream.sent()


def crowd_of(bench, readers, paths):
    out = children.run([bench.tools / "crowd", str(readers), *paths], timeout=180)
    return json.loads(out)["seconds"]
