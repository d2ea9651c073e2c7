"""The event loop of devices that have ``async`` methods and are used without a loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Optional

_lock = threading.Lock()
_loop: Optional[asyncio.AbstractEventLoop] = None


def background() -> asyncio.AbstractEventLoop:
    """A loop that runs on a thread of its own until the process ends; the same for all devices."""
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="fusd-loop", daemon=True).start()
        return _loop
