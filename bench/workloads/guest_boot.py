"""A guest boots from a qcow2 overlay whose backing file is the image."""

import contextlib
import shutil

from downloads import curl
from guest import Guest
from measure import drop_caches, warm_up
from network import RemoteHost
from peers import imgcachefs
from peers.nbd import Nbdkit, QemuCurl
from results import Goal

NAME = "guest-boot"
SUMMARY = "a guest boots, cold and warm, 1 ms and 20 ms away: time to its first service, bytes sent"

LOCAL, DOWNLOADED = "local file", "curl -o, then boot"
AUTO, DEMAND = "imgcachefs, fill=auto", "imgcachefs, fill=demand"


def run(bench):
    guest = Guest(bench.work / "guest", bench.images)
    guest.make()
    with bench.scratch() as scratch:
        no_kvm = guest.choose_processor(scratch)
    if no_kvm:
        bench.results.note(NAME, "the guest is emulated (tcg), which takes most of the time and "
                                 f"brings all ratios nearer to 1: {no_kvm}")
    for rtt in (1, 20):
        with bench.scratch() as scratch, RemoteHost(rtt, "1gbit", scratch) as host:
            with bench.upstream(host) as upstream:
                bench.results.note(NAME, f"{rtt} ms: by {host.how}, measured "
                                         f"{host.measured_rtt_ms():.1f} ms")
                cold(bench, upstream, guest, f"cold, {rtt} ms, 1 Gbit/s",
                     Goal("<=", 1.3) if rtt == 1 else None)
                if rtt == 1:
                    warm(bench, upstream, guest)


def cold(bench, upstream, guest, case, goal):
    sides = [bench.ours(AUTO), bench.ours(DEMAND, fill="demand"), *bench.peers(NAME)]
    for order in bench.rounds(sides):
        local = boot_local(bench, guest)
        sent = {}
        for side in order:
            if bench.results.is_left_out(NAME, f"{side.name}, {case}"):
                continue
            with bench.results.side(NAME, f"{side.name}, {case}"):
                seconds, sent[side.name] = boot_cold(bench, side, upstream, guest)
                bench.results.add(NAME, case, side.name, seconds, "s", "less", (LOCAL, local),
                                  goal if side.name == AUTO else None)
        bench.results.add(NAME, case, DOWNLOADED, boot_downloaded(bench, upstream, guest), "s",
                          "less", (LOCAL, local))
        for name, traffic in sent.items():
            thriftiest = sent.get(Nbdkit().name)
            bench.results.add(
                NAME, f"{case}: sent", name, traffic.bytes / 2**20, "MiB", "less",
                (Nbdkit().name, thriftiest.bytes / 2**20) if thriftiest else None,
                Goal("<=", 1) if name == DEMAND else None, {"requests": traffic.requests})


def warm(bench, upstream, guest):
    """All of the image was read before; what is kept of it is on the disk, not in memory."""
    case = "warm, from disk"
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(bench.scratch())
        ready = []
        for side in [bench.ours(), *bench.peers(NAME, keeping=True)]:
            with bench.results.side(NAME, f"{side.name}, {case}"):
                place = scratch / str(len(ready))
                mounted = stack.enter_context(side.mounted(upstream.url(), guest.image, place))
                warm_up(mounted.path(guest.image))
                if side.name == "imgcachefs":
                    imgcachefs.wait_until_cached(mounted.path(guest.image))
                ready.append((side, mounted, place))
        for order in bench.rounds(ready):
            local = boot_local(bench, guest)
            for side, mounted, place in order:
                with bench.results.side(NAME, f"{side.name}, {case}"):
                    drop_caches()
                    seconds = guest.boot(mounted.path(guest.image), place)
                    bench.results.add(NAME, case, side.name, seconds, "s", "less", (LOCAL, local))


def boot_local(bench, guest):
    with bench.scratch() as scratch:
        shutil.copyfile(guest.path, scratch / guest.image)
        drop_caches()
        return guest.boot(scratch / guest.image, scratch)


def boot_downloaded(bench, upstream, guest):
    """What a download takes, and then a boot from what is still in the page cache."""
    with bench.scratch() as scratch:
        fresh_start(guest)
        seconds = curl(bench, upstream.url(name=guest.image))
        shutil.copyfile(guest.path, scratch / guest.image)
        return seconds + guest.boot(scratch / guest.image, scratch)


def boot_cold(bench, side, upstream, guest):
    """Seconds with a new cache, and what was sent until the first service was up."""
    with bench.scratch() as scratch:
        fresh_start(guest)
        with backing(side, upstream, guest.image, scratch) as image:
            upstream.mark()
            seconds = guest.boot(image, scratch)
        return seconds, upstream.sent()


def fresh_start(guest):
    """Nothing is in the page cache but upstream's own file."""
    drop_caches()
    warm_up(guest.path)


@contextlib.contextmanager
def backing(side, upstream, image, scratch):
    """What stands for the image in the overlay: qemu speaks NBD and HTTP without a mount."""
    if isinstance(side, Nbdkit):
        with side.served(upstream.url(), image, scratch) as (_, uri):
            yield uri
    elif isinstance(side, QemuCurl):
        yield upstream.url(name=image)
    else:
        with side.mounted(upstream.url(), image, scratch) as mounted:
            yield mounted.path(image)
