"""A host some milliseconds away: a network namespace behind a link with a delay and a rate.

The delay is sch_netem's where the kernel has it. Where it has not, packets towards the host are held
by netdelay.py, which takes them from an NFQUEUE: requests and acknowledgements, so that a whole
round trip is added and the payload passes no Python. The rate is then sch_tbf's.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import children
from children import Child, Failed
from measure import summary

NAMESPACE = "imgcachefs-bench"
HERE, THERE = "imgcachefs-b0", "imgcachefs-b1"  # at most 15 characters
OUR_ADDRESS, ADDRESS = "10.213.77.1", "10.213.77.2"
QUEUE = 77


class RemoteHost:
    """`with RemoteHost(rtt_ms, rate, scratch)`; rate as tc has it (1gbit), None: unlimited.
    `window`: no more bytes of a connection are on their way from there."""

    def __init__(self, rtt_ms, rate, scratch, window=None):
        self.rtt_ms = rtt_ms
        self.rate = rate
        self.window = window
        self.scratch = pathlib.Path(scratch)
        self.address = ADDRESS
        self.how = "no delay"
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self._make_link()
            self._slow_down()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()
        remove_left_overs()

    def inside(self, argv):
        return ["ip", "netns", "exec", NAMESPACE, *argv]

    def measured_rtt_ms(self, port=8080):
        """What a connection takes, which is one round trip: median of 9."""
        times = []
        for _ in range(9):
            start = time.perf_counter()
            socket.create_connection((ADDRESS, port), timeout=10).close()
            times.append((time.perf_counter() - start) * 1000)
        return summary(times)["median"]

    def _make_link(self):
        children.run(["ip", "netns", "add", NAMESPACE])
        children.run(["ip", "link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns",
                      NAMESPACE])
        children.run(["ip", "addr", "add", f"{OUR_ADDRESS}/24", "dev", HERE])
        children.run(["ip", "link", "set", HERE, "up"])
        children.run(self.inside(["ip", "addr", "add", f"{ADDRESS}/24", "dev", THERE]))
        children.run(self.inside(["ip", "link", "set", "lo", "up"]))
        children.run(self.inside(["ip", "link", "set", THERE, "up"]))
        # The kernel's default, whatever this machine has: bbr, for one, paces the first answers of
        # a connection at what it believes the link can do, which here is the measurement itself.
        children.run(self.inside(["ip", "route", "replace", f"{OUR_ADDRESS}/32", "dev", THERE,
                                  "congctl", "cubic"]))
        if self.window:
            # The kernel counts a buffer with what it costs, which is about twice its bytes.
            children.run(self.inside(["sysctl", "-qw",
                                      f"net.ipv4.tcp_wmem=4096 65536 {2 * self.window}"]))

    def _slow_down(self):
        if self.rtt_ms and self._netem():
            return
        if self.rate:
            children.run(self.inside(["tc", "qdisc", "add", "dev", THERE, "root", "tbf", "rate",
                                      self.rate, "burst", "1mb", "latency", "100ms"]))
        if self.rtt_ms:
            self._queue()

    def _netem(self):
        argv = ["tc", "qdisc", "add", "dev", THERE, "root", "netem", "delay", f"{self.rtt_ms}ms",
                "limit", "100000"]
        if self.rate:
            argv += ["rate", self.rate]
        try:
            children.run(self.inside(argv))
        except Failed:
            return False
        self.how = "sch_netem"
        return True

    def _queue(self):
        rule = ["-A", "INPUT", "-i", THERE, "-j", "NFQUEUE", "--queue-num", str(QUEUE)]
        for iptables in ("iptables", "iptables-legacy"):  # of kernels without nf_tables
            try:
                children.run(self.inside([iptables, *rule]))
                break
            except (Failed, OSError) as e:
                why = e
        else:
            raise Failed(f"no packet can be queued, and there is no sch_netem: {why}")
        program = pathlib.Path(__file__).with_name("netdelay.py")
        log = self.scratch / "netdelay.log"
        delayer = self._stack.enter_context(Child(
            self.inside([sys.executable, program, str(QUEUE), str(self.rtt_ms)]), log))
        delayer.wait_until(lambda: "ready" in log.read_text(), "netdelay ready")
        self.how = "NFQUEUE"


def remove_left_overs():
    """Ours only: the names are nobody else's."""
    if shutil.which("ip") is None:
        return
    # The link ends with the namespace, but later; a new one of that name must be possible now.
    if os.path.exists(f"/sys/class/net/{HERE}"):
        subprocess.run(["ip", "link", "del", HERE], capture_output=True)
    if os.path.exists(f"/run/netns/{NAMESPACE}"):
        subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True)
