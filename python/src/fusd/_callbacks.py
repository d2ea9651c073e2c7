"""What the C library calls: from handles and pointers to the methods of a device.

A device is known by a number that the library hands back (its context), a file likewise (its data). The
callbacks are made once and never freed, as one may still run after its device has been closed.
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from typing import TYPE_CHECKING, Optional

from ._call import LOG, Call
from ._library import IOCTL, OPEN, READ, RELEASE, SYNC, WRITE, Ops, library

if TYPE_CHECKING:
    from ._device import Device

#: Numbers of devices and files; 0 would be a null pointer.
numbers = itertools.count(1)
#: The devices whose methods may be called.
devices: dict[int, Device] = {}

_thread = threading.local()


def inside() -> bool:
    """Whether this thread runs a method of a device."""
    return bool(getattr(_thread, "depth", 0))


def _begin(handle: int) -> Optional[Device]:
    return devices.get(library().fusd_call_context(handle) or 0)


def _serve(device: Device, call: Call, name: str, *arguments: object) -> None:
    """Runs a method and has its result answered."""
    _thread.depth = getattr(_thread, "depth", 0) + 1
    try:
        device._serve(call, name, *arguments)
    except BaseException:
        # Nothing may get out of here: C code is behind it.
        LOG.exception("%s: bug in the package fusd", device.path)
    finally:
        _thread.depth -= 1


def _open(handle: int) -> None:
    device = _begin(handle)
    if device is not None:
        call = Call(device, handle, "open", device._new_file())
        _serve(device, call, "open")


def _read(handle: int, room: int, offset: int) -> None:
    device = _begin(handle)
    if device is not None:
        call = Call(device, handle, "read", device._file(handle), room)
        _serve(device, call, "read", room, offset)


def _write(handle: int, data: Optional[int], length: int, offset: int) -> None:
    device = _begin(handle)
    if device is not None:
        content = ctypes.string_at(data, length) if data else b""
        call = Call(device, handle, "write", device._file(handle), length)
        _serve(device, call, "write", content, offset)


def _ioctl(
    handle: int, number: int, argument: int, data: Optional[int], length: int, room: int
) -> None:
    device = _begin(handle)
    if device is not None:
        content = ctypes.string_at(data, length) if data else b""
        call = Call(device, handle, "ioctl", device._file(handle), room)
        _serve(device, call, "ioctl", number, argument, content)


def _sync(handle: int, data_only: int) -> None:
    device = _begin(handle)
    if device is not None:
        call = Call(device, handle, "sync", device._file(handle))
        _serve(device, call, "sync", bool(data_only))


def _interrupted(handle: int) -> None:
    device = _begin(handle)
    if device is not None:
        device._interrupt(handle)


def _release(data: Optional[int], context: Optional[int]) -> None:
    device = devices.get(context or 0)
    if device is not None:
        device._forget(data or 0)


_CALLBACKS = {
    "open": OPEN(_open),
    "release": RELEASE(_release),
    "read": READ(_read),
    "write": WRITE(_write),
    "ioctl": IOCTL(_ioctl),
    "interrupted": OPEN(_interrupted),
    "sync": SYNC(_sync),
}


def table(names: set[str]) -> Ops:
    """The callbacks of these names, and those that are always needed."""
    wanted = names | {"open", "release", "interrupted"}
    chosen = {name: callback for name, callback in _CALLBACKS.items() if name in wanted}
    return Ops(size=ctypes.sizeof(Ops), **chosen)
