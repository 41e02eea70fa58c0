"""Reading an image that was never touched, start to end, while it is kept and checked."""

import children
from downloads import READ, cold_read, curl
from results import Goal

NAME = "cold-sequential"
SUMMARY = "first read of 1 GiB, without and with published digests, against curl -o and openssl"


def run(bench):
    size = bench.size(1 << 30, 64 << 20)
    image = bench.images.random(size)
    with bench.upstream() as upstream:
        beside_curl(bench, upstream, image, size)
        for algorithm in ("sha256", "sha512", "md5"):
            bench.images.with_digest(image, algorithm)
            beside_curl_and_openssl(bench, upstream, image, size, algorithm)
    bench.results.note(NAME, "curl -o leaves its file in the page cache; imgcachefs, before its "
                             "reader has the last byte, has it on stable storage")


def beside_curl(bench, upstream, image, size):
    url = upstream.url(name=image)
    downloads = {"curl -o, then fsync": "sync {}", "curl -o, then read": READ}
    for order in bench.rounds([bench.ours(), *bench.peers(NAME), *downloads]):
        for side in order:
            download = curl(bench, url)
            if side in downloads:
                add(bench, side, size, curl(bench, url, downloads[side]), download)
            elif side.name == "imgcachefs":
                seconds, beside = cold_read(bench, side, upstream, "plain", image, size)
                add(bench, side.name, size, seconds, download, Goal(">=", 0.95), beside)
            elif not bench.results.is_left_out(NAME, side.name):
                with bench.results.side(NAME, side.name):
                    seconds, beside = cold_read(bench, side, upstream, "plain", image, size)
                    add(bench, side.name, size, seconds, download, None, beside)


def beside_curl_and_openssl(bench, upstream, image, size, algorithm):
    """The yardstick is the slower of the two, each run by itself."""
    for _ in range(bench.runs):
        download = curl(bench, upstream.url(name=image))
        hashing = children.seconds(["openssl", "dgst", f"-{algorithm}", bench.images.path(image)])
        seconds, beside = cold_read(bench, bench.ours(), upstream, algorithm, image, size)
        beside |= {"curl -o s": download, "openssl dgst s": hashing}
        slower = max(download, hashing)
        bench.results.add(NAME, f"with {algorithm}", "imgcachefs", size / seconds / 2**20, "MiB/s",
                          "more", ("slower of curl -o, openssl dgst", size / slower / 2**20),
                          Goal(">=", 0.95), beside)


def add(bench, side, size, seconds, download, goal=None, beside=None):
    bench.results.add(NAME, "no digest", side, size / seconds / 2**20, "MiB/s", "more",
                      ("curl -o", size / download / 2**20), goal, beside)
