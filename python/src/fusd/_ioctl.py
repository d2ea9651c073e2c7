"""Numbers of ioctls, as the macros of ``<sys/ioctl.h>`` make them."""

from __future__ import annotations

import platform
from typing import Union

# include/uapi/asm-generic/ioctl.h, and what these machines have instead.
_OLD = platform.machine().startswith(("alpha", "mips", "ppc", "sparc"))
_SIZE_BITS = 13 if _OLD else 14
_NONE, _READ, _WRITE = (1, 2, 4) if _OLD else (0, 2, 1)


def _number(direction: int, kind: Union[str, int], number: int, size: int) -> int:
    letter = ord(kind) if isinstance(kind, str) else kind
    if not (0 <= letter < 256 and 0 <= number < 256 and 0 <= size < 1 << _SIZE_BITS):
        raise ValueError(
            f"no ioctl has type {kind!r}, number {number} and size {size}: types and numbers are below"
            f" 256, sizes below {1 << _SIZE_BITS} bytes"
        )
    return direction << (16 + _SIZE_BITS) | size << 16 | letter << 8 | number


def IO(kind: Union[str, int], number: int) -> int:
    """An ioctl whose argument is a plain number. ``kind``: a letter, or 0 to 255; ``number``: likewise.

    Raises:
        ValueError: one of them is out of its range.
    """
    return _number(_NONE, kind, number, 0)


def IOR(kind: Union[str, int], number: int, size: int) -> int:
    """One that gives ``size`` bytes to the client. Raises ValueError as :func:`IO`."""
    return _number(_READ, kind, number, size)


def IOW(kind: Union[str, int], number: int, size: int) -> int:
    """One that takes ``size`` bytes from the client. Raises ValueError as :func:`IO`."""
    return _number(_WRITE, kind, number, size)


def IOWR(kind: Union[str, int], number: int, size: int) -> int:
    """One that takes ``size`` bytes and gives them back. Raises ValueError as :func:`IO`."""
    return _number(_READ | _WRITE, kind, number, size)
