"""Devices under /dev that a Python program implements.

A driver is a subclass of :class:`Device`, or a few functions given to :func:`device`::

    import fusd

    def say(call, size, offset):
        return b"Hello, world!\\n"[offset:offset + size]

    with fusd.device("hello", read=say):
        input("cat /dev/hello; Enter ends it ")

Methods are called on threads of the library, those of one file one after the other. They return the
answer, raise an exception (an :class:`OSError` gives the client its errno, any other EIO), return
:data:`LATER` and have :meth:`Call.reply` answer, or are ``async def``.

The package needs the C library ``libfusd.so.0`` and no compiler: it is looked for where libraries are
installed, or at the path in the environment variable ``FUSD_LIBRARY``. ``FUSD_BACKEND`` chooses what
carries the calls (kfusd, cuse, fuse). Messages go to the logger ``fusd``.
"""

from ._call import Call, File
from ._device import Device
from ._functions import device
from ._ioctl import IO, IOR, IOW, IOWR
from ._library import LibraryError
from ._memory import Memory
from ._results import LATER, Again, IoctlResult, Later, ReadResult, Ready, WriteResult

__all__ = [
    "Again",
    "Call",
    "Device",
    "File",
    "IO",
    "IOR",
    "IOW",
    "IOWR",
    "IoctlResult",
    "LATER",
    "Later",
    "LibraryError",
    "Memory",
    "ReadResult",
    "Ready",
    "WriteResult",
    "device",
]
