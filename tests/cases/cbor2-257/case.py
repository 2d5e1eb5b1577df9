"""A reader that skips damaged messages (cbor2 issue 257).

The C decoder of 5.6.5 loses the bytes of a text that is not UTF-8.

bad:  each message is damaged
good: none is
"""
import sys, os
import cbor2
GOOD = {1: {2: "text " * 200}}
RAW = cbor2.dumps(GOOD)
BAD = b"\xbf\x01\xa1\x02\x79\x40\x00" + b"a" * 0x3fff + b"\xff" + b"\xff"
def load(v):
    try: cbor2.loads(BAD if v == "bad" else RAW)
    except Exception: pass
def main(v):
    for i in range(20_000): load(v)
main(sys.argv[1])
