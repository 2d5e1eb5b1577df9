"""Threads that have done their work and wait for an event that comes at the end.

Each keeps the local variables of its functions.

bad:  the events are set when all is done
good: at once
"""
import sys, threading, time
def worker(done):
    data = ["%d" % k * 3 for k in range(40_000)]
    done.wait()
def main(v):
    evs = []
    for i in range(80):
        e = threading.Event(); evs.append(e)
        t = threading.Thread(target=worker, args=(e,), daemon=True); t.start()
        if v == "good": e.set(); t.join()
        time.sleep(0.02)
    [e.set() for e in evs]
main(sys.argv[1])
