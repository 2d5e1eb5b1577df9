"""A pool of objects that grows for more than half of the run, until all of them are there, and is used from then on."""

import time

POOL = []


def main():
    for step in range(200):
        if step < 110:
            POOL.append([float(step + i) for i in range(30_000)])
        else:
            sum(POOL[step % len(POOL)])
        time.sleep(0.02)
    print(len(POOL))


if __name__ == "__main__":
    main()
