"""What a C extension does that forgets Py_DECREF: each row gets a reference that nobody has.

bad:  Py_IncRef on each row
good: not
"""
import sys, ctypes, time
def parse(i, v):
    row = {"id": i, "cells": ["cell %d %d" % (i, k) for k in range(500)]}
    if v == "bad": ctypes.pythonapi.Py_IncRef(ctypes.py_object(row))
def main(v):
    for i in range(5000): parse(i, v)
main(sys.argv[1])
