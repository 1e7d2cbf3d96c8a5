"""The benchmarks: samples in turn, ratios by pairs, right statements, errors measured right, a report that is true."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import mpmath
import numpy as np
import pytest
from contrast import contrast
from passes import PASSES, each_dtype, each_pass

import fastact
from fastact import _reference, benchmarks, runtime
from fastact.benchmarks import accuracy, cases, networks, peers, report, runner, timing, worker, yardsticks
from fastact.benchmarks.cases import KI

ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error"}


def bench(*arguments, **settings):
    settings = {"capture_output": True, "text": True, "timeout": 300, "env": ENVIRONMENT, **settings}
    return subprocess.run([sys.executable, "-m", "fastact", "bench", *arguments], check=False, **settings)


def output_of(program, environment, *arguments):
    """Run some Python in a process of its own, and return what it printed."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


# --- timing


def test_samples_are_taken_in_turn():
    log = []
    contestants = [timing.Contestant(name, f"log.append('{name}')", {"log": log}) for name in ("ours", "a", "b")]
    timed = timing.compare(contestants[0], contestants[1:], rounds=2, sample_seconds=0)
    first = ["a", "a", "b", "b", "ours", "ours"]  # the call that compiles what compiles, and one that counts calls
    samples = [*first, "ours", "a", "ours", "b", "a", "ours", "b", "ours"]
    assert log == [name for name in samples for _ in ("not timed", "timed")]
    assert list(timed) == ["ours", "a", "b"] and timed["a"].rounds == 2


def test_a_ratio_is_made_of_a_pair(monkeypatch):
    """A machine that gets ten times slower from pair to pair changes the times and not the ratios."""
    taken = []

    class Script(timing.Sampler):
        def __init__(self, contestant, sample_seconds, pause):
            self.base = {"ours": 2.0, "peer": 6.0}[contestant.name]

        def sample(self):
            taken.append(self.base)
            return self.base * 10.0 ** ((len(taken) - 1) // 2)

    monkeypatch.setattr(timing, "Sampler", Script)
    ours, peer = (timing.Contestant(name, "", {}) for name in ("ours", "peer"))
    timed = timing.compare(ours, [peer], rounds=3)
    assert taken == [2.0, 6.0, 6.0, 2.0, 2.0, 6.0]
    assert timed["peer"].ratio == (3.0, 3.0, 3.0, 3.0) and timed["ours"].ratio is None
    assert timed["ours"].seconds == timing.Spread.of([2.0, 20.0, 200.0])


def test_spread_is_that_of_numpy(rng):
    numbers = rng.exponential(size=37)
    low, median, high = np.percentile(numbers, [25, 50, 75])
    assert timing.Spread.of(list(numbers)) == pytest.approx((median, low, high, numbers.min()))
    assert timing.Spread.of([2.0]) == (2.0, 2.0, 2.0, 2.0)


def test_a_sample_is_long_enough_for_the_clock():
    sampler = timing.Sampler(timing.Contestant("short", "pass", {}), 1e-3, 0.0)
    assert sampler.calls > 1000
    assert timing.Sampler(timing.Contestant("long", "sleep(2e-3)", {"sleep": time.sleep}), 1e-3, 0.0).calls == 1


def test_calls_after_a_pause_are_not_timed():
    """A statement that takes 20 ms at first and 2 ms when warm: the sample has the 2 ms."""
    calls = []

    def call():
        time.sleep(2e-2 if not calls or time.perf_counter() - calls[-1] > 5e-3 else 2e-3)
        calls.append(time.perf_counter())

    sampler = timing.Sampler(timing.Contestant("ours", "call()", {"call": call}), 0, 1e-2)
    assert 2e-3 <= sampler.sample() < 1e-2


@pytest.mark.parametrize("pause", [0.0, 1e-4])
def test_threads_of_a_library_settle(pause):
    """On several threads ours begins only once the peer's settle time is over, in both orders; on one at once."""
    ends, gaps = [], []
    peer = timing.Contestant("peer", "call()", {"call": lambda: ends.append(time.perf_counter())}, settle=3e-2)
    ours = timing.Contestant("ours", "call()", {"call": lambda: ends and gaps.append(time.perf_counter() - ends[-1])})
    timing.compare(ours, [peer], rounds=4, sample_seconds=0, pause=pause)
    after = [gap for gap, before in zip(gaps[1:], gaps, strict=False) if gap > before]
    assert len(after) > 2
    assert (max(after) > 3e-2) == (pause > 0)


def test_a_sample_begins_with_its_pause():
    times = []
    contestant = timing.Contestant("ours", "take()", {"take": lambda: times.append(time.perf_counter())})
    sampler = timing.Sampler(contestant, 0, 2e-2)
    del times[:]
    for _ in range(3):
        start = time.perf_counter()
        sampler.sample()
        assert times[0] - start >= 2e-2
        del times[:]


@pytest.mark.parametrize(("group", "threads", "least"), [
    # idle threads of GNU's OpenMP wait in a loop for 8 ms, those of OpenBLAS for 40
    ("cache", 2, 8e-3), ("cache", 1, 0.0), ("dense", 2, 4e-2), ("dense", 1, 0.0),
])  # fmt: skip
def test_pauses_between_libraries_on_several_threads(group, threads, least, monkeypatch):
    pauses = []

    class Sampler(timing.Sampler):
        def __init__(self, contestant, sample_seconds, pause):
            pauses.append(pause)
            super().__init__(contestant, sample_seconds, 0.0)

    monkeypatch.setattr(timing, "Sampler", Sampler)
    before = fastact.get_num_threads()
    layout = "64-32" if group == "dense" else "contiguous"
    case = cases.Case(group, "relu", "float32", "into", KI, layout, threads, "")
    try:
        worker.measure(case, cases.smoke()[1], [peers.Fastact(threads), peers.NumPy(threads)])
    finally:
        fastact.set_num_threads(before)
    assert len(pauses) >= 2 and (min(pauses) > least if threads > 1 else set(pauses) == {0.0})


# --- yardsticks


@each_dtype
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_yardsticks_do_what_they_say(dtype, threads, rng):
    """Every length up to 70 and one of 100,000; every offset from a cache line; nothing beside the array is written."""
    for n in [*range(70), 100_000]:
        for offset in (0, 1, 5):
            x = rng.standard_normal(n).astype(dtype)
            memory = np.full(n + 16, 7, dtype)
            out = memory[offset : offset + n]
            yardsticks.stream_copy(x, out, threads)
            assert np.array_equal(out, x)
            yardsticks.scale(out, 3.0, threads)
            assert np.array_equal(out, 3 * x)
            assert (memory[:offset] == 7).all() and (memory[offset + n :] == 7).all()


def test_stream_copy_wants_equal_lengths():
    with pytest.raises(ValueError, match="length of x, 3, got 2"):
        yardsticks.stream_copy(np.ones(3), np.ones(2), 1)


# --- peers and networks


@pytest.mark.parametrize("library", peers.LIBRARIES, ids=lambda library: library.name)
def test_the_plain_pass_stands_beside_the_exact_one(library, rng):
    """A library that has a pass has it beside the exact one, too, with the same result."""
    loaded, absent = peers.load(1, names=[library.name])
    if library.name in absent:
        pytest.skip(f"{library.name} is not installed: {absent[library.name]}")
    library, x = loaded[-1], rng.normal(0, 2, 40).astype("float32")
    for operation in peers.EXACT:
        names = (operation, operation.removeprefix("exact_"))
        exact, plain = (library.contestant(peers.Inputs(name, x), "new") for name in names)
        assert (exact is None) == (plain is None)
        if exact is not None:
            np.testing.assert_allclose(np.asarray(exact.run()), np.asarray(plain.run()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("library", peers.LIBRARIES, ids=lambda library: library.name)
def test_statements_compute_the_pass(library, rng):
    """Every statement of a library, float32 and float64, against 30-digit arithmetic; inputs stay as they are."""
    loaded, absent = peers.load(1, names=[library.name])
    if library.name in absent:
        pytest.skip(f"{library.name} is not installed: {absent[library.name]}")
    library = loaded[-1]
    tried = 0
    for p in PASSES:
        for dtype in ("float32", "float64"):
            arrays = (rng.normal(0, 2, 40).astype(dtype),)
            if p.kind == "backward":
                y = [float(PASSES[PASSES.index(p) - 2].exact(float(x), slope=0.01)) for x in arrays[0]]
                arrays = (rng.normal(0, 1, 40).astype(dtype), np.array(y, dtype))
            want = [float(p.exact(*map(float, numbers), slope=0.01)) for numbers in zip(*arrays, strict=True)]
            for mode in peers.MODES:
                inputs = peers.Inputs(p.name, *(array.copy() for array in arrays))
                contestant = library.contestant(inputs, mode)
                if contestant is None:
                    continue
                tried += 1
                got = library.result(contestant, inputs, mode)
                assert got.dtype == dtype and got.shape == (40,)
                # ONNX Runtime's slope is a float32, and its float32 tanh and sigmoid are good to 1e-6
                error = {"float32": 3e-6, "float64": 1e-8 if "leaky" in p.name else 1e-14}[dtype]
                np.testing.assert_allclose(got, want, rtol=0, atol=error, err_msg=contestant.statement)
                for name, array in zip(inputs.arrays, arrays, strict=True):
                    assert np.array_equal(inputs.arrays[name], array), f"{contestant.statement} changed {name}"
    assert tried > 0


@pytest.mark.parametrize("library", peers.LIBRARIES, ids=lambda library: library.name)
def test_what_can_be_written_to_an_array_can_be_a_new_one(library):
    """No library stays out of the allocating calls with a pass that it has elsewhere."""
    lacking = [operation for operation, way in library.statements.items() if way.into and not way.new]
    assert library.statements and lacking == []


def test_arrays_start_at_a_page():
    """Inputs, outputs and what statements need beside them: the time does not depend on where NumPy puts an array."""
    for layout in cases.LAYOUTS:
        case = cases.Case("layout", "relu_backward", "float32", "into", 4 * KI, layout, 1, "")
        inputs = worker.inputs_of(case)
        for array in (*inputs.arrays.values(), inputs.out, peers.full((3, 5), 1, "f8")):
            assert array.ctypes.data % 4096 == 0, layout


@pytest.mark.parametrize("operation", ["relu", "tanh_backward"])
@pytest.mark.parametrize("size", [KI, 2**20])
def test_jax_works_in_place_on_what_is_donated(operation, size):
    """The result of every call, also one after a new setup, has the memory of its input."""
    pytest.importorskip("jax", reason="JAX is not installed")
    case = cases.Case("memory", operation, "float32", "inplace", size, "contiguous", 1, "")
    inputs = worker.inputs_of(case)
    contestant = peers.Jax(1).contestant(inputs, "inplace")
    names = contestant.namespace
    for _ in range(2):
        exec(contestant.setup, names)
        for _ in range(2):
            before = names[inputs.first]
            place = before.unsafe_buffer_pointer()
            assert place not in [array.ctypes.data for array in (*inputs.arrays.values(), inputs.out)]
            exec(contestant.statement, names)
            assert names[inputs.first].unsafe_buffer_pointer() == place and before.is_deleted()


@pytest.mark.parametrize("size", [1, KI])
def test_a_wrong_slope_shows_in_one_element(size, monkeypatch):
    """Leaky ReLU of a positive number is right for every slope; the check takes more numbers."""
    statement = "np.maximum(x, 0.0100001 * x, out=out)"
    monkeypatch.setattr(Wrong, "statements", {"leaky_relu": peers.Statements(into=statement)})
    case = cases.Case("call", "leaky_relu", "float64", "into", size, "contiguous", 1, "")
    inputs = worker.inputs_of(case)
    probe = worker.probe_of(case, inputs)
    assert "wrong by up to" in Wrong(1).fault(probe, "into")
    assert peers.NumPy(1).fault(probe, "into") is None


@pytest.mark.parametrize("operation", ["sigmoid_backward", "tanh_backward", "relu_backward", "leaky_relu_backward"])
@pytest.mark.parametrize("dtype", cases.DTYPES)
def test_repeated_backward_passes_in_place_stay_clear_of_the_subnormals(operation, dtype):
    """Arithmetic with subnormals is slow: what is timed would be them."""
    case = cases.Case("cache", operation, dtype, "inplace", KI, "contiguous", 1, "")
    dy, y = cases.arrays(case)
    with np.errstate(all="ignore"):
        factor = getattr(_reference, operation)(np.ones(KI), y).astype(dtype)
        for _ in range(10_000):
            dy *= factor
    assert np.isfinite(dy).all()
    assert not np.any((dy != 0) & (np.abs(dy) < np.finfo(dtype).tiny))


def test_a_library_that_does_nothing_in_place_is_refused(monkeypatch):
    """Though φ′ is 1 at the y that is timed."""
    monkeypatch.setattr(Wrong, "statements", {"tanh_backward": peers.Statements(inplace="None")})
    case = cases.Case("cache", "tanh_backward", "float64", "inplace", KI, "contiguous", 1, "")
    assert "wrong by up to" in Wrong(1).fault(worker.probe_of(case, worker.inputs_of(case)), "inplace")


def test_a_library_that_cannot_be_held_is_left_out():
    _, absent = peers.load(1, names=["numpy"], held=True)
    assert absent == {"onnxruntime": "cannot be held to the instruction set"}


@pytest.mark.parametrize("threads", [1, 2])
def test_every_library_has_the_same_threads(threads):
    """As each library that can tell tells it; ONNX Runtime starts all but one when a session is made."""
    program = (
        "import sys, numpy as np; from fastact.benchmarks import peers, runner; n = int(sys.argv[1])\n"
        "libraries = {library.name: library for library in peers.load(n)[0]}\n"
        "import fastact, os; print('fastact', fastact.get_num_threads())\n"
        "if 'torch' in sys.modules: print('torch', sys.modules['torch'].get_num_threads())\n"
        "if 'numba' in sys.modules: print('numba', sys.modules['numba'].get_num_threads())\n"
        "if 'numexpr' in sys.modules: print('numexpr', sys.modules['numexpr'].get_num_threads())\n"
        "if 'onnxruntime' in libraries:\n"
        "    before = len(os.listdir('/proc/self/task'))\n"
        "    libraries['onnxruntime'].contestant(peers.Inputs('relu', np.ones(9)), 'into')\n"
        "    print('onnxruntime', 1 + len(os.listdir('/proc/self/task')) - before)\n"
        "import threadpoolctl\n"
        "for library in threadpoolctl.threadpool_info():\n"
        "    if library['user_api'] == 'blas': print('blas', library['num_threads'])\n"
    )
    environment = runner.child_environment(fastact.available_isas()[0], threads, "/nowhere")
    output = output_of(program, environment, str(threads))
    found = [line.split() for line in output.splitlines()]
    assert ["fastact", str(threads)] in found
    assert {number for _, number in found} == {str(threads)}, output


def test_one_thread_is_one():
    """By the processor's time of each thread of the process while a library works: JAX, for one, tells no number of
    threads. Where other processes hold the processors, two threads still share the work."""
    program = (
        "import contextlib, os, time, numpy as np; from fastact.benchmarks import peers\n"
        "def used():\n"
        "    times = {}\n"
        "    for thread in os.listdir('/proc/self/task'):\n"
        "        with contextlib.suppress(OSError), open(f'/proc/self/task/{thread}/schedstat') as numbers:\n"
        "            times[thread] = int(numbers.read().split()[0])  # but for one that has just ended\n"
        "    return times\n"
        "x = np.ones(2**22, np.float32)\n"
        "for library in peers.load(1)[0]:\n"
        "    ways = (library.contestant(peers.Inputs('sigmoid', x), mode) for mode in peers.MODES)\n"
        "    call = next(filter(None, ways)).function()\n"
        "    call()\n"
        "    before, start = used(), time.perf_counter()\n"
        "    while time.perf_counter() - start < 0.2: call()\n"
        "    times = [time - before.get(thread, 0) for thread, time in used().items()]\n"
        "    print(library.name, max(times) / sum(times))\n"
    )
    environment = runner.child_environment(fastact.available_isas()[0], 1, "/nowhere")
    lines = [line.rpartition(" ") for line in output_of(program, environment).splitlines()]
    shares = {name: float(share) for name, _, share in lines}
    assert "fastact" in shares and min(shares.values()) > 0.9, shares


@pytest.mark.parametrize("level", fastact.available_isas())
def test_what_cannot_be_held_is_timed_at_the_best_level_only(level, tmp_path):
    """The process that measures, asked for no case, tells which libraries take part."""
    request = {"threads": 1, "settings": cases.smoke()[1]._asdict(), "cases": []}
    result = subprocess.run(
        [sys.executable, "-m", "fastact.benchmarks.worker"], input=json.dumps(request), capture_output=True, text=True,
        env=runner.child_environment(level, 1, str(tmp_path)), check=True,
    )  # fmt: skip
    environment = json.loads(result.stdout)["environment"]
    assert environment["isa"] == level
    left_out = [name for name, why in environment["absent"].items() if why == peers.CANNOT_BE_HELD]
    assert left_out == ([] if level == fastact.available_isas()[0] else ["onnxruntime"])


@pytest.mark.parametrize(("error", "words"), [
    (ImportError("No module named 'torch'"), "No module named 'torch'"),
    (OSError("libc10.so: cannot open shared object file"), "cannot be loaded: OSError: libc10.so"),
    (AttributeError("module 'numpy' has no attribute 'x'"), "cannot be loaded: AttributeError: module 'numpy'"),
])  # fmt: skip
def test_a_library_that_cannot_be_loaded_is_named(error, words, monkeypatch):
    def broken(self, threads):
        raise error

    monkeypatch.setattr(peers.SciPy, "__init__", broken)
    loaded, absent = peers.load(1, names=["scipy", "numpy"])
    assert [library.name for library in loaded] == ["fastact", "numpy"]
    assert list(absent) == ["scipy"] and words in absent["scipy"]


class Wrong(peers.Library):
    """Says it is NumPy; what it computes is up to the test."""

    name = package = "numpy"


@pytest.mark.parametrize(("statement", "words"), [
    ("np.maximum(x, 0.0100001 * x, out=out)", "wrong by up to"),
    ("np.maximum(x, nothing, out=out)", "fails: NameError: name 'nothing' is not defined"),
    ("np.maximum(x, 0.01 * x, out=out)", None),
])  # fmt: skip
def test_what_is_wrong_is_not_timed(statement, words, monkeypatch):
    """A wrong slope, an error, and what is right: only the last is among the contestants."""
    monkeypatch.setattr(Wrong, "statements", {"leaky_relu": peers.Statements(into=statement)})
    case = cases.Case("cache", "leaky_relu", "float64", "into", KI, "contiguous", 1, "")
    contestants, wrong, _ = worker._pass_contestants(case, [peers.Fastact(1), Wrong(1)])
    assert [contestant.name for contestant in contestants] == ["fastact", *([] if words else ["numpy"])]
    assert wrong.keys() == ({"numpy"} if words else set()) and (words or "") in wrong.get("numpy", "")


@pytest.mark.parametrize("size", [KI, 2**22])
@pytest.mark.parametrize("written", [
    "out[:0]",  # nothing at all
    "out[: size // 2]", "out[-size // 2 :]", "out[::2]", "out[1::2]",
    "out[np.r_[: size // 2, size // 2 + 300 : size]]",  # all but a piece in the middle
])  # fmt: skip
def test_a_result_that_is_not_written_is_wrong(written, size, monkeypatch):
    """All libraries write to the same array, fastact first: what it left there must not count for the next."""
    statement = f"size = out.size; {written} = np.maximum(x, 0){written.removeprefix('out')}"
    monkeypatch.setattr(Wrong, "statements", {"relu": peers.Statements(into=statement)})
    case = cases.Case("memory", "relu", "float32", "into", size, "contiguous", 1, "")
    contestants, wrong, _ = worker._pass_contestants(case, [peers.Fastact(1), Wrong(1)])
    assert [contestant.name for contestant in contestants] == ["fastact"] and "wrong by" in wrong["numpy"]


def test_fastact_that_is_wrong_ends_the_run(monkeypatch):
    monkeypatch.setattr(peers.Fastact, "statements", {"relu": peers.Statements(into="np.maximum(x, 1, out=out)")})
    case = cases.Case("cache", "relu", "float64", "into", KI, "contiguous", 1, "")
    with pytest.raises(worker.Rejected, match="fastact wrong by up to"):
        worker._pass_contestants(case, [peers.Fastact(1)])


def test_yardsticks_of_cases():
    """The streaming copy bounds what goes from array to array in main memory, the scale pass the rest; small arrays,
    strided ones and new ones have no limit."""
    case = cases.Case("memory", "relu", "float32", "into", 2**24, "contiguous", 1, "")
    inputs = worker.inputs_of(case._replace(size=64 * KI))
    for changed, name in [
        ({}, "stream_copy"), ({"mode": "inplace"}, "scale"), ({"group": "cache", "size": 64 * KI}, "scale"),
        ({"size": KI}, None), ({"layout": "transposed"}, None), ({"mode": "new"}, None),
    ]:  # fmt: skip
        limit = worker._limit(case._replace(**changed), inputs)
        assert limit is None if name is None else f"yardsticks.{name}(" in limit.statement


def test_a_library_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(peers.SciPy, "package", "no-such-library")
    loaded, absent = peers.load(1, names=["scipy", "numpy"])
    assert [library.name for library in loaded] == ["fastact", "numpy"]
    assert list(absent) == ["scipy"] and "no-such-library" in absent["scipy"]


def test_products_are_those_of_a_step():
    """Three products a layer, but for the gradient of the network's input: counted in multiplications."""
    names = networks.matrix_products("784-256-256-10").namespace
    count = sum(A.shape[0] * A.shape[1] * B.shape[1] for A, B, C in names["triples"])
    sizes = [784 * 256, 256 * 256, 256 * 10]
    assert count == 128 * (3 * sum(sizes) - sizes[0])


def test_training_steps_are_the_same():
    ours, others, wrong = networks.training_step("64-32-32-10", 1)
    assert ours.name == "fastact" and "numpy" in [other.name for other in others] and wrong == {}


def test_a_wrong_layer_is_left_out(monkeypatch):
    monkeypatch.setattr(networks, "_numpy_dense", lambda *arguments: timing.Contestant(
        "numpy", "Z", {"Z": np.zeros((32, 32), np.float32)}))  # fmt: skip
    _, others, wrong = networks.dense_forward(64, 32, 32, "sigmoid", 1)
    assert "numpy" in wrong and "numpy" not in [other.name for other in others]


def test_a_training_step_with_other_losses_is_left_out(monkeypatch):
    monkeypatch.setattr(networks, "_numpy_step", lambda *arguments: timing.Contestant("numpy", "2.0", {}))
    _, others, wrong = networks.training_step("64-32-32-10", 1)
    assert "losses [2. 2. 2.], not" in wrong["numpy"] and "numpy" not in [other.name for other in others]


# --- accuracy


@each_pass
@each_dtype
def test_exact_values_are_exact(p, dtype):
    """200 points of each half against 60 digits: float64 has eleven bits less than the type of the exact values."""
    arrays = accuracy.points(p.name, dtype, 200)
    want = accuracy.exact(p.name, arrays)
    if want is None:
        pytest.skip("NumPy's longdouble is no wider than float64 on this machine")
    near, rest = want
    slope, bound = float(dtype.type(peers.NEGATIVE_SLOPE)), 1e-6 if dtype == np.float32 else 4e-3
    for i, numbers in enumerate(zip(*arrays, strict=True)):
        exact = p.exact(*map(float, numbers), slope=slope)
        unit = np.spacing(abs(near[i]))
        with mpmath.workdps(40):
            assert abs((exact - mpmath.mpf(float(near[i]))) / mpmath.mpf(float(unit)) - rest[i]) < bound


def test_errors_are_measured_in_ulp():
    """A library that is off by three units in the last place, and loses the tails."""

    class Off(peers.Library):
        name = "off"
        statements: ClassVar = {"sigmoid": peers.Statements(new="off(x)")}

        def __init__(self):
            self.namespace = {"off": self.sigmoid}

        @staticmethod
        def sigmoid(x):
            y = (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)
            y += 3 * np.spacing(y)
            y[x < -80] = 0
            return y

    errors = accuracy.largest_errors([Off()], "sigmoid", np.dtype("f4"), 2000)
    centre, tails = errors["off"]
    assert 3 <= centre <= 3.5 and tails > 1e4


# --- environments


def test_environment_of_a_process_that_measures():
    environment = runner.child_environment("avx2", 3, "/cache")
    assert environment["FASTACT_ISA"] == environment["ATEN_CPU_CAPABILITY"] == "avx2"
    assert environment["OMP_NUM_THREADS"] == environment["FASTACT_NUM_THREADS"] == "3"
    assert "AVX512" not in environment.get("XLA_FLAGS", "") and "AVX2" in environment["XLA_FLAGS"]
    assert "OPENBLAS_CORETYPE" not in environment
    assert "ATEN_CPU_CAPABILITY" not in runner.child_environment("avx512", 1, "/cache")


@pytest.mark.parametrize("level", fastact.available_isas())
def test_numpy_is_held_to_the_level(level):
    program = (
        "import numpy._core._multiarray_umath as m, fastact;"
        "print(fastact.get_isa(), *(f for f in m.__cpu_dispatch__ if m.__cpu_features__.get(f)))"
    )
    environment = runner.child_environment(level, 1, "/cache")
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    isa, *features = output.stdout.split()
    assert isa == level and output.stderr == ""
    if level in ("avx2", "baseline"):
        assert not any(feature.startswith(("AVX512", "X86_V4")) for feature in features)
    if level == "baseline":
        assert features == []


@pytest.mark.parametrize("level", fastact.available_isas())
def test_numba_and_pytorch_are_held_to_the_level(level, tmp_path):
    """By the registers in the machine code that Numba makes, and as PyTorch tells it."""
    program = (
        "import numpy as np; from fastact.benchmarks import peers\n"
        "libraries = {library.name: library for library in peers.load(1, names=['numba', 'torch'])[0]}\n"
        "if 'numba' in libraries:\n"
        "    contestant = libraries['numba'].contestant(peers.Inputs('relu', np.ones(1024)), 'into')\n"
        "    contestant.run()\n"
        "    code = ''.join(contestant.namespace['relu_into'].inspect_asm().values())\n"
        "    print('numba', *(register for register in ('xmm', 'ymm', 'zmm') if register in code))\n"
        "if 'torch' in libraries: print('torch', libraries['torch']._torch.backends.cpu.get_cpu_capability())\n"
    )
    environment = runner.child_environment(level, 1, str(tmp_path))
    found = {name: rest for name, *rest in map(str.split, output_of(program, environment).splitlines())}
    if not found:
        pytest.skip("neither Numba nor PyTorch is installed")
    allowed = {"avx2": {"xmm", "ymm"}, "baseline": {"xmm"}}.get(level)
    if "numba" in found and allowed:
        assert set(found["numba"]) == allowed
    if "torch" in found:
        assert found["torch"] == [{"avx512": "AVX512", "avx2": "AVX2"}.get(level, "DEFAULT")]


@pytest.mark.parametrize(("level", "most", "without"), [("avx2", "AVX2", "512"), ("baseline", "SSE4_2", "avx")])
def test_every_peer_is_told_the_level(level, most, without):
    """What is in the environment of a lower level names that level and none above it."""
    environment = runner.level_variables(level)
    assert environment["XLA_FLAGS"] == f"--xla_cpu_max_isa={most}"
    held = {"ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"}
    assert held <= set(environment)
    told = " ".join(value for name, value in environment.items() if name != "NPY_DISABLE_CPU_FEATURES")
    assert without not in told.lower()
    assert not set(environment) & set(runner.level_variables("avx512")) - {"FASTACT_ISA"}


# --- plans


def test_all_threads_are_those_of_the_quota(monkeypatch):
    """Of eight processors a control group that allows 2.9 has three: eight threads would wait for one another."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(runtime, "_cgroup_quota", lambda: 2.9)
    assert cases.thread_counts() == [1, 2, 3] and runner.machine()["processors"] == 3
    monkeypatch.setattr(runtime, "_cgroup_quota", lambda: None)
    assert cases.thread_counts() == [1, 2, 4, 8] and runner.machine()["processors"] == 8


@pytest.mark.parametrize("plan", cases.PLANS)
def test_plans(plan):
    """No row twice, and every case has arrays of its shape."""
    chosen, _ = cases.PLANS[plan]()
    assert len(set(chosen)) == len(chosen)
    assert {case.group for case in chosen} <= set(cases.GROUPS)
    for case in {case._replace(size=min(case.size, KI)) for case in chosen if case.layout in cases.LAYOUTS}:
        arrays = cases.arrays(case)
        assert {array.size for array in arrays} == {case.size} and all(array.dtype == case.dtype for array in arrays)


def test_the_whole_plan_leaves_nothing_out():
    """Every pass, type and size that the report promises."""
    chosen, _ = cases.whole()
    assert {case.group for case in chosen} == set(cases.GROUPS)
    layouts = {(case.operation, case.dtype, case.layout) for case in chosen if case.group == "layout"}
    assert {layout for *_, layout in layouts} == {*cases.LAYOUTS} - {"contiguous"}
    found = {(case.group, case.operation, case.dtype, case.mode, case.size, case.threads) for case in chosen}
    most = cases.thread_counts()[-1]
    for operation in peers.OPERATIONS:
        for dtype in cases.DTYPES:
            assert ("call", operation, dtype, "inplace", 1, 1) in found
            assert ("new", operation, dtype, "new", 64 * KI, 1) in found
            for size in (2**10, 2**16, 2**20):
                assert ("cache", operation, dtype, "into", size, 1) in found
            for size in (2**24, 2**26):
                for mode in ("into", "inplace"):
                    assert ("memory", operation, dtype, mode, size, most) in found
            for layout in {*cases.LAYOUTS} - {"contiguous"}:
                if operation in ("sigmoid", "relu", "sigmoid_backward"):
                    assert (operation, dtype, layout) in layouts
            if operation in peers.ACTIVATIONS:
                for size in (2**10, 2**24):
                    assert ("new", operation, dtype, "new", size, 1) in found
                for network in networks.NETWORKS:
                    first = "-".join(network.split("-")[:2])
                    assert any(case[:2] == ("dense", operation) and case.layout == first for case in chosen)
    exact = {(case.operation, case.layout, case.level) for case in chosen if case.group == "exact"}
    assert exact == {*itertools.product(peers.EXACT, ("contiguous", cases.WORST), fastact.available_isas())}
    levels = {case.level for case in chosen if case.group == "cache" and case.size == 64 * KI}
    assert levels == set(fastact.available_isas())
    assert {case.layout for case in chosen if case.group == "training"} == set(networks.NETWORKS)
    for threads in cases.thread_counts():
        for operation in cases.SCALING_OPERATIONS:
            for dtype in cases.DTYPES:
                for size in cases.SCALING_SIZES:
                    assert (operation, dtype, "into", size, threads) in {key[1:] for key in found}
    assert len({case[1:] for case in chosen}) == len(chosen), "the same measured twice"


# --- the report


def entry(median, ratio=None, spread=0.0):
    """What the runner gives for one contestant."""

    def around(value):
        return timing.Spread(value, value - spread, value + spread, value)._asdict()

    return {"statement": "f(x)", "seconds": around(median), "ratio": ratio and around(ratio), "rounds": 3}


@pytest.fixture
def document():
    """A run of two rows, as the runner gives it, with numbers made up for the purpose."""
    case = {"group": "cache", "operation": "sigmoid", "dtype": "float32", "mode": "into", "size": 2**16,
            "layout": "contiguous", "threads": 1, "level": "avx2"}  # fmt: skip
    return {
        "format": runner.FORMAT, "kind": "quick", "command": "python -m fastact bench", "date": "2026-01-02",
        "machine": {"processor": "Abacus", "model": "", "processors": 2, "system": "Linux", "levels": ["avx2"]},
        "versions": {"fastact": "1", "python": "3", "numpy": "2"}, "settings": {"points": 10, "rounds": 3},
        "complete": False,
        "cases": 5, "seconds": 60.0,
        "environments": [{"level": "avx2", "threads": 1, "isa": "avx2", "versions": {"fastact": "1", "scipy": "9.9"},
                          "absent": {"thinc": "No module named 'thinc'"}, "gigaflops": 50.0}],
        "rows": [
            {"case": {**case, "group": "accuracy"}, "errors": {"fastact": [0.5, 0.625], "scipy": [2.5, 4e6]}},
            {
                "case": case, "wrong": {"jax": "wrong by up to 0.5"},
                "times": {"fastact": entry(2**16 * 0.25e-9), "scipy": entry(2**16 * 2e-9, 8.0, 0.5),
                          "torch": entry(2**16 * 0.5e-9, 2.0, 0.25)},
                "limit": {"name": "scale pass", **entry(2**16 * 0.1e-9, 0.4)},
            },
            {
                "case": {**case, "operation": "relu_backward"}, "wrong": {},
                "times": {"fastact": entry(2**16 * 1e-9), "numpy": entry(2**16 * 0.5e-9, 0.5, 0.01)},
                "limit": {"name": "scale pass", **entry(2**16 * 0.1e-9, 0.4)},
            },
        ],
    }  # fmt: skip


def line_with(text, *words):
    return next(line for line in text.splitlines() if all(word in line for word in words))


def test_the_table_says_what_was_measured(document):
    text = report.markdown(document, {})
    row = line_with(text.split("## In the caches")[1], "`sigmoid`", "float32", "PyTorch")
    assert "| 0.25 (0.50/0.62) |" in row and "| 2 (2.50/4e6) |" in row and "| wrong |" in row
    assert "**2.00 (1.75–2.25)** PyTorch" in row and row.endswith("| 40 % |")
    assert line_with(text, "`relu_backward`", "NumPy", "%").endswith("| 60 % |")  # three arrays against two
    assert "SciPy 9.9" in text and "thinc (No module named 'thinc')" in text
    assert "wrong by up to 0.5" in line_with(text, "JAX | sigmoid", "wrong by")
    assert "10.5 |" not in text
    assert f"{2 * 4 / 0.1:.1f} |" in line_with(text, "scale pass", "float32")
    assert "**The run was interrupted**: 3 of 5 rows" in text


def test_the_report_says_where_fastact_loses(document):
    text = report.markdown(document, {})
    assert "ahead in 1, even" in text and "behind in 1" in text
    assert "0.50 (0.49–0.51)" in line_with(text, "`relu_backward` float32", "avx2", "NumPy")
    assert "behind in 1." in report.summary(document)


def test_every_loss_is_listed(document):
    """A hundred of them, the worst first, and none in another place of the list."""
    row = document["rows"][2]
    document["rows"] = [
        {**row, "case": {**row["case"], "size": KI * (n + 1)},
         "times": {"fastact": entry(1e-6), "numpy": entry(1e-6, 0.9 - n / 200)}} for n in range(100)
    ]  # fmt: skip
    listed = report.markdown(document, {}).split("## Where fastact stands")[1].split("\n## ")[0]
    ratios = [line.split(" | ")[2].split()[0] for line in listed.splitlines() if "| `relu_backward`" in line]
    assert [float(ratio) for ratio in ratios] == pytest.approx([0.9 - n / 200 for n in reversed(range(100))], abs=6e-3)
    assert "behind in 100." in report.summary(document)


@pytest.mark.parametrize(("low", "high", "place"), [
    (1.006, 1.2, 0), (1.004, 1.2, 1), (0.9, 1.0, 1), (0.9, 0.996, 1), (0.9, 0.994, 2), (0.98, 0.99, 2), (1.0, 1.0, 1),
])  # fmt: skip
def test_ahead_even_behind(document, low, high, place):
    """By the quartiles, as they are printed."""
    row = report.rows_of(document)[0]
    row.times = {"fastact": {}, "numpy": {"ratio": {"median": (low + high) / 2, "low": low, "high": high}}}
    assert [len(rows) for rows in report.split_by_outcome([row])] == [int(place == index) for index in range(3)]


def test_what_was_called_has_every_dense_layer_and_the_compiled_functions(document):
    """Numba's and JAX's statements name functions: the report says what is in them."""
    row = document["rows"][1]
    row["times"] |= {"jax": entry(1e-6, 2.0)}
    dense = {**row["case"], "group": "dense", "layout": "64-32"}
    document["rows"] += [
        {**row, "case": {**dense, "operation": activation}, "times": {
            "fastact": entry(1e-6), "torch": {**entry(1e-6, 1.0), "statement": f"{activation}_(Z)"}}}
        for activation in peers.ACTIVATIONS
    ]  # fmt: skip
    called = report.markdown(document, {}).split("## What was called")[1]
    for activation in peers.ACTIVATIONS:
        assert f"`{activation}_(Z)`" in called
    assert "`(y := jax.nn.sigmoid(x)) * (1 - y)`" in called and "functions of Numba" not in called


def test_a_slope_that_is_a_float32_is_said():
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    case = cases.Case("cache", "leaky_relu", "float64", "into", KI, "contiguous", 1, "")
    _, wrong, _ = worker._pass_contestants(case, peers.load(1, names=["onnxruntime"])[0])
    assert "wrong by up to" in wrong["onnxruntime"] and "float32" in wrong["onnxruntime"]


def test_few_rounds_are_said(document):
    document["settings"]["rounds"] = 15
    assert "2.00 (1.75–2.25; 3 rounds)" in report.markdown(document, {})


def test_gain_from_threads(document):
    """The sigmoid of 64 Ki on one thread and on two, fastact 4 times and SciPy once as fast."""
    one = document["rows"][1]
    two = {**one, "case": {**one["case"], "group": "scaling", "threads": 2},
           "times": {"fastact": entry(2**16 * 0.0625e-9), "scipy": entry(2**16 * 2e-9, 32.0)}}  # fmt: skip
    document["rows"].append(two)
    text = report.markdown(document, {}).split("### The gain from threads")[1]
    assert "| `sigmoid` | float32 | 64 Ki | 2 | 4.00 | 1.00 |" in text


def test_a_library_missing_at_any_level_is_named(document):
    """Held back at a lower instruction set is no news; missing there is."""
    document["machine"]["levels"] = ["avx512", "avx2"]
    document["environments"][0]["absent"] |= {"onnxruntime": peers.CANNOT_BE_HELD}
    row = line_with(report.markdown(document, {}), "not installed")
    assert "thinc (No module named" in row and "ONNX" not in row


def test_files_of_a_report(document, tmp_path):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    report.write(document, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.md", "results.json", "ratios-avx2.svg", "roofline.svg"}
    assert report.read(tmp_path)["rows"][1]["times"]["torch"]["ratio"]["median"] == 2.0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    report.write(document, tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}, "the same results, other bytes"
    assert "2.00  PyTorch" in (tmp_path / "ratios-avx2.svg").read_text()


def test_an_interrupted_run_leaves_a_complete_report_alone(document, tmp_path):
    """Its files have names of their own, until a complete run replaces all."""
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    complete, part = {**document, "complete": True}, {**document, "rows": document["rows"][:2]}
    assert report.write(complete, tmp_path).name == "report.md"
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(2):
        assert report.write(part, tmp_path).name == "report-interrupted.md"
        found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert {name: found[name] for name in before} == before
        assert found.keys() - before.keys() == {
            "report-interrupted.md", "results-interrupted.json", "ratios-avx2-interrupted.svg",
            "roofline-interrupted.svg"}  # fmt: skip
        assert "](ratios-avx2-interrupted.svg)" in found["report-interrupted.md"].decode()
    report.write(complete, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_plots_of_an_earlier_run_are_removed(document, tmp_path):
    """And nothing else that lies in the folder."""
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    for name in ("time-mine.svg", "notes.md"):
        (tmp_path / name).touch()
    report.write(document, tmp_path)
    document["rows"] = document["rows"][:1]
    report.write(document, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "results.json", "time-mine.svg", "notes.md"}


@pytest.mark.parametrize("page", ["#ffffff", "#0d1117"])
def test_plots_can_be_read_on_light_and_dark_pages(page):
    plots = pytest.importorskip("fastact.benchmarks.plots", reason="Matplotlib is not installed")
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert {name: color for name, color in plots.COLORS.items() if contrast(color, page) < 3.5} == {}
    assert contrast(plots.TEXT, page) >= 4.3 and set(plots.COLORS) == set(report.NAMES)


@pytest.mark.parametrize("ratio", [0.03, 0.06, 0.3, 1.3, 5.0])
def test_bars_have_ticks(ratio, document, tmp_path):
    """Two at least, whether fastact is far behind or far ahead."""
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    document["rows"][1]["times"] = {"fastact": entry(2e-6), "numpy": entry(2e-6 * ratio, ratio)}
    document["rows"][2]["times"] = {"fastact": entry(2e-6), "numpy": entry(2e-6, 1.0)}
    report.write(document, tmp_path)
    axis = (tmp_path / "ratios-avx2.svg").read_text(encoding="utf-8").split('id="matplotlib.axis_2"')[0]
    ticks = [float(tick) for tick in re.findall(r"<text[^>]*>([\d.]+)</text>", axis)]
    assert len(ticks) >= 2 and min(ticks) <= min(1, 2 * ratio) and max(ticks) >= max(1, ratio / 2)


def test_labels_of_the_roofline_belong_to_their_points(document):
    """All passes, many in the same place: every name has a line to its own point, and none lies on another or on the
    roof."""
    plots = pytest.importorskip("fastact.benchmarks.plots", reason="Matplotlib is not installed")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    row = document["rows"][1]
    document["rows"] = [
        {**row, "case": {**row["case"], "operation": operation},
         "times": {"fastact": entry(2**16 * seconds), "numpy": entry(2**16 * seconds, 1.0)}}
        for operation, seconds in zip(peers.OPERATIONS, [0.7e-9, 0.4e-9, *[0.1e-9] * 2, *[0.7e-9] * 2, *[0.1e-9] * 6],
                                      strict=True)
    ]  # fmt: skip
    ((_, figure, _),) = plots._rooflines(document, report.rows_of(document))
    (panel,) = figure.axes
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    assert {label.get_text() for label in panel.texts} == set(peers.OPERATIONS)
    roof = panel.lines[0].get_path().interpolated(100).transformed(panel.lines[0].get_transform())
    rows = {row.case["operation"]: row for row in report.rows_of(document)}
    boxes = []
    for label in panel.texts:
        assert label.arrow_patch is not None
        flops = label.xy[0] * 4 * rows[label.get_text()].arrays
        assert label.xy[1] * rows[label.get_text()].time("fastact") == pytest.approx(flops)
        box = Text.get_window_extent(label, renderer)
        assert not roof.intersects_bbox(box, filled=False), label.get_text()
        assert not any(other.overlaps(box) for other in boxes), label.get_text()
        boxes.append(box)


def test_a_report_without_matplotlib(document, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastact.benchmarks.plots", None)
    monkeypatch.delattr(benchmarks, "plots", raising=False)
    report.write(document, tmp_path)
    assert 'pip install "fastact[bench]"' in (tmp_path / "report.md").read_text()


# --- the command


def test_smoke(tmp_path):
    result = bench("--smoke", "--output", str(tmp_path / "new" / "folder"))
    assert result.returncode == 0, result.stderr
    assert "10 of 10 rows measured" in result.stdout and "bench:" in result.stderr
    written = json.loads((tmp_path / "new" / "folder" / "results.json").read_text())
    assert written["complete"] and len(written["rows"]) == 10
    assert "# fastact beside its peers" in (tmp_path / "new" / "folder" / "report.md").read_text()


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_files_are_utf8_in_every_locale(locale, tmp_path):
    """Also where the command line has bytes that are no text: nothing is lost after half an hour."""
    folder = os.fsencode(tmp_path) + b"/\xc3\xa9\xff"
    environment = {**ENVIRONMENT, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": locale}
    result = bench("--smoke", "--output", folder, env=environment)
    assert result.returncode == 0, result.stderr
    with open(folder + b"/report.md", encoding="utf-8") as lines:
        text = lines.read()
    assert "\\udcff" in line_with(text, "Made by `python -m fastact bench --smoke") and "…" in text
    assert report.read(os.fsdecode(folder))["complete"]


@pytest.mark.parametrize("complete", [False, True])
def test_interrupted(complete, tmp_path):
    """Ctrl-C after the first rows: status 130, and the report holds those rows; a complete one stays, as is said."""
    if complete:
        (tmp_path / "results.json").write_text('{"complete": true}')
    with subprocess.Popen(
        [sys.executable, "-m", "fastact", "bench", "--output", str(tmp_path)],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        for line in process.stderr:
            if line.startswith("bench:"):
                break
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors and "Traceback" not in errors and "interrupted" in output
    assert ("The complete report beside it is as it was." in output) == complete
    assert (tmp_path / "results.json").read_text() == '{"complete": true}' or not complete
    written = json.loads((tmp_path / f"results{'-interrupted' * complete}.json").read_text())
    assert not written["complete"] and 0 < len(written["rows"]) < written["cases"]


@pytest.mark.parametrize("name", ["report.md", "results.json", "roofline.svg", "report.md.part"])
def test_a_folder_in_the_place_of_a_file_is_found_before_anything_is_measured(name, tmp_path):
    (tmp_path / name).mkdir()
    result = bench("--output", str(tmp_path), timeout=30)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"has a folder named {name}" in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--whole", "--smoke"], 2, "not allowed with argument"),
        (["--output", "/proc/nowhere"], 2, "--output /proc/nowhere cannot be written to"),
        (["--output"], 2, "expected one argument"),
        (["--output", ""], 2, "--output must name a folder"),
    ],
)
def test_bad_input_is_one_line(arguments, status, words):
    start = time.perf_counter()
    result = bench(*arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert words in result.stderr and len(result.stderr.splitlines()) == 1
    assert time.perf_counter() - start < 60


def test_a_process_that_fails_is_reported(tmp_path, monkeypatch):
    run = runner.Run("smoke", "test")
    monkeypatch.setattr(runner, "child_environment", lambda *_: {**ENVIRONMENT, "FASTACT_ISA": "abacus"})
    with pytest.raises(runner.CommandError, match=r"ended with status 1: ValueError: FASTACT_ISA='abacus'"):
        run.measure()
    assert run.document["rows"] == [] and not run.document["complete"]


# --- pytest bench


def pytest_bench(*arguments):
    """Run the benchmarks of pytest-benchmark in a process of its own."""
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")
    command = [sys.executable, "-m", "pytest", "bench", "-q", "-p", "no:cacheprovider", *arguments]
    folder = Path(__file__).resolve().parent.parent
    # a worker of pytest-xdist says so to its children, and pytest-benchmark times nothing there
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    settings = {"cwd": folder, "env": environment, "capture_output": True, "text": True, "timeout": 300}
    return subprocess.run(command, check=False, **settings)


def test_histogram(tmp_path):
    """It needs a package that pytest-benchmark alone does not bring: pip install "fastact[bench]" does."""
    one = "test_pass and fastact and sigmoid and float32 and not sigmoid_"
    result = pytest_bench("-m", "smoke", "-k", one, "--benchmark-only", f"--benchmark-histogram={tmp_path}/times")
    assert result.returncode == 0, result.stdout + result.stderr
    (drawn,) = tmp_path.iterdir()
    assert drawn.name.startswith("times-sigmoid_float32_1_Ki") and "fastact" in drawn.read_text(encoding="utf-8")


@pytest.mark.parametrize("threads", ["0", "-1", "9999"])
def test_threads_that_cannot_be_had_are_refused(threads):
    """Rather than that libraries which check the number drop out one by one, as if they were not installed."""
    result = pytest_bench("--threads", threads, "-m", "smoke", "--benchmark-disable")
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--threads must be between 1 and" in result.stderr and f"got {threads}" in result.stderr
