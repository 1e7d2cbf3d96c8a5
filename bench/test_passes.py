"""Each pass beside what its users would otherwise call, a group for each pass, type and kind of array.

    python -m pytest bench --benchmark-only                       # everything; -k "sigmoid and float32" for a part
    python -m pytest bench -m smoke --benchmark-disable           # does it run?

The statements are those of `fastact.benchmarks.peers`; a result is compared with the float64 reference before it is
timed. Libraries follow one another here; the report (bench/report.py) takes them in turn and makes ratios.
"""

import numpy as np
import pytest

from fastact.benchmarks import cases, peers, worker
from fastact.benchmarks.cases import KI, MI

LIBRARIES = [library.name for library in peers.LIBRARIES]
DTYPES = ["float32", "float64"]

each_library = pytest.mark.parametrize("library", LIBRARIES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_pass = pytest.mark.parametrize("operation", peers.OPERATIONS)
briefly = pytest.mark.benchmark(max_time=0.1, min_rounds=5, warmup=False)


@pytest.fixture
def time(benchmark, libraries):
    """Time one pass of one library on the arrays of a case, having seen that its result is right."""

    def run(library, operation, dtype, size, mode="into", layout="contiguous"):
        if isinstance(libraries[library], str):
            pytest.skip(f"{library} is not installed: {libraries[library]}")
        library = libraries[library]
        case = cases.Case("", operation, dtype, mode, size, layout, 1, "")
        inputs = worker.inputs_of(case)
        with np.errstate(all="ignore"):
            if fault := library.fault(worker.probe_of(case, inputs), mode):
                assert library.name != "fastact", fault
                pytest.skip(f"{library.name}: {fault}")
            contestant = library.contestant(inputs, mode)
            if contestant is None:
                pytest.skip(f"{library.name} has no {operation} for {dtype}, {mode}, {layout}")
            benchmark.group = f"{operation} {dtype} {cases.format_size(size)}, {mode}, {layout}"
            benchmark.extra_info["statement"] = contestant.statement
            benchmark(contestant.function())

    return run


@briefly
@each_dtype
@each_pass
@each_library
@pytest.mark.parametrize("size", [1, pytest.param(KI, marks=pytest.mark.smoke), 64 * KI, MI], ids=cases.format_size)
def test_pass(time, library, operation, dtype, size):
    """With `out=`, from the cost of a call to an array that a second-level cache does not hold."""
    time(library, operation, dtype, size)


@briefly
@pytest.mark.parametrize("operation", peers.ACTIVATIONS)
@each_library
def test_new_array(time, library, operation):
    """Without `out=`."""
    time(library, operation, "float32", 64 * KI, mode="new")


@briefly
@pytest.mark.parametrize("operation", ["sigmoid", "relu", "sigmoid_backward"])
@pytest.mark.parametrize("layout", [layout for layout in cases.LAYOUTS if layout != "contiguous"])
@each_library
def test_layout(time, library, operation, layout):
    """Strided and broadcast inputs."""
    time(library, operation, "float32", 64 * KI, layout=layout)


@briefly
@pytest.mark.parametrize("operation", ["sigmoid", "relu"])
@each_library
def test_memory(time, library, operation):
    """An array that no cache holds; --threads 2 and so on for more than one."""
    time(library, operation, "float32", 16 * MI)
