#!/usr/bin/env python3
"""Runs healthy programs under deadweight: none of them may have a finding above "low".

    run.py --deadweight PATH [--fast] [--only NAME,...] [--python PATH] [--keep] [--snapshots-only] [--skips FILE]

Every program in programs/ runs twice, with heap snapshots (the default) and without. Those that need packages (`#
packages:` in their source) run in an environment that is made once in the cache folder from requirements.txt; where
PyPI cannot be reached they are skipped, and it is said. --fast leaves out those that take long. The last line is
`N passed, N failed, N skipped`; the exit status is 0 if nothing failed.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SLOW = {"sklearn_training", "matplotlib_closed", "csv_report", "openpyxl_read_only", "json_batch"}
LIMIT_SECONDS = 300


class Skip(Exception):
    """Why a program was not tried."""


def packages_of(program: Path) -> "list[str]":
    found = re.search(r"^# packages: (.+)$", program.read_text(), re.MULTILINE)
    return found.group(1).split() if found else []


def environment(python: str, cache: Path) -> str:
    """The Python of the environment with all packages, made on first use."""
    requirements = HERE / "requirements.txt"
    version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout
    key = hashlib.sha256(version.encode() + python.encode() + requirements.read_bytes()).hexdigest()[:10]
    folder = cache / key
    inside = folder / "bin" / "python"
    if (folder / "complete").exists():
        return str(inside)
    shutil.rmtree(folder, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    pip = [str(inside), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
    for step in ([python, "-m", "venv", str(folder)], pip + ["-r", str(requirements)]):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["?"]
            raise Skip("its packages cannot be installed: %s" % next((s for s in said if "rror" in s), said[-1]))
    (folder / "complete").touch()
    return str(inside)


def run(command: "list[str]", cwd: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LIMIT_SECONDS)


def check(deadweight: str, python: str, program: Path, options: "list[str]", keep: bool) -> "tuple[bool, str]":
    """Whether the program is called healthy, and what to print about it."""
    folder = Path(tempfile.mkdtemp(prefix="deadweight-healthy-"))
    try:
        start = time.monotonic()
        ended = run([deadweight, "run", "-q", "-o", "c.dw"] + options + ["--python", python, str(program)], folder)
        seconds = time.monotonic() - start
        if ended.returncode:
            return False, "exit status %d: %s" % (ended.returncode, ended.stderr.strip()[-300:])
        told = run([deadweight, "report", "c.dw", "--format", "json"], folder)
        if told.returncode:
            return False, "report: %s" % told.stderr.strip()[-300:]
        report = json.loads(told.stdout)
    except subprocess.TimeoutExpired:
        return False, "still running after %d s" % LIMIT_SECONDS
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    grave = [found for found in report["findings"] if found["severity"] != "low"]
    low = [found["kind"] for found in report["findings"] if found["severity"] == "low"]
    peak = (report["peak"]["rss_bytes"] or 0) >> 20
    figures = "%.1f s, peak %d MiB%s" % (seconds, peak, ", low: " + ", ".join(low) if low else "")
    if keep:
        figures += ", %s" % folder
    if grave:
        return False, "; ".join("%(severity)s %(kind)s: %(title)s" % found for found in grave) + " (%s)" % figures
    return True, "ok (%s)" % figures


def main() -> int:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deadweight-healthy"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deadweight", metavar="PATH", required=True, help="the binary to check")
    parser.add_argument("--python", metavar="PATH", default=sys.executable, help="default: the one that runs this")
    parser.add_argument("--only", metavar="NAME,...", default="", help="these programs only")
    parser.add_argument("--fast", action="store_true", help="without those that take long")
    parser.add_argument("--snapshots-only", action="store_true", help="not without heap snapshots")
    parser.add_argument("--keep", action="store_true", help="keep the folders with the captures")
    parser.add_argument("--skips", metavar="FILE", help="write what was skipped, and why, to this file as well")
    options = parser.parse_args()
    deadweight = os.path.abspath(options.deadweight)
    wanted = [name for name in options.only.split(",") if name]
    programs = sorted((HERE / "programs").glob("*.py"))
    unknown = set(wanted) - {program.stem for program in programs}
    if unknown:
        parser.error("there is no program %s" % ", ".join(sorted(unknown)))
    modes = [("snapshots", [])] + ([] if options.snapshots_only else [("events", ["--no-snapshots"])])
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    unavailable, skipped = None, []
    for program in programs:
        if wanted and program.stem not in wanted or options.fast and program.stem in SLOW:
            continue
        python = options.python
        if packages_of(program):
            try:
                if unavailable:
                    raise unavailable
                python = environment(options.python, cache)
            except Skip as why:
                unavailable = why
                counts["skipped"] += 1
                print("%-20s skipped: %s" % (program.stem, why), flush=True)
                skipped.append("%s: %s" % (program.stem, why))
                continue
        for mode, arguments in modes:
            good, line = check(deadweight, python, program, arguments, options.keep)
            counts["passed" if good else "failed"] += 1
            print("%-20s %-9s %s" % (program.stem, mode, line if good else "FAILED " + line), flush=True)
    if options.skips:
        Path(options.skips).write_text("".join(line + "\n" for line in skipped))
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
