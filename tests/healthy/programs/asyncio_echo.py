"""A server and its clients in one event loop."""

import asyncio


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def client(port, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = 0
    for i in range(150):
        writer.write(b"%d %d " % (number, i) + b"x" * 500 + b"\n")
        await writer.drain()
        size += len(await reader.readline())
    writer.close()
    await writer.wait_closed()
    return size


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    total = 0
    for _ in range(6):
        total += sum(await asyncio.gather(*(client(port, number) for number in range(40))))
    server.close()
    print(total)


if __name__ == "__main__":
    asyncio.run(main())
