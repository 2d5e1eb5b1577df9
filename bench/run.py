#!/usr/bin/env python3
"""Measures what deadweight, memray and Fil cost, on the same workloads and in one go. See README.md beside this."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import environments
import measure
import table

ROOT = Path(__file__).resolve().parent.parent


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deadweight", type=Path, metavar="PATH", help="the binary [default: built here, or on PATH]")
    parser.add_argument("--python", default="python3.11", metavar="PY", help="3.9 to 3.13 [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of every cell [default: %(default)s]")
    parser.add_argument("--only", metavar="A,B", help="only these workloads: " + ", ".join(measure.workloads()))
    parser.add_argument("--variants", metavar="A,B", help="only these variants: " + ", ".join(measure.VARIANTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the printed tables there")
    parser.add_argument("--remark", default="", metavar="TEXT", help="a line for the tables: what else the machine did")
    return parser.parse_args()


def chosen(parser_name: str, text: str | None, known: list[str]) -> list[str]:
    """The names in a comma-separated list, in the order of `known`."""
    if not text:
        return known
    names = text.split(",")
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"{parser_name}: no {', '.join(unknown)}; there are {', '.join(known)}")
    return [name for name in known if name in names]


def find_deadweight(given: Path | None) -> Path:
    """The binary that was given, the newest release build of this repository, or the one on PATH."""
    if given:
        if not given.is_file():
            sys.exit(f"--deadweight: {given} is no file")
        return given
    built = sorted((ROOT / "target").glob("**/release/deadweight"), key=lambda path: path.stat().st_mtime)
    installed = shutil.which("deadweight")
    if not built and not installed:
        sys.exit("there is no deadweight: build it with `cargo build --release`, or name one with --deadweight")
    return built[-1] if built else Path(str(installed))


def about(setup: measure.Setup, python: str) -> dict[str, Any]:
    """The machine and the programs, for whoever reads the figures later."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    facts: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "command": shlex.join(["python3", *sys.argv]),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "load_before": os.getloadavg()[0],
        "python": {key: environments.describe(python)[key] for key in ("version", "build", "libc")},
        "packages": {name: environments.LIBRARIES + environments.ENVIRONMENTS[name] for name in setup.places},
    }
    if setup.deadweight:
        version = subprocess.run([str(setup.deadweight), "--version"], stdout=subprocess.PIPE, check=True)
        facts["deadweight"] = version.stdout.decode().strip()
        facts["deadweight_sha256"] = hashlib.sha256(setup.deadweight.read_bytes()).hexdigest()
    return facts


def check(run: dict[str, Any], results: dict[str, Any]) -> None:
    """Turns a run that did other work than the first one of its workload into a failure."""
    if "error" not in run and results.setdefault(run["workload"], run["result"]) != run["result"]:
        run["error"] = f"another result: {run['result']}"


def measure_all(setup: measure.Setup, names: list[str], variants: list[str], rounds: int) -> list[dict[str, Any]]:
    """All runs. In each round a workload's variants follow each other, in an order that is another one each time, so
    that whatever else the machine does meets all of them alike."""
    runs: list[dict[str, Any]] = []
    results: dict[str, Any] = {}
    for number in range(rounds):
        for place, workload in enumerate(names):
            shift = (number + place) % len(variants)
            for variant in variants[shift:] + variants[:shift]:
                run = {"workload": workload, "variant": variant, "round": number}
                run.update(measure.run(variant, workload, setup))
                check(run, results)
                runs.append(run)
                cost = run.get("error") or f"{run['cpu_s']:.3f} s"
                print(f"round {number + 1} of {rounds}: {workload}, {variant}: {cost}", file=sys.stderr)
    return runs


def report(facts: dict[str, Any], runs: list[dict[str, Any]], names: list[str], variants: list[str]) -> str:
    """Everything that is printed, as Markdown."""
    python = facts["python"]
    rounds = len({run["round"] for run in runs})
    parts = [
        f"# Costs, {facts['date']}",
        f"`{facts['command']}`",
        f"{facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, {facts['kernel']}, {python['libc']}, "
        f"Python {python['build']}; {facts.get('deadweight', 'no deadweight')}; "
        + ", ".join(sorted({package for packages in facts["packages"].values() for package in packages}))
        + f". {rounds} rounds; load average {facts['load_before']:.1f} before and {facts['load_after']:.1f} after. "
        + str(facts["remark"]),
        "## CPU time: ratio to the plain run (median of the rounds, least-largest)",
        table.ratios(runs, names, variants, "cpu_s", "s", 1.0),
        "## Peak resident memory: ratio to the plain run",
        table.ratios(runs, names, variants, "peak_kib", "MiB", 1 / 1024),
        "## Medians",
        table.medians(runs, names, variants),
    ]
    failed = table.failures(runs)
    if failed:
        parts += ["## Failures", "\n".join(f"- {line}" for line in failed)]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measures and prints."""
    options = arguments()
    names = chosen("--only", options.only, measure.workloads())
    variants = chosen("--variants", options.variants, list(measure.VARIANTS))
    if "plain" not in variants:
        variants = ["plain", *variants]
    python = shutil.which(options.python) or sys.exit(f"--python: there is no {options.python}")
    with tempfile.TemporaryDirectory(prefix="deadweight-bench-") as place:
        own = None
        if {"sampled", "exact"} & set(variants):
            own = measure.copy_of(find_deadweight(options.deadweight), Path(place))
        setup = measure.prepare(variants, str(python), own)
        facts = about(setup, str(python))
        facts["remark"] = options.remark
        for variant in variants:  # once unmeasured: the files get into the page cache, bytecode gets compiled
            measure.run(variant, "imports", setup)
        runs = measure_all(setup, names, variants, options.rounds)
        facts["load_after"] = os.getloadavg()[0]
    text = report(facts, runs, names, variants)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    if options.json:
        options.json.write_text(json.dumps({"about": facts, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
