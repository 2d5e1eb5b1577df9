#!/usr/bin/env python3
"""Whether peak resident memory under deadweight, sampled, stays within 5 % + 16 MB of the plain run, for every workload.

Both are measured in the same round, one after the other. Exit status 1 if a workload is above the mark. See README.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import run

PART, MORE_BYTES = 0.05, 16_000_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deadweight", type=Path, metavar="PATH", help="the binary [default: built here, or on PATH]")
    parser.add_argument("--python", default="python3.11", metavar="PY", help="3.9 to 3.13 [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="pairs of runs [default: %(default)s]")
    parser.add_argument("--only", metavar="A,B", help="only these workloads: " + ", ".join(measure.workloads()))
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the table there, and all figures beside it (.json)")
    parser.add_argument("--remark", default="", metavar="TEXT", help="a line for the table: what else the machine did")
    return parser.parse_args()


def peak(variant: str, workload: str, setup: measure.Setup) -> int:
    figures = measure.run(variant, workload, setup)
    if "error" in figures:
        sys.exit(f"{workload}, {variant}: {figures['error']}\n{figures.get('output', '')}")
    return figures["peak_kib"] * 1024


def main() -> None:
    options = arguments()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="deadweight-rss-") as name:
        binary = measure.copy_of(run.find_deadweight(options.deadweight), Path(name))
        setup = measure.prepare(["plain", "sampled"], options.python, binary)
        for workload in run.chosen("--only", options.only, measure.workloads()):
            pairs = [(peak("plain", workload, setup), peak("sampled", workload, setup)) for _ in range(options.rounds)]
            # The pair with the largest excess over its own mark decides.
            worst = max(pairs, key=lambda pair: pair[1] - mark(pair[0]))
            rows.append({"workload": workload, "pairs": pairs, "worst": worst, "fits": worst[1] <= mark(worst[0])})
            print(line(rows[-1]), file=sys.stderr)
    text = table(rows, options)
    print(text)
    if options.results:
        options.results.write_text(text + "\n")
        options.results.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    if not all(row["fits"] for row in rows):
        sys.exit(1)


def mark(plain: int) -> float:
    """What is allowed, in bytes."""
    return plain * (1 + PART) + MORE_BYTES


def mib(size: float) -> str:
    return f"{size / (1 << 20):.1f}"


def line(row: dict[str, Any]) -> str:
    plain, sampled = row["worst"]
    medians = [statistics.median(pair[at] for pair in row["pairs"]) for at in (0, 1)]
    cells = [row["workload"], *map(mib, medians), mib(plain), mib(sampled), mib(mark(plain)), "yes" if row["fits"] else "**no**"]
    return "| " + " | ".join(cells) + " |"


def table(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    head = [
        "# Peak resident memory under deadweight, sampled",
        "",
        f"{datetime.date.today()}, {options.python} on {platform.platform()}; {options.rounds} rounds. Mark: plain + 5 % + 16 MB. MiB.",
        *([options.remark] if options.remark else []),
        "",
        "| workload | plain, median | sampled, median | plain, worst pair | sampled, worst pair | mark of that pair | within |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*head, *map(line, rows)])


if __name__ == "__main__":
    main()
