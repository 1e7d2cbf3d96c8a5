"""Data for the commands.

For demo and gradients: the handwritten digits of scikit-learn, and points that stand in for them. For report and train:
digits, a CSV or an NPZ file; read, checked, split and scaled.
"""

from __future__ import annotations

import argparse
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

from fastact._commands import CommandError, UsageError, csv_names

Task = Literal["classification", "regression"]

TEST_IMAGES = 360  # of the digits

LEAST_ROWS = 20
MOST_CLASSES = 100
MOST_INTEGER_CLASSES = 20  # of a target of integers, so that counts and years are not taken for classes
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
VALIDATION_STEP = 5  # every fifth row is for validation

DESCRIPTION = f"""\
The features of a CSV file (a line of names, then numbers) are all columns but the target and those of --drop. In an
NPZ file they are all other arrays. A target of strings, or of up to {MOST_INTEGER_CLASSES} distinct integers, is
taken for classes. Every fifth row is put aside for validation. Features, and the targets of a regression, are scaled
to mean 0 and variance 1.
"""


def digit_images(command: str) -> tuple[NDArray[np.float32], NDArray[np.int_]]:
    """Return X, pixels from 0 to 1, and y; ``command`` is what needs them, for the error without scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise CommandError(f'{command} needs scikit-learn ({error}); install it: pip install "fastact[demo]"') from None
    images, labels = load_digits(return_X_y=True)
    return (images / 16.0).astype(np.float32), labels


def digits(command: str) -> list[NDArray[Any]]:
    """Return X_train, X_test, y_train, y_test; see `digit_images`."""
    images, labels = digit_images(command)
    from sklearn.model_selection import train_test_split

    return train_test_split(images, labels, test_size=TEST_IMAGES, random_state=0, stratify=labels)


def synthetic() -> list[NDArray[Any]]:
    """Return arrays like those of `digits`: points around ten centres in the unit cube, always the same ones."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.0, 1.0, (10, 64))
    y = rng.integers(0, 10, 1797)
    X = np.clip(centres[y] + rng.normal(0.0, 0.4, (1797, 64)), 0.0, 1.0).astype(np.float32)
    return [X[TEST_IMAGES:], X[:TEST_IMAGES], y[TEST_IMAGES:], y[:TEST_IMAGES]]


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
    """Rows to train on and rows to validate with, in float32, scaled to mean 0 and variance 1 of the training rows.

    Attributes
    ----------
    X, y, X_validation, y_validation : ndarray
        The targets of a classification are not scaled.
    baseline : float
        Validation accuracy of the training rows' most frequent class; for a regression 0, the R² of the mean.
    training, validation : ndarray of int
        Which rows of the data they are.
    X_scaling : Scaling
    y_scaling : Scaling or None
        None for a classification.
    """

    X: NDArray[np.float32]
    y: NDArray[Any]
    X_validation: NDArray[np.float32]
    y_validation: NDArray[Any]
    baseline: float
    training: NDArray[np.intp]
    validation: NDArray[np.intp]
    X_scaling: Scaling
    y_scaling: Scaling | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `load` takes."""
    add = parser.add_argument
    add("--data", required=True, metavar="DATA", help="digits, FILE.csv or FILE.npz")
    add("--target", metavar="NAME", help="the column, or array, to be learnt")
    add("--drop", default=[], type=csv_names, metavar="NAMES", help='columns to leave out: a,b,"c, with a comma"')
    add("--task", choices=["classification", "regression"], help="what the target is (by default seen from it)")


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
        images, values = digit_images("--data digits")
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
        rows = "1 row" if len(X) == 1 else f"{len(X)} rows"
        raise UsageError(f"{source} has {rows}, at least {LEAST_ROWS} are needed")
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
    aside[VALIDATION_STEP // 2 :: VALIDATION_STEP] = True
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
    too_large = ~(np.abs(scaled) < 1e30).all(axis=0) | np.isinf(deviation)
    if too_large.any():
        place = np.argmax(too_large)
        raise UsageError(f"column {names[place]!r} has numbers too large to be scaled, up to {columns[:, place].max()}")
    too_small = varied & (deviation == 0.0)  # squares of the differences underflow
    if too_small.any():
        place = np.argmax(too_small)
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
                    numbers.extend([_parse_number(row[place]) for place in kept])
                except ValueError:
                    place = next(place for place in kept if not _is_number(row[place]))
                    where = f"{path.name}, line {line}, column {names[place]!r}"
                    raise UsageError(f"{where}: {_not_a_number(row[place])}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is not a text in UTF-8: {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        raise UsageError(f"{path.name} is not a CSV file: {error}") from None
    X = np.frombuffer(numbers, dtype=np.float64).reshape(len(values), len(kept))
    if not np.isfinite(X).all():
        row, column = np.argwhere(~np.isfinite(X))[0]
        line = values[row][0]
        raise UsageError(f"{path.name}, line {line}, column {names[kept[column]]!r}: {_not_finite(X[row, column])}")
    for line, text in values:
        if text.lower() in MISSING:
            raise UsageError(f"{path.name}, line {line}, column {target!r}: {_missing(text)}")
    features, texts = [names[place] for place in kept], [text for _, text in values]
    try:
        y = np.array([_parse_number(text) for text in texts])
    except ValueError:
        return X, np.array(texts), features
    if not np.isfinite(y).all():
        row = np.argmin(np.isfinite(y))
        raise UsageError(f"{path.name}, line {values[row][0]}, column {target!r}: {_not_finite(y[row])}")
    return X, y, features


def _parse_number(text):
    """Return the number that a field holds; ``1_000`` is one in Python's sources alone."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def _is_number(text):
    if text.strip().lower() in MISSING:
        return False
    try:
        _parse_number(text)
    except ValueError:
        return False
    return True


def _not_a_number(text):
    if text.strip().lower() in MISSING:
        return _missing(text.strip())
    return f"{_shown(text)} is not a number (--drop leaves columns out)"


def _missing(text):
    what = f"a number is missing ({text})" if text else "a number is missing"
    return f"{what}; fill such places in, or leave their rows out"


def _not_finite(value):
    return _missing("nan") if math.isnan(value) else f"{value} is not finite"


def _check_names(file, kind, names, target, drop):
    if not any(names):
        wanted = "it must begin with a line of column names" if kind == "column" else "it holds no array"
        raise UsageError(f"{file} is empty: {wanted}")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{file} has {names.count(name)} {kind}s named {name!r}")
    for option, wanted in [("--target", target), *(("--drop", name) for name in drop)]:
        if wanted not in names:
            known = ", ".join(map(_shown, names[:12]))
            if len(names) > 12:
                known += f" and {len(names) - 12} more"
            if option == "--drop" and any("," in name for name in names):
                known += " (--drop wants quotes around a name with a comma: '\"a, b\",c')"
            raise UsageError(f"{option}: {file} has no {kind} {_shown(wanted)}; it has {known}")


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
                for name in names:  # the error names the array
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
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = np.argmin(np.isfinite(values))
        raise UsageError(f"{path.name}: {target}[{row}]: {_not_finite(values[row])}")
    columns, features = [], []
    for name, numbers in arrays.items():
        if numbers.dtype.kind not in "fiub":
            raise UsageError(f"{path.name}: array {name!r} is of {numbers.dtype}, no numbers (--drop leaves it out)")
        if numbers.ndim == 0 or len(numbers) != len(values):
            shape = f"has shape {numbers.shape}, {target!r} {len(values)} rows"
            raise UsageError(f"{path.name}: array {name!r} {shape} (--drop leaves it out)")
        if not np.isfinite(numbers).all():
            place = np.argwhere(~np.isfinite(numbers))[0]
            where = ", ".join(map(str, place))
            raise UsageError(f"{path.name}: {name}[{where}]: {_not_finite(numbers[tuple(place)])}")
        columns.append(numbers.reshape(len(values), -1).astype(np.float64))
        if numbers.ndim == 1:
            features.append(name)
        else:
            features += [f"{name}[{place}]" for place in range(columns[-1].shape[1])]
    X = np.concatenate(columns, axis=1) if columns else np.empty((len(values), 0))
    return X, values, features


def _targets(values, target, task):
    """Return the targets, the task, why it is that, and the classes."""
    distinct, class_numbers = np.unique(values, return_inverse=True)
    if len(distinct) == 1:
        raise UsageError(f"the target {target!r} is {_shown(distinct[0])} in every row: there is nothing to learn")
    is_text = values.dtype.kind == "U"
    is_whole = not is_text and bool(np.all(distinct == np.trunc(distinct)))
    if is_text:
        kind, form = "strings", ""
    elif values.dtype.kind == "b":
        kind, form = "truth values", ""
    elif is_whole:
        kind, form = "integers", ".0f"
    else:
        kind, form = "numbers", "g"
    reason = "--task"
    if task is None:
        few = is_text or (is_whole and len(distinct) <= MOST_INTEGER_CLASSES)
        task, reason = ("classification" if few else "regression"), f"the target holds {len(distinct)} distinct {kind}"
    if task == "regression":
        if is_text:
            odd = next((text for text in values if not _is_number(text)), values[0])
            raise UsageError(f"--task regression: the target {target!r} holds strings, {_shown(odd)} for one")
        return values.astype(np.float64), task, reason, None
    if len(distinct) > MOST_CLASSES:
        raise UsageError(
            f"the target {target!r} holds {len(distinct)} distinct {kind}, too many for classes (at most "
            f"{MOST_CLASSES})"
        )
    return class_numbers, task, reason, [format(label, form) for label in distinct]


def _shown(value):
    """Return a value as it stands in an error, which is one line."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
