"""Real servers that hold much: `aiohttp`, or `flask` with a thread for each request. Prints `ready PID PORT`; ends on SIGINT."""

from __future__ import annotations

import json
import os
import socket
import sys


class Row:
    def __init__(self, i: int) -> None:
        self.key = "row %d" % i
        self.values = [i, float(i), str(i)]


def rows() -> list[Row]:
    # About 250 bytes each.
    return [Row(i) for i in range(600_000)]


def answer(held: list[Row], i: int) -> str:
    found = held[i * 7919 % len(held) :][:100]
    return json.dumps([{"key": row.key, "values": row.values} for row in found])


def listening() -> socket.socket:
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    place.listen(128)
    print("ready %d %d" % (os.getpid(), place.getsockname()[1]), flush=True)
    return place


def serve_aiohttp(held: list[Row]) -> None:
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=answer(held, int(request.match_info["i"])))

    app = web.Application()
    app.router.add_get("/{i}", handle)
    web.run_app(app, sock=listening(), print=None, access_log=None)


def serve_flask(held: list[Row]) -> None:
    import logging

    import flask
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = flask.Flask(__name__)

    @app.route("/<int:i>")
    def handle(i: int) -> str:
        return answer(held, i)

    place = listening()
    port = place.getsockname()[1]
    server = make_server("127.0.0.1", port, app, threaded=True, fd=place.fileno())
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    {"aiohttp": serve_aiohttp, "flask": serve_flask}[sys.argv[1]](rows())
