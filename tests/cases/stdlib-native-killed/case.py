"""strdup() without free(), in a process that is killed: its end tells nothing.

bad:  the copies are not freed
good: they are
"""
import sys, ctypes, os, signal
libc = ctypes.CDLL(None); libc.strdup.restype = ctypes.c_void_p; libc.strdup.argtypes = [ctypes.c_char_p]; libc.free.argtypes = [ctypes.c_void_p]
def decode(v, t):
    for k in range(1000):
        p = libc.strdup(t)
        if v == "good": libc.free(p)
def main(v):
    for i in range(900): decode(v, b"name=%d " % i * 20)
    os.kill(os.getpid(), signal.SIGKILL)
main(sys.argv[1])
