"""Checks of arguments: every error names the argument, what came and what was wanted."""

import importlib
import math
import numbers
import sys
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastact.nn import _fused

Choice = TypeVar("Choice")


def choose(argument: str, name: object, table: Mapping[Any, Choice]) -> Choice:
    """Return ``table[name]``; an unknown name is a ValueError that lists the known ones."""
    try:
        return table[name]
    except (KeyError, TypeError):
        names = ", ".join(repr(known) for known in table)
        raise ValueError(f"{argument} must be one of {names}; got {name!r}") from None


def integer(argument: str, value: object, least: int = 1) -> int:
    """Return ``value`` as an int of at least ``least`` that may be a length of an array."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{argument} must be an integer, got {value!r} ({type(value).__name__})")
    found = int(value)
    if found < least:
        raise ValueError(f"{argument} must be at least {least}, got {value}")
    if found > sys.maxsize:
        raise ValueError(f"{argument} must be at most {sys.maxsize}, got a larger integer")
    return found


def number(
    argument: str, value: object, least: float = 0.0, below: float = math.inf, positive: bool = False
) -> float:
    """Return ``value`` as a float in [least, below), or in (least, below) if ``positive``."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{argument} must be a number, got {value!r} ({type(value).__name__})")
    try:
        found = float(value)
    except OverflowError:  # an integer beyond every float
        found = math.inf
    if not (least < found < below if positive else least <= found < below):
        relation = "above" if positive else "at least"
        limit = f" and below {below:g}" if math.isfinite(below) else " and finite"
        raise ValueError(f"{argument} must be {relation} {least:g}{limit}, got {value}")
    return found


def boolean(argument: str, value: object) -> bool:
    """Return ``value``, which must be True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} must be True or False, got {value!r} ({type(value).__name__})")
    return bool(value)


def float_type(dtype: DTypeLike) -> np.dtype[Any]:
    """Return ``dtype`` as np.dtype; only float32 and float64 will do."""
    try:
        found = None if dtype is None else np.dtype(dtype)  # np.dtype(None) is float64
    except TypeError:
        found = None
    if found is None or found not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {dtype!r}")
    return found


def real_array(argument: str, values: ArrayLike) -> NDArray[Any]:
    """Return ``values`` as an array of floats, integers or booleans; a plain array is not copied."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{argument} must be an array of numbers: {error}") from None
    except (TypeError, RuntimeError) as error:  # a PyTorch tensor that requires a gradient, or of bfloat16
        raise TypeError(f"{argument} must be what NumPy can make an array of: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{argument} must hold real numbers, got dtype {array.dtype} ({type(values).__name__})")
    return array


def real_matrix(argument: str, values: ArrayLike, columns: int) -> NDArray[Any]:
    """Return ``values`` as a real array of shape (rows, ``columns``)."""
    array = real_array(argument, values)
    if array.ndim != 2 or array.shape[1] != columns:
        hint = ""
        if array.ndim == 1 and len(array) == columns:
            hint = f"; for a single row pass {argument}[np.newaxis, :]"
        elif array.ndim == 1 and columns == 1:
            hint = f"; for a single column pass {argument}[:, np.newaxis]"
        raise ValueError(f"{argument} must have shape (rows, {columns}), got {array.shape}{hint}")
    return array


@np.errstate(all="ignore")
def row_weights(
    argument: str, values: ArrayLike, rows: int, dtype: np.dtype[Any], allow_zero_sum: bool = False
) -> NDArray[Any]:
    """Return ``values`` as an array of shape (``rows``,) and type ``dtype``: at least 0, and not all 0.

    It is the array given, where that is so, and to be read only.
    """
    array = real_array(argument, values)
    if array.shape != (rows,):
        raise ValueError(f"{argument} must have shape ({rows},), a weight for each row, got {array.shape}")
    finite(argument, array, dtype)
    if rows and array.min() < 0:
        row = int(np.argmax(array < 0))
        raise ValueError(f"{argument} must be at least 0, but {argument}[{row}] is {array[row]}")
    array = np.ascontiguousarray(array.astype(dtype, copy=False))
    total = float(np.add.reduce(array, dtype=np.float64))
    if rows and not (0.0 < total < math.inf or (allow_zero_sum and total == 0.0)):
        raise ValueError(f"{argument} must have a sum above 0 and finite, got {total:g}")
    return array


@np.errstate(all="ignore")  # signalling NaNs
def finite(argument: str, array: NDArray[Any], dtype: DTypeLike) -> None:
    """Refuse NaN, infinities and numbers beyond ``dtype``; reads a few megabytes at a time."""
    if array.dtype.kind != "f":
        return
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned and _fused.all_finite(array):
        return
    limit = float(np.finfo(dtype).max)
    step = max(1, 2**20 // max(1, math.prod(array.shape[1:])))
    for start in range(0, len(array), step):
        rows = array[start : start + step]
        if rows.size == 0 or (-limit <= float(rows.min()) and float(rows.max()) <= limit):
            continue
        row, *rest = np.argwhere(~(np.abs(rows.astype(np.float64)) <= limit))[0]
        value = rows[(row, *rest)]
        where = f"{argument}[{', '.join(str(index) for index in (start + row, *rest))}]"
        wanted = f"fit into {np.dtype(dtype)}" if np.isfinite(value) else "be finite"
        raise ValueError(f"{argument} must {wanted}, but {where} is {value}")


def extra(module: str, name: str) -> Any:
    """Return a module that fastact does not depend on; without it the error says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'this needs {module}, which cannot be imported ({error}): pip install "fastact[{name}]"'
        ) from error
