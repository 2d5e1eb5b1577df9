#!/usr/bin/env python3
"""Measures heap snapshots and their analysis, beside guppy3, objgraph, Pympler and PyHeap, on a made heap. See README.md
beside this."""

from __future__ import annotations

import argparse
import datetime
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import environments
import heap_run
import heap_table
import measure
import run

RESULTS = Path(__file__).resolve().parent / "results"


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deadweight", type=Path, metavar="PATH", help="the binary [default: built here, or on PATH]")
    parser.add_argument("--heap-answer", type=Path, metavar="PATH", help="the example [default: beside the binary]")
    parser.add_argument("--pyheap", type=Path, metavar="PATH", help="PyHeap's pyheap_dump or pyheap_dump.py; not on PyPI")
    parser.add_argument("--python", default="python3.11", metavar="PY", help="3.9 to 3.12 [default: %(default)s]")
    parser.add_argument("--objects", default="1M,10M", metavar="N,M", help="sizes of the heap [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each [default: %(default)s]")
    parser.add_argument("--peer-rounds", type=int, default=3, metavar="N", help="runs of each peer [default: %(default)s]")
    parser.add_argument("--variants", metavar="A,B", help="only these: " + ", ".join(heap_run.VARIANTS))
    parser.add_argument("--no-gc", action="store_true", help="the program runs with gc.disable()")
    parser.add_argument("--trigger", choices=["demand", "growth"], help="[default: demand, where deadweight can]")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="S", help="of each run [default: %(default).0f s]")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="[default: bench/results]")
    parser.add_argument("--remark", default="", metavar="TEXT", help="a line for the tables: what else the machine did")
    return parser.parse_args()


def sizes(text: str) -> list[int]:
    """Reads `100k,1M`."""
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)([kM]?)", part.strip())
        if not match:
            sys.exit(f"--objects: {part} is no number such as 100k or 10M")
        found.append(int(match.group(1)) * {"": 1, "k": 1000, "M": 1_000_000}[match.group(2)])
    return found


def find_heap_answer(given: Path | None, deadweight: Path) -> Path | None:
    """The example that analyses the heap alone."""
    if given:
        return given if given.is_file() else sys.exit(f"--heap-answer: {given} is no file")
    beside = deadweight.resolve().parent / "examples" / "heap_answer"
    return beside if beside.is_file() else None


def find_trigger(given: str | None, deadweight: Path) -> str:
    """Whether a snapshot is asked for or comes by growth."""
    if given:
        return given
    asked = subprocess.run([str(deadweight), "snapshot", "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return "demand" if asked.returncode == 0 else "growth"


def load() -> str:
    """What the kernel says of the machine's load."""
    return Path("/proc/loadavg").read_text().strip()


def measure_all(setup: heap_run.Setup, options: argparse.Namespace, variants: list[str]) -> list[dict[str, Any]]:
    """All runs. In each round a heap's variants follow each other, beginning with another one each time. A peer that took
    too long once is not asked again for a heap of that size."""
    runs: list[dict[str, Any]] = []
    too_late: set[tuple[str, int]] = set()
    for objects in sizes(options.objects):
        for number in range(max(options.rounds, options.peer_rounds)):
            shift = number % len(variants)
            for variant in variants[shift:] + variants[:shift]:
                is_peer = variant not in ("plain", "deadweight")
                if number >= (options.peer_rounds if is_peer else options.rounds) or (variant, objects) in too_late:
                    continue
                one = {"objects": objects, "variant": variant, "round": number, "load": load()}
                one.update(heap_run.run(variant, objects, setup))
                runs.append(one)
                if is_peer and "took longer" in one.get("error", ""):
                    too_late.add((variant, objects))
                said = one.get("error") or "done"
                print(f"{objects} objects, round {number + 1}, {variant}: {said}", file=sys.stderr)
    return runs


def report(facts: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """Everything that is printed, as Markdown."""
    python = facts["python"]
    counts = {name: len({one["round"] for one in runs if one["variant"] == name}) for name in facts["variants"]}
    parts = [
        f"# Heap snapshots, {facts['date']}",
        f"`{facts['command']}`",
        f"{facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, {facts['kernel']}, {python['libc']}, "
        f"Python {python['build']}, collector {'off' if facts['no_gc'] else 'on'}; {facts['deadweight']}, snapshots by "
        f"{facts['trigger']}; {', '.join(facts['packages'].get('heap-peers', []))}; PyHeap: {facts['pyheap']}. Rounds: "
        + ", ".join(f"{name} {count}" for name, count in counts.items())
        + f". /proc/loadavg before: {facts['loadavg_before']}; after: {facts['loadavg_after']}. {facts['remark']}",
    ]
    for objects in sorted({one["objects"] for one in runs}):
        parts += [f"## About {objects:,} objects", heap_table.marks(runs, objects)]
        parts += ["### Figures", heap_table.figures(runs, objects), "### Peers", heap_table.peers(runs, objects)]
    failed = heap_table.failures(runs)
    if failed:
        parts += ["## Failures", "\n".join(f"- {line}" for line in failed)]
    return "\n\n".join(parts) + "\n"


def free_stem(folder: Path) -> Path:
    """`DATE-heap` in the folder, or `DATE-heap-2` ... where that is taken: results are not overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{datetime.date.today().isoformat()}-heap"
    number = 1
    while True:
        path = folder / (stem if number == 1 else f"{stem}-{number}")
        if not path.with_suffix(".json").exists() and not path.with_suffix(".md").exists():
            return path
        number += 1


def main() -> None:
    """Measures, prints, and writes the results."""
    options = arguments()
    # Ended from outside, it takes the program that it runs with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sizes(options.objects)
    variants = run.chosen("--variants", options.variants, list(heap_run.VARIANTS))
    python = shutil.which(options.python) or sys.exit(f"--python: there is no {options.python}")
    no_pyheap = None
    if not options.pyheap:
        no_pyheap = "not measured (not on PyPI; name its pyheap_dump with --pyheap)"
    elif not options.pyheap.is_file():
        sys.exit(f"--pyheap: {options.pyheap} is no file")
    elif not shutil.which("gdb"):
        no_pyheap = "not measured (there is no gdb)"
    variants = [name for name in variants if name != "pyheap" or not no_pyheap]
    built = run.find_deadweight(options.deadweight)
    with tempfile.TemporaryDirectory(prefix="deadweight-bench-") as place:
        own = measure.copy_of(built, Path(place))
        setup = heap_run.Setup(
            places={
                name: environments.prepare(name, str(python))
                for name in sorted({heap_run.VARIANTS[variant] for variant in variants})
            },
            deadweight=own,
            trigger=find_trigger(options.trigger, own),
            heap_answer=find_heap_answer(options.heap_answer, built),
            pyheap=options.pyheap.resolve() if options.pyheap else None,
            no_gc=options.no_gc,
            timeout_s=options.timeout,
        )
        facts = run.about(measure.Setup(own, setup.places), str(python))
        facts.update(loadavg_before=load(), remark=options.remark, no_gc=options.no_gc, trigger=setup.trigger)
        facts.update(variants=variants, pyheap=no_pyheap or str(options.pyheap))
        if "plain" in variants:  # once unmeasured: the files get into the page cache, bytecode gets compiled
            heap_run.run("plain", 10_000, setup)
        runs = measure_all(setup, options, variants)
        facts["loadavg_after"] = load()
    text = report(facts, runs)
    print(text)
    stem = free_stem(options.results)
    stem.with_suffix(".md").write_text(text)
    stem.with_suffix(".json").write_text(json.dumps({"about": facts, "runs": runs}, indent=1) + "\n")
    print(f"written: {stem}.md, {stem}.json", file=sys.stderr)


if __name__ == "__main__":
    main()
