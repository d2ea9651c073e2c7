"""What methods of a driver give back, and what becomes of it."""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass
from typing import Final, Literal, Sequence, Tuple, Union


class Later(enum.Enum):
    """The type of :data:`LATER`."""

    LATER = "later"


LATER: Final = Later.LATER
"""What a method returns whose call :meth:`Call.reply` or :meth:`Call.fail` will answer."""


class Ready(enum.IntFlag):
    """What polls of a file see."""

    NONE = 0
    READ = 0x1
    """A read will not wait (POLLIN)."""
    WRITE = 0x2
    """A write will not wait (POLLOUT)."""
    PRIORITY = 0x4
    """Something exceptional (POLLPRI)."""
    ERROR = 0x8
    """The device is in error (POLLERR)."""
    HANG_UP = 0x10
    """The other side has hung up (POLLHUP)."""


@dataclass(frozen=True)
class Again:
    """The result of an ioctl that wants other memory of its caller: the call comes again as a new one,
    with what is at the ``inputs`` as its data, and room for the ``outputs``.

    An area is an address in the client's memory and a length in bytes; at most 256 areas, of at most
    128 KiB together. It takes ``any_ioctl``, and a backend other than fuse (else the client gets
    ENOTTY). The client can change its memory meanwhile: check anew what was checked.
    """

    inputs: Sequence[Tuple[int, int]] = ()
    outputs: Sequence[Tuple[int, int]] = ()


ReadResult = Union[bytes, bytearray, memoryview, Later]
"""At most as many bytes as were asked for; none is the end of the file."""

WriteResult = Union[int, None, Later]
"""How many bytes were taken; None: all of them."""

IoctlResult = Union[int, None, bytes, bytearray, Tuple[int, bytes], Again, Later]
"""What ioctl(2) returns, 0 or more (None: 0); what goes back to the client (then it returns 0); or both."""

Kind = Literal["open", "read", "write", "ioctl", "sync"]

# Exceptions that are raised without an errno: the first that fits.
_NUMBERS: tuple[tuple[type[OSError], int], ...] = (
    (BlockingIOError, errno.EAGAIN),
    (BrokenPipeError, errno.EPIPE),
    (ConnectionRefusedError, errno.ECONNREFUSED),
    (ConnectionResetError, errno.ECONNRESET),
    (FileExistsError, errno.EEXIST),
    (FileNotFoundError, errno.ENOENT),
    (InterruptedError, errno.EINTR),
    (PermissionError, errno.EACCES),
    (ProcessLookupError, errno.ESRCH),
    (TimeoutError, errno.ETIMEDOUT),
)


def errno_of(error: BaseException) -> int | None:
    """The errno that stands for an exception, 1 to 4095; None where there is none."""
    if not isinstance(error, OSError):
        return None
    if error.errno is None:
        return next((number for kind, number in _NUMBERS if isinstance(error, kind)), None)
    return error.errno if 1 <= error.errno <= 4095 else None


def data(result: object, room: int) -> bytes:
    """The bytes that a read gives.

    Raises:
        TypeError: it gives something else.
        ValueError: they are more than were asked for.
    """
    if not isinstance(result, (bytes, bytearray, memoryview)):
        raise TypeError(f"read() returned {type(result).__name__}; return bytes or fusd.LATER")
    content = bytes(result)
    if len(content) > room:
        raise ValueError(f"read() returned {len(content)} bytes where {room} were asked for")
    return content


def count(result: object, length: int) -> int:
    """How many bytes a write has taken.

    Raises:
        TypeError: it is no number.
        ValueError: they are more than there were.
    """
    if result is None:
        return length
    if not isinstance(result, int):
        raise TypeError(f"write() returned {type(result).__name__}; return a number, None or fusd.LATER")
    if not 0 <= result <= length:
        raise ValueError(f"write() returned {result} for {length} bytes")
    return result


def ioctl(result: object, room: int) -> tuple[int, bytes]:
    """What an ioctl returns, and what it hands back.

    Raises:
        TypeError: it is neither.
        ValueError: the number is negative, or there are more bytes than the client takes.
    """
    number: object = 0
    content: object = b""
    if isinstance(result, tuple) and len(result) == 2:
        number, content = result
    elif isinstance(result, (bytes, bytearray)):
        content = result
    elif result is not None:
        number = result
    if not isinstance(number, int) or not isinstance(content, (bytes, bytearray)):
        raise TypeError(
            f"ioctl() returned {result!r}; return a number, bytes, both, None, fusd.Again or fusd.LATER"
        )
    if not 0 <= number <= 0x7FFFFFFF:
        raise ValueError(f"ioctl() returned {number}; for a failure, raise an OSError")
    if len(content) > room:
        raise ValueError(f"ioctl() returned {len(content)} bytes where the client takes {room}")
    return number, bytes(content)


def nothing(result: object, method: str) -> None:
    """Checks that a method that has nothing to say says nothing.

    Raises:
        TypeError: it does not.
    """
    if result is not None:
        raise TypeError(f"{method}() returned {type(result).__name__}; return None or fusd.LATER")
