"""An importer that skips damaged files (python-lz4 issue 247).

lz4.frame.decompress() of 4.0.1 does not free its decompression context when the data is bad.
"""
import os
import sys
import lz4.frame


def damaged():
    data = bytearray(lz4.frame.compress(os.urandom(1_500_000), block_size=lz4.frame.BLOCKSIZE_MAX1MB,
                                        content_checksum=True))
    data[-1] ^= 0xFF                                                    # the checksum no longer fits
    return bytes(data)


def load(data):
    try:
        return len(lz4.frame.decompress(data))
    except RuntimeError:
        return 0


def main(files):
    data = damaged()
    skipped = sum(1 for _ in range(files) if not load(data))
    print("skipped", skipped)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
