#!/usr/bin/env python3
"""Reads what stdin says, and prints how many nanoseconds each read took.

usage: timed_reads.py FILE SECONDS < places, each a line "OFFSET LENGTH". After so many seconds no
further read is begun. It is a program of its own so that a reader that hangs can be ended.
"""

import os
import sys
import time


def main():
    path, seconds = sys.argv[1], float(sys.argv[2])
    places = [tuple(map(int, line.split())) for line in sys.stdin]
    file = os.open(path, os.O_RDONLY)
    now = time.perf_counter_ns
    end = now() + int(seconds * 1e9)
    block = memoryview(bytearray(max(length for _, length in places)))
    for offset, length in places:
        start = now()
        if start > end:
            break
        got = os.preadv(file, [block[:length]], offset)
        print(now() - start)
        if got != length:
            sys.exit(f"{got} bytes of {length} at {offset}")


if __name__ == "__main__":
    main()
