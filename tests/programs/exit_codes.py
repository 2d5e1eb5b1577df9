"""Ends in the way its argument names, after stating how; `main` has allocated 2 MiB by then.

ok, exit:N, os_exit:N, exception, memoryerror, memoryerror_caught, signal:NAME (for example signal:SIGSEGV), sigint_handled.
Truth: a profiler that wraps this program ends in the very same way, and prints nothing to its standard output.
"""

from __future__ import annotations

import os
import signal
import sys

from truth import MIB, malloc_size, say


def impossible() -> bytearray:
    return bytearray(1 << 62)  # more than any address space: malloc says no


def main(how: str) -> None:
    block = bytearray(2 * MIB)
    size = malloc_size(len(block))
    kind, _, argument = how.partition(":")
    if kind == "signal":
        number = getattr(signal, argument)
        say("exit", signal=int(number), bytes=size)
        signal.signal(number, signal.SIG_DFL) if argument not in ("SIGKILL", "SIGSTOP") else None
        os.kill(os.getpid(), number)
        signal.pause()
    statuses = {"ok": 0, "exception": 1, "memoryerror": 1, "memoryerror_caught": 0, "sigint_handled": 0}
    say("exit", status=int(argument) if argument else statuses[kind], bytes=size)
    if kind == "exit":
        sys.exit(int(argument))
    if kind == "os_exit":
        os._exit(int(argument))
    if kind == "exception":
        raise ValueError("the program's own error")
    if kind == "memoryerror":
        impossible()
    if kind == "memoryerror_caught":
        try:
            impossible()
        except MemoryError:
            print("caught")
    if kind == "sigint_handled":
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            print("handled")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
