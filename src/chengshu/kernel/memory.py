"""Memory that a process has finished with goes back to the system at once."""

import ctypes

import pyarrow as pa

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 128 * 1024
_KEPT_BYTES = 32 << 20
"""The largest piece that glibc can be told to keep (mallopt(3), DEFAULT_MMAP_THRESHOLD_MAX)."""


def give_back_early() -> None:
    """Have large arrays and tables returned to the system as soon as they are freed; call once, when a process starts.

    A node handles few large tables and many small messages: what a table leaves behind in an allocator's pools would otherwise stay with
    every one of its processes for ever. Sets glibc's thresholds (mallopt(3)); where the C library has none, only Arrow's pool is set.
    Arrow's own readers choose theirs when Arrow is loaded, by ``ARROW_DEFAULT_MEMORY_POOL``.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    library = _c_library()
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        library.mallopt(_M_ARENA_MAX, 2)


def keep_until_given_back() -> None:
    """Have what was freed be kept for whoever needs as much next, until :func:`give_back_now`, which MUST be called every few seconds then.

    A product on its way goes through pieces of a few megabytes by the hundred: to have each of them mapped anew, page by page, takes the
    system longer than all that is done with them.
    """
    library = _c_library()
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, 2 * _KEPT_BYTES)


def give_back_now() -> None:
    """Return every whole page that the allocator keeps free to the system (malloc_trim(3)); call when a large piece of work is done.

    Small pieces between large ones keep pages from being returned as they are freed. Does nothing where the C library cannot.
    """
    library = _c_library()
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # the one that this process runs on; to look for it by name would start programs
