"""Headers of requests, made out of a dict (multidict issue 1117).

CIMultiDict(mapping) of 6.3.0 loses a reference to the mapping.

bad:  multidict 6.3.0
good: the same release, with the items added one by one
"""
import sys
from multidict import CIMultiDict
BASE = {"user-agent": "test"}
def request(i, v):
    h = {"x-request-id": "request-%d" % i, "body": "payload %d " % i * 100}
    if v == "bad": return CIMultiDict(h)
    m = CIMultiDict()
    for k, x in h.items(): m.add(k, x)
    return m
def main(v):
    for i in range(150_000): request(i, v)
main(sys.argv[1])
