"""Figures and tables, checked with values whose result is known."""

import contextlib
import io
import struct
import unittest

import netdelay
import report
from measure import percentile, summary
from results import Goal, Results


def run_of(results):
    machine = {"cores": 2, "cpu": "a cpu", "virtual": True, "memory_gib": 4, "kernel": "6",
               "file_system": "ext4", "commit": "0", "tools": {"curl": "7"}}
    return {"started": "now", "runs": 3, "quick": False, "workloads": ["w"], "machine": machine,
            **results.as_json()}


class Figures(unittest.TestCase):
    def setUp(self):
        silent = contextlib.redirect_stderr(io.StringIO())
        silent.__enter__()
        self.addCleanup(silent.__exit__, None, None, None)

    def test_a_percentile_is_one_of_the_values(self):
        values = list(range(100, 0, -1))
        self.assertEqual(percentile(values, 50), 50)
        self.assertEqual(percentile(values, 99), 99)
        self.assertEqual(percentile(values, 100), 100)
        self.assertEqual(percentile([7], 99), 7)
        self.assertEqual(percentile([1, 2, 3], 99), 3)

    def test_a_summary_has_median_and_spread(self):
        self.assertEqual(summary([5, 1, 2]), {"median": 2, "min": 1, "max": 5, "n": 3})

    def test_a_ratio_is_of_pairs_and_not_of_medians(self):
        results = Results()
        for value, yardstick in ((10, 10), (40, 20), (9, 3)):
            results.add("w", "case", "ours", value, "MiB/s", "more", ("native", yardstick),
                        Goal(">=", 2))
        row = results.as_json()["rows"][0]
        self.assertEqual(row["ratio"], {"median": 2, "min": 1, "max": 3, "n": 3})
        self.assertTrue(row["goal"]["reached"])
        self.assertEqual(row["value"]["median"], 10)

    def test_a_goal_that_is_missed_is_said_to_be(self):
        results = Results()
        results.add("w", "ratio", "ours", 94, "MiB/s", "more", ("curl", 100), Goal(">=", 0.95))
        results.add("w", "value", "ours", 26, "us", "less", ("native", 3), Goal("<=", 25, "value"))
        results.add("w", "value", "peer", 107, "us", "less", ("native", 3))
        text = report.table(run_of(results))
        self.assertIn(">= 0.95: **missed**", text)
        self.assertIn("<= 25 us: **missed**", text)
        self.assertEqual(text.count("missed"), 2)

    def test_what_was_left_out_and_what_failed_stands_in_the_table(self):
        results = Results()
        with results.side("w", "a peer"):
            raise OSError("it hangs")
        with results.side("w", "imgcachefs, fill=auto"):
            raise OSError("no disk")
        text = report.table(run_of(results))
        self.assertIn("left out: a peer: it hangs", text)
        self.assertEqual([f["why"] for f in results.failures], ["imgcachefs, fill=auto: no disk"])
        self.assertIn("w: imgcachefs, fill=auto: no disk", text)
        self.assertTrue(results.is_left_out("w", "a peer"))

    def test_numbers_have_three_digits(self):
        self.assertEqual(report.number(0), "0")
        self.assertEqual(report.number(0.9741), "0.974")
        self.assertEqual(report.number(25.04), "25")
        self.assertEqual(report.number(123456.7), "123 457")


class Delay(unittest.TestCase):
    def test_a_packet_is_found_behind_other_attributes(self):
        attributes = struct.pack("=HHI", 8, 3, 0)  # a mark
        attributes += struct.pack("=HH", 11, netdelay.ATTRIBUTE_PACKET)
        attributes += struct.pack(">IHB", 4711, 0x0800, 1) + b"\0"
        kind = netdelay.SUBSYSTEM_QUEUE << 8 | netdelay.MESSAGE_PACKET
        head = struct.pack("=IHHII", 20 + len(attributes), kind, 0, 0, 0) + bytes(4)
        self.assertEqual(netdelay.packet_id(head + attributes), 4711)

    def test_another_message_brings_no_packet(self):
        self.assertIsNone(netdelay.packet_id(struct.pack("=IHHII", 20, 2, 0, 0, 0) + bytes(4)))


if __name__ == "__main__":
    unittest.main()
