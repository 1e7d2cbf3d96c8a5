"""Arrays that are kept from one step to the next, so that a training step allocates none."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Buffers:
    """Named pieces of memory that are used again and again, as arrays whose shape may change from call to call.

    A request for no more elements than before returns a view of the memory that is there; a request for more replaces
    it. The contents are whatever the last user of the name left.
    """

    def __init__(self) -> None:
        self._memory: dict[str, NDArray[Any]] = {}
        self._views: dict[tuple[str, tuple[int, ...]], NDArray[Any]] = {}

    def array(self, name: str, *shape: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return the buffer ``name`` as a C-contiguous array of a shape; the type of a name is always the same."""
        view = self._views.get((name, shape))
        if view is None:
            size = math.prod(shape)
            memory = self._memory.get(name)
            if memory is None or len(memory) < size:
                memory = self._memory[name] = np.empty(size, dtype)
                self._views = {key: kept for key, kept in self._views.items() if key[0] != name}
            view = self._views[name, shape] = memory[:size].reshape(shape)
        return view

    def converted(self, name: str, array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
        """Return the array in C order and of type ``dtype``, to be read only.

        Where it is so already it is the array itself, else a copy in the buffer ``name``.
        """
        if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
            return array
        buffer = self.array(f"{name}, {np.dtype(dtype)}", *array.shape, dtype=dtype)
        np.copyto(buffer, array, casting="unsafe")
        return buffer
