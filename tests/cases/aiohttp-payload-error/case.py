"""Uploads whose answers break off: every failed request leaves its frames behind (aiohttp issue 10535).

The exception of a connection that was lost stays in the connection's protocol, and its traceback holds the frames
of the coroutines that awaited it, `upload` with its `chunk` among them. The server runs in the same process, on the
loopback interface.

bad:  nothing collects the cycles but the collector's own thresholds
good: gc.collect() after each failed request
"""
import asyncio
import gc
import sys
import aiohttp
from aiohttp import web

CHUNK = 16 << 20


async def broken(request):
    response = web.StreamResponse()
    response.content_length = 1_000_000
    await response.prepare(request)
    await response.write(b"x" * 1000)
    request.transport.close()
    return response


async def upload(url, number):
    chunk = bytearray(b"%d" % (number % 10)) * CHUNK
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers={"X-Size": str(len(chunk))}) as response:
            await response.read()


async def attempt(url, number):
    try:
        await upload(url, number)
    except aiohttp.ClientPayloadError:
        return 1
    return 0


async def main(variant, rounds):
    app = web.Application()
    app.router.add_get("/", broken)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://127.0.0.1:%d/" % runner.addresses[0][1]
    failed = 0
    for number in range(rounds):
        failed += await attempt(url, number)
        await asyncio.sleep(0.01)
        if variant == "good":
            gc.collect()
    print("failed", failed)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "bad", int(sys.argv[2]) if len(sys.argv) > 2 else 120))
