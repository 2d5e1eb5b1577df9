"""A column summed from an Arrow file through pyarrow.memory_map. Not a leak: the pages are the file's own.

bad:  memory_map() over the whole file; the resident set grows to the file's size, all of it file-backed
good: the same batches read through an ordinary file, one at a time
"""
import os
import sys
import tempfile
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BATCHES, ROWS = 60, 1 << 20


def make(path):
    schema = pa.schema([("value", pa.float64())])
    values = pa.array(np.arange(ROWS, dtype=np.float64))
    with pa.OSFile(path + ".part", "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for _ in range(BATCHES):
            writer.write_batch(pa.record_batch([values], schema=schema))
    os.replace(path + ".part", path)


def total(path, variant):
    source = pa.memory_map(path) if variant == "bad" else pa.OSFile(path)
    with source, pa.ipc.open_file(source) as reader:
        held = []
        result = 0.0
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            result += pc.sum(batch.column(0)).as_py()
            if variant == "bad":
                held.append(batch)            # costs nothing: views of the mapping
    return result


def main(variant):
    path = os.path.join(tempfile.gettempdir(), "deadweight-arrow-%d.arrow" % BATCHES)
    if not os.path.exists(path):
        make(path)
    print(total(path, variant))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad")
