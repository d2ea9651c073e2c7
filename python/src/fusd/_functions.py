"""Devices made of functions."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ._call import Call, File
from ._device import Device
from ._results import Ready


class _Functions(Device):
    """A device made of functions."""


def device(
    name: Optional[str] = None,
    *,
    open: Optional[Callable[[Call], Any]] = None,
    release: Optional[Callable[[File], Any]] = None,
    read: Optional[Callable[[Call, int, int], Any]] = None,
    write: Optional[Callable[[Call, bytes, int], Any]] = None,
    ioctl: Optional[Callable[[Call, int, int, bytes], Any]] = None,
    sync: Optional[Callable[[Call, bool], Any]] = None,
    poll: Optional[Callable[[File], Ready]] = None,
    interrupted: Optional[Callable[[Call], None]] = None,
    undelivered: Optional[Callable[[Call, object], None]] = None,
    **options: Any,
) -> Device:
    """A device made of functions instead of methods, which are as those of :class:`Device`.

    Args:
        name: the node's name, as there; ``options`` likewise.

    Example::

        with fusd.device("sensor", read=lambda call, size, offset: b"42\\n"[offset:offset + size]) as d:
            subprocess.run(["my-program", d.path], check=True)
    """
    made = _Functions(name, **options)
    functions = {
        "open": open,
        "release": release,
        "read": read,
        "write": write,
        "ioctl": ioctl,
        "sync": sync,
        "poll": poll,
        "interrupted": interrupted,
        "undelivered": undelivered,
    }
    for method, function in functions.items():
        if function is not None:
            setattr(made, method, function)
    return made
