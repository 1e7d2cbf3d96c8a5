"""Mini-batches of a model's types: rows of arrays, shuffled or not, or what an iterable gives."""

from __future__ import annotations  # np.random, which NumPy loads when it is first named, stands in them

import itertools
import numbers
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastact.nn._buffers import Buffers
from fastact.nn._types import Floats

# X, targets and the rows' weights, if there are any
Batch = tuple[NDArray[Any], NDArray[Any], Floats | None]


class RowReader:
    """Rows of one array, converted to ``dtype``, in buffers that every batch uses again."""

    def __init__(self, array: NDArray[Any], dtype: DTypeLike) -> None:
        self._array = array
        self._dtype = np.dtype(dtype)
        self._plain = array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
        self._buffers = Buffers()

    def slice(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows start to stop - 1: a view of the array where it has the right type, to be read only."""
        return self._buffers.converted("rows", self._array[start:stop], self._dtype)

    def take(self, index: NDArray[np.intp]) -> NDArray[Any]:
        """Return the rows of these numbers."""
        shape = (len(index), *self._array.shape[1:])
        if not self._plain:  # ndarray.take would first copy the whole array
            rows = self._buffers.array("taken and converted", *shape, dtype=self._dtype)
            for target, row in enumerate(index):
                rows[target] = self._array[row]
            return rows
        rows = self._buffers.array("taken", *shape, dtype=self._array.dtype)
        self._array.take(index, axis=0, out=rows, mode="clip")  # "raise" would copy `out`
        return self._buffers.converted("rows", rows, self._dtype)


class Batches:
    """Triples (X, targets, weights) of ``batch_size`` rows; the last has what remains. Without weights they are None.

    Every pass over the batches takes the rows in a new random order drawn from ``rng``, or without one in their own.
    A batch's arrays are overwritten by the next one. A batch whose weights are all 0 is left out.
    """

    def __init__(
        self,
        X: NDArray[Any],
        dtype: DTypeLike,
        targets: NDArray[Any],
        target_dtype: DTypeLike,
        batch_size: int,
        rng: np.random.Generator | None = None,
        weights: Floats | None = None,
    ) -> None:
        self._rows = len(X)
        self._X = RowReader(X, dtype)
        self._targets = RowReader(targets, target_dtype)
        self._weights = None if weights is None else RowReader(weights, dtype)
        self._batch_size = min(batch_size, self._rows)
        self._rng = rng
        self._order = np.arange(self._rows)

    def __len__(self) -> int:
        return -(-self._rows // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        if self._rng is not None:
            self._order.sort()  # so that an order depends on the generator's state alone
            self._rng.shuffle(self._order)
        for start in range(0, self._rows, self._batch_size):
            stop = min(start + self._batch_size, self._rows)
            weights = None if self._weights is None else self._read(self._weights, start, stop)
            if weights is None or weights.any():
                yield self._read(self._X, start, stop), self._read(self._targets, start, stop), weights

    def _read(self, reader: RowReader, start: int, stop: int) -> NDArray[Any]:
        return reader.slice(start, stop) if self._rng is None else reader.take(self._order[start:stop])


class BatchStream:
    """The same triples from an iterable of tuples (X, y) or (X, y, sample_weight), each checked when it comes.

    Parameters
    ----------
    argument : str
        What error messages call the iterable.
    data : iterable
    steps : int or None
        Batches in a pass; None for all of them. An iterator goes on in the next pass.
    check : callable
        ``(number, X, y, sample_weight) -> triple``. One whose weights are all 0 is left out.
    """

    def __init__(
        self, argument: str, data: Iterable[Any], steps: int | None, check: Callable[..., Batch]
    ) -> None:
        self._argument = argument
        self._data = data
        self._steps = steps
        self._check = check
        self._passes = 0
        if isinstance(data, list | tuple):
            for number, batch in enumerate(data, start=1):
                self._arrays(number, batch)

    @property
    def single_pass(self) -> bool:
        """Whether one pass uses up the iterable."""
        return self._steps is None and isinstance(self._data, Iterator)

    def __len__(self) -> int:
        """Return the batches of a pass, 0 where that is not known."""
        known = len(self._data) if isinstance(self._data, Sized) else 0
        return known if self._steps is None else self._steps

    def __iter__(self) -> Iterator[Batch]:
        self._passes += 1
        number = 0
        for number, batch in enumerate(itertools.islice(self._data, self._steps), start=1):
            X, targets, weights = self._check(number, *self._arrays(number, batch))
            if weights is None or weights.any():
                yield X, targets, weights
        wanted = 1 if self._steps is None else self._steps
        if number < wanted:
            source = "" if self._steps is None else " (steps_per_epoch)"
            raise ValueError(
                f"{self._argument} must give {wanted} or more batches{source}, but it ended after {number} in pass "
                f"{self._passes} over the data"
            )

    def _arrays(self, number, batch):
        """Return X, y and sample_weight (or None)."""
        is_tuple = isinstance(batch, tuple | list)
        if not is_tuple or len(batch) not in (2, 3) or any(isinstance(item, numbers.Number) for item in batch):
            length = f" of {len(batch)}" if is_tuple else ""
            raise ValueError(
                f"{self._argument} must give tuples (X, y) or (X, y, sample_weight) of arrays where it does not come "
                f"with a y, but item {number} is a {type(batch).__name__}{length}"
            )
        return batch if len(batch) == 3 else (*batch, None)
