"""Headers of large messages, kept as views.

A memoryview of 64 bytes keeps the whole message of 4 MB.

bad:  `memoryview(message)[:64]`
good: `bytes(...)` of it
"""
import sys, time
def recv(i): return bytes([i % 255 + 1]) * 4_000_000
def main(v):
    headers = []
    for i in range(90):
        m = memoryview(recv(i))[:64]
        headers.append(m if v == "bad" else bytes(m)); time.sleep(0.02)
main(sys.argv[1])
