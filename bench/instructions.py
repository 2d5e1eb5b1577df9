#!/usr/bin/env python3
"""Counts the instructions that a program executes with and without deadweight's agent, with callgrind.

Unlike times, these counts hardly differ from run to run, so they show a change of one percent. They say nothing
about caches and system calls: times decide, these counts explain. Each workload also runs at scale 0, which is the
start of Python and the imports; the ratio of the work is what remains without that.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import callgrind
import environments
import measure
import run
import table

#: The workloads and how much of each is run: callgrind is about fifty times slower than the processor.
SCALES = {"calls": 0.1, "objects": 0.2, "json_dicts": 0.1, "loop": 0.05, "strings": 0.05, "recursion": 0.05}

MODES = ("plain", "sampled", "exact")

#: The sampler begins with the same random number in every run.
SEED = "7"


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deadweight", type=Path, metavar="PATH", help="the binary [default: built here, or on PATH]")
    parser.add_argument("--agent", type=Path, metavar="SO", help="another agent, say one built with debug information")
    parser.add_argument("--python", default="python3.11", metavar="PY", help="[default: %(default)s]")
    parser.add_argument("--only", metavar="A,B", help="only these workloads: " + ", ".join(SCALES))
    parser.add_argument(
        "--top", type=int, default=12, metavar="N", help="lines of the breakdown [default: %(default)s]"
    )
    return parser.parse_args()


def find_agent(deadweight: Path, python: Path) -> Path:
    """The library that this `deadweight` preloads, in a copy: the program says so itself."""
    with tempfile.TemporaryDirectory() as place:
        code = "import os; print(os.environ['LD_PRELOAD'])"
        command = [str(deadweight), "run", "-q", "-o", f"{place}/capture", "--python", str(python), "-c", code]
        done = subprocess.run(command, stdout=subprocess.PIPE, env=measure.clean_environment(), check=True)
    return Path(done.stdout.decode().strip().split(":")[0])


def count(mode: str, workload: str, scale: float, python: Path, agent: Path) -> Counter[callgrind.Place]:
    """Runs a workload under callgrind, with the environment that `deadweight run` sets."""
    with tempfile.TemporaryDirectory(prefix="deadweight-bench-") as name:
        scratch = Path(name)
        capture = scratch / "capture"
        capture.mkdir()
        environment = measure.clean_environment()
        if mode != "plain":
            environment.update(
                LD_PRELOAD=str(agent),
                DEADWEIGHT_CAPTURE=str(capture),
                DEADWEIGHT_MODE=mode,
                DEADWEIGHT_INTERVAL="65536",
                DEADWEIGHT_MAX_SIZE=str(4 << 30),
                DEADWEIGHT_SEED=SEED,
            )
        output = scratch / "callgrind.out"
        script = measure.WORKLOADS / f"{workload}.py"
        # The program itself: the `valgrind` on PATH may be a shell script, which the agent need not see.
        valgrind = shutil.which("valgrind.bin") or shutil.which("valgrind") or sys.exit("there is no valgrind")
        command = [str(valgrind), "--tool=callgrind", f"--callgrind-out-file={output}", str(python), str(script)]
        done = subprocess.run(
            [*command, str(scale)], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        if done.returncode != 0:
            sys.exit(done.stdout.decode(errors="replace"))
        if mode != "plain" and not any(capture.iterdir()):
            sys.exit(f"the agent {agent} recorded nothing")
        return callgrind.instructions(output)


def _agents(counts: Counter[callgrind.Place], agent: Path) -> dict[str, Counter[str]]:
    """The agent's own instructions, by function and by function and source file."""
    by_function: Counter[str] = Counter()
    by_source: Counter[str] = Counter()
    for place, number in counts.items():
        if place.library == agent.name:
            function = place.function.replace("deadweight_", "")
            by_function[function] += number
            by_source[f"{function} ({'/'.join(Path(place.source).parts[-3:])})"] += number
    return {"function": by_function, "source": by_source}


def _breakdown(title: str, counts: Counter[str], total: int, top: int) -> str:
    whole = sum(counts.values())
    lines = [f"{title}: the agent executes {whole / 1e6:.1f} M of {total / 1e6:.1f} M instructions"]
    for name, number in counts.most_common(top):
        lines.append(f"  {number / 1e6:9.2f} M  {100 * number / whole if whole else 0:5.1f} %  {name}")
    return "\n".join(lines)


def main() -> None:
    """Counts and prints."""
    options = arguments()
    names = run.chosen("--only", options.only, list(SCALES))
    found: str | None = shutil.which(options.python)
    if not found:
        sys.exit(f"--python: there is no {options.python}")
    python = environments.prepare("plain", found) / "bin" / "python"
    rows: list[list[str]] = [["workload", "plain, M", "sampled", "exact", "sampled, work only", "exact, work only"]]
    details: list[str] = []
    with tempfile.TemporaryDirectory(prefix="deadweight-bench-") as place:
        given = options.agent or find_agent(run.find_deadweight(options.deadweight), python)
        agent = Path(shutil.copy2(given, Path(place) / "libdeadweight_agent.so"))
        for workload in names:
            # Once uncounted: bytecode gets compiled.
            script = str(measure.WORKLOADS / f"{workload}.py")
            subprocess.run([str(python), script, "0"], check=True, env=measure.clean_environment())
            totals: dict[tuple[str, bool], int] = {}
            for mode in MODES:
                for work in (False, True):
                    counts = count(mode, workload, SCALES[workload] if work else 0.0, python, agent)
                    totals[mode, work] = sum(counts.values())
                if mode != "plain":
                    title = f"{workload}, {mode}"
                    for kind, own in _agents(counts, agent).items():
                        details.append(_breakdown(f"{title}, by {kind}", own, totals[mode, True], options.top))
                print(f"{workload}, {mode}: {totals[mode, True] / 1e6:.1f} M", file=sys.stderr)
            plain, start = totals["plain", True], totals["plain", False]
            row = [workload, f"{plain / 1e6:.1f}"]
            row += [f"{totals[mode, True] / plain:.3f}" for mode in MODES[1:]]
            row += [f"{(totals[mode, True] - totals[mode, False]) / (plain - start):.3f}" for mode in MODES[1:]]
            rows.append(row)
    print(table.text(rows))
    print()
    print("\n\n".join(details))


if __name__ == "__main__":
    os.nice(5)
    main()
