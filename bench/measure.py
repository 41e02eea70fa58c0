"""Figures: what is made of several values, and the state of the machine before one is taken."""

import os
import statistics


def percentile(values, percent):
    """The smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def summary(values):
    """Median, least, most and number of values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "n": len(values)}


def settle():
    """What was written is on the disk, so that it is not written while something is timed."""
    os.sync()


def drop_caches():
    """Page cache, dentries and inodes: what is read next comes from the disk."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3\n")


def warm_up(path):
    """Has a file in the page cache."""
    with open(path, "rb", buffering=0) as f:
        block = bytearray(1 << 20)
        while f.readinto(block):
            pass
