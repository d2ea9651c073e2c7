"""A sensor that does not exist, for the test of a program that reads it: sensor.py [NAME]

A reader gets a line with the temperature, and waits for the next one. Writing a number sets the
temperature; the ioctl _IOR('t', 1, int) gives it in thousandths of a degree. Standard input's end ends it.
"""

from __future__ import annotations

import asyncio
import errno
import struct
import sys

import fusd

GET = fusd.IOR("t", 1, 4)


class Sensor(fusd.Device):
    """Waits with asyncio: a client that is interrupted has its read cancelled, with nothing to do here."""

    degrees = 20.0
    changes = 0
    news = asyncio.Condition()

    async def open(self, call: fusd.Call) -> None:
        call.file.data = -1  # the change that it has seen

    async def read(self, call: fusd.Call, size: int, offset: int) -> bytes:
        file = call.file
        if file.data == self.changes and call.nonblocking:
            raise BlockingIOError
        async with self.news:
            await self.news.wait_for(lambda: bool(file.data != self.changes))
            file.data = self.changes
            return f"{self.degrees:.3f}\n".encode()[:size]

    async def write(self, call: fusd.Call, data: bytes, offset: int) -> None:
        try:
            self.degrees = float(data)
        except ValueError:
            raise OSError(errno.EINVAL, "not a temperature") from None
        async with self.news:
            self.changes += 1
            self.news.notify_all()
        self.changed()

    async def ioctl(self, call: fusd.Call, number: int, argument: int, data: bytes) -> bytes:
        if number != GET:
            raise OSError(errno.ENOTTY, "no such ioctl")
        return struct.pack("=i", round(self.degrees * 1000))

    def poll(self, file: fusd.File) -> fusd.Ready:
        news = fusd.Ready.NONE if file.data == self.changes else fusd.Ready.READ
        return news | fusd.Ready.WRITE


async def main(name: str = "sensor") -> None:
    async with Sensor(name, stream=True):
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
