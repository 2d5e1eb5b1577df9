"""Many small geometries are built and dropped while a few made last stay in use.

Nothing leaks: GEOS frees what it allocated, but malloc keeps the pages, because live blocks lie above them.

bad:  as it is
good: malloc_trim(0) after the geometries are dropped (the peak is the same; the end differs)
"""
import ctypes
import gc
import sys
import time
import numpy as np
import shapely


def polygons(count):
    rng = np.random.default_rng(7)
    return shapely.buffer(shapely.points(rng.random((count, 2))), 0.1, quad_segs=8)


def main(variant):
    shapes = polygons(280_000)
    area = float(shapely.area(shapes).sum())
    kept = shapely.buffer(shapely.points(np.arange(400.0).reshape(200, 2)), 1.0)
    del shapes
    gc.collect()
    if variant == "good":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    for _ in range(20):                       # the long-running part of the program
        time.sleep(0.2)
    print(round(area), len(kept))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad")
