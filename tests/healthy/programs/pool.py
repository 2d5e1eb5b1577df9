"""Worker processes that each work on a part and send a small result back."""

import multiprocessing


def work(number):
    numbers = [((i * 2_654_435_761) ^ number) % 1_000_003 for i in range(400_000)]
    counts = {}
    for value in numbers:
        counts[value % 1000] = counts.get(value % 1000, 0) + 1
    return max(counts.values()), len(numbers)


def main():
    with multiprocessing.Pool(2) as pool:
        print(sum(size for _, size in pool.imap_unordered(work, range(12))))


if __name__ == "__main__":
    main()
