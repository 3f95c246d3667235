"""How little memory do the processes of the server take? What they are forked from is shared, and what is free goes back."""

import contextlib
import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""mallopt(3), of glibc."""
_KEPT_FREE_OCTETS = 1 << 20
_TLS_BUFFER_OCTETS = 256 * 1024
"""uvloop has a buffer of this size for each TLS connection, of which little is ever used. By a mapping of its own it takes as
much as is used; on the heap it is made of memory that was used before, and took 20 kB more for every idle session. What is
smaller is quicker on the heap."""
_YOUNG = 7_000
"""Values that may be garbage before somebody looks for it: ten times as many as Python's own."""


def before_forking() -> None:
    """Collections of garbage write into every object they look at: from here on they look at younger ones only, so that what
    was there before stays shared."""
    gc.collect()
    gc.freeze()


def collect_seldom() -> None:
    """For a process whose queue makes looking for garbage long, and in whose work hardly any does not go by itself."""
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


def give_back_what_is_free() -> None:
    """One heap for all threads, of which only one runs at a time anyway, and no end of it is kept that is free.

    glibc would keep a heap for each thread that ever read a large message.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE_OCTETS)
        libc.mallopt(_M_MMAP_THRESHOLD, _TLS_BUFFER_OCTETS)
