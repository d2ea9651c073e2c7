"""A client's call and its open file, as methods of a driver see them."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _results
from ._library import READ_ONLY, Area, failure, library
from ._memory import Memory
from ._results import Again, IoctlResult, Kind, Later, ReadResult, Ready, WriteResult
from ._tasks import Task

if TYPE_CHECKING:
    from ._device import Device

LOG = logging.getLogger("fusd")


class File:
    """A client's open file: from :meth:`Device.open` to :meth:`Device.release`.

    Attributes:
        data: the driver's own; None at first.
        device: the device it is a file of.
    """

    def __init__(self, device: Device) -> None:
        self.data: Any = None
        self.device = device
        # The library writes its handle there before it lets the client in.
        self._handle = ctypes.c_void_p()
        # Guarded by the device's lock: how often the state was in doubt, and who finds it out.
        self._doubts = 0
        self._asking = False

    def set_ready(self, ready: Ready) -> None:
        """Replaces what polls of the file see, and wakes those who wait for it.

        Of a device with a method ``poll`` that is asked instead: see :meth:`Device.changed`. Before the
        client is let in, and after the release, this does nothing.
        """
        if self._handle.value:
            library().fusd_file_set_ready(self._handle, int(ready))


class Call:
    """A client's call. It ends when it is answered; then only ``kind``, ``file`` and ``room`` are left.

    Attributes:
        kind: "open", "read", "write", "ioctl" or "sync".
        file: the open file. In :meth:`Device.open` it is the one that is about to be.
        room: how many bytes the client takes back, from a read or an ioctl; or has handed in, to a write.
    """

    def __init__(self, device: Device, handle: int, kind: Kind, file: File, room: int = 0) -> None:
        self.kind: Kind = kind
        self.file = file
        self.room = room
        self._device = device
        self._handle = handle
        self._task: Optional[Task] = None
        # A coroutine has returned LATER.
        self._later = False
        self._over = False

    @property
    def pid(self) -> int:
        """The process that calls; 0 if the driver cannot see it (another pid namespace)."""
        return max(0, int(library().fusd_call_pid(self._pending())))

    @property
    def uid(self) -> int:
        """The user who calls."""
        return int(library().fusd_call_uid(self._pending()))

    @property
    def gid(self) -> int:
        """Its group."""
        return int(library().fusd_call_gid(self._pending()))

    @property
    def flags(self) -> int:
        """The file's ``os.O_`` flags, as they are now."""
        return max(0, int(library().fusd_call_flags(self._pending())))

    @property
    def nonblocking(self) -> bool:
        """The client does not wait (O_NONBLOCK): instead of that, raise BlockingIOError."""
        return bool(self.flags & os.O_NONBLOCK)

    @property
    def interrupted(self) -> bool:
        """The client has stopped waiting (a signal, its death, the device's end): no answer reaches it.

        A method that waits, and is not ``async``, looks here from time to time.
        """
        return self._over or library().fusd_call_is_interrupted(self._handle) != 0

    def offer(self, memory: Memory, *, read_only: bool = False) -> None:
        """In an open: lets the client map the memory, once it is let in. Takes the backend kfusd.

        Args:
            read_only: the client may not write to it, but to a copy of its own.

        Raises:
            OSError: EOPNOTSUPP (files of this backend cannot be mapped), ENOENT (the client has gone),
                EINVAL (the call is no open), ENOMEM.
            ValueError: the call has been answered.
        """
        flags = READ_ONLY if read_only else 0
        if library().fusd_call_offer(self._pending(), memory._owner.handle, flags) < 0:
            raise failure()

    def reply(self, result: Union[ReadResult, WriteResult, IoctlResult] = None) -> bool:
        """Answers a call for which :data:`LATER` was returned, from any thread.

        Args:
            result: what the method would have returned.

        Returns:
            Whether the client was still waiting. If not, nothing of the result has reached it: what was
            taken from a queue can go back.

        Raises:
            ValueError: the call has been answered already, or the result does not fit it.
            TypeError: the result is none of such a call. The call goes on waiting.
        """
        self._pending()
        return self._finish(result)

    def fail(self, error: Union[int, BaseException]) -> bool:
        """Has the client's call fail.

        Args:
            error: an errno, 1 to 4095; or an exception, as if the method had raised it.

        Returns:
            Whether the client was still waiting.

        Raises:
            ValueError: the call has been answered already, or that is no errno.
        """
        self._pending()
        if isinstance(error, BaseException):
            return self._raise(error)
        if not 1 <= error <= 4095:
            raise ValueError(f"{error} is no errno: these are 1 to 4095")
        return self._ended(library().fusd_reply_error(self._handle, error))

    def _pending(self) -> int:
        """The handle.

        Raises:
            ValueError: the call has been answered.
        """
        if self._over:
            raise ValueError(f"the {self.kind} has been answered already")
        return self._handle

    def _finish(self, result: object) -> bool:
        """Answers with what a method has returned. Raises as :meth:`reply`."""
        if isinstance(result, Later):
            raise TypeError("fusd.LATER is no answer")
        lib, handle, file = library(), self._handle, self.file
        if self.kind == "open":
            _results.nothing(result, "open")
            return self._ended(self._device._let_in(self))
        # Checked before anything is told.
        content, number = b"", 0
        if self.kind == "read":
            content = _results.data(result, self.room)
        elif self.kind == "write":
            number = _results.count(result, self.room)
        elif self.kind == "sync":
            _results.nothing(result, "sync")
        elif isinstance(result, Again):
            return self._ended(self._again(result))
        else:
            number, content = _results.ioctl(result, self.room)
        # The poll state first: a client that has its answer must not find an older one.
        self._device._refresh(file)
        if self.kind == "read":
            return self._ended(lib.fusd_reply_data(handle, content, len(content)))
        if self.kind == "write":
            return self._ended(lib.fusd_reply_count(handle, number))
        if self.kind == "sync":
            return self._ended(lib.fusd_reply_done(handle))
        return self._ended(lib.fusd_reply_ioctl(handle, number, content, len(content)))

    def _again(self, again: Again) -> int:
        areas = [
            (Area * len(part))(*(Area(address, length) for address, length in part))
            for part in (again.inputs, again.outputs)
        ]
        return int(
            library().fusd_reply_again(
                self._handle, areas[0], len(areas[0]), areas[1], len(areas[1])
            )
        )

    def _ended(self, result: int) -> bool:
        """What a function for an answer has returned. Raises ValueError where the call has ended before."""
        if result == 0:
            self._over = True
            return True
        number = ctypes.get_errno()
        if number in (errno.EPIPE, errno.ENODEV) or self._device.closed:
            self._over = True
            return False
        raise ValueError(f"the answer does not fit the {self.kind}, or it has been answered already")

    def _raise(self, error: BaseException) -> bool:
        """Answers with what a method has raised."""
        number = _results.errno_of(error)
        if number is None:
            LOG.error(
                "%s: %s() failed, and the client gets EIO",
                self._device.path,
                self.kind,
                exc_info=error,
            )
            number = errno.EIO
        return self._ended(library().fusd_reply_error(self._handle, number))

    def _answer(self, result: object) -> None:
        """Answers with what a method has returned; if it is no answer, that is the driver's bug."""
        try:
            delivered = self._finish(result)
        except Exception as error:
            if not self._over:
                self._raise(error)
            return
        if not delivered:
            self._device._undelivered(self, result)

    def __del__(self) -> None:
        if self._over or self._device.closed:
            return
        if not self.interrupted:
            LOG.warning(
                "%s: a %s was dropped without an answer, and the client gets EIO: keep the call for"
                " which fusd.LATER was returned, and reply() to it",
                self._device.path,
                self.kind,
            )
        library().fusd_reply_error(self._handle, errno.EIO)
