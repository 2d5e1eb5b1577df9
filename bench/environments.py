"""The Python environments that the benchmark compares: made once, from PyPI, and used again."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

#: What every environment has, so that the workloads run the same code in all of them.
LIBRARIES = ["numpy==2.0.2", "pandas==2.2.3"]

#: What each environment has besides. The peers are pinned: a new release is a new comparison.
ENVIRONMENTS: dict[str, list[str]] = {
    "plain": [],
    "memray": ["memray==1.20.0"],
    "fil": ["filprofiler==2024.11.2"],
    # pyelftools is for PyHeap, which is not on PyPI itself.
    "heap-peers": ["guppy3==3.1.7", "objgraph==3.7.0", "pympler==1.1", "pyelftools==0.32"],
}

_ABOUT = """
import json, platform, sys
print(json.dumps({
    "python": sys.executable,
    "version": platform.python_version(),
    "libc": " ".join(platform.libc_ver()),
    "build": sys.version.replace("\\n", ""),
}))
"""


def folder() -> Path:
    """Where the environments are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "deadweight-bench"


def describe(python: str) -> dict[str, Any]:
    """What a Python interpreter says about itself."""
    done = subprocess.run([python, "-c", _ABOUT], stdout=subprocess.PIPE, check=True)
    about: dict[str, Any] = json.loads(done.stdout)
    return about


def prepare(name: str, python: str) -> Path:
    """The folder of an environment, which is made if it is not there or was made with other pins or another Python."""
    about = describe(python)
    wanted = {"packages": LIBRARIES + ENVIRONMENTS[name], "python": about["python"], "version": about["version"]}
    which = hashlib.sha256(about["python"].encode()).hexdigest()[:8]
    place = folder() / f"{name}-{about['version']}-{which}"
    stamp = place / "bench.json"
    if stamp.is_file() and json.loads(stamp.read_text()) == wanted:
        return place
    print(f"making {place} ...", file=sys.stderr)
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, "-m", "venv", "--clear", str(place)], check=True)
    install = [
        str(place / "bin" / "pip"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ]
    subprocess.run(install + wanted["packages"], check=True)
    stamp.write_text(json.dumps(wanted))
    return place
