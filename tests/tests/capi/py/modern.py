"""The driver of modern.c in Python: modern.py later|async NAME. It keeps one message; readers wait for it.

With "later" they wait as calls that are answered later, with "async" in coroutines. The end of standard
input ends it. It says "bad: ..." for each promise that is not kept.
"""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import sys
import threading

import fusd

PID = fusd.IOR("m", 1, 8)
SUM = fusd.IOW("m", 2, 16)
THREE = fusd.IOR("m", 3, 8)


def say(line: str) -> None:
    print(line, flush=True)


def check(condition: bool, what: str) -> None:
    if not condition:
        say(f"bad: {what}")


class Common(fusd.Device):
    def __init__(self, name: str) -> None:
        super().__init__(name, mode=0o640, stream=True, any_ioctl=os.environ["FUSD_BACKEND"] != "fuse")
        self.message = b""
        self.released = 0

    def open(self, call: fusd.Call) -> None:
        check(call.pid > 0 and call.uid == 0 and call.gid == 0, "who opens")
        if call.flags & os.O_APPEND:
            raise OSError(errno.EROFS, "only at the beginning")
        call.file.data = 42

    def release(self, file: fusd.File) -> None:
        check(file.data == 42, "the data of a file")
        self.released += 1

    def ioctl(self, call: fusd.Call, number: int, argument: int, data: bytes) -> fusd.IoctlResult:
        if number == PID:
            check(call.room == 8, "the room of an ioctl")
            return 7, struct.pack("=Q", call.pid)
        if number == SUM:
            address, length = struct.unpack_from("=QQ", data)
            if len(data) == 16 and length > 0:
                return fusd.Again(inputs=[(argument, 16), (address, length)])
            return sum(data[16:]) % 256
        if number == THREE:
            return 3
        raise OSError(errno.ENOTTY, "no such ioctl")

    def sync(self, call: fusd.Call, data_only: bool) -> None:
        if data_only:
            raise OSError(errno.ENOSPC, "no space")

    def poll(self, file: fusd.File) -> fusd.Ready:
        return fusd.Ready.WRITE | (fusd.Ready.READ if self.message else fusd.Ready.NONE)


class Later(Common):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.lock = threading.Lock()
        self.reader: fusd.Call | None = None

    def read(self, call: fusd.Call, size: int, offset: int) -> fusd.ReadResult:
        with self.lock:
            if self.message:
                message, self.message = self.message, b""
                return message
            if call.nonblocking:
                raise BlockingIOError
            check(self.reader is None and not call.interrupted, "one reader at a time")
            self.reader = call
            say("waits")
            return fusd.LATER

    def interrupted(self, call: fusd.Call) -> None:
        with self.lock:
            check(call is self.reader and call.interrupted, "which call is interrupted")
            check(not call.reply(b"late"), "an answer that is late")
            try:
                call.reply(b"late")
                check(False, "an answer after the end")
            except ValueError:
                pass
            self.reader = None
            say("interrupted")

    def write(self, call: fusd.Call, data: bytes, offset: int) -> None:
        if len(data) > 64:
            raise OSError(errno.EMSGSIZE, "too long")
        with self.lock:
            if self.reader is not None and self.reader.reply(data):
                self.reader = None
                return
            self.message = data
        self.changed()


class Async(Common):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.news = asyncio.Condition()

    async def read(self, call: fusd.Call, size: int, offset: int) -> bytes:
        if not self.message and call.nonblocking:
            raise BlockingIOError
        async with self.news:
            if not self.message:
                say("waits")
                try:
                    await self.news.wait_for(lambda: self.message)
                except asyncio.CancelledError:
                    check(call.interrupted, "why it is cancelled")
                    say("interrupted")
                    raise
            message, self.message = self.message, b""
            return message

    async def write(self, call: fusd.Call, data: bytes, offset: int) -> int:
        if len(data) > 64:
            raise OSError(errno.EMSGSIZE, "too long")
        async with self.news:
            self.message = data
            self.news.notify()
        self.changed()
        return len(data)


def main(kind: str, name: str) -> None:
    device = Later(name) if kind == "later" else Async(name)
    with device:
        check(device.backend == os.environ["FUSD_BACKEND"], "the backend")
        say("ready")
        sys.stdin.read()
    check(device.closed, "closed")
    say(f"released {device.released}")


main(*sys.argv[1:])
