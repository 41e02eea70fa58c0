"""Reading an image that was never touched, start to end, while it is kept and checked."""

import children
from measure import settle
from results import Goal

NAME = "cold-sequential"
SUMMARY = "first read of 1 GiB, without and with published digests, against curl -o and openssl"

READ = "dd if={} of=/dev/null bs=1M status=none"


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
    case = "no digest"
    sides = [bench.ours(), *bench.peers(NAME), "curl -o, then fsync", "curl -o, then read"]
    for order in bench.rounds(sides):
        for side in order:
            download = curl(bench, upstream.url(name=image))
            if side == "curl -o, then fsync":
                add(bench, case, side, size, curl(bench, upstream.url(name=image), "sync {}"),
                    download)
            elif side == "curl -o, then read":
                add(bench, case, side, size,
                    curl(bench, upstream.url(name=image), READ), download)
            elif side.name == "imgcachefs":
                seconds, beside = cold_read(bench, side, upstream, "plain", image, size)
                add(bench, case, side.name, size, seconds, download, Goal(">=", 0.95), beside)
            elif not bench.results.is_left_out(NAME, side.name):
                with bench.results.peer(NAME, side.name):
                    seconds, beside = cold_read(bench, side, upstream, "plain", image, size)
                    add(bench, case, side.name, size, seconds, download, None, beside)


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


def add(bench, case, side, size, seconds, download, goal=None, beside=None):
    bench.results.add(NAME, case, side, size / seconds / 2**20, "MiB/s", "more",
                      ("curl -o", size / download / 2**20), goal, beside)


def curl(bench, url, then=None):
    """Seconds of a download to a new file on the file system of the caches, and of what follows."""
    with bench.scratch() as scratch:
        settle()
        file = scratch / "downloaded"
        command = f"curl -sSf -o {file} {url}"
        if then:
            command += " && " + then.format(file)
        return children.seconds(["sh", "-c", command])


def cold_read(bench, side, upstream, directory, image, size):
    """Seconds from the open to the last byte, with a new cache; and what it cost."""
    with bench.scratch() as scratch:
        with side.mounted(upstream.url(directory), image, scratch) as mounted:
            upstream.mark()
            settle()
            cpu = mounted.cpu_seconds()
            # A peer that comes to no 16 MiB/s on loopback has stopped.
            seconds = children.seconds(READ.format(mounted.path(image)).split(),
                                       timeout=30 + (size >> 24))
            cpu = mounted.cpu_seconds() - cpu
        return seconds, {"daemon CPU s": cpu, "bytes sent / size": upstream.sent().bytes / size}
