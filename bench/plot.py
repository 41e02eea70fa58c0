"""One picture for each workload: ratios to the yardstick, with their spread, as bars."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "imgcachefs"  # the same figures give the same file

import matplotlib.pyplot as pyplot  # noqa: E402 - after the choice of the backend

COLOURS = ["#1f6f8b", "#88c0d0", "#d08770", "#ebcb8b", "#a3be8c", "#b48ead", "#7f8c8d", "#bf616a"]


def draw(run, out, stamp):
    """Writes [STAMP-]WORKLOAD.svg for each workload that has ratios; gives the paths."""
    paths = []
    for workload in run["workloads"]:
        rows = [r for r in run["rows"] if r["workload"] == workload and "ratio" in r]
        if rows:
            path = out / (f"{stamp}-{workload}.svg" if stamp else f"{workload}.svg")
            draw_workload(workload, rows, path)
            paths.append(path)
    return paths


def draw_workload(workload, rows, path):
    cases = list(dict.fromkeys(r["case"] for r in rows))
    subjects = list(dict.fromkeys(r["subject"] for r in rows))
    step = 0.8 / len(subjects)
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.22 * len(cases) * (len(subjects) + 1)))
    for number, subject in enumerate(subjects):
        mine = [r for r in rows if r["subject"] == subject]
        ratios = [r["ratio"] for r in mine]
        places = [cases.index(r["case"]) + number * step for r in mine]
        medians = [r["median"] for r in ratios]
        spread = [[r["median"] - r["min"] for r in ratios], [r["max"] - r["median"] for r in ratios]]
        axes.barh(places, medians, step * 0.9, xerr=spread, label=subject, ecolor="#444444",
                  color=COLOURS[number % len(COLOURS)], error_kw={"linewidth": 0.8})
    axes.axvline(1, color="#222222", linewidth=0.8)
    axes.set_yticks([n + 0.4 - step / 2 for n in range(len(cases))])
    better = {r["case"]: r["better"] for r in rows}
    axes.set_yticklabels([f"{c}\n({better[c]} is better)" for c in cases], fontsize=8)
    axes.invert_yaxis()
    if max(r["ratio"]["max"] for r in rows) > 20:
        axes.set_xscale("log")
    yardsticks = dict.fromkeys(r["yardstick"] for r in rows)
    axes.set_xlabel(f"ratio to {' / '.join(yardsticks)}", fontsize=8)
    axes.set_title(workload, fontsize=10)
    axes.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1.04), ncol=3, frameon=False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
