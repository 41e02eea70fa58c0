"""What was measured: rows of pairs, what was left out, and what failed."""

import contextlib
import dataclasses
import re
import sys

from children import Failed
from measure import summary


def without_directories(text):
    """Where things lay on the machine that measured is nobody's business who reads the results."""
    return re.sub(r"(?:/[\w.@+-]+)+/", "", text)


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is asked of a row: of the ratio to the yardstick, or of the value itself."""

    op: str  # "<=" or ">="
    bound: float
    of: str = "ratio"  # or "value", in the row's unit

    def reached(self, figure):
        return figure <= self.bound if self.op == "<=" else figure >= self.bound

    def text(self, unit):
        return f"{self.op} {self.bound:g}" + (f" {unit}" if self.of == "value" else "")


@dataclasses.dataclass
class Row:
    """One subject at one work. Values and yardsticks are pairs, taken next to each other."""

    workload: str
    case: str
    subject: str
    unit: str
    better: str  # "more" or "less"
    yardstick: str = ""  # its name; empty: there is none
    goal: Goal | None = None
    values: list = dataclasses.field(default_factory=list)
    yardstick_values: list = dataclasses.field(default_factory=list)
    beside: dict = dataclasses.field(default_factory=dict)  # name with unit -> values

    def ratios(self):
        return [v / y for v, y in zip(self.values, self.yardstick_values) if y]

    def as_json(self):
        row = dataclasses.asdict(self)
        row["value"] = summary(self.values)
        if self.yardstick_values:
            row["yardstick_value"] = summary(self.yardstick_values)
        if self.ratios():
            row["ratio"] = summary(self.ratios())
        row["beside"] = {name: {"values": v, **summary(v)} for name, v in self.beside.items()}
        if self.goal:
            figure = row["value"] if self.goal.of == "value" else row.get("ratio")
            row["goal"] = {"text": self.goal.text(self.unit),
                           "reached": bool(figure and self.goal.reached(figure["median"]))}
        return row


class Results:
    def __init__(self):
        self.rows = {}
        self.left_out = []  # {workload, what, why}
        self.notes = []  # {workload, note}
        self.failures = []  # {workload, why}

    def add(self, workload, case, subject, value, unit, better, yardstick=None, goal=None,
            beside=None):
        """One value; `yardstick` is (name, value of the same unit), `beside` {name: value}."""
        row = self.rows.setdefault((workload, case, subject, unit), Row(
            workload, case, subject, unit, better, yardstick[0] if yardstick else "", goal))
        row.values.append(value)
        if yardstick:
            row.yardstick_values.append(yardstick[1])
        for name, figure in (beside or {}).items():
            row.beside.setdefault(name, []).append(figure)
        text = f"  {case}: {subject} {value:.4g} {unit}"
        if yardstick:
            text += f", {yardstick[0]} {yardstick[1]:.4g}: {value / yardstick[1]:.3f}"
        text += "".join(f", {name} {figure:.4g}" for name, figure in (beside or {}).items())
        print(text, file=sys.stderr, flush=True)

    def leave_out(self, workload, what, why):
        entry = {"workload": workload, "what": what, "why": without_directories(str(why))}
        if entry not in self.left_out:
            print(f"  left out: {what}: {why}", file=sys.stderr, flush=True)
            self.left_out.append(entry)

    def is_left_out(self, workload, what):
        return any(e["workload"] == workload and e["what"] == what for e in self.left_out)

    def note(self, workload, note):
        entry = {"workload": workload, "note": note}
        if entry not in self.notes:
            print(f"  note: {note}", file=sys.stderr, flush=True)
            self.notes.append(entry)

    @contextlib.contextmanager
    def side(self, workload, what):
        """Who fails is left out of the rest of the workload, and the results say so. For ours that
        is a failure of the run."""
        try:
            yield
        except (Failed, OSError) as e:
            self.leave_out(workload, what, e)
            if what.startswith("imgcachefs"):
                self.failures.append({"workload": workload,
                                      "why": without_directories(f"{what}: {e}")})

    def as_json(self):
        return {"rows": [row.as_json() for row in self.rows.values()], "left_out": self.left_out,
                "notes": self.notes, "failures": self.failures}
