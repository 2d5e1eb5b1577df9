"""Finds the `deadweight` binary that was installed along with this package."""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Iterator

NAME = "deadweight"


class BinaryNotFound(FileNotFoundError):
    """No `deadweight` binary is where an installer could have put it."""


def candidates() -> Iterator[str]:
    """The places where the binary may be, most specific first."""
    # Where this Python's scripts go: a virtual environment's bin, or the system's.
    yield os.path.join(sysconfig.get_path("scripts"), NAME)
    # The installation that a virtual environment with access to system packages was made from.
    yield os.path.join(sysconfig.get_path("scripts", vars={"base": sys.base_prefix}), NAME)
    # `pip install --user`.
    yield os.path.join(sysconfig.get_path("scripts", scheme="posix_user"), NAME)
    packages = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # `pip install --target DIR` puts scripts into DIR/bin.
    yield os.path.join(packages, "bin", NAME)
    # `pip install --prefix DIR`: DIR/lib/pythonX.Y/site-packages and DIR/bin.
    if os.path.basename(packages) in ("site-packages", "dist-packages"):
        yield os.path.join(packages, os.pardir, os.pardir, os.pardir, "bin", NAME)
    # A checkout: python/deadweight and target/release.
    if os.path.basename(packages) == "python":
        yield os.path.join(os.path.dirname(packages), "target", "release", NAME)


def find_binary() -> str:
    """The path of the binary. `DEADWEIGHT_BIN` names another one, and is believed even where it is wrong."""
    chosen = os.environ.get("DEADWEIGHT_BIN")
    places = [chosen] if chosen else list(dict.fromkeys(candidates()))
    for path in places:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    looked = "".join(f"\n  {path}" for path in places)
    if chosen:
        raise BinaryNotFound(f"DEADWEIGHT_BIN does not name a program:{looked}")
    raise BinaryNotFound(
        f"the deadweight program is not installed with this Python. Looked for:{looked}\n"
        "Install it again (pip install --force-reinstall deadweight), or set DEADWEIGHT_BIN to its path."
    )
