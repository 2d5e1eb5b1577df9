"""Four threads that allocate until somebody kills them; every 2 MiB block is announced after it is held.

Each thread also makes and drops small blocks, so that the kill falls into the middle of something.
"""

import os
import threading
import time

BLOCK = 2 * 1024 * 1024
HELD: list = []


def grow() -> None:
    for _ in range(150):
        HELD.append(bytes(BLOCK))
        os.write(1, b"+")
        garbage = [bytes(100) for _ in range(2_000)]
        del garbage
        time.sleep(0.002)


if __name__ == "__main__":
    threads = [threading.Thread(target=grow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(60)
