"""Programs that run into limits, by name: what each prints must be the same under a profiler."""

import mmap
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

MIB = 1024 * 1024


def fill() -> None:
    """Allocates enough to need new files of a capture."""
    for _ in range(8):
        kept = [bytes(150) for _ in range(60_000)]
        del kept


def address_space() -> None:
    limit = 1024 * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    kept, caught = [], 0
    try:
        while True:
            kept.append(bytearray(16 * MIB))
    except MemoryError:
        caught += 1
    some = len(kept) > 40
    try:
        while True:
            kept.append(bytes(5_000))
    except MemoryError:
        kept.clear()
        caught += 1
    fill()
    print("caught", caught, some, len(bytearray(100 * MIB)))


def descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    files = []
    try:
        while True:
            files.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        os.write(1, b"%d opened, errno %d\n" % (len(files), error.errno))
    fill()
    pid = os.fork()
    if pid == 0:
        fill()
        os._exit(9)
    os.write(1, b"child %d\n" % os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
    try:
        os.open(os.devnull, os.O_RDONLY)
    except OSError as error:
        os.write(1, b"errno %d\n" % error.errno)


def no_descriptors_at_all() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    fill()
    os.write(1, b"filled\n")


def file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    fill()
    os.write(1, b"filled\n")


def file_size_with_default_action() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    fill()
    os.write(1, b"filled\n")


def locked_memory() -> None:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    fill()
    print("filled")


def small_stacks() -> None:
    import threading

    threading.stack_size(64 * 1024)
    results = []
    threads = [threading.Thread(target=lambda: results.append(len(bytes(3 * MIB)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(results)


def removed_folder() -> None:
    folder = os.path.abspath("doomed")
    os.mkdir(folder)
    os.chdir(folder)
    os.rmdir(folder)
    fill()
    try:
        os.getcwd()
    except FileNotFoundError:
        print("no current folder")
    pid = os.fork()
    if pid == 0:
        fill()
        os._exit(3)
    print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))


def deleted_capture() -> None:
    capture = os.environ.get("DEADWEIGHT_CAPTURE")
    fill()
    # Deadweight may write a file into it meanwhile: then it is not empty when it is to be removed.
    while capture is not None and os.path.isdir(capture):
        shutil.rmtree(capture, ignore_errors=True)
    fill()
    pid = os.fork()
    if pid == 0:
        fill()
        os._exit(5)
    print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
    sys.exit(6)


def frozen_capture() -> None:
    """No new file can be made in the capture's folder from now on (chattr +i holds for root as well)."""
    capture = os.environ.get("DEADWEIGHT_CAPTURE")
    fill()
    if capture is not None:
        subprocess.run(["chattr", "+i", capture], check=True, stderr=subprocess.DEVNULL)
    try:
        fill()
        pid = os.fork()
        if pid == 0:
            fill()
            os._exit(5)
        print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
    finally:
        if capture is not None:
            subprocess.run(["chattr", "-i", capture], check=True)


def full_disk() -> None:
    fill()
    pid = os.fork()
    if pid == 0:
        fill()
        os._exit(5)
    print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
    print(len(bytearray(50 * MIB)))


def closed_streams() -> None:
    """Started without standard streams: what it finds goes into the file that its second argument names."""
    found = [str(sys.stdin), str(sys.stdout), str(sys.stderr), ",".join(sorted(os.listdir("/proc/self/fd")))]
    fill()
    with open(sys.argv[2], "w") as file:
        found.append(str(file.fileno()))
        file.write("\n".join(found) + "\n")
    sys.exit(7)


def mappings() -> None:
    area = mmap.mmap(-1, 64 * MIB)
    area[5 * MIB] = 7
    area.resize(128 * MIB)
    print(area[5 * MIB], len(area))
    area.close()
    time.sleep(0.01)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
