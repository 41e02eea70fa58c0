"""What the figures were taken on."""

import os
import pathlib
import platform
import re
import shutil
import subprocess

TOOLS = {  # name: how it tells its version
    "gcc": ["c++", "-dumpfullversion"],
    "libfuse": ["pkg-config", "--modversion", "fuse3"],
    "libcurl": ["pkg-config", "--modversion", "libcurl"],
    "openssl": ["openssl", "version"],
    "curl": ["curl", "--version"],
    "nginx": ["nginx", "-v"],
    "fio": ["fio", "--version"],
    "rclone": ["rclone", "version"],
    "httpdirfs": ["dpkg-query", "-W", "-f=${Version}", "httpdirfs"],  # it tells libfuse's
    "nbdkit": ["nbdkit", "--version"],
    "nbdfuse": ["nbdfuse", "--version"],
    "qemu": ["qemu-system-x86_64", "--version"],
    "qemu-nbd": ["qemu-nbd", "--version"],
    "mmdebstrap": ["mmdebstrap", "--version"],
}


# What the workloads call beside the tools above.
NEEDED = ["dd", "findmnt", "ip", "iptables", "ls", "mke2fs", "openssl", "qemu-img", "tc", "umount"]


def missing():
    """Programs that are not here."""
    called = {argv[0] for argv in TOOLS.values()} - {"c++", "pkg-config", "dpkg-query"}
    return sorted(p for p in called | {"httpdirfs", *NEEDED} if shutil.which(p) is None)


def _text(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
        return (done.stdout.strip() or done.stderr.strip()).splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "missing"


def _version(argv):
    text = _text(argv)
    found = re.search(r"\d+(\.\d+)+[^\s,)]*", text)
    return found.group(0) if found else text


def _cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _commit(repository):
    # A clone may belong to another user than root, which is no harm here.
    git = ["git", "-c", "safe.directory=*", "-C", str(repository)]
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], capture_output=True).returncode
    return _text([*git, "rev-parse", "HEAD"]) + (" with changes" if changed else "")


def describe(repository, work):
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "virtual": "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text(),
        "kernel": platform.release(),
        "file_system": " ".join(
            _text(["findmnt", "-n", "-o", "FSTYPE,OPTIONS", "-T", str(work)]).split()),
        "free_gib": round(os.statvfs(work).f_bavail * os.statvfs(work).f_frsize / 2**30, 1),
        "commit": _commit(repository),
        "tools": {name: _version(argv) for name, argv in TOOLS.items()}
                 | {"python": platform.python_version()},
    }
