"""`python -m deadweight`: becomes the deadweight binary."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from ._find import BinaryNotFound, find_binary


def main() -> NoReturn:
    try:
        binary = find_binary()
    except BinaryNotFound as error:
        print(f"deadweight: {error}", file=sys.stderr)
        sys.exit(2)
    os.execv(binary, ["deadweight", *sys.argv[1:]])


if __name__ == "__main__":
    main()
