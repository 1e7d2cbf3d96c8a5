"""Arrays that are kept from one step to the next, so that a training step allocates none."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Buffers:
    """Named arrays with a number of rows that may change from call to call.

    A request for no more rows than before returns a view of the array that is there; a request for more rows
    replaces it. The contents are whatever the last user of the name left.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._views: dict[tuple[str, int], NDArray[Any]] = {}

    def rows(self, name: str, count: int, *columns: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return the buffer ``name``, of shape (count, *columns) and C-contiguous."""
        view = self._views.get((name, count))
        if view is None:
            array = self._arrays.get(name)
            if array is None or len(array) < count:
                array = self._arrays[name] = np.empty((count, *columns), dtype)
                self._views = {key: kept for key, kept in self._views.items() if key[0] != name}
            view = self._views[name, count] = array[:count]
        return view
