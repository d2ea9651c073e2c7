"""Devices: what a driver overrides, and how a device begins and ends."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import grp
import inspect
import os
import pwd
import threading
import weakref
from types import TracebackType
from typing import Awaitable, Optional, Type, TypeVar, Union

from . import _callbacks, _library
from ._call import LOG, Call, File
from ._library import Options, library
from ._results import IoctlResult, Later, ReadResult, Ready, WriteResult
from ._tasks import Tasks

_D = TypeVar("_D", bound="Device")

#: How long the end of a device waits for what still runs, in seconds; as the C library does.
GRACE = 2.0


class Device:
    """A device: a subclass has the methods that its clients can use.

    What is not overridden never reaches the driver: the kernel answers. :meth:`open`, :meth:`read`,
    :meth:`write`, :meth:`ioctl`, :meth:`sync` and :meth:`release` can be ``async def``. They are called
    on threads of the library, those of one file one after the other (``async`` ones are started in that
    order), those of different files at the same time.

    An exception is the client's error: an OSError its errno, any other EIO, with the traceback in the
    log (logger ``fusd``). So is a result that does not fit: more bytes than were asked for, a str.

    It is served while it is used as a context manager, by ``with`` or ``async with``; or from
    :meth:`start` to :meth:`close`; or by :meth:`run`.

    Args:
        name: the node is /dev/NAME (root), else $XDG_RUNTIME_DIR/fusd/NAME.
        path: the node itself, instead of a name (fuse alone).
        mode: its permissions, 0 to 0o7777; else 0o666 less the umask.
        owner: its owner, a uid or a name; else the driver's.
        group: its group, a gid or a name; else the driver's.
        backend: "kfusd", "cuse", "fuse" or "auto"; else FUSD_BACKEND in the environment, else the best.
        workers: how many methods run at a time; 0: 16.
        max_open: how many files may be open at a time, beyond which open(2) is EBUSY; 0: no limit.
        stream: files have no position: offsets are 0, and lseek(2) fails with ESPIPE.
        any_ioctl: ioctls of any number, and :class:`Again`; not with fuse.

    Raises:
        ValueError: a string has a zero byte, or a number is out of its range.
        KeyError: there is no such owner or group.
    """

    def __init__(
        self,
        name: Optional[str] = None,
        *,
        path: Union[str, os.PathLike[str], None] = None,
        mode: Optional[int] = None,
        owner: Union[int, str, None] = None,
        group: Union[int, str, None] = None,
        backend: Optional[str] = None,
        workers: int = 0,
        max_open: int = 0,
        stream: bool = False,
        any_ioctl: bool = False,
    ) -> None:
        self._options = Options(
            size=ctypes.sizeof(Options),
            name=_bytes(name, "name"),
            path=_bytes(None if path is None else os.fspath(path), "path"),
            backend=_bytes(backend, "backend"),
            flags=(_library.STREAM if stream else 0) | (_library.ANY_IOCTL if any_ioctl else 0),
            workers=_count(workers, "workers"),
            max_open=_count(max_open, "max_open"),
        )
        if mode is not None:
            self._options.mode = _count(mode, "mode")
            self._options.flags |= _library.SET_MODE
        if owner is not None:
            uid = owner if isinstance(owner, int) else pwd.getpwnam(owner).pw_uid
            self._options.owner = _count(uid, "owner")
            self._options.flags |= _library.SET_OWNER
        if group is not None:
            gid = group if isinstance(group, int) else grp.getgrnam(group).gr_gid
            self._options.group = _count(gid, "group")
            self._options.flags |= _library.SET_GROUP
        self._number = next(_callbacks.numbers)
        self._lock = threading.Lock()
        self._handle: Optional[int] = None
        self._thread: Optional[threading.Thread] = None
        self._failure: Optional[OSError] = None
        self._over = threading.Event()
        self._files: dict[int, File] = {}
        self._kept: weakref.WeakValueDictionary[int, Call] = weakref.WeakValueDictionary()
        self._tasks = Tasks()
        self._path = ""
        self._backend = ""

    # -------------------------------------------------------------- what a driver overrides

    def open(self, call: Call) -> Union[None, Later, Awaitable[Optional[Later]]]:
        """A client opens the device. An exception refuses it. ``call.file`` is its file to be."""
        return None

    def release(self, file: File) -> Optional[Awaitable[None]]:
        """The last descriptor of a file is closed; once for each successful open."""
        return None

    def read(
        self, call: Call, size: int, offset: int
    ) -> Union[ReadResult, Awaitable[ReadResult]]:
        """A client reads at most ``size`` bytes at ``offset``, in bytes from 0. No bytes: the end of the
        file. Not overridden: EINVAL."""
        raise NotImplementedError

    def write(
        self, call: Call, data: bytes, offset: int
    ) -> Union[WriteResult, Awaitable[WriteResult]]:
        """A client writes ``data`` at ``offset``. Returns how many bytes were taken; None: all. Not
        overridden: EINVAL."""
        raise NotImplementedError

    def ioctl(
        self, call: Call, number: int, argument: int, data: bytes
    ) -> Union[IoctlResult, Awaitable[IoctlResult]]:
        """A client makes an ioctl(2). ``data``: what it hands in, of the size that ``number`` encodes
        (see :func:`IOW`); at most ``call.room`` bytes go back. ``argument``: its third argument as a
        number. Not overridden, and for unknown numbers: ENOTTY."""
        raise NotImplementedError

    def sync(self, call: Call, data_only: bool) -> Union[None, Later, Awaitable[Optional[Later]]]:
        """A client asks for what it wrote to be made safe: fsync(2), or fdatasync(2) if ``data_only``.
        Not overridden, and through CUSE: EINVAL."""
        raise NotImplementedError

    def poll(self, file: File) -> Ready:
        """What polls of ``file`` see. It is asked at the open, before each answer, and by
        :meth:`changed`; it must not wait. Not overridden: ready for both, or what
        :meth:`File.set_ready` says."""
        return Ready.READ | Ready.WRITE

    def interrupted(self, call: Call) -> None:
        """The client of a call for which LATER was returned waits no more. The call is still to be
        answered, which nobody will get. (A call of an ``async`` method is cancelled instead.)"""
        call.fail(InterruptedError())

    def undelivered(self, call: Call, result: object) -> None:
        """The client had stopped waiting when a method returned ``result``: nothing of it has reached
        the client, and what was taken from a queue can go back."""

    # -------------------------------------------------------------- what a driver calls

    @property
    def path(self) -> str:
        """Where the node is; "" before the device was started."""
        return self._path

    @property
    def backend(self) -> str:
        """What carries the calls: "kfusd", "cuse" or "fuse"; "" before the device was started."""
        return self._backend

    @property
    def closed(self) -> bool:
        """The device has ended."""
        return self._over.is_set()

    def changed(self, file: Optional[File] = None) -> None:
        """Has :meth:`poll` asked anew, for one file or for all, and tells those who wait."""
        if file is not None:
            self._refresh(file)
            return
        with self._lock:
            files = list(self._files.values())
        for each in files:
            self._refresh(each)

    def start(self) -> None:
        """Makes the node and serves it in the background, until :meth:`close`.

        Raises:
            OSError: EINVAL (an impossible name or option), EEXIST (something is at the node's place),
                ENOENT (its directory is missing), EACCES or EPERM (no rights), ENOPKG (no backend can
                be used, or not the one asked for). The text says what to do.
            LibraryError: the C library is missing.
            ValueError: it has been started before.
        """
        lib = library()
        with self._lock:
            if self._thread is not None:
                raise ValueError("a device can be started once: make another one")
            _callbacks.devices[self._number] = self
            names = {"read", "write", "ioctl", "sync"}
            ops = _callbacks.table({name for name in names if self._has(name)})
            ctypes.set_errno(0)
            handle = lib.fusd_device_new(ctypes.byref(self._options), ctypes.byref(ops), self._number)
            if not handle:
                del _callbacks.devices[self._number]
                raise _library.failure()
            self._handle = handle
            self._path = lib.fusd_device_path(handle).decode(errors="surrogateescape")
            self._backend = lib.fusd_device_backend(handle).decode()
            self._thread = threading.Thread(
                target=self._run, args=(handle,), name="fusd-device", daemon=True
            )
            _started.add(self)
            self._thread.start()

    def close(self) -> None:
        """Ends the device and waits until it has: its node goes, calls that wait fail with EPIPE, files
        are released. Methods that still run get two seconds. In a method of the device, and in its event
        loop, it does not wait. Nothing happens where the device was not started, or has ended."""
        with self._lock:
            handle, thread = self._handle, self._thread
            if handle is not None:
                library().fusd_device_stop(handle)
        if thread is not None and not _callbacks.inside() and not self._tasks.inside():
            thread.join()

    def wait(self) -> None:
        """Waits for the device's end.

        Raises:
            OSError: it was not :meth:`close` that ended it (ENODEV: the node was taken away).
            ValueError: it has not been started.
        """
        if self._thread is None:
            raise ValueError("the device has not been started: use it in `with`, or call start()")
        self._over.wait()
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """Serves the device until :meth:`close` or Ctrl-C. Raises as :meth:`start` and :meth:`wait`."""
        try:
            with self:
                self.wait()
        except KeyboardInterrupt:
            pass

    def __enter__(self: _D) -> _D:
        self.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    async def __aenter__(self: _D) -> _D:
        self._tasks.loop = asyncio.get_running_loop()
        await self._tasks.loop.run_in_executor(None, self.start)
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    # -------------------------------------------------------------- the package's own

    def _has(self, name: str) -> bool:
        """Whether the driver has this method."""
        return getattr(getattr(self, name), "__func__", None) is not getattr(Device, name)

    def _run(self, handle: int) -> None:
        """The thread that waits for the end, and sees to it."""
        lib = library()
        if lib.fusd_device_run(handle) < 0:
            self._failure = _library.failure()
            LOG.error("%s: the device has ended: %s", self._path, self._failure.strerror)
        # What was cancelled, or releases files, is to come to its end. In the loop itself, `close` would
        # keep it from that: so it does not wait there.
        if not self._tasks.wait(GRACE):
            LOG.warning("%s: coroutines still run at the end of the device", self._path)
        # Waits for nobody who waits for the lock: a method that runs keeps its call.
        with self._lock:
            self._handle = None
            self._over.set()
            lib.fusd_device_free(handle)
            if not self._files:
                _callbacks.devices.pop(self._number, None)

    def _new_file(self) -> File:
        return File(self)

    def _file(self, call: int) -> File:
        """The file of a call."""
        return self._files[library().fusd_call_data(call)]

    def _serve(self, call: Call, name: str, *arguments: object) -> None:
        """Calls a method, and has its result answered."""
        try:
            result = getattr(self, name)(call, *arguments)
        except BaseException as error:
            if not call._over:
                call._raise(error)
            return
        if inspect.isawaitable(result):
            self._schedule(call, result)
        elif isinstance(result, Later):
            if not call._over:
                self._kept[call._handle] = call
        elif not call._over:
            call._answer(result)

    def _schedule(self, call: Call, result: Awaitable[object]) -> None:
        """Has an ``async`` method run in the event loop, and its result answered."""

        def done(error: Optional[BaseException], answer: object) -> None:
            if isinstance(error, asyncio.CancelledError):
                error = InterruptedError()
            if call._over:
                return
            if error is not None:
                call._raise(error)
            elif isinstance(answer, Later):
                call._later = True
            else:
                call._answer(answer)

        self._kept[call._handle] = call
        try:
            call._task = self._tasks.start(result, done)
        except RuntimeError as error:
            # The loop of `async with` has been closed.
            call._raise(error)

    def _interrupt(self, handle: int) -> None:
        call = self._kept.get(handle)
        if call is None or call._over:
            return
        if call._task is not None and not call._later:
            call._task.cancel()
            return
        try:
            self.interrupted(call)
        except BaseException:
            LOG.exception("%s: interrupted() failed", self._path)

    def _undelivered(self, call: Call, result: object) -> None:
        try:
            self.undelivered(call, result)
        except BaseException:
            LOG.exception("%s: undelivered() failed", self._path)

    def _let_in(self, call: Call) -> int:
        """Makes the file of an open."""
        file, number = call.file, next(_callbacks.numbers)
        ready = self._asked(file)
        with self._lock:
            self._files[number] = file
        result = library().fusd_reply_open(
            call._handle, number, int(ready), ctypes.byref(file._handle)
        )
        if result < 0 and not file._handle.value:
            # The device has ended, and nobody releases it: but the driver has let it in.
            number_of_failure = ctypes.get_errno()
            self._forget(number)
            ctypes.set_errno(number_of_failure)
        return int(result)

    def _forget(self, number: int) -> None:
        """A file is closed."""
        with self._lock:
            file = self._files.pop(number, None)
            if self.closed and not self._files:
                _callbacks.devices.pop(self._number, None)
        if file is None:
            return
        try:
            result = self.release(file)
            if inspect.isawaitable(result):
                self._tasks.start(result, self._released)
        except BaseException as error:
            self._released(error)
        file._handle = ctypes.c_void_p()

    def _released(self, error: Optional[BaseException], result: object = None) -> None:
        if error is not None:
            LOG.error("%s: release() failed", self._path, exc_info=error)

    def _asked(self, file: File) -> Ready:
        """What the driver says of a file's state."""
        try:
            return Ready(self.poll(file))
        except BaseException:
            LOG.exception("%s: poll() failed, and the file is in error", self._path)
            return Ready.ERROR

    def _refresh(self, file: File) -> None:
        """Asks the driver for a file's state and tells clients. Where another thread does that already,
        it is the one that asks once more: so an older state never comes after a newer one."""
        if not self._has("poll"):
            return
        with self._lock:
            file._doubts += 1
            if file._asking:
                return
            file._asking = True
        while True:
            with self._lock:
                doubts = file._doubts
            file.set_ready(self._asked(file))
            with self._lock:
                if file._doubts == doubts:
                    file._asking = False
                    return


def _bytes(text: Optional[str], what: str) -> Optional[bytes]:
    """A string for C.

    Raises:
        ValueError: it has a zero byte.
    """
    if text is not None and "\0" in text:
        raise ValueError(f"the {what} {text!r} has a zero byte")
    return None if text is None else text.encode()


def _count(number: int, what: str) -> int:
    """A number for C, 0 to 2**32 - 2.

    Raises:
        ValueError: it is another one.
    """
    if not 0 <= number < 0xFFFFFFFF:
        raise ValueError(f"{what} is {number}; it has to be 0 or more, and below 2**32 - 1")
    return number


_started: weakref.WeakSet[Device] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """No method may be called once the interpreter is on its way out."""
    for each in list(_started):
        each.close()
