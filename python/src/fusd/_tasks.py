"""Coroutines of a device: where they run, and that none is lost when it ends."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import Awaitable, Callable, Optional

_lock = threading.Lock()
_loop: Optional[asyncio.AbstractEventLoop] = None


def _background() -> asyncio.AbstractEventLoop:
    """The loop of devices that are used without one: it runs on a thread of its own until the process
    ends, and is the same for all."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="fusd-loop", daemon=True).start()
        return _loop


class Task:
    """A coroutine that has been started, or is about to be."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: Optional[asyncio.Task[object]] = None

    def cancel(self) -> None:
        """Has it cancelled, from any thread; nothing happens where it is over."""

        def cancel() -> None:
            # It has been started before: the loop keeps the order.
            if self._task is not None:
                self._task.cancel()

        try:
            self._loop.call_soon_threadsafe(cancel)
        except RuntimeError:
            # The loop has been closed, and has cancelled all.
            pass


class Tasks:
    """Those of one device.

    Attributes:
        loop: where they run; None: in the package's own loop.
    """

    def __init__(self) -> None:
        self.loop: Optional[asyncio.AbstractEventLoop] = None
        # Guards the number of those that are not over.
        self._changed = threading.Condition()
        self._running = 0

    def start(
        self, work: Awaitable[object], done: Callable[[Optional[BaseException], object], None]
    ) -> Task:
        """Has ``work`` awaited in the loop, and ``done`` called there with the exception it has raised,
        or with None and its result.

        Raises:
            RuntimeError: the loop has been closed.
        """
        loop = self.loop or _background()
        task = Task(loop)

        async def guarded() -> object:
            try:
                return await work
            except (KeyboardInterrupt, SystemExit) as error:
                # They would end the loop.
                raise RuntimeError(f"a method raised {type(error).__name__}") from error

        def over(ended: asyncio.Task[object]) -> None:
            try:
                error: Optional[BaseException]
                if ended.cancelled():
                    error = asyncio.CancelledError()
                else:
                    error = ended.exception()
                done(error, None if error else ended.result())
            finally:
                _discard(work)
                self._count(-1)

        def begin() -> None:
            task._task = loop.create_task(guarded())
            task._task.add_done_callback(over)

        self._count(1)
        try:
            loop.call_soon_threadsafe(begin)
        except RuntimeError:
            self._count(-1)
            _discard(work)
            raise
        return task

    def inside(self) -> bool:
        """Whether this thread is in the loop."""
        try:
            return asyncio.get_running_loop() is (self.loop or _loop)
        except RuntimeError:
            return False

    def wait(self, seconds: float) -> bool:
        """Waits until all are over, at most so long. Whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, seconds)

    def _count(self, change: int) -> None:
        with self._changed:
            self._running += change
            self._changed.notify_all()


def _discard(work: Awaitable[object]) -> None:
    """A coroutine that was cancelled before it began is not waited for any more."""
    if inspect.iscoroutine(work):
        work.close()
