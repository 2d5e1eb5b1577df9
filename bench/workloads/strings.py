"""Text and bytes: formatting, joining, splitting, replacing, encoding, and a regular expression."""

import re

import _cost

WORD = re.compile(r"(?P<name>[a-z]+)-(?P<number>\d+)")


def work(scale: float) -> int:
    found = 0
    buffer = bytearray()
    for turn in range(int(180 * scale) or 1):
        text = " ".join("word-%d" % (i * 7919 % 65_537) for i in range(turn, turn + 8_000))
        for match in WORD.finditer(text):
            found += len(match.group("number"))
        upper = [part.upper() for part in text.split()]
        line = ",".join(upper).replace("WORD-", "w")
        buffer += line.encode()
        if len(buffer) > 1 << 20:
            found += buffer.count(b"9")
            buffer.clear()
    return found


_cost.run(work)
