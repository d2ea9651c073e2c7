"""The C library: finds it, loads it once, and knows the types of its functions (fusd_device.h)."""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from pathlib import Path
from typing import Optional

NAME = "libfusd.so.0"

OPEN = ctypes.CFUNCTYPE(None, c_void_p)
RELEASE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
READ = ctypes.CFUNCTYPE(None, c_void_p, c_size_t, c_uint64)
WRITE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_size_t, c_uint64)
IOCTL = ctypes.CFUNCTYPE(None, c_void_p, c_uint, c_uint64, c_void_p, c_size_t, c_size_t)
SYNC = ctypes.CFUNCTYPE(None, c_void_p, c_int)


class Ops(ctypes.Structure):
    """``struct fusd_ops``."""

    _fields_ = [
        ("size", c_size_t),
        ("open", OPEN),
        ("release", RELEASE),
        ("read", READ),
        ("write", WRITE),
        ("ioctl", IOCTL),
        ("interrupted", OPEN),
        ("sync", SYNC),
    ]


class Options(ctypes.Structure):
    """``struct fusd_options``."""

    _fields_ = [
        ("size", c_size_t),
        ("name", c_char_p),
        ("path", c_char_p),
        ("backend", c_char_p),
        ("flags", c_uint),
        ("mode", c_uint),
        ("owner", c_uint),
        ("group", c_uint),
        ("workers", c_uint),
        ("max_open", c_uint),
    ]


SET_MODE = 0x1
SET_OWNER = 0x2
SET_GROUP = 0x4
STREAM = 0x8
ANY_IOCTL = 0x10
READ_ONLY = 0x1


class Area(ctypes.Structure):
    """``struct fusd_area``."""

    _fields_ = [("address", c_uint64), ("length", c_size_t)]


# Result, then arguments; devices, files and calls are handles.
_FUNCTIONS: dict[str, tuple[object, list[object]]] = {
    "fusd_device_new": (c_void_p, [POINTER(Options), POINTER(Ops), c_void_p]),
    "fusd_device_run": (c_int, [c_void_p]),
    "fusd_device_stop": (c_int, [c_void_p]),
    "fusd_device_free": (c_int, [c_void_p]),
    "fusd_device_path": (c_char_p, [c_void_p]),
    "fusd_device_backend": (c_char_p, [c_void_p]),
    "fusd_error_text": (c_char_p, []),
    "fusd_call_context": (c_void_p, [c_void_p]),
    "fusd_call_data": (c_void_p, [c_void_p]),
    "fusd_call_pid": (c_int, [c_void_p]),
    "fusd_call_uid": (c_uint, [c_void_p]),
    "fusd_call_gid": (c_uint, [c_void_p]),
    "fusd_call_flags": (c_int, [c_void_p]),
    "fusd_call_is_interrupted": (c_int, [c_void_p]),
    "fusd_reply_open": (c_int, [c_void_p, c_void_p, c_uint, POINTER(c_void_p)]),
    "fusd_reply_data": (c_int, [c_void_p, c_char_p, c_size_t]),
    "fusd_reply_count": (c_int, [c_void_p, c_size_t]),
    "fusd_reply_done": (c_int, [c_void_p]),
    "fusd_reply_ioctl": (c_int, [c_void_p, c_int, c_char_p, c_size_t]),
    "fusd_reply_again": (c_int, [c_void_p, POINTER(Area), c_size_t, POINTER(Area), c_size_t]),
    "fusd_reply_error": (c_int, [c_void_p, c_int]),
    "fusd_file_set_ready": (c_int, [c_void_p, c_uint]),
    "fusd_memory_new": (c_void_p, [c_size_t]),
    "fusd_memory_address": (c_void_p, [c_void_p]),
    "fusd_memory_length": (c_size_t, [c_void_p]),
    "fusd_memory_free": (c_int, [c_void_p]),
    "fusd_call_offer": (c_int, [c_void_p, c_void_p, c_uint]),
}


class LibraryError(ImportError):
    """The C library cannot be loaded, or is too old for this package. The text says what to do."""


def _load() -> ctypes.CDLL:
    wanted = os.environ.get("FUSD_LIBRARY")
    place = wanted or NAME
    if wanted and Path(wanted).is_dir():
        place = str(Path(wanted) / NAME)
    try:
        library = ctypes.CDLL(place, use_errno=True)
    except OSError as error:
        advice = (
            "FUSD_LIBRARY has to be the path of libfusd.so.0, or of its folder"
            if wanted
            else "install it (cargo xtask install) and run ldconfig, or set FUSD_LIBRARY to its path"
        )
        raise LibraryError(f"cannot load the C library: {error}; {advice}") from error
    for name, (result, arguments) in _FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise LibraryError(
                f"the C library {place} has no {name}: install a newer one (cargo xtask install)"
            ) from error
        function.restype = result
        function.argtypes = arguments
    return library


_lock = threading.Lock()
_loaded: Optional[ctypes.CDLL] = None


def library() -> ctypes.CDLL:
    """The library, loaded when it is first needed.

    Raises:
        LibraryError: it cannot be loaded, or lacks a function.
    """
    global _loaded
    # Without the lock: a call that is dropped comes here from wherever memory is cleared up.
    if _loaded is not None:
        return _loaded
    with _lock:
        if _loaded is None:
            _loaded = _load()
        return _loaded


def failure() -> OSError:
    """The last failure of this thread's call of a device function, with the library's text."""
    number = ctypes.get_errno()
    text: bytes = library().fusd_error_text()
    return OSError(number, text.decode(errors="replace") or os.strerror(number))
