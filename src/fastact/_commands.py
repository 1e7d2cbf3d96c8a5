"""What the commands of the command line share: their errors, the types of their options, the options of a training."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import math
from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np

import fastact
from fastact import runtime
from fastact.nn.initializers import INITIALIZERS


class CommandError(Exception):
    """A command cannot do its work; the message is one line for standard error."""

    status = 1


class UsageError(CommandError):
    """The command line asks for what cannot be."""

    status = 2


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a type for ``add_argument``: integers from ``least`` to ``most``."""

    def parse(text):
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
        if value < least or (most is not None and value > most):
            limit = f"at least {least}" if most is None else f"between {least} and {most}"
            raise argparse.ArgumentTypeError(f"must be {limit}, got {value}")
        return value

    return parse


def real(above: float, below: float = math.inf, or_equal: bool = False) -> Callable[[str], float]:
    """Return a type for ``add_argument``: finite numbers above (or also equal to) ``above`` and below ``below``."""

    def parse(text):
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"must be finite, got {text}")
        if not (above < value < below or (or_equal and value == above)):
            least = f"at least {above:g}" if or_equal else f"above {above:g}"
            limit = f" and below {below:g}" if math.isfinite(below) else ""
            raise argparse.ArgumentTypeError(f"must be {least}{limit}, got {text}")
        return value

    return parse


def slope(text: str) -> float:
    """A type for ``add_argument``: numbers that are finite in float32, the type of the networks."""
    value = real(-math.inf)(text)
    with np.errstate(over="ignore"):
        if not np.isfinite(np.float32(value)):
            raise argparse.ArgumentTypeError(f"must be finite in float32, got {text}")
    return value


def names(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return a type for ``add_argument``: names of ``known`` with commas between them, or "all"."""

    def parse(text):
        chosen = list(known) if text == "all" else text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"must be all or some of {','.join(known)}, got {name!r}")
        return list(dict.fromkeys(chosen))

    return parse


def csv_names(text: str) -> list[str]:
    """A type for ``add_argument``: names as in a line of a CSV file, where one that has a comma stands in quotes."""
    return next(csv.reader([text]), None) or [""]  # of an empty line the column without a name, a table's index say


def csv_line(names: Iterable[str]) -> str:
    """Return the line that `csv_names` reads."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()


def add_training_arguments(parser: argparse.ArgumentParser, epochs: int) -> None:
    """Add the options that any training has; ``epochs`` is the default."""
    add = parser.add_argument
    add("--epochs", type=integer(1), default=epochs, metavar="N", help=f"passes over the data ({epochs})")
    add("--batch-size", type=integer(1), default=64, metavar="N", help="rows in a step (64)")
    add("--negative-slope", type=slope, default=0.01, metavar="S", help="slope of leaky_relu (0.01)")
    add("--init", choices=list(INITIALIZERS), metavar="NAME",
        help="initialiser; by default the one that suits the activation")
    add("--seed", type=integer(0), default=0, metavar="N", help="seed of weights, batches and validation rows (0)")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold fastact and, where threadpoolctl is installed, NumPy's BLAS to one thread each.

    A BLAS that waits for a processor that another program uses makes products of small matrices ten times slower.
    """
    with fastact.num_threads(1), runtime._one_blas_thread():
        yield
