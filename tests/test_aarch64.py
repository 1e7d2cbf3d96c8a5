"""The NEON kernels, cross-compiled and run under qemu: the bits of AVX2, and the reference's values within the bounds.

What the emulated processor reads and writes are files of arrays (tools/run_passes.c says how they are laid out).
"""

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from passes import F4, F8, PASSES, assert_same_bits, points

import fastact
from fastact import exact, kernels
from fastact._ulp import exact_from_mpmath, exact_from_wider, largest

ROOT = Path(__file__).resolve().parent.parent
SIMD = ROOT / "src/fastact/simd"
COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
TYPES = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 3}
FMA = next((isa for isa in fastact.available_isas() if isa in ("avx2", "avx512", "neon")), None)
EXACT = ["sigmoid", "sigmoid_derivative", "tanh", "tanh_derivative"]

pytestmark = [
    pytest.mark.skipif(not SIMD.exists(), reason="the sources are not here: an installed package is under test"),
    pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no {COMPILER} (Debian: gcc-aarch64-linux-gnu)"),
    pytest.mark.skipif(shutil.which(EMULATOR) is None, reason=f"no {EMULATOR} (Debian: qemu-user)"),
]
each_pass_and_type = pytest.mark.parametrize(
    ("p", "dtype"), [(p, dtype) for p in PASSES for dtype in (F4, F8)], ids=lambda value: str(value))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("aarch64") / "run_passes"
    sources = [ROOT / "tools/run_passes.c", *SIMD.glob("target_*.c"), SIMD / "dispatch.c"]
    flags = ["-O3", "-std=gnu11", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-static"]
    command = [COMPILER, *flags, f"-I{SIMD}", *sources, "-lm", "-o", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return path


def run(program, level, calls):
    """The results of calls (name of a pass, arrays, slopes or None), as the emulated processor computes them."""
    records = []
    for name, arrays, slopes in calls:
        dtype, n = arrays[0].dtype, arrays[0].size
        slopes = [] if slopes is None else [np.asarray(slopes, dtype)]
        step = int(bool(slopes) and slopes[0].ndim)
        records.append(struct.pack("32s3q", name.encode(), TYPES[dtype.name], n, step))
        records += [a.tobytes() for a in [*arrays, *slopes]]
    command = [EMULATOR, program, level]
    done = subprocess.run(command, input=b"".join(records), capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    results, at = [], 0
    for _, arrays, _ in calls:
        results.append(np.frombuffer(done.stdout, arrays[0].dtype, arrays[0].size, at))
        at += results[-1].nbytes
    assert at == len(done.stdout)
    return results


def as_made(result, inputs):
    """NaNs that are made, of an infinity times 0, without their sign: x86 sets it, aarch64 does not."""
    result = result.copy()
    with np.errstate(all="ignore"):  # ml_dtypes' signalling NaNs
        result[np.isnan(result) & ~np.any([np.isnan(a) for a in inputs], axis=0)] = np.nan
    return result


def with_fma(function, *arguments, **keywords):
    """What the processor that runs the tests computes at its own level with a fused multiply-add."""
    used = fastact.get_isa()
    try:
        kernels.set_isa("avx2" if "avx2" in fastact.available_isas() else FMA)
        return function(*arguments, **keywords)
    finally:
        kernels.set_isa(used)


@pytest.mark.skipif(FMA is None, reason="no level with a fused multiply-add here to compare with")
@each_pass_and_type
def test_same_bits(program, p, dtype, rng):
    """Some 60,000 points, NaNs with payloads among them, three slopes and one an element: the bits of AVX2."""
    inputs = points(p, dtype, 40_000, rng)
    slopes = [0.01, 0.0, 3.0, rng.uniform(0, 2, inputs[0].size).astype(dtype)] if p.slope else [None]
    for slope, got in zip(slopes, run(program, "neon", [(p.name, inputs, s) for s in slopes]), strict=True):
        want = with_fma(p, *inputs, slope=slope)
        assert_same_bits(as_made(got, inputs), as_made(want, inputs), f"slope {slope}")


@pytest.mark.parametrize("level", ["neon", "portable"])
@each_pass_and_type
def test_values(program, p, dtype, level, rng):
    """float32 against the float64 reference, some 60,000 points; float64 against 60 digits, some 350."""
    inputs = points(p, dtype, 40_000 if dtype == F4 else 600, rng, finite=True)
    if dtype == F8:
        inputs = [a[::12] for a in inputs]
    slope = float(dtype.type(0.3)) if p.slope else None
    (got,) = run(program, level, [(p.name, inputs, slope)])
    if dtype == F4:
        want = exact_from_wider(p.reference(*inputs, slope=slope), dtype)
    else:
        rows = zip(*(a.tolist() for a in inputs), strict=True)
        want = exact_from_mpmath([p.exact(*row, slope=slope) for row in rows], dtype)
    error, where = largest(got, want, *inputs)
    assert error < p.bound(dtype), where


@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
def test_every_length(program, dtype, rng):
    """Arrays of 0 to 40 elements: each element as in a long array."""
    calls, wholes = [], []  # names, arrays, slopes
    for p in PASSES:
        inputs = [a[:40] for a in points(p, dtype, 5_000, rng)]
        slope = 0.3 if p.slope else None
        wholes.append((p.name, inputs, slope))
        calls += [(p.name, [a[:n] for a in inputs], slope) for n in range(40)]
    results = iter(run(program, "neon", [*wholes, *calls]))
    whole = {name: next(results) for name, _, _ in wholes}
    for name, inputs, _ in calls:
        assert_same_bits(next(results), whole[name][: inputs[0].size], name)


@pytest.mark.skipif(FMA is None, reason="no level with a fused multiply-add here to compare with")
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_halves(program, name, rng):
    """All 65,536 halves, by each pass and by each exact one: the bits of AVX2."""
    if name == "bfloat16":
        pytest.importorskip("ml_dtypes")
    every = np.arange(2**16, dtype=np.uint16)
    calls = [(p.name, [rng.permutation(every).view(name) for _ in p.arguments], 0.25 if p.slope else None)
             for p in PASSES]  # fmt: skip
    exact_calls = [(f"exact_{f}", [every.view(name)], None) for f in EXACT]
    results = run(program, "neon", calls + exact_calls)
    for p, (_, inputs, slope), got in zip(PASSES, calls, results[: len(PASSES)], strict=True):
        want = with_fma(p, *inputs, slope=slope)
        assert_same_bits(as_made(got, inputs), as_made(want, inputs), p.name)
    for f, got in zip(EXACT, results[len(PASSES) :], strict=True):
        assert_same_bits(got, with_fma(getattr(exact, f), every.view(name)), f)


@pytest.mark.skipif(FMA is None, reason="no level with a fused multiply-add here to compare with")
@pytest.mark.parametrize("level", ["neon", "portable"])
def test_exact(program, level, rng):
    """Some 60,000 float32: correct rounding leaves no choice, so the bits of AVX2, from the portable C too."""
    sigmoid = PASSES[0]
    (x,) = points(sigmoid, F4, 40_000, rng)
    for f, got in zip(EXACT, run(program, level, [(f"exact_{f}", [x], None) for f in EXACT]), strict=True):
        assert_same_bits(got, with_fma(getattr(exact, f), x), f)
