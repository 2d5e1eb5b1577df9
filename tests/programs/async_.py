"""Coroutines that hold blocks across `await`.

Truth: at the peak five `fetch` coroutines hold 2 to 6 MiB each and `collect` holds 7 MiB; each block's innermost frame
is the coroutine's own.
"""

from __future__ import annotations

import asyncio

from truth import MIB, malloc_size, say

SIZES = [mib * MIB for mib in range(2, 7)]


async def fetch(size: int, release: asyncio.Event) -> int:
    block = bytearray(size)
    await release.wait()
    return len(block)


async def collect() -> None:
    release = asyncio.Event()
    tasks = [asyncio.ensure_future(fetch(size, release)) for size in SIZES]
    await asyncio.sleep(0)  # each task runs up to its await
    block = bytearray(7 * MIB)
    release.set()
    assert await asyncio.gather(*tasks) == SIZES
    fetched, collected = sum(map(malloc_size, SIZES)), malloc_size(len(block))
    say("peak", bytes=fetched + collected, functions={"fetch": fetched, "collect": collected})


if __name__ == "__main__":
    asyncio.run(collect())
