"""From the figures of all runs to the tables that are printed."""

from __future__ import annotations

import math
from statistics import median
from typing import Any, NamedTuple

Run = dict[str, Any]


class Ratio(NamedTuple):
    """A variant's cost over the plain run's of the same round."""

    median: float
    low: float
    high: float


def of(runs: list[Run], workload: str, variant: str) -> list[Run]:
    """The runs of one cell of the table, in order of their rounds."""
    chosen = [run for run in runs if run["workload"] == workload and run["variant"] == variant]
    return sorted(chosen, key=lambda run: int(run["round"]))


def failure(cell: list[Run]) -> str | None:
    """Why a cell has no figures, or `None`."""
    for run in cell:
        if "error" in run:
            return str(run["error"])
    return None if cell else "not run"


def ratio(runs: list[Run], workload: str, variant: str, figure: str) -> Ratio | None:
    """A figure's ratio to the plain run, or `None` if one of the two failed."""
    cell, plain = of(runs, workload, variant), of(runs, workload, "plain")
    if failure(cell) or failure(plain):
        return None
    base = {run["round"]: run[figure] for run in plain}
    ratios = [run[figure] / base[run["round"]] for run in cell if base.get(run["round"])]
    return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None


def _geometric_mean(values: list[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


def text(rows: list[list[str]]) -> str:
    """A Markdown table, readable as plain text too."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2)] + ["-" * (width + 1) + ":" for width in widths[1:]]) + "|"
    return "\n".join([line(rows[0]), rule, *(line(row) for row in rows[1:])])


def ratios(runs: list[Run], workloads: list[str], variants: list[str], figure: str, unit: str, scale: float) -> str:
    """The table of a figure: the plain median, and the other variants' ratios to it."""
    others = [variant for variant in variants if variant != "plain"]
    rows = [["workload", f"plain, {unit}", *others]]
    found: dict[str, list[float]] = {variant: [] for variant in others}
    for workload in workloads:
        plain = of(runs, workload, "plain")
        row = [workload, "failed" if failure(plain) else f"{median(run[figure] for run in plain) * scale:.2f}"]
        for variant in others:
            value = ratio(runs, workload, variant, figure)
            if value:
                found[variant].append(value.median)
                spread = f" ({value.low:.2f}-{value.high:.2f})" if value.low != value.high else ""
                row.append(f"{value.median:.2f}{spread}")
            else:
                row.append("failed")
        rows.append(row)
    means = ["geometric mean", ""]
    for variant in others:
        values = found[variant]
        missing = f", {len(values)} of {len(workloads)}" if len(values) < len(workloads) else ""
        means.append(f"{_geometric_mean(values):.3f}{missing}" if values else "-")
    return text([*rows, means])


def medians(runs: list[Run], workloads: list[str], variants: list[str]) -> str:
    """The table of all cells' medians: CPU time, wall time, peak memory, size of the record."""
    rows = [["workload, variant", "CPU s", "supervisor CPU s", "wall s", "peak MiB", "record MiB"]]
    for workload in workloads:
        for variant in variants:
            cell = of(runs, workload, variant)
            if failure(cell):
                rows.append([f"{workload}, {variant}", "failed", "", "", "", ""])
                continue
            middle = {
                name: median(run[name] for run in cell) for name in cell[0] if name.endswith(("_s", "_kib", "_bytes"))
            }
            rows.append(
                [
                    f"{workload}, {variant}",
                    f"{middle['cpu_s']:.3f}",
                    f"{middle['supervisor_cpu_s']:.3f}" if middle["supervisor_cpu_s"] else "",
                    f"{middle['wall_s']:.3f}",
                    f"{middle['peak_kib'] / 1024:.1f}",
                    f"{middle['record_bytes'] / 2**20:.1f}" if middle["record_bytes"] else "",
                ]
            )
    return text(rows)


def failures(runs: list[Run]) -> list[str]:
    """One line for every cell that failed, with its first reason."""
    seen: dict[str, str] = {}
    for run in runs:
        if "error" in run:
            last = str(run.get("output", "")).strip().splitlines()[-1:]
            seen.setdefault(f"{run['workload']}, {run['variant']}", ": ".join([run["error"], *last]))
    return [f"{cell}: {reason}" for cell, reason in seen.items()]
