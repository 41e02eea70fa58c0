"""Fetching whole images with curl, and reading: whole, or here and there."""

import pathlib
import subprocess
import sys

import children
from children import Failed
from measure import settle

READ = "dd if={} of=/dev/null bs=1M status=none"

TIMED_READS = pathlib.Path(__file__).with_name("timed_reads.py")


def curl(bench, url, then=None):
    """Seconds of a download to a new file on the file system of the caches, and of what follows."""
    with bench.scratch() as scratch:
        settle()
        file = scratch / "downloaded"
        command = f"curl -sSf -o {file} {url}"
        if then:
            command += " && " + then.format(file)
        return children.seconds(["sh", "-c", command])


def cold_read(bench, side, upstream, directory, image, size, timeout=None):
    """Seconds from the open to the last byte, with a new cache; and what it cost.

    `size` is that of the image, or how much of it is read.
    """
    with bench.scratch() as scratch:
        with side.mounted(upstream.url(directory), image, scratch) as mounted:
            upstream.mark()
            settle()
            cpu = mounted.cpu_seconds()
            command = READ.format(mounted.path(image)).split() + [f"count={size >> 20}"]
            # A peer that comes to no 16 MiB/s has stopped.
            seconds = children.seconds(command, timeout or 30 + (size >> 24))
            cpu = mounted.cpu_seconds() - cpu
        return seconds, {"daemon CPU s": cpu, "bytes sent / size": upstream.sent().bytes / size}


def timed_reads(path, places, seconds):
    """Microseconds of each read of (offset, length); none is begun after so many seconds."""
    patience = seconds + 60
    try:
        done = subprocess.run([sys.executable, TIMED_READS, path, str(seconds)],
                              input="\n".join(f"{offset} {length}" for offset, length in places),
                              capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        raise Failed(f"a read did not end within {patience} s") from None
    if done.returncode != 0:
        raise Failed((done.stderr.strip() or "a reader was killed").splitlines()[-1])
    return [int(line) / 1000 for line in done.stdout.split()]
