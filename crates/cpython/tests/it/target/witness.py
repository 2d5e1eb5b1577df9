"""Runs Python code of many shapes, says at each stop what its own stack is, and waits to be read.

Output is lines of words. Texts are hexadecimal UTF-8, addresses decimal.
    version TEXT HEXVERSION
    string ID TEXT | bytes ID TEXT | other ID
    code ID FIRSTLINE QUALNAME FILENAME LINETABLE   before the first frame that runs it
    frame CODE LASTI                                innermost first
    stop SCENARIO THREAD_IDENT                      now blocked until a byte arrives on stdin
"""
import asyncio
import contextlib
import contextvars
import functools
import gc
import json
import os
import re
import signal
import sys
import threading
import weakref

lines = []
described = set()


def text(s):
    plain = "".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 else c for c in s)
    return plain.encode().hex() or "-"


def say(*words):
    lines.append(" ".join(map(str, words)))


def flush():
    data = ("\n".join(lines) + "\n").encode()
    lines.clear()
    while data:
        data = data[os.write(1, data):]


def describe(code):
    if code not in described:
        described.add(code)
        table = code.co_lnotab if sys.version_info < (3, 10) else code.co_linetable
        say("code", id(code), code.co_firstlineno, text(getattr(code, "co_qualname", code.co_name)),
            text(code.co_filename), table.hex() or "-")


def record(scenario):
    # The caller's frame is stop(), in the very call that will block: its f_lasti does not change any more.
    frame = sys._getframe(1)
    chain = []
    while frame is not None:
        describe(frame.f_code)
        chain.append("frame %d %d" % (id(frame.f_code), frame.f_lasti))
        frame = frame.f_back
    lines.extend(chain)
    say("stop", scenario, threading.get_ident())
    flush()


def stop(scenario):
    any(map(functools.partial.__call__, [functools.partial(record, scenario), functools.partial(os.read, 0, 1)]))


# Strings and bytes of every kind

class Text(str):
    pass


class Raw(bytes):
    pass


strings = [
    "", "a", "plain ascii", "x" * 1000, "\0nul\0", "<module>",
    "\xe9", "caf\xe9", "\xff" * 700, "\u20ac", "\u0416\u0438\u0437\u043d\u044c" * 100, "mixed \xe9 \u20ac \0",
    "\U0001f40d", "\U0001f40d snake" * 90, "\ud800", "a\udfffb\u20ac", "\ud83d\udc0d\U0001f40d", "\U0010ffff",
]
strings += [Text(s) for s in strings]
raws = [b"", b"a", bytes(range(256)), b"z" * 5000, Raw(b""), Raw(b"subclass")]
others = [1, 2.5, None, (), {}, [], object(), type, len]
