"""Data for the commands: digits, a CSV or an NPZ file, read with errors that name the place, and split and scaled."""

from __future__ import annotations

import csv
import math
import zipfile
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastact import _digits
from fastact._commands import UsageError

Task = Literal["classification", "regression"]

LEAST_ROWS = 20
MOST_CLASSES = 100
MOST_INTEGER_CLASSES = 20  # of a target of integers, so that counts and years are not taken for classes
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
VALIDATION = 5  # every fifth row

DESCRIPTION = f"""\
The features of a CSV file (a line of names, then numbers) are all columns but the target and those of --drop. In an
NPZ file they are all other arrays. A target of strings, or of up to {MOST_INTEGER_CLASSES} distinct integers, is
taken for classes. Every fifth row is put aside for validation. Features, and the targets of a regression, are scaled
to mean 0 and variance 1.
"""


@dataclass(frozen=True)
class Dataset:
    """Features and targets, as they are in the file.

    Attributes
    ----------
    name : str
    X : ndarray of float64, shape (rows, features)
    y : ndarray, shape (rows,)
        Numbers of the classes, or float64 for a regression.
    features : list of str
    target : str
    task : {"classification", "regression"}
    reason : str
        How the task was found.
    classes : list of str or None
    """

    name: str
    X: NDArray[np.float64]
    y: NDArray[Any]
    features: list[str]
    target: str
    task: Task
    reason: str
    classes: list[str] | None


class Scaling(NamedTuple):
    """What was taken from each column, and what it was then divided by."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to validate with, in float32; features (and the targets of a regression) with the
    training rows' mean 0 and variance 1. ``baseline`` is the validation accuracy of the training rows' most frequent
    class, 0 for a regression, where it is R² that counts. ``training`` and ``validation`` number the rows of the data;
    the scaling of the targets is None for a classification."""

    X: NDArray[np.float32]
    y: NDArray[Any]
    X_validation: NDArray[np.float32]
    y_validation: NDArray[Any]
    baseline: float
    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    X_scaling: Scaling
    y_scaling: Scaling | None


def load(source: str, target: str | None, drop: Sequence[str] = (), task: Task | None = None) -> Dataset:
    """Read ``source``: "digits", or the path of a .csv or .npz file.

    Raises
    ------
    UsageError
        It cannot be used; the message names the place.
    CommandError
        scikit-learn, which ships the digits, is not installed.
    """
    if source == "digits":
        if target is not None or drop:
            raise UsageError("--target and --drop are for files; the digits have their labels with them")
        images, values = _digits.load("--data digits")
        X, target = images.astype(np.float64), "digit"
        features = [f"pixel {row},{column}" for row in range(8) for column in range(8)]
    else:
        path = Path(source)
        readers = {".csv": _read_csv, ".npz": _read_npz}
        if path.suffix.lower() not in readers:
            raise UsageError(f"--data must be digits, a .csv or a .npz file, got {source!r}")
        if target is None:
            raise UsageError(f"--target must name the column of {path.name} that is to be learnt")
        if target in drop:
            raise UsageError(f"--drop names the target, {target!r}")
        try:
            X, values, features = readers[path.suffix.lower()](path, target, list(drop))
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror or error}") from None
    if len(X) < LEAST_ROWS:
        raise UsageError(f"{source} has {len(X)} row{'s' * (len(X) != 1)}, at least {LEAST_ROWS} are needed")
    if not features:
        raise UsageError(f"{source} has no column beside the target to learn from")
    y, chosen, reason, classes = _targets(values, target, task)
    name = source if source == "digits" else path.name
    return Dataset(name, X, y, features, target, chosen, reason, classes)


def split(data: Dataset, seed: int) -> Split:
    """Put every fifth row, of rows shuffled and then ordered by target, aside for validation, and scale."""
    order = np.random.default_rng(seed).permutation(len(data.X))
    order = order[np.argsort(data.y[order], kind="stable")]
    aside = np.zeros(len(order), dtype=bool)
    aside[VALIDATION // 2 :: VALIDATION] = True
    training, validation = np.sort(order[~aside]), np.sort(order[aside])
    X, X_scaling = _scaled(data.X, training, data.features)
    y_scaling = None
    if data.task == "classification":
        y = data.y
        frequent = np.bincount(y[training]).argmax()
        baseline = float(np.mean(y[validation] == frequent))
    else:
        y, y_scaling = _scaled(data.y[:, np.newaxis], training, [data.target])
        baseline = 0.0
        if np.ptp(y[validation]) == 0.0:
            raise UsageError(
                f"column {data.target!r} is {data.y[validation[0]]:g} in all {len(validation)} validation rows, so "
                "that there is no R²: more rows are wanted, or --task classification"
            )
    return Split(
        X[training], y[training], X[validation], y[validation], baseline, training, validation, X_scaling, y_scaling
    )


def _scaled(columns, training, names):
    with np.errstate(all="ignore"):
        mean, deviation = columns[training].mean(axis=0), columns[training].std(axis=0)
        spread = np.ptp(columns[training], axis=0)
        varied = spread > 0.0  # rounding may give a constant column a deviation
        divisor = np.where(varied & (deviation > 0.0), deviation, 1.0)
        scaled = (columns - mean) / divisor
    for place in np.flatnonzero(~(np.abs(scaled) < 1e30).all(axis=0) | np.isinf(deviation)):
        raise UsageError(f"column {names[place]!r} has numbers too large to be scaled, up to {columns[:, place].max()}")
    for place in np.flatnonzero(varied & (deviation == 0.0)):  # its squares underflow
        raise UsageError(f"column {names[place]!r} has differences too small to be scaled, {spread[place]:g} at most")
    return scaled.astype(np.float32), Scaling(mean, divisor)


def _read_csv(path, target, drop):
    """Return features, the target's texts and the features' names of a CSV file with a line of names."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            names = [name.strip() for name in next(rows, [])]
            _check_names(path.name, "column", names, target, drop)
            at_target = names.index(target)
            kept = [place for place, name in enumerate(names) if name != target and name not in drop]
            numbers, values = array("d"), []
            for row in rows:
                if not row:
                    continue
                line = rows.line_num
                if len(row) != len(names):
                    raise UsageError(f"{path.name}, line {line}: {len(row)} fields, but {len(names)} names in line 1")
                values.append((line, row[at_target].strip()))
                try:
                    numbers.extend([_parsed(row[place]) for place in kept])
                except ValueError:
                    for place in kept:
                        _number(row[place], f"{path.name}, line {line}, column {names[place]!r}")
                    raise
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is not a text in UTF-8: {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        raise UsageError(f"{path.name} is not a CSV file: {error}") from None
    X = np.frombuffer(numbers, dtype=np.float64).reshape(len(values), len(kept))
    for row, column in np.argwhere(~np.isfinite(X))[:1]:
        line = values[row][0]
        raise UsageError(f"{path.name}, line {line}, column {names[kept[column]]!r}: {_not_finite(X[row, column])}")
    for line, text in values:
        if text.lower() in MISSING:
            raise UsageError(f"{path.name}, line {line}, column {target!r}: {_missing(text)}")
    texts = [text for _, text in values]
    try:
        numbers = np.array([_parsed(text) for text in texts])
    except ValueError:
        return X, np.array(texts), [names[place] for place in kept]
    for row in np.flatnonzero(~np.isfinite(numbers)):
        raise UsageError(f"{path.name}, line {values[row][0]}, column {target!r}: {_not_finite(numbers[row])}")
    return X, numbers, [names[place] for place in kept]


def _parsed(text):
    """Return the number that a field holds; ``1_000`` is one in Python's sources alone."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def _number(text, where):
    """Refuse a field that is not a number."""
    if text.strip().lower() in MISSING:
        raise UsageError(f"{where}: {_missing(text.strip())}")
    try:
        _parsed(text)
    except ValueError:
        raise UsageError(f"{where}: {_shown(text)} is not a number (--drop leaves columns out)") from None


def _missing(text):
    return f"a number is missing{f' ({text})' * bool(text)}; fill such places in, or leave their rows out"


def _not_finite(value):
    return _missing("nan") if math.isnan(value) else f"{value} is not finite"


def _check_names(file, kind, names, target, drop):
    if not any(names):
        wanted = "it must begin with a line of column names" if kind == "column" else "it holds no array"
        raise UsageError(f"{file} is empty: {wanted}")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{file} has {names.count(name)} {kind}s named {name!r}")
    for option, wanted in (("--target", target), *(("--drop", name) for name in drop)):
        if wanted not in names:
            shown = ", ".join(map(_shown, names[:12])) + f" and {len(names) - 12} more" * (len(names) > 12)
            quotes = option == "--drop" and any("," in name for name in names)
            hint = " (--drop wants quotes around a name with a comma: '\"a, b\",c')" * quotes
            raise UsageError(f"{option}: {file} has no {kind} {_shown(wanted)}; it has {shown}{hint}")


def _read_npz(path, target, drop):
    """Return features, the target and the features' names of an NPZ file, an array or more a feature."""
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise UsageError(f"{path.name} is not an NPZ file, which is a ZIP archive of arrays")
        file.seek(0)
        name = ""
        try:
            with np.load(file, allow_pickle=False) as archive:
                names = archive.files
                _check_names(path.name, "array", names, target, drop)
                arrays = {}
                for name in names:
                    if name not in drop:
                        arrays[name] = archive[name]
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise UsageError(f"{path.name}: array {name!r} cannot be read: {error}") from None
    values = arrays.pop(target)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise UsageError(f"{path.name}: the target {target!r} must have shape (rows,), got {values.shape}")
    if values.dtype.kind not in "fiubU":
        raise UsageError(f"{path.name}: the target {target!r} must hold numbers or strings, got {values.dtype}")
    if values.dtype.kind == "f":
        for row in np.flatnonzero(~np.isfinite(values)):
            raise UsageError(f"{path.name}: {target}[{row}]: {_not_finite(values[row])}")
    columns, features = [], []
    for name, numbers in arrays.items():
        if numbers.dtype.kind not in "fiub":
            raise UsageError(f"{path.name}: array {name!r} is of {numbers.dtype}, no numbers (--drop leaves it out)")
        if numbers.ndim == 0 or len(numbers) != len(values):
            shape = f"has shape {numbers.shape}, {target!r} {len(values)} rows"
            raise UsageError(f"{path.name}: array {name!r} {shape} (--drop leaves it out)")
        for place in np.argwhere(~np.isfinite(numbers))[:1]:
            where = ", ".join(map(str, place))
            raise UsageError(f"{path.name}: {name}[{where}]: {_not_finite(numbers[tuple(place)])}")
        columns.append(numbers.reshape(len(values), -1).astype(np.float64))
        width = columns[-1].shape[1]
        features += [name] if numbers.ndim == 1 else [f"{name}[{place}]" for place in range(width)]
    X = np.concatenate(columns, axis=1) if columns else np.empty((len(values), 0))
    return X, values, features


def _targets(values, target, task):
    """Return the targets, the task, why it is that, and the classes."""
    distinct, numbers = np.unique(values, return_inverse=True)
    if len(distinct) == 1:
        raise UsageError(f"the target {target!r} is {_shown(distinct[0])} in every row: there is nothing to learn")
    texts = values.dtype.kind == "U"
    whole = not texts and bool(np.all(distinct == np.trunc(distinct)))
    found = "strings" if texts else "truth values" if values.dtype.kind == "b" else "integers" if whole else "numbers"
    count = f"{len(distinct)} distinct {found}"
    if texts and task == "regression":
        odd = next(text for text in values if not _is_number(text))
        raise UsageError(f"--task regression: the target {target!r} holds strings, {_shown(odd)} for one")
    if task is None:
        few = texts or (whole and len(distinct) <= MOST_INTEGER_CLASSES)
        task, reason = ("classification" if few else "regression"), f"the target holds {count}"
    else:
        reason = "--task"
    if task == "regression":
        return values.astype(np.float64), task, reason, None
    if len(distinct) > MOST_CLASSES:
        raise UsageError(f"the target {target!r} holds {count}, too many for classes (at most {MOST_CLASSES})")
    form = "" if values.dtype.kind in "Ub" else ".0f" if whole else "g"
    return numbers, task, reason, [format(label, form) for label in distinct]


def _shown(value):
    """Return a value as it stands in an error, which is one line."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(text):
    try:
        _parsed(text)
    except ValueError:
        return False
    return True
