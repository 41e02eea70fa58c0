"""Each module is a workload: NAME, SUMMARY and run(bench)."""

from . import (boot_reads, cold_random, cold_sequential, cold_sequential_far, filling_memory, guest_boot,
               many_images, open_latency, readers, warm)

ALL = [warm, cold_sequential, cold_sequential_far, cold_random, readers, open_latency, many_images,
       filling_memory, boot_reads, guest_boot]
