"""Native threads without any Python state: pthread_create with libc's own malloc as the thread's function.

Truth: ten blocks of 3,000,000 + N bytes, none of them under a Python frame; the first five are freed again.
"""

import ctypes
import sys

COUNT = 10


def main() -> None:
    libc = ctypes.CDLL(None)
    address = ctypes.c_void_p
    libc.pthread_create.argtypes = [ctypes.POINTER(ctypes.c_ulong), address, address, address]
    libc.pthread_join.argtypes = [ctypes.c_ulong, ctypes.POINTER(address)]
    libc.free.argtypes = [address]
    libc.free.restype = None
    malloc = ctypes.cast(libc.malloc, address)
    blocks = []
    for number in range(COUNT):
        thread, block = ctypes.c_ulong(), address()
        assert libc.pthread_create(ctypes.byref(thread), None, malloc, address(3_000_000 + number)) == 0
        assert libc.pthread_join(thread, ctypes.byref(block)) == 0
        assert block.value
        blocks.append(block)
    for block in blocks[:5]:
        libc.free(block)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
