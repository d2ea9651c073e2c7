"""What the Python package promises where things go wrong: checks.py NAME. It is driver and client at once,
and says "bad: ..." for each promise that is not kept, then "over".
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import mmap
import os
import subprocess
import sys
import threading
import time
import traceback
from typing import Any, Callable

import fusd

NAME = sys.argv[1]
SIMPLE = fusd.IO("p", 1)
records: list[logging.LogRecord] = []


def check(condition: object, what: object) -> None:
    if not condition:
        where = traceback.extract_stack(limit=2)[0].lineno
        print(f"bad: line {where}: {what!r}", flush=True)


def fails(number: int, action: Callable[[], Any]) -> None:
    """The action fails with this errno."""
    try:
        result: object = action()
    except OSError as error:
        result = error.errno
    check(result == number, (errno.errorcode[number], result))


def logged(text: str) -> bool:
    """Whether the log has it, with a traceback or in a message; it is empty afterwards."""
    taken = [logging.Formatter().format(record) for record in records]
    records.clear()
    return any(text in each for each in taken)


class Keep(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        records.append(record)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)


class Sinner(fusd.Device):
    """Does what the client has written."""

    def open(self, call: fusd.Call) -> None:
        if call.flags & os.O_APPEND:
            raise PermissionError

    def write(self, call: fusd.Call, data: bytes, offset: int) -> Any:
        call.file.data = data.decode()
        return {"more": 5, "less": -1, "none": "x"}.get(call.file.data)

    def read(self, call: fusd.Call, size: int, offset: int) -> Any:
        sin = call.file.data
        if sin == "bug":
            raise KeyError("a key")
        if sin == "text":
            return "text"
        if sin == "long":
            return b"x" * (size + 1)
        if sin == "number":
            raise OSError(99999, "no errno")
        if sin == "own":
            raise OSError(errno.EDOM, "an error of its own")
        if sin == "plain":
            raise OSError("nothing in particular")
        if sin == "dropped":
            return fusd.LATER
        if sin == "twice":
            check(call.reply(b"once"), "once")
            try:
                call.reply(b"twice")
                check(False, "twice")
            except ValueError:
                return b"thrice"
        if sin == "misfit":
            for impossible in ("x", b"x" * (size + 1)):
                try:
                    call.reply(impossible)  # type: ignore[arg-type]
                    check(False, impossible)
                except (TypeError, ValueError):
                    pass
            return b"fits"
        if sin == "exit":
            raise SystemExit(3)
        if sin == "close":
            self.close()
            wait_until(lambda: call.interrupted)
        return bytearray(b"fine")

    def ioctl(self, call: fusd.Call, number: int, argument: int, data: bytes) -> Any:
        return argument - 10


def sins(name: str) -> None:
    with Sinner(name) as device:
        file = os.open(device.path, os.O_RDWR)

        def read_after(sin: str) -> bytes:
            check(os.write(file, sin.encode()) == len(sin), sin)
            return os.read(file, 10)

        for sin, text in {
            "bug": "KeyError",
            "text": "return bytes or fusd.LATER",
            "long": "11 bytes where 10 were asked for",
            "number": "no errno",
            "plain": "nothing in particular",
            "dropped": "without an answer",
            "exit": "SystemExit",
        }.items():
            fails(errno.EIO, lambda: read_after(sin))
            check(logged(text), sin)
        fails(errno.EDOM, lambda: read_after("own"))
        check(read_after("twice") == b"once", "twice")
        check(read_after("misfit") == b"fits", "misfit")
        check(read_after("fine") == b"fine", "bytearray")
        check(not records, records)
        for sin in ("more", "less", "none"):
            fails(errno.EIO, lambda: os.write(file, sin.encode()))
            check(logged("write() returned"), sin)
        check(ioctl(file, 17) == 7, "ioctl")
        fails(errno.EIO, lambda: ioctl(file, 5))
        check(logged("raise an OSError"), "a negative number")
        fails(errno.EACCES, lambda: os.open(device.path, os.O_WRONLY | os.O_APPEND))
        fails(errno.EEXIST, Sinner(name).start)
        # It ends in its own method, which does not wait for that.
        fails(errno.EPIPE, lambda: read_after("close"))
        device.wait()
        check(device.closed and not os.path.exists(device.path), "closed")
        os.close(file)


def ioctl(file: int, argument: int) -> int:
    import fcntl

    return fcntl.ioctl(file, SIMPLE, argument)


def arguments(name: str) -> None:
    fails(errno.EINVAL, Sinner("../x").start)
    fails(errno.EINVAL, Sinner().start)
    fails(errno.EINVAL, Sinner(name, backend="none").start)
    fails(errno.EEXIST, Sinner("null").start)
    wrong: list[dict[str, Any]]
    wrong = [{"name": "a\0b"}, {"workers": -1}, {"mode": 2**32}, {"owner": -1}]
    for impossible in wrong:
        try:
            Sinner(**impossible)
            check(False, impossible)
        except ValueError:
            pass
    try:
        Sinner(name, group="no such group")
        check(False, "no group")
    except KeyError:
        pass
    device = Sinner(name, mode=0o600, owner=0, group="root")
    check(not device.closed and device.path == "", "not started")
    device.close()
    try:
        device.wait()
        check(False, "it waits for what was not started")
    except ValueError:
        pass
    try:
        with device:
            check(os.stat(device.path).st_mode & 0o777 == 0o600, "the mode")
            raise KeyError("of the body")
    except KeyError:
        check(device.closed and not os.path.exists(device.path), "closed")
    try:
        device.start()
        check(False, "a second start")
    except ValueError:
        pass


def many(name: str) -> None:
    """Large transfers, and several files at once."""
    kept = bytearray()
    lock = threading.Lock()
    released: list[fusd.File] = []

    def write(call: fusd.Call, data: bytes, offset: int) -> None:
        with lock:
            kept[offset : offset + len(data)] = data

    def read(call: fusd.Call, size: int, offset: int) -> memoryview:
        with lock:
            return memoryview(bytes(kept[offset : offset + size]))

    content = os.urandom(300_000)
    with fusd.device(name, read=read, write=write, release=released.append, workers=4) as device:
        with open(device.path, "wb", buffering=0) as file:
            written = 0
            while written < len(content):
                written += file.write(content[written:]) or 0
        results: list[bytes] = []

        def client() -> None:
            with open(device.path, "rb") as file:
                results.append(file.read())

        clients = [threading.Thread(target=client) for _ in range(4)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        check(results == [content] * 4, [len(result) for result in results])
    check(len(released) == 5, len(released))


def late(name: str) -> None:
    """A result that comes too late is given back."""
    back: list[object] = []
    begun = threading.Event()

    def read(call: fusd.Call, size: int, offset: int) -> bytes:
        begun.set()
        wait_until(lambda: call.interrupted)
        return b"late"

    def undelivered(call: fusd.Call, result: object) -> None:
        back.append((call.kind, result))

    with fusd.device(name, read=read, undelivered=undelivered) as device:
        client = subprocess.Popen(["cat", device.path])
        check(begun.wait(60), "it reads")
        client.kill()
        client.wait()
    check(back == [("read", b"late")], back)


def coroutines(name: str) -> None:
    """They end before their device has, and cannot end their loop."""
    released: list[fusd.File] = []
    cancelled: list[fusd.Call] = []
    begun = threading.Event()

    async def read(call: fusd.Call, size: int, offset: int) -> bytes:
        if size == 1:
            raise SystemExit(3)
        if size == 2:
            raise OSError(errno.EDOM, "an error of its own")
        if size == 3:
            await asyncio.sleep(0)
            return b"abc"
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            cancelled.append(call)
            raise
        return b""

    async def release(file: fusd.File) -> None:
        await asyncio.sleep(0.1)
        released.append(file)

    with fusd.device(name, read=read, release=release) as device:
        file = os.open(device.path, os.O_RDONLY)
        fails(errno.EIO, lambda: os.read(file, 1))
        check(logged("a method raised SystemExit"), "SystemExit")
        fails(errno.EDOM, lambda: os.read(file, 2))
        check(os.read(file, 3) == b"abc", "abc")
        client = threading.Thread(target=lambda: fails(errno.EPIPE, lambda: os.read(file, 4)))
        client.start()
        check(begun.wait(60), "it waits")
    client.join()
    check(len(released) == 1 and len(cancelled) == 1, (released, cancelled))
    check(not records, records)
    os.close(file)


def opens(name: str) -> None:
    """An open that is answered later; the end from outside."""
    kept: list[fusd.Call] = []
    there = threading.Event()
    released: list[fusd.File] = []

    def keep(call: fusd.Call) -> fusd.Later:
        kept.append(call)
        there.set()
        return fusd.LATER

    with fusd.device(name, open=keep, release=released.append) as device:
        opened: list[int] = []
        client = threading.Thread(target=lambda: opened.append(os.open(device.path, os.O_RDONLY)))
        client.start()
        check(there.wait(60), "it opens")
        check(kept[0].reply(), "it has waited")
        client.join()
        check(len(opened) == 1 and not released, opened)
        if device.backend == "fuse":
            subprocess.run(["umount", "--force", device.path], stderr=subprocess.DEVNULL)
            fails(errno.ENODEV, device.wait)
            check(logged("the device has ended") and len(released) == 1, released)
    os.close(opened[0])
    check(len(released) == 1, released)


def memory(name: str) -> None:
    """What both sides see."""
    shared = fusd.Memory(1)
    errors: list[int | None] = []

    def offer(call: fusd.Call) -> None:
        try:
            call.offer(shared, read_only=bool(call.flags & os.O_SYNC))
        except OSError as error:
            errors.append(error.errno)

    with fusd.device(name, open=offer) as device:
        file = os.open(device.path, os.O_RDWR)
        reader = os.open(device.path, os.O_RDWR | os.O_SYNC)
        if device.backend != "kfusd":
            check(errors == [errno.EOPNOTSUPP] * 2, errors)
        else:
            shared.view[:4] = b"here"
            mapped = mmap.mmap(file, len(shared))
            check(mapped[:4] == b"here", mapped[:4])
            mapped[:5] = b"there"
            check(bytes(shared.view[:5]) == b"there", bytes(shared.view[:5]))
            fails(errno.EACCES, lambda: mmap.mmap(reader, len(shared)))
            check(not errors, errors)
        os.close(file)
        os.close(reader)
    view = shared.view
    del shared, offer, device
    gc.collect()
    view[0] = 1  # It is still there.
    fails(errno.EINVAL, lambda: fusd.Memory(0))


def elsewhere(name: str) -> None:
    """In other processes: no library; and the end without a close."""

    def run(text: str, **changes: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **changes}
        command = [sys.executable, "-c", text, name]
        return subprocess.run(command, env=environment, text=True, capture_output=True)

    text = "import sys, fusd; d = fusd.device(sys.argv[1]); d.start(); print(d.path)"
    ended = run(text)
    check(ended.returncode == 0 and ended.stderr == "", ended)
    check(not os.path.exists(ended.stdout.strip()), ended.stdout)
    missing = run(text, FUSD_LIBRARY="/nowhere/libfusd.so.0")
    check(missing.returncode == 1 and "FUSD_LIBRARY has to be" in missing.stderr, missing)
    other = run(text, FUSD_LIBRARY="libc.so.6")
    check("install a newer one" in other.stderr, other)


logging.getLogger("fusd").addHandler(Keep())
logging.getLogger("fusd").propagate = False
print("ready", flush=True)
for part in (arguments, sins, many, late, coroutines, opens, memory, elsewhere):
    part(NAME)
check(fusd.IOR("k", 3, 4) == 0x80046B03 and fusd.IOWR("k", 1, 12) == 0xC00C6B01, "numbers")
print("over", flush=True)
