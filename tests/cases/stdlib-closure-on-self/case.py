"""Sessions, each with a buffer and a nested function that it keeps.

`on_close` captures `self`, and `self` keeps `on_close`: a dropped session waits for the collector, which few container
objects wake.

bad:  the function is kept on the session
good: it is not
"""
import sys, time
class Session:
    def __init__(self, i, v):
        self.buffer = bytearray(6_000_000)
        for k in range(0, 6_000_000, 4096): self.buffer[k] = 1
        if v == "bad":
            def on_close(): self.buffer.clear()
            self.on_close = on_close
def main(v):
    for i in range(70):
        s = Session(i, v); time.sleep(0.03)
main(sys.argv[1])
