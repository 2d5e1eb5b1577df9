"""A small web application in a thread, and clients that load it."""
# packages: flask

import json
import threading
import urllib.request

from flask import Flask, jsonify, request
from werkzeug.serving import make_server

app = Flask(__name__)
recent = []


@app.post("/orders")
def order():
    body = request.get_json()
    recent.append(body["id"])
    del recent[:-100]
    return jsonify(id=body["id"], total=sum(item["price"] for item in body["items"]))


@app.get("/recent")
def list_recent():
    return jsonify(recent)


def load(port, first):
    for number in range(first, first + 250):
        body = {"id": number, "items": [{"price": i, "text": "x" * 50} for i in range(60)]}
        question = urllib.request.Request(
            f"http://127.0.0.1:{port}/orders", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(question) as answer:
            assert json.load(answer)["id"] == number


def main():
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clients = [threading.Thread(target=load, args=(server.port, 1000 * i)) for i in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    server.shutdown()
    print(len(recent))


if __name__ == "__main__":
    main()
