#!/usr/bin/env python3
"""Holds every packet of a netfilter queue for some milliseconds. usage: netdelay.py QUEUE MS

For kernels without sch_netem; see network.py. Netlink messages as in linux/netfilter/nfnetlink.h and
nfnetlink_queue.h; a verdict on a packet counts for all before it, so one message lets many go.
"""

import collections
import os
import select
import socket
import struct
import sys
import time

NETLINK_NETFILTER = 12
SUBSYSTEM_QUEUE = 3
MESSAGE_PACKET, MESSAGE_CONFIG, MESSAGE_VERDICT_BATCH = 0, 2, 3
CONFIG_COMMAND, CONFIG_PARAMETERS, CONFIG_LENGTH = 1, 2, 3
COMMAND_BIND = 1
COPY_METADATA = 1
ATTRIBUTE_PACKET, ATTRIBUTE_VERDICT = 1, 2
ACCEPT = 1
SOL_NETLINK, NETLINK_NO_ENOBUFS = 270, 5
SO_RCVBUFFORCE = 33
HEADER = 20  # of netlink (16) and of netfilter (4)


def message(queue, kind, attribute, payload):
    body = struct.pack(">BBH", socket.AF_UNSPEC, 0, queue)
    body += struct.pack("=HH", 4 + len(payload), attribute) + payload
    body += bytes(-len(body) % 4)
    flags = 1  # NLM_F_REQUEST
    return struct.pack("=IHHII", 16 + len(body), SUBSYSTEM_QUEUE << 8 | kind, flags, 0, 0) + body


def packet_id(data):
    """Of a message that brings a packet; None: it is another message."""
    length, kind = struct.unpack_from("=IH", data)
    if kind != (SUBSYSTEM_QUEUE << 8 | MESSAGE_PACKET):
        return None
    at = HEADER
    while at + 4 <= length:
        size, attribute = struct.unpack_from("=HH", data, at)
        if attribute & 0x3FFF == ATTRIBUTE_PACKET:
            return struct.unpack_from(">I", data, at + 4)[0]
        at += (size + 3) & ~3
    return None


def open_queue(queue):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    s.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
    s.bind((0, 0))
    for attribute, payload in (
            (CONFIG_COMMAND, struct.pack(">BBH", COMMAND_BIND, 0, socket.AF_INET)),
            (CONFIG_PARAMETERS, struct.pack(">IB", 0, COPY_METADATA)),
            (CONFIG_LENGTH, struct.pack(">I", 200_000))):
        s.send(message(queue, MESSAGE_CONFIG, attribute, payload))
    s.setblocking(False)
    return s


def main(queue, delay):
    # Before all that is measured, which would else add its own time to the delay.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    s = open_queue(queue)
    print("ready", flush=True)
    held = collections.deque()  # (when it is due, its id)
    while True:
        wait = max(0, held[0][0] - time.monotonic()) if held else None
        if select.select([s], [], [], wait)[0]:
            due = time.monotonic() + delay
            try:
                while True:
                    packet = packet_id(s.recv(65536))
                    if packet is not None:
                        held.append((due, packet))
            except BlockingIOError:
                pass
        now, last = time.monotonic(), None
        while held and held[0][0] <= now:
            last = held.popleft()[1]
        if last is not None:
            verdict = struct.pack(">II", ACCEPT, last)
            s.send(message(queue, MESSAGE_VERDICT_BATCH, ATTRIBUTE_VERDICT, verdict))


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), float(sys.argv[2]) / 1000)
    except KeyboardInterrupt:
        pass
