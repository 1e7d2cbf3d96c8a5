"""Mini-batches: rows of arrays, in an order of their own, as arrays of the model's type."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastact.nn._buffers import Buffers


class RowReader:
    """Rows of one array, converted to ``dtype``, in a buffer that is used again for every batch."""

    def __init__(self, array: NDArray[Any], dtype: DTypeLike) -> None:
        self._array = array
        self._dtype = np.dtype(dtype)
        self._plain = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
        self._buffers = Buffers()

    def _buffer(self, name, count, dtype):
        return self._buffers.rows(name, count, *self._array.shape[1:], dtype=dtype)

    def slice(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows start to stop - 1: a view of the array where it has the right type, to be read only."""
        rows = self._array[start:stop]
        if self._plain and rows.dtype == self._dtype:
            return rows
        converted = self._buffer("converted", len(rows), self._dtype)
        np.copyto(converted, rows, casting="unsafe")
        return converted

    def take(self, index: NDArray[np.intp]) -> NDArray[Any]:
        """Return the rows of the numbers ``index``."""
        converted = self._buffer("converted", len(index), self._dtype)
        if not self._plain:  # ndarray.take would first copy the whole array
            for target, row in zip(converted, index, strict=True):
                np.copyto(target, self._array[row], casting="unsafe")
            return converted
        if self._array.dtype == self._dtype:
            return self._array.take(index, axis=0, out=converted, mode="clip")  # "raise" would copy `out`
        raw = self._buffer("raw", len(index), self._array.dtype)
        np.copyto(converted, self._array.take(index, axis=0, out=raw, mode="clip"), casting="unsafe")
        return converted


class Batches:
    """Pairs (X, targets) of ``batch_size`` rows; the last pair has what remains.

    Every pass over the batches takes the rows in a new random order drawn from ``rng``, or as they lie without one.
    A pair's arrays are overwritten by the next.
    """

    def __init__(
        self,
        X: NDArray[Any],
        dtype: DTypeLike,
        targets: NDArray[Any],
        target_dtype: DTypeLike,
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._rows = len(X)
        self._X = RowReader(X, dtype)
        self._targets = RowReader(targets, target_dtype)
        self._batch_size = min(batch_size, self._rows)
        self._rng = rng
        self._order = np.arange(self._rows)

    def __len__(self) -> int:
        return -(-self._rows // self._batch_size)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        if self._rng is not None:
            self._order[:] = np.arange(self._rows)  # so that an order depends on the generator's state alone
            self._rng.shuffle(self._order)
        for start in range(0, self._rows, self._batch_size):
            stop = min(start + self._batch_size, self._rows)
            if self._rng is None:
                yield self._X.slice(start, stop), self._targets.slice(start, stop)
            else:
                index = self._order[start:stop]
                yield self._X.take(index), self._targets.take(index)
