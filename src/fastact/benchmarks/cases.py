"""What is measured: the rows of the report, quick and whole."""

from __future__ import annotations

import itertools
from functools import partial
from typing import NamedTuple

import numpy as np

from fastact import _reference, available_isas, runtime
from fastact.benchmarks.networks import NETWORKS
from fastact.benchmarks.peers import ACTIVATIONS, EXACT, OPERATIONS, empty, full

KI, MI = 2**10, 2**20
DTYPES = ("float32", "float64")
COLUMNS = 256  # of the matrices of the layouts
SCALING_OPERATIONS = ("sigmoid", "relu")
SCALING_SIZES = (64 * KI, MI, 16 * MI)

# In place a backward pass multiplies dy by φ′ thousands of times. At these y φ′ is -1 and 1, so that dy stays clear of
# the subnormals, which take 1.5 times as long. (ReLU makes zeros of it, leaky ReLU after some calls.)
STEADY_OUTPUTS = {"sigmoid_backward": (1 + 5**0.5) / 2, "tanh_backward": 0.0}


def format_size(size: int) -> str:
    """Return a number of elements as text: 1, 64 Ki, 16 Mi."""
    for unit, name in ((MI, "Mi"), (KI, "Ki")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return str(size)


def format_threads(count: int) -> str:
    """Return a number of threads as text: 1 thread, 2 threads."""
    return "1 thread" if count == 1 else f"{count} threads"


class Case(NamedTuple):
    """One row: a pass on one kind of array, or a network.

    Parameters
    ----------
    group : str
        A name of `GROUPS`.
    operation : str
        One of `OPERATIONS` or, in "exact", of `EXACT`; for "dense" the activation, for "training" "step".
    dtype : str
    mode : {"into", "inplace", "new"}
    size : int
        Elements; for networks rows of a batch.
    layout : str
        One of `LAYOUTS`; for networks the sizes of the layers; in "exact" also `WORST`.
    threads : int
    level : str
        Instruction set.
    """

    group: str
    operation: str
    dtype: str
    mode: str
    size: int
    layout: str
    threads: int
    level: str

    @property
    def is_network(self) -> bool:
        return self.group in ("dense", "training")


GROUPS = {
    "accuracy": "Largest errors",
    "call": "The cost of a call: 1 element",
    "cache": "In the caches: one thread",
    "exact": "Correctly rounded (fastact.exact), beside others' plain passes: one thread",
    "memory": "In main memory: all threads",
    "layout": "Strided and broadcast inputs",
    "new": "Allocating calls",
    "scaling": "More threads",
    "dense": "Dense layers: forward pass with bias and activation",
    "training": "Training steps: forward pass, loss, backward pass, SGD with momentum",
}


class Settings(NamedTuple):
    """How long each row is measured."""

    rounds: int
    sample_seconds: float
    max_seconds: float  # a row begins no new round after this
    points: int  # where errors are searched


def _strided(size, fill):
    return fill(2 * size)[::2]


def _columns(size, fill):
    return fill(2 * size).reshape(-1, 2 * COLUMNS)[:, :COLUMNS]


def _transposed(size, fill):
    return fill(size).reshape(COLUMNS, -1).T


def _broadcast(size, fill):
    row = fill(COLUMNS)
    return np.lib.stride_tricks.as_strided(row, (size // COLUMNS, COLUMNS), (0, row.itemsize))


LAYOUTS = {
    "contiguous": lambda size, fill: fill(size),
    "every second element": _strided,
    "half the columns": _columns,
    "transposed": _transposed,
    "one row, broadcast": _broadcast,
}
# Not one of `LAYOUTS`: every element takes the second step of the exact passes, and the processor's slow path.
WORST = "nothing but subnormal numbers"


def steady_output(case: Case) -> float | None:
    """Return the y of `STEADY_OUTPUTS` for a backward pass in place that has one, else None."""
    return STEADY_OUTPUTS.get(case.operation) if case.mode == "inplace" else None


def arrays(case: Case) -> tuple[np.ndarray, ...]:
    """Return the inputs of a case: x of N(0, 3); for a backward pass dy of N(0, 1) and y, the output for such an x (in
    place for some passes the number in `STEADY_OUTPUTS`).

    Past 1 Mi elements the numbers repeat.
    """
    rng = np.random.default_rng(0)

    def repeated(numbers, size):
        array = empty(size, case.dtype)
        for start in range(0, size, MI):
            array[start : start + MI] = numbers[: size - start]
        return array

    def normal(size, scale):
        return repeated(rng.standard_normal(min(size, MI), np.float32) * np.float32(scale), size)

    if case.layout == WORST:
        return (full(case.size, 1e-42, case.dtype),)
    layout = LAYOUTS[case.layout]
    if not case.operation.endswith("_backward"):
        return (layout(case.size, partial(normal, scale=3)),)
    dy = layout(case.size, partial(normal, scale=1))
    steady = steady_output(case)
    if steady is not None:
        y = full(case.size, steady, case.dtype)
    else:
        x = normal(min(case.size, MI), scale=3)
        y = repeated(getattr(_reference, case.operation.removesuffix("_backward"))(x), case.size)
    return dy, y.reshape(dy.shape)


def thread_counts() -> list[int]:
    """Return 1, 2, 4, … and the number of processors this process may use."""
    processors = runtime._processors()
    counts, power = [], 1
    while power < processors:
        counts.append(power)
        power *= 2
    return [*counts, processors]


def _passes(group, sizes, modes, *, threads, level, operations=OPERATIONS, dtypes=DTYPES, layouts=("contiguous",)):
    return [
        Case(group, operation, dtype, mode, size, layout, threads, level)
        for operation in operations
        for dtype in dtypes
        for size in sizes
        for layout in layouts
        for mode in modes
    ]


def _exact(layouts, **where):
    return _passes("exact", [64 * KI], ["into"], operations=EXACT, dtypes=["float32"], layouts=layouts, **where)


def _networks(names, *, threads, level, activations=ACTIVATIONS):
    layers = [
        ("-".join(features), NETWORKS[name]) for name in names for features in itertools.pairwise(name.split("-"))
    ]
    dense = [
        Case("dense", activation, "float32", "into", batch, features, threads, level)
        for features, batch in dict.fromkeys(layers)  # a layer of several networks is measured once a batch size
        for activation in activations
    ]
    steps = [Case("training", "step", "float32", "inplace", NETWORKS[name], name, threads, level) for name in names]
    return dense + steps


def quick() -> tuple[list[Case], Settings]:
    """Return the cases and the settings of a run of about two minutes: the best instruction set only."""
    most, level = thread_counts()[-1], available_isas()[0]
    one = {"threads": 1, "level": level}
    cases = [
        *_passes("accuracy", [0], ["into"], **one),
        *_passes("call", [1], ["inplace"], dtypes=["float32"], **one),
        *_passes("cache", [64 * KI], ["into"], **one),
        *_exact(["contiguous"], **one),
        *_passes("memory", [16 * MI], ["inplace", "into"], operations=["sigmoid", "relu"], dtypes=["float32"],
                 threads=most, level=level),
        *_passes("new", [64 * KI], ["new"], operations=ACTIVATIONS, dtypes=["float32"], **one),
        *_networks(list(NETWORKS)[:3], activations=["relu"], **one),
    ]  # fmt: skip
    return cases, Settings(rounds=15, sample_seconds=5e-4, max_seconds=6.0, points=2**18)


WHOLE = Settings(rounds=15, sample_seconds=1e-3, max_seconds=4.0, points=2**19)


def whole() -> tuple[list[Case], Settings]:
    """Return the cases and the settings of the whole report: half an hour or so."""
    counts, levels = thread_counts(), available_isas()
    best, most = levels[0], counts[-1]
    one, all_threads = {"threads": 1, "level": best}, {"threads": most, "level": best}
    cases: list[Case] = []
    for level in levels:
        cases += _passes("accuracy", [0], ["into"], threads=1, level=level)
        cases += _passes("cache", [64 * KI], ["into"], threads=1, level=level)
    cases += exact()[0]
    cases += [
        *_passes("call", [1], ["inplace"], **one),
        *_passes("cache", [KI, MI], ["into"], **one),
        *_passes("cache", [64 * KI], ["inplace"], **one),
        *_passes("layout", [64 * KI], ["into"], operations=["sigmoid", "relu", "sigmoid_backward"],
                 layouts=[layout for layout in LAYOUTS if layout != "contiguous"], **one),
        *_passes("new", [KI, 16 * MI], ["new"], operations=ACTIVATIONS, **one),
        *_passes("new", [64 * KI], ["new"], **one),
        *_passes("memory", [16 * MI, 64 * MI], ["inplace", "into"], **all_threads),
    ]  # fmt: skip
    for threads in counts:
        cases += _passes("scaling", SCALING_SIZES, ["into"], operations=SCALING_OPERATIONS, threads=threads, level=best)
        cases += _networks(NETWORKS, threads=threads, level=best)
    distinct: dict[tuple[object, ...], Case] = {}  # what another group has is not measured again for the scaling
    for case in cases:
        distinct.setdefault(case[1:], case)
    return list(distinct.values()), WHOLE


def exact() -> tuple[list[Case], Settings]:
    """Return the cases and the settings for the passes of fastact.exact: some minutes."""
    cases = [case for level in available_isas() for case in _exact(["contiguous", WORST], threads=1, level=level)]
    return cases, WHOLE


def smoke() -> tuple[list[Case], Settings]:
    """Return a few small cases: to see that everything runs, not to measure."""
    one = {"threads": 1, "level": available_isas()[-1]}
    cases = [
        *_passes("accuracy", [0], ["into"], operations=["sigmoid", "relu_backward"], dtypes=["float32"], **one),
        *_passes("call", [1], ["inplace"], operations=["sigmoid"], dtypes=["float32"], **one),
        *_passes("cache", [KI], ["into"], operations=["sigmoid", "relu_backward"], dtypes=["float32"], **one),
        *_exact([WORST], **one)[:1],
        *_networks(list(NETWORKS)[:1], activations=["relu"], **one),
    ]
    return cases, Settings(rounds=3, sample_seconds=1e-5, max_seconds=0.1, points=2**10)


PLANS = {"quick": quick, "whole": whole, "exact": exact, "smoke": smoke}
