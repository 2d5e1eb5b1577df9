"""Sessions that subscribe to a module's event bus and never unsubscribe.

The emitter keeps each listener, a nested function whose closure holds the session's buffer.

bad:  bus.on()
good: bus.on() and bus.remove_listener() at the session's end
"""
import sys
import numpy as np
from pyee.base import EventEmitter

bus = EventEmitter()


def open_session(number):
    history = np.full(400_000, number, dtype=np.float64)                # 3 MiB

    def on_tick(value):
        history[int(value) % history.size] = value

    bus.on("tick", on_tick)
    return on_tick


def serve(number, variant):
    listener = open_session(number)
    bus.emit("tick", number)
    if variant == "good":
        bus.remove_listener("tick", listener)


def main(variant, sessions):
    for number in range(sessions):
        serve(number, variant)
    print("listeners", len(bus.listeners("tick")))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad", int(sys.argv[2]) if len(sys.argv) > 2 else 120)
