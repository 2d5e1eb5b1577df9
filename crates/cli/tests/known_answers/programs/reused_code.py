"""Thousands of generated functions, each dropped before the next is made, so that code objects share addresses.

Truth: function `made_N` allocates one block of `300_000 + N` bytes (and the byte or header that truth.malloc_size knows).
"""

import gc

COUNT = 3_000


def main() -> None:
    for number in range(COUNT):
        names: dict = {}
        source = f"\ndef made_{number}():\n    return len(bytes({300_000 + number}))\n"
        exec(compile(source, f"<generated {number}>", "exec"), names)
        assert names[f"made_{number}"]() == 300_000 + number
        names.clear()
        if number % 500 == 0:
            gc.collect()


if __name__ == "__main__":
    main()
