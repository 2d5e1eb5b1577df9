#!/usr/bin/env python3
"""Runs the cases under deadweight and holds what its report says against what is true of each.

    run.py --deadweight PATH [--cases DIR] [--fast] [--only NAME,...] [--variant bad|good] [--keep] [--skips FILE]
    run.py --table LOG...     recall and precision out of the lines of earlier runs, as Markdown

A case is a folder with case.json: what must be found (`must`: groups of alternatives) and what must not be said above
"low" (`must_not`) in each of its two variants. --fast takes the cases that need no packages and few seconds. One line for
each variant, and `N passed, N failed, N skipped`; the exit status is 0 if nothing failed.
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
LIMIT_SECONDS = 300


class Skip(Exception):
    """Why a case was not tried."""


class Failure(Exception):
    """Why a case could not be judged."""


# ---- what is held against a report ---------------------------------------------------------------


def sites_of(finding: dict, report: dict) -> "list[dict]":
    """The finding's lines with their callers, and the user's lines that had half as much as it at the peak."""
    sites = []
    for site in (finding.get("sites") or []) + (finding.get("user_sites") or []):
        sites += [site] + (site.get("stack") or [])
    least = (finding["bytes"] or 0) / 2
    return sites + [site for site in report["peak"]["user_sites"] if site["bytes"] >= least]


def is_site(wanted: str, site: dict) -> bool:
    """`wanted` is `path.py` or `path.py:function`, both as suffixes."""
    file, _, function = wanted.partition(":")
    name = site.get("function") or ""
    return ("/" + (site.get("file") or "")).endswith("/" + file) and (
        not function or name == function or name.endswith("." + function)
    )


def fits(pattern: dict, finding: dict, report: dict) -> bool:
    chain = finding.get("chain") or []
    types = [finding.get("type") or ""] + [step["type"] for step in chain]
    any_type = pattern.get("type_any", [""])
    return (
        finding["kind"] in pattern.get("kind", [finding["kind"]])
        and (finding["share_of_peak"] or 0) >= pattern.get("min_share_of_peak", 0)
        and any(part in name for part in any_type for name in types)
        and all(any(part in step["edge"] for step in chain) for part in pattern.get("edges_all", []))
        and ("site_any" not in pattern
             or any(is_site(wanted, site) for wanted in pattern["site_any"] for site in sites_of(finding, report)))
    )


def complaints(expected: dict, report: dict) -> "list[str]":
    findings = report["findings"]
    seen = "; ".join("%s %.0f%%" % (found["kind"], 100 * (found["share_of_peak"] or 0)) for found in findings)
    missed = [
        "MISSED %s (found: %s)" % ("|".join(group[0].get("kind", ["any"])), seen or "nothing")
        for group in expected["must"]
        if not any(fits(pattern, finding, report) for pattern in group for finding in findings)
    ]
    alarms = [
        "FALSE ALARM %(severity)s %(kind)s: %(title)s" % finding
        for finding in findings
        if finding["severity"] != "low" and any(fits(pattern, finding, report) for pattern in expected["must_not"])
    ]
    return missed + alarms


# ---- one variant of one case ---------------------------------------------------------------------


def interpreter(version: str) -> str:
    """One that starts: a name on PATH may be a shim of pyenv for a version that is not chosen."""
    installed = sorted(Path.home().glob(".pyenv/versions/%s.*/bin/python" % version), reverse=True)
    for candidate in [*map(str, installed), shutil.which("python" + version)]:
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return candidate
    raise Skip("no Python %s on PATH or in ~/.pyenv/versions" % version)


def environment(case: dict, variant: str, cache: Path) -> str:
    """The Python with the variant's packages, made on first use; without packages the interpreter itself."""
    python = interpreter(case["python"])
    requirements = case["folder"] / case["variants"][variant]["requirements"]
    wanted = requirements.read_bytes()
    if not wanted.strip():
        return python
    key = hashlib.sha256(python.encode() + wanted).hexdigest()[:10]
    folder = cache / ("%s-%s" % (case["name"], key))
    inside = str(folder / "bin" / "python")
    if (folder / "complete").exists():
        return inside
    shutil.rmtree(folder, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    pip = [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    for step in ([python, "-m", "venv", str(folder)], pip + ["-r", str(requirements)]):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            raise Skip("its packages cannot be installed: %s" % (done.stderr.strip().splitlines() or ["?"])[-1])
    (folder / "complete").touch()
    return inside


def check(case: dict, variant: str, options: argparse.Namespace) -> "tuple[bool, str]":
    """Whether all is as it must be, and what to print."""
    expected = case["expect"][variant]
    python = environment(case, variant, options.cache)
    folder = Path(tempfile.mkdtemp(prefix="deadweight-%s-%s-" % (case["name"], variant)))
    try:
        shutil.copy(case["folder"] / "case.py", folder)
        env = dict(os.environ, TMPDIR=str(folder), PYTHONDONTWRITEBYTECODE="1", MPLBACKEND="Agg")
        command = [options.deadweight, "run", "-q", "-o", "c.dw", "--python", python, "case.py"]
        start = time.monotonic()
        ended = subprocess.run(command + case["variants"][variant]["argv"], cwd=folder, env=env, text=True,
                               capture_output=True, timeout=LIMIT_SECONDS)
        seconds = time.monotonic() - start
        if ended.returncode != expected["exit"]:
            raise Failure("exit status %d, not %d: %s" % (ended.returncode, expected["exit"], ended.stderr[-300:]))
        told = subprocess.run([options.deadweight, "report", "c.dw", "--format", "json"], cwd=folder, text=True,
                              capture_output=True, timeout=LIMIT_SECONDS)
        if told.returncode:
            raise Failure("report: %s" % told.stderr.strip()[-300:])
        found = complaints(expected, json.loads(told.stdout))
    except Failure as why:
        return False, "FAILED %s" % why
    except subprocess.TimeoutExpired:
        return False, "FAILED still running after %d s" % LIMIT_SECONDS
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return not found, "%s (%.1f s)%s" % ("; ".join(found) or "ok", seconds, " [%s]" % folder if options.keep else "")


# ---- recall and precision ------------------------------------------------------------------------


def table(logs: "list[Path]") -> int:
    """Of several lines for one variant the last one counts."""
    lines = {}
    for log in logs:
        for line in log.read_text().splitlines():
            found = re.match(r"(\S+)\s+(bad|good)\s+(.*)", line)
            if found:
                lines.setdefault(found[1], {})[found[2]] = found[3]
    words = {"ok": "ok", "MISSED": "missed", "FALSE ALARM": "false alarm", "FAILED": "failed", "skipped": "skipped"}
    word = lambda text: next((word for start, word in words.items() if text.startswith(start)), "?") if text else "-"
    print("| case | bad: the bug is found | good: nothing false is said |\n|---|---|---|")
    for name, both in sorted(lines.items()):
        print("| %s | %s | %s |" % (name, word(both.get("bad")), word(both.get("good"))))
    bad = [word(both.get("bad")) for both in lines.values() if word(both.get("bad")) in ("ok", "missed", "false alarm")]
    texts = [text for both in lines.values() for text in both.values()]
    alarms = sum("FALSE ALARM" in text for text in texts)
    found = bad.count("ok")
    print("\nRecall: %d of %d bugs found (%.0f %%). Precision: %d of %d alarms right (%.0f %%)." % (
        found, len(bad), 100 * found / max(len(bad), 1), found, found + alarms, 100 * found / max(found + alarms, 1)))
    return 0


def main() -> int:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deadweight-own-cases"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deadweight", metavar="PATH", help="the binary to check")
    parser.add_argument("--cases", metavar="DIR", type=Path, default=HERE, help="default: this file's folder")
    parser.add_argument("--cache", metavar="DIR", type=Path, default=cache, help="environments; default: %(default)s")
    parser.add_argument("--only", metavar="NAME,...", default="", help="these cases only")
    parser.add_argument("--variant", choices=("bad", "good"), help="this variant only")
    parser.add_argument("--fast", action="store_true", help="the cases without packages, which take seconds")
    parser.add_argument("--keep", action="store_true", help="keep the folders with the captures")
    parser.add_argument("--skips", metavar="FILE", help="write what was skipped, and why, to this file as well")
    parser.add_argument("--table", metavar="LOG", nargs="+", type=Path, help="a table out of these logs")
    options = parser.parse_args()
    if options.table:
        return table(options.table)
    if not options.deadweight:
        parser.error("--deadweight must name a binary")
    options.deadweight = os.path.abspath(options.deadweight)
    wanted = [name for name in options.only.split(",") if name]
    cases = [dict(json.loads(path.read_text()), folder=path.parent) for path in sorted(options.cases.glob("*/case.json"))]
    unknown = set(wanted) - {case["name"] for case in cases}
    if unknown:
        parser.error("there is no case %s" % ", ".join(sorted(unknown)))
    counts, skipped = dict.fromkeys(("passed", "failed", "skipped"), 0), []
    for case in cases:
        if wanted and case["name"] not in wanted or options.fast and not case.get("fast"):
            continue
        for variant in [options.variant] if options.variant else ["bad", "good"]:
            try:
                good, line = check(case, variant, options)
                counts["passed" if good else "failed"] += 1
            except Skip as why:
                counts["skipped"] += 1
                line = "skipped: %s" % why
                skipped.append("%s %s: %s" % (case["name"], variant, why))
            print("%-24s %-4s %s" % (case["name"], variant, line), flush=True)
    if options.skips:
        Path(options.skips).write_text("".join(line + "\n" for line in skipped))
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
