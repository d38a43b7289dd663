"""What every kernel's wrapper needs: arrays of one exact type.

Numba compiles a kernel anew for a read-only or strided array, which costs a second in the middle of a request. Wrappers pass
each array through ``plain`` and so call a kernel with one type only.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)


def plain(array: NDArray[Any], dtype: type[_T]) -> NDArray[_T]:
    """The array itself if C-contiguous, writable and of this dtype, else a copy that is."""
    return np.require(array, dtype, ["C", "W"])
