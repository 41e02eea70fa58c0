#!/usr/bin/env python3
"""Reads 4 KiB at each of the offsets on stdin, and prints how many nanoseconds each took.

usage: random_reads.py FILE SECONDS < offsets. After so many seconds no further read is begun. It is
a program of its own so that a reader that hangs can be ended.
"""

import os
import sys
import time


def main():
    path, seconds = sys.argv[1], float(sys.argv[2])
    offsets = [int(line) for line in sys.stdin]
    file = os.open(path, os.O_RDONLY)
    now = time.perf_counter_ns
    end = now() + int(seconds * 1e9)
    block = bytearray(4096)
    for offset in offsets:
        start = now()
        if start > end:
            break
        got = os.preadv(file, [block], offset)
        print(now() - start)
        if got != 4096:
            sys.exit(f"{got} bytes at {offset}")


if __name__ == "__main__":
    main()
