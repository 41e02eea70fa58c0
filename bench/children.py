"""Programs that run beside a measurement, and commands that are measured themselves."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Failed(Exception):
    """Something did not do what it was asked for; the text says what and why."""


def _end_with_parent():
    # Should the harness be killed, what it started ends too, and FUSE daemons unmount.
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A program that runs until the end of the `with` block.

    It has a session of its own, so that a Ctrl-C at the terminal reaches the harness only, which
    ends its children in the right order. Its output goes to `log`.
    """

    def __init__(self, argv, log, env=None, stop_signal=signal.SIGTERM):
        self.argv = [str(a) for a in argv]
        self.log = pathlib.Path(log)
        self.stop_signal = stop_signal
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, **(env or {})}, start_new_session=True,
                preexec_fn=_end_with_parent)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, patience=10):
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()

    def running(self):
        return self.process.poll() is None

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def cpu_seconds(self):
        """User and system time so far."""
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_kib(self, which="VmRSS"):
        """VmRSS is what it has now, VmHWM the most it had."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(which + ":"):
                return int(line.split()[1])
        raise Failed(f"{self.argv[0]} has no {which}")

    def wait_until(self, ready, what, patience=30):
        """`ready()` is asked every 2 ms; an exception of the system's is a no."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not self.running():
                raise Failed(f"{self.argv[0]} ended early: {self.last_words()}")
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.002)
        raise Failed(f"{self.argv[0]}: {what} not within {patience} s: {self.last_words()}")


def run(argv, timeout=600, **options):
    """Runs a command to its end and gives its output. It fails when the command does."""
    argv = [str(a) for a in argv]
    # A session of its own: a time-out kills what it started as well.
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace",
                               start_new_session=True, preexec_fn=_end_with_parent, **options)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        raise Failed(f"{argv[0]} took more than {timeout} s: {' '.join(argv)}") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        words = (err.strip() or out.strip() or "it said nothing").splitlines()[-1]
        raise Failed(f"{argv[0]} ended with {process.returncode}: {words}")
    return out


def seconds(argv, timeout=600):
    """How long a command takes."""
    start = time.perf_counter()
    run(argv, timeout)
    return time.perf_counter() - start
