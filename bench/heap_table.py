"""From the figures of all runs of the heap benchmark to what is printed."""

from __future__ import annotations

from statistics import median
from typing import Any, Callable

import heap_peers
import heap_program
import table

Run = dict[str, Any]


class Figure:
    """A figure's values over the rounds."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def text(self, form: str = "{:.2f}") -> str:
        """The median, and the least and the largest if there are several."""
        if not self.values:
            return "-"
        middle, low, high = form.format(median(self.values)), form.format(min(self.values)), form.format(max(self.values))
        return middle if low == high else f"{middle} ({low}-{high})"

    def against(self, holds: Callable[[float], bool]) -> str:
        """Whether the median keeps a mark."""
        if not self.values:
            return "not measured"
        return "kept" if holds(median(self.values)) else "**missed**"


def _of(runs: list[Run], objects: int, variant: str) -> list[Run]:
    return [run for run in runs if run["objects"] == objects and run["variant"] == variant]


def _get(run: Run, path: str) -> float | None:
    value: Any = run
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if value is None else float(value)


def figure(runs: list[Run], path: str, scale: float = 1.0) -> Figure:
    """A figure of each run that has it and did not fail."""
    values = [_get(run, path) for run in runs if "error" not in run]
    return Figure([value * scale for value in values if value is not None])


def _ratio(runs: list[Run], plain: list[Run], path: str, base: Callable[[Run], float | None]) -> Figure:
    """A figure's ratio to one of the plain run of the same round."""
    bases = {run["round"]: base(run) for run in plain if "error" not in run}
    found = []
    for run in runs:
        value, under = _get(run, path), bases.get(run["round"])
        if "error" not in run and value is not None and under:
            found.append(value / under)
    return Figure(found)


def _first_fork(run: Run) -> float | None:
    return run["forks_s"][0] if run.get("forks_s") else None


def _per_object(runs: list[Run], path: str) -> Figure:
    pairs = [(_get(run, path), _get(run, "snapshot.objects")) for run in runs if "error" not in run]
    return Figure([value * 1024 / objects for value, objects in pairs if value is not None and objects])


def marks(runs: list[Run], objects: int) -> str:
    """The marks of the issue, and whether they are kept."""
    own, plain = _of(runs, objects, "deadweight"), _of(runs, objects, "plain")
    rate = figure(own, "snapshot.objects_per_s", 1e-6)
    seconds = figure(own, "analysis.heap.wall_s")
    each = _per_object(own, "analysis.heap.peak_kib")
    peak = _ratio(own, plain, "peak_kib", lambda run: run["peak_kib"])
    rows = [["mark", "measured", ""]]
    for name, path in (
        ("as the snapshot says", "snapshot.pause_s"),
        ("as the program's loop sees it", "snapshot.gap_s"),
    ):
        ratio = _ratio(own, plain, path, _first_fork)
        rows.append([f"pause, {name}: at most 1.5 bare forks", ratio.text(), ratio.against(lambda value: value <= 1.5)])
    rows += [
        ["snapshot: at least 1 million objects a second", rate.text(), rate.against(lambda value: value >= 1.0)],
        ["program's peak RSS: below 1.10 times plain", peak.text("{:.3f}"), peak.against(lambda value: value < 1.1)],
    ]
    # The time is wanted of 10 million objects; what fewer need says nothing of it.
    verdict = seconds.against(lambda value: value <= 10.0) if objects >= 10_000_000 else ""
    rows += [
        ["analysis of 10 million objects: at most 10 s", seconds.text("{:.2f} s"), verdict],
        ["analysis: at most 100 bytes an object", each.text("{:.0f}"), each.against(lambda value: value <= 100.0)],
    ]
    return table.text(rows)


_FIGURES = [
    ("plain", "program: making the heap, s", "build_s", 1.0, "{:.2f}"),
    ("deadweight", "the same under deadweight, snapshots on the way included, s", "build_s", 1.0, "{:.2f}"),
    ("plain", "program: peak RSS, MiB", "peak_kib", 1 / 1024, "{:.0f}"),
    ("deadweight", "the same under deadweight, MiB", "peak_kib", 1 / 1024, "{:.0f}"),
    ("plain", "longest gap of the loop when nothing happens, ms", "noise_s", 1e3, "{:.2f}"),
    ("deadweight", "pause, as the snapshot says, ms", "snapshot.pause_s", 1e3, "{:.2f}"),
    ("deadweight", "pause, the loop's gap at the snapshot, ms", "snapshot.gap_s", 1e3, "{:.2f}"),
    ("deadweight", "longest gap until the snapshot was written, ms", "snapshot.longest_gap_s", 1e3, "{:.2f}"),
    ("deadweight", "snapshot: objects, millions", "snapshot.objects", 1e-6, "{:.3f}"),
    ("deadweight", "snapshot: time to write it, s", "snapshot.life_s", 1.0, "{:.2f}"),
    ("deadweight", "snapshot: CPU time of that, s", "snapshot.cpu_s", 1.0, "{:.2f}"),
    ("deadweight", "snapshot: size, MiB", "snapshot.size_bytes", 2**-20, "{:.0f}"),
    ("deadweight", "snapshot's process: largest Private, MiB", "snapshot.private_kib", 1 / 1024, "{:.0f}"),
    ("deadweight", "the same of all snapshots of the run, MiB", "highest_private_kib", 1 / 1024, "{:.0f}"),
    ("deadweight", "snapshots of the run, those given up included", "snapshots", 1.0, "{:.0f}"),
    ("deadweight", "heap analysis: wall time, s", "analysis.heap.wall_s", 1.0, "{:.2f}"),
    ("deadweight", "heap analysis: CPU time, s", "analysis.heap.cpu_s", 1.0, "{:.2f}"),
    ("deadweight", "heap analysis: peak RSS, mapped snapshot included, MiB", "analysis.heap.peak_kib", 1 / 1024, "{:.0f}"),
    ("deadweight", "heap analysis: largest anonymous, MiB", "analysis.heap.anonymous_kib", 1 / 1024, "{:.0f}"),
    ("deadweight", "heap analysis: garbage that it finds, MiB", "analysis.heap.garbage_mib", 1.0, "{:.1f}"),
    ("deadweight", "deadweight report: wall time, s", "analysis.report.wall_s", 1.0, "{:.2f}"),
    ("deadweight", "deadweight report: CPU time, s", "analysis.report.cpu_s", 1.0, "{:.2f}"),
    ("deadweight", "deadweight report: peak RSS, MiB", "analysis.report.peak_kib", 1 / 1024, "{:.0f}"),
]


def figures(runs: list[Run], objects: int) -> str:
    """The medians of all figures of the program and of deadweight."""
    rows = [["figure", "median (least-largest)"]]
    plain = _of(runs, objects, "plain")
    for place, name in ((0, "the first"), (1, "the second")):
        forks = [run["forks_s"][place] * 1e3 for run in plain if "error" not in run and len(run["forks_s"]) > place]
        rows.append([f"bare fork, {name} of the process, ms", Figure(forks).text()])
    for variant, name, path, scale, form in _FIGURES:
        rows.append([name, figure(_of(runs, objects, variant), path, scale).text(form)])
    each = _per_object(_of(runs, objects, "deadweight"), "analysis.heap.anonymous_kib")
    rows.append(["heap analysis: anonymous bytes an object", each.text("{:.0f}")])
    return table.text(rows)


def _native(seen: Figure) -> str:
    whole = 2 * heap_program.NATIVE_BYTES / 2**20
    return f"{seen.text('{:.1f}')} of {whole:.0f} MiB" if seen.values else "counts no bytes"


def peers(runs: list[Run], objects: int) -> str:
    """How long the program stands still for what each tool does, and how much its peak grows."""
    rows = [["tool, operation", "program stands still, s", "its peak RSS grows by, MiB", "native memory counted"]]
    own, plain = _of(runs, objects, "deadweight"), _of(runs, objects, "plain")
    if own:
        base = {run["round"]: run["peak_kib"] for run in plain if "error" not in run}
        more = [
            (run["peak_kib"] - base[run["round"]]) / 1024 for run in own if "error" not in run and run["round"] in base
        ]
        native = figure(own, "analysis.heap.native_mib")
        rows.append(
            [
                "deadweight, snapshot",
                figure(own, "snapshot.gap_s").text("{:.4f}"),
                Figure(more).text("{:.0f}"),
                _native(native) if native.values else "-",
            ]
        )
    dumps = _of(runs, objects, "pyheap")
    if dumps:
        grown = [(run["peak_kib"] - run["rss_kib"]) / 1024 for run in dumps if "error" not in run]
        stands = figure(dumps, "gap_s").text()
        rows.append(["pyheap, dump", stands, Figure(grown).text("{:.0f}"), "as `sys.getsizeof` says"])
    for tool in ("guppy3", "objgraph", "pympler"):
        rows += _operations(_of(runs, objects, tool), tool)
    return table.text(rows)


def _operations(runs: list[Run], tool: str) -> list[list[str]]:
    """The rows of a tool that looks from inside. What it did before it failed counts."""
    done: dict[str, list[Run]] = {}
    for run in runs:
        for operation in run.get("operations", []):
            done.setdefault(operation["name"], []).append(operation)
    sizes = done.pop(heap_peers.NATIVE, [])
    native = _native(Figure([float(operation["result"]) / 2**20 for operation in sizes]))
    rows = []
    for name, operations in done.items():
        seconds = Figure([operation["seconds"] for operation in operations])
        growth = Figure([operation["growth_kib"] / 1024 for operation in operations])
        rows.append([f"{tool}, {name}", seconds.text(), growth.text("{:.0f}"), native])
    late = next((run["error"] for run in runs if "error" in run), None)
    if late:
        rows.append([f"{tool}, the rest", late, "", ""])
    return rows


def failures(runs: list[Run]) -> list[str]:
    """One line for each variant that failed, with its first reason."""
    seen: dict[str, str] = {}
    for run in runs:
        if "error" in run:
            last = str(run.get("output", "")).strip().splitlines()[-1:]
            seen.setdefault(f"{run['variant']}, {run['objects']} objects", ": ".join([run["error"], *last]))
    return [f"{which}: {why}" for which, why in seen.items()]
