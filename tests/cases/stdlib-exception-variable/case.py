"""A parser that keeps the exception in a local variable while it has the data in another.

The exception's traceback holds the frame, the frame holds the exception and the data.

bad:  the variable is left as it is
good: it is deleted
"""
import sys, gc, time
import numpy as np
def load(i):
    return np.full(1_000_000, i, dtype=float)
def parse(i, v):
    data = load(i); error = None
    try:
        if data[0] >= 0: raise ValueError("row %d" % i)
    except ValueError as e:
        error = e
    msg = str(error)
    if v == "good": del error
    return msg
def main(v):
    for i in range(60): parse(i, v); time.sleep(0.03)
main(sys.argv[1])
