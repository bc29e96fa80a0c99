"""Arrays that grow inside compiled loops."""

import numpy as np
from numba import njit


@njit(cache=True)
def grown(array, needed):  # type: ignore[no-untyped-def] # numba infers these, for arrays of integers and of floats
    """Return ``array`` if it has room for ``needed`` items, else a copy at least twice as long (what is new is undefined)."""
    if needed <= len(array):
        return array
    bigger = np.empty(max(needed, 2 * len(array)), dtype=array.dtype)
    for i in range(len(array)):
        bigger[i] = array[i]
    return bigger
