"""scikit-learn's own multi-layer perceptrons on fastact's kernels.

scikit-learn looks its activations up by name in two tables, ``ACTIVATIONS`` (X ← φ(X)) and ``DERIVATIVES``
(delta ← delta · φ′, from the output Z). A patch puts fastact's passes into both, in place, and takes them out again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sklearn
from sklearn.neural_network import _base, _multilayer_perceptron

from fastact.nn.layers import run_pass

NAMES = {"logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}  # scikit-learn's -> fastact's


def _forward(name):
    return lambda X: run_pass(name, X, out=X)


def _backward(name):
    return lambda Z, delta: run_pass(f"{name}_backward", delta, Z, out=delta)


OURS = {
    "ACTIVATIONS": {theirs: _forward(name) for theirs, name in NAMES.items()},
    "DERIVATIVES": {theirs: _backward(name) for theirs, name in NAMES.items()},
}

_lock = threading.RLock()
_requested = False  # by `patch`
_blocks = 0  # ``with patched()`` blocks that are running
_originals: dict[str, dict[str, Callable[..., Any]]] = {}  # what stood in the tables, while fastact does


def _check_tables():
    """Refuse a scikit-learn that does not look its activations up as described above."""
    for table, entries in OURS.items():
        found = getattr(_base, table, None)
        if (
            not isinstance(found, dict)
            or not entries.keys() <= found.keys()
            or getattr(_multilayer_perceptron, table, None) is not found
        ):
            raise RuntimeError(
                f"scikit-learn {sklearn.__version__} cannot be patched: sklearn.neural_network has no table {table} "
                f"with the entries {', '.join(map(repr, entries))} that its MLPs use"
            )


def _apply():
    """Patch the tables where `patch` or a ``with patched()`` block asks for it, else restore them."""
    wanted = _requested or _blocks > 0
    if wanted and not _originals:
        _check_tables()
        for table, entries in OURS.items():
            theirs = getattr(_base, table)
            _originals[table] = {name: theirs[name] for name in entries}
            theirs.update(entries)
    elif not wanted and _originals:
        for table, entries in _originals.items():
            getattr(_base, table).update(entries)
        _originals.clear()


def patch() -> None:
    """Let scikit-learn's MLPs compute logistic, tanh and relu, and their derivatives, with fastact from now on.

    Works in this process, on estimators that are there already, too; joblib's worker processes need a call of their
    own. Another call changes nothing.

    Raises
    ------
    RuntimeError
        This version of scikit-learn does not look its activations up in the tables that are patched.

    Examples
    --------
    >>> import fastact.sklearn
    >>> from sklearn.neural_network import MLPClassifier
    >>> fastact.sklearn.patch()
    >>> MLPClassifier(solver="lbfgs", random_state=0).fit([[0.0], [1.0]], [0, 1]).predict([[0.9]])
    array([1])
    >>> fastact.sklearn.unpatch()
    """
    global _requested
    with _lock:
        before, _requested = _requested, True
        try:
            _apply()
        except RuntimeError:
            _requested = before
            raise


def unpatch() -> None:
    """Undo `patch`, however often it was called: scikit-learn's MLPs are as they were.

    Within ``with patched():`` they stay patched until the block's end.
    """
    global _requested
    with _lock:
        _requested = False
        _apply()


@contextmanager
def patched() -> Iterator[None]:
    """Patch scikit-learn's MLPs, as `patch` does, for a ``with`` block.

    Blocks may be nested, and run in several threads at once: the patch is there until the last of them ends.

    Raises
    ------
    RuntimeError
        As `patch`.

    Examples
    --------
    >>> import fastact.sklearn
    >>> from sklearn.neural_network import MLPRegressor
    >>> with fastact.sklearn.patched():
    ...     regressor = MLPRegressor(solver="lbfgs", random_state=0).fit([[0.0], [1.0]], [1.0, 3.0])
    >>> regressor.predict([[1.0]]).round(2)
    array([3.])
    """
    global _blocks
    with _lock:
        _blocks += 1
        try:
            _apply()
        except RuntimeError:
            _blocks -= 1
            raise
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            _apply()
