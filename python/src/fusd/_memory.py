"""Memory that a driver shares with its clients, by mmap(2)."""

from __future__ import annotations

import ctypes

from ._library import failure, library


class _Owner:
    """Gives the memory up when nobody looks at it any more."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __del__(self) -> None:
        library().fusd_memory_free(self.handle)


class Memory:
    """Memory that clients can map, once they were let in with it: see :meth:`Call.offer`.

    What either side writes the other one sees, at once and without a word to anybody. It begins with
    zeros. Clients that have mapped it keep it when the driver has gone.

    Args:
        length: in bytes, 1 or more; rounded up to whole pages.

    Attributes:
        view: its bytes, for as long as anybody has this or a part of it.

    Raises:
        OSError: EINVAL (no length), ENOMEM, EMFILE or ENFILE (it takes a descriptor).
        LibraryError: the C library is missing.
    """

    def __init__(self, length: int) -> None:
        ctypes.set_errno(0)
        handle = library().fusd_memory_new(length)
        if not handle:
            raise failure()
        self._owner = _Owner(handle)
        place = library().fusd_memory_address(handle)
        array = (ctypes.c_char * library().fusd_memory_length(handle)).from_address(place)
        # The view keeps the array, and that the memory.
        array.owner = self._owner
        self.view = memoryview(array).cast("B")

    def __len__(self) -> int:
        return len(self.view)
