#!/usr/bin/env python3
"""Establishes what `deadweight diff` promises, with real programs.

    run.py --deadweight PATH [--only same,planted,moved,woodwork] [--pairs 20] [--python PATH] [--keep DIR]

- same: a program run again and again, sampled; each two neighbouring runs are compared, and no diff may report a change.
- planted: a program of 1 GB whose index keeps 5 % more: the peak rose, and the line of the index is the one that changed.
- moved: a line moved by 40 lines, in a copy of the program in another folder: matched, and no change reported.
- woodwork: 0.3.0 against 0.3.1, each in a venv of its own: the finding is gone, the peak and the garbage fell. Needs
  Python 3.9 and PyPI; without them it is skipped, and said.

Prints a line for each and ends with status 1 if one does not hold.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LISTS = ("user_sites", "sites", "paths", "types", "findings")


class Skip(Exception):
    """Why something was not tried."""


class Bench:
    def __init__(self, options, folder):
        self.deadweight, self.python, self.folder = options.deadweight, options.python, folder
        self.pairs = options.pairs

    def record(self, name, *command, python=None, cwd=None):
        capture = self.folder / (name + ".dw")
        words = [self.deadweight, "run", "-q", "-o", capture, "--python", python or self.python, *command]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=cwd)
        return capture

    def diff(self, before, after):
        words = [self.deadweight, "diff", before, after, "--format", "json"]
        return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)


def changed(figure):
    return figure["trend"] in ("rose", "fell")


def changes(diff):
    """What a diff reports as changed, in words."""
    found = [name for name, figure in diff["totals"].items() if isinstance(figure, dict) and changed(figure)]
    for name in LISTS:
        for row in diff[name]:
            if changed(row):
                place = row.get("after") or row.get("before") or row.get("type") or row.get("frames") or row.get("kind")
                found.append("%s %s %+d" % (name, place, row["change_bytes"]))
    return found


def mib(size):
    return "%.0f MiB" % (size / 2**20)


def same(bench):
    nightly = HERE.parent.parent / "examples" / "nightly.py"
    wrong = []
    before = bench.record("same-0", nightly)
    for run in range(1, bench.pairs + 1):
        after = bench.record("same-%d" % run, nightly)
        wrong += ["run %d: %s" % (run, what) for what in changes(bench.diff(before, after))]
        shutil.rmtree(before)
        before = after
    assert not wrong, wrong
    return "no change reported in %d of %d" % (bench.pairs, bench.pairs)


def planted(bench):
    program = HERE / "programs" / "gigabyte.py"
    before, after = bench.record("planted-before", program), bench.record("planted-after", program, "more")
    diff = bench.diff(before, after)
    peak = diff["totals"]["peak_heap"]
    assert peak["trend"] == "rose", peak
    rows = [row for row in diff["user_sites"] if changed(row)]
    assert rows, "no line changed"
    line = next(at for at, text in enumerate(program.read_text().splitlines(), 1) if "%0250d" in text)
    where = [(row["after"]["line"], row["after"]["function"]) for row in rows]
    assert where == [(line, "load_index")], where
    return "peak %+d MiB of %s, found at line %d: %+d MiB" % (
        peak["change_bytes"] >> 20,
        mib(peak["before_bytes"]),
        line,
        rows[0]["change_bytes"] >> 20,
    )


def moved(bench):
    text = (HERE / "programs" / "gigabyte.py").read_text()
    for name, extra in (("old", 0), ("new", 40)):
        folder = bench.folder / name
        folder.mkdir()
        head, tail = text.split("def load_index", 1)
        (folder / "job.py").write_text(head + "# moved\n" * extra + "def load_index" + tail)
    before = bench.record("moved-before", "job.py", cwd=bench.folder / "old")
    after = bench.record("moved-after", "job.py", cwd=bench.folder / "new")
    diff = bench.diff(before, after)
    assert not changes(diff), changes(diff)
    row = next(row for row in diff["user_sites"] if (row["after"] or row["before"])["function"] == "load_index")
    assert row["before"] and row["after"] and row["after"]["line"] - row["before"]["line"] == 40, row
    return "line %d is line %d, no change reported" % (row["before"]["line"], row["after"]["line"])


def environment(version, folder):
    # A shim of pyenv on PATH may stand for no Python.
    built = [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python"))]
    python = next(iter(built), None) or shutil.which("python3.9")
    if python is None:
        raise Skip("there is no Python 3.9")
    inside = folder / ("woodwork-" + version)
    pip = [inside / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    for words in ([python, "-m", "venv", inside], [*pip, "-r", HERE / "woodwork.txt", "woodwork==" + version]):
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Skip("its packages cannot be installed: %s" % done.stdout.strip().splitlines()[-1])
    return inside / "bin" / "python"


def woodwork(bench):
    program = HERE / "programs" / "tables.py"
    captures = [
        bench.record("woodwork-" + version, program, python=environment(version, bench.folder))
        for version in ("0.3.0", "0.3.1")
    ]
    diff = bench.diff(*captures)
    totals = diff["totals"]
    for name in ("peak_heap", "peak_rss", "garbage"):
        assert totals[name]["trend"] == "fell", (name, totals[name])
    gone = [row for row in diff["findings"] if row["kind"] == "cyclic_garbage" and row["standing"] == "went" and changed(row)]
    assert gone and any("ww" in step["edge"] for step in gone[0]["chain"]), diff["findings"]
    return "finding gone; peak %s to %s, garbage %s to %s" % tuple(
        mib(totals[name][side]) for name in ("peak_heap", "garbage") for side in ("before_bytes", "after_bytes")
    )


def main():
    checks = {"same": same, "planted": planted, "moved": moved, "woodwork": woodwork}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deadweight", required=True, type=lambda path: str(Path(path).resolve()))
    parser.add_argument("--only", default=",".join(checks))
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--keep", help="folder for the captures; it must not exist yet")
    options = parser.parse_args()
    folder = Path(options.keep or tempfile.mkdtemp(prefix="deadweight-diff-"))
    folder.mkdir(exist_ok=not options.keep)
    failed = False
    for name in options.only.split(","):
        try:
            print("ok       %-9s %s" % (name, checks[name](Bench(options, folder))), flush=True)
        except Skip as why:
            print("skipped  %-9s %s" % (name, why), flush=True)
        except (AssertionError, subprocess.CalledProcessError) as error:
            failed = True
            print("FAILED   %-9s %s" % (name, error), flush=True)
    if not options.keep:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
