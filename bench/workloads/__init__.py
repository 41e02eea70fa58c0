"""Each module is a workload: NAME, SUMMARY and run(bench)."""

from . import cold_random, cold_sequential, open_latency, warm

ALL = [warm, cold_sequential, cold_random, open_latency]
