"""Draws many figures and closes each one."""
# packages: matplotlib

import io

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np


def main():
    source = np.random.default_rng(3)
    size = 0
    for number in range(12):
        figure, axes = plt.subplots(2, 2, figsize=(8, 6))
        for one in axes.flat:
            one.plot(source.normal(size=20_000).cumsum())
            one.set_title(f"series {number}")
        picture = io.BytesIO()
        figure.savefig(picture, dpi=80)
        plt.close(figure)
        size += picture.tell()
    print(size > 0)


if __name__ == "__main__":
    main()
