"""fastact.exact: every result is the number nearest to the exact value, by mpmath; and the proof is of this source."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
from passes import SPECIAL, all_exponents, assert_same_bits, bits, every_pattern, special

import fastact
from fastact import _reference, cli, exact, kernels, ufuncs, verify

ROOT = Path(__file__).resolve().parent.parent
F2, F4 = np.dtype("f2"), np.dtype("f4")

FORMULAS = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "sigmoid_derivative": lambda x: 1 / (2 + 2 * mpmath.cosh(x)),
    "tanh": mpmath.tanh,
    "tanh_derivative": lambda x: 1 / mpmath.cosh(x) ** 2,
}
PLACES = {"float32": (24, -149), "float16": (11, -24), "bfloat16": (8, -133)}  # bits of the mantissa, last place of all

each_function = pytest.mark.parametrize("name", FORMULAS)
in_checkout = pytest.mark.skipif(
    not (ROOT / "src/fastact/simd").exists(), reason="the sources are not here: a package is tested"
)


def unit(value, dtype):
    """The spacing of a type's numbers at a float64."""
    places, lowest = PLACES[np.dtype(dtype).name]
    return np.ldexp(1.0, np.maximum(np.frexp(value)[1] - places, lowest))


def rounded(value, dtype):
    return np.rint(value / unit(value, dtype)) * unit(value, dtype)


def nearest(name, x):
    """The exact values at x, rounded to x's type, as float64: by float64 where that decides, else by mpmath."""
    with np.errstate(all="ignore"):
        value = getattr(_reference, name)(x.astype(np.float64))
        low, high = (rounded(value * (1 + sign * 2.0**-45), x.dtype) for sign in (-1, 1))
    for i in np.flatnonzero(~((low == high) | np.isnan(value))):
        with mpmath.workdps(150):
            place = float(unit(value[i], x.dtype))
            low[i] = float(mpmath.nint(FORMULAS[name](mpmath.mpf(float(x[i]))) / mpmath.mpf(place))) * place
    return low


def check(name, x, got, want=None):
    want = nearest(name, x) if want is None else want
    with np.errstate(all="ignore"):  # ml_dtypes' casts of signalling NaNs
        wrong = np.flatnonzero(~((got.astype(np.float64) == want) | (np.isnan(x) & np.isnan(got))))
    assert not wrong.size, f"{wrong.size} wrong, first at {x[wrong[0]]!r}: {got[wrong[0]]!r}, want {want[wrong[0]]!r}"
    assert got.dtype == x.dtype


def inputs(n=200_000):
    """N(0, 3), tails, every exponent, a comb of all bits, multiples of 2^-24 next to 0, and infinities and NaNs."""
    rng = np.random.default_rng(12)
    near_0 = np.concatenate([np.arange(-2**13, 2**13) * 2.0**-24, [float.fromhex("-0x1.250c02p-10")]])
    parts = [rng.normal(0, 3, n), rng.uniform(-108, 20, n), all_exponents(F4, 32, rng), every_pattern(), near_0]
    with np.errstate(all="ignore"):
        return np.concatenate([part.astype(F4) for part in [*parts, special(F4)]])


X = inputs()
HALVES = np.arange(2**16, dtype=np.uint16).view(F2)


@each_function
def test_float32(name):
    check(name, X, getattr(exact, name)(X))


@each_function
@pytest.mark.parametrize("isa", fastact.available_isas())
def test_levels(name, isa):
    """The same at every instruction set, NaNs' payloads included."""
    used = fastact.get_isa()
    try:
        kernels.set_isa(isa)
        got = getattr(exact, name)(X)
        half = getattr(exact, name)(HALVES)
    finally:
        kernels.set_isa(used)
    assert_same_bits(got, getattr(exact, name)(X), isa)
    assert_same_bits(half, getattr(exact, name)(HALVES), isa)


@each_function
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves(name, dtype):
    """All 65,536, contiguous and strided: rounded once, from the exact value."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    every = np.arange(2**16, dtype=np.uint16).view(dtype)
    want = nearest(name, every)
    check(name, every, getattr(exact, name)(every), want)
    check(name, every, getattr(exact, name)(np.repeat(every, 3)[::3]), want)
    check(name, every[::-1], getattr(exact, name)(every[::-1]), want[::-1])


def test_halves_need_more_than_a_rounded_float32():
    """By way of a float32 some would come out wrong: x/4 + 1/2 in the middle between two float16 numbers."""
    x = np.float16(3 * 2.0**-10)
    assert np.float16(exact.sigmoid(np.float32(x))) != exact.sigmoid(x) == np.float16(0.5 + 2.0**-11)


@each_function
def test_place_does_not_matter(name):
    """Alone, in arrays of 1 to 200 elements, in place, strided, in two dimensions and on two threads: the same bits,
    where all, none or some of the elements take the second step."""
    function = getattr(exact, name)
    rng = np.random.default_rng(0)
    mixed = rng.normal(0, 3, 400).astype(F4)
    mixed[rng.integers(400, size=60)] = rng.choice(np.float32([-20, np.nan, 1e-40, 2.0**-20, np.inf]), 60)
    want = np.array([function(value) for value in mixed])
    for n in range(1, 201):
        assert_same_bits(function(mixed[n : 2 * n]), want[n : 2 * n], f"n = {n}")
    long = np.resize(mixed, 300_001)
    in_place = long.copy()
    assert function(in_place, out=in_place) is in_place
    assert_same_bits(in_place, np.resize(want, long.size))
    with fastact.num_threads(2):
        assert_same_bits(function(long), in_place)
        assert_same_bits(function(long[::-3]), in_place[::-3])
    matrix = mixed.reshape(20, 20)
    assert_same_bits(function(matrix.T), want.reshape(20, 20).T)
    assert_same_bits(function(mixed.astype(">f4")), want)
    for all_alike in (np.float32(-20), np.float32("nan"), np.float32(0.3)):
        assert_same_bits(function(np.full(20_001, all_alike)), np.full(20_001, function(all_alike)))


@each_function
def test_as_ufuncs(name):
    """where=, dtype=, out of another type, integers, scalars, empty arrays, Dask; and the ufunc of the same name."""
    function = getattr(exact, name)
    x = np.linspace(-9, 9, 50, dtype=F4)
    out = np.full(50, 7, F4)
    assert_same_bits(function(x, out=out, where=x > 0), np.where(x > 0, function(x), np.float32(7)))
    assert_same_bits(function(x.astype(np.float64), dtype=F4), function(x))
    assert_same_bits(function(x, out=np.empty(50)), function(x).astype(np.float64))
    assert_same_bits(function(np.arange(-3, 3, dtype=np.int16)), function(np.arange(-3, 3, dtype=F4)))
    assert function(np.int8(1)).dtype == F2 and function(True).dtype == F2
    assert type(function(np.float32(1))) is np.float32 and function(np.empty((0, 3), F4)).shape == (0, 3)
    assert_same_bits(getattr(ufuncs, f"exact_{name}")(x), function(x))
    dask = pytest.importorskip("dask.array")
    assert_same_bits(function(dask.from_array(x, chunks=7)).compute(), function(x))


@each_function
@pytest.mark.parametrize("x", [0.5, np.ones(3), np.arange(3), [1, 2], np.float64(1)], ids=repr)
def test_float64_is_refused(name, x):
    with pytest.raises(TypeError, match=rf"exact_{name}: x has dtype \w+, .* float64; wanted float16.*fastact.{name}"):
        getattr(exact, name)(x)


@each_function
def test_other_errors(name):
    function = getattr(exact, name)
    with pytest.raises(TypeError, match="dtype is 'f8', whose result would be a float64"):
        function(np.ones(3, F4), dtype="f8")
    with pytest.raises(TypeError, match=f"exact_{name}: x has dtype complex128"):
        function(1j)
    with pytest.raises(ValueError, match="out has shape"):
        function(np.ones(3, F4), out=np.ones(4, F4))
    out = np.ones(3)
    with pytest.raises(TypeError):
        function(np.full(3, 0.3), out=out)
    assert (out == 1).all()


def test_special_values():
    for value, sigmoid, tanh in [(-np.inf, 0, -1), (np.inf, 1, 1), (0.0, 0.5, 0), (-0.0, 0.5, 0)]:
        x = np.float32(value)
        assert exact.sigmoid(x) == sigmoid and exact.tanh(x) == tanh
        assert np.signbit(exact.tanh(x)) == np.signbit(x)
    assert exact.sigmoid_derivative(np.float32(0)) == 0.25 and exact.tanh_derivative(np.float32(0)) == 1
    nan = np.array([0x7F812345, 0xFFC00001], np.uint32).view(F4)
    for name in ("sigmoid", "tanh"):
        assert (bits(getattr(exact, name)(nan)) == bits(nan) | 0x00400000).all()
    assert len(SPECIAL) and np.isnan(exact.tanh_derivative(nan)).all()


def test_all_names():
    """The same twelve, and those that have always been exact, or are not, are the plain ones."""
    names = {name for name in fastact.__all__ if name.startswith(("sigmoid", "tanh", "relu", "leaky_relu"))}
    assert set(exact.__all__) == names
    others = names - set(FORMULAS)
    assert all(getattr(exact, name) is getattr(fastact, name) for name in others)


# --------------------------------------------------------------------------------------------------- proof and verify


def proof_tool():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        return importlib.import_module("prove_exact")
    finally:
        sys.path.remove(str(ROOT / "tools"))


def record():
    return json.loads((Path(fastact.__file__).parent / "proof.json").read_text(encoding="utf-8"))


def test_proof_is_complete():
    proof = record()
    assert set(proof["passes"]) == {f"exact_{name}" for name in FORMULAS}
    for name, found in proof["passes"].items():
        assert found["inputs"] == 2**32 and len(proof["digests"][name]["any"].split()) == 256
        assert set(found["wrong"].values()) == {0} and {"avx512", "avx2", "baseline"} <= set(found["wrong"])


@in_checkout
def test_proof_is_of_this_source():
    """Kernels or constants changed since the proof: run tools/prove_exact.py, then tools/publish_digests.py."""
    assert record()["source"] == proof_tool().source_digest()


@in_checkout
def test_source_digest(tmp_path, monkeypatch):
    """A digit of a constant, or an operation, changes it; a comment does not."""
    tool = proof_tool()
    digest = tool.source_digest()
    monkeypatch.setattr(tool, "SIMD", shutil.copytree(tool.SIMD, tmp_path / "simd"))
    header = tmp_path / "simd/formulas_exact.h"
    text = header.read_text()
    header.write_text(text.replace("/* ", "/* another word ", 1))
    assert tool.source_digest() == digest
    header.write_text(text.replace("f32_add(", "f32_sub(", 1))
    assert tool.source_digest() != digest
    header.write_text(text)
    constants = tmp_path / "simd/constants_exact.h"
    constants.write_text(constants.read_text().replace("p-3f", "p-4f", 1))
    assert tool.source_digest() != digest


@in_checkout
def test_reference_of_the_proof():
    """Its last resort, beside the one of these tests."""
    x = np.float32([2.0**-23, -(2.0**-24), 3 * 2.0**-23, 1, -0.7, 88, -103.5, 1e-42])
    for name in FORMULAS:
        got = [proof_tool().rounded(f"exact_{name}", value) for value in bits(x)]
        assert np.array_equal(np.array(got, np.float64), nearest(name, x)), name


def run_verify(*arguments, **environment):
    code = "import sys; from fastact.cli import main; sys.exit(main(['verify', *sys.argv[1:]]))"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)


def test_verify_quick():
    """Every function at every level, status 0."""
    done = run_verify("--quick", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert len(rows) == 16 * len(fastact.available_isas())
    assert {row[2] for row in rows} == {"agrees"}


def test_verify_fails_where_there_is_nothing_to_compare_with(monkeypatch, capsys):
    monkeypatch.setattr(verify.json, "loads", lambda text: {})
    assert cli.main(["verify", "--quick"]) == 1
    output = capsys.readouterr()
    assert "no digest is published" in output.out and "could not be compared" in output.err


def test_verify_tells_the_first_difference(monkeypatch, capsys):
    """A result changed by one ULP: status 1, the input, what came and what was wanted."""

    def changed(x, out):
        right(x, out=out)
        out[x == np.float32(x[500_000])] = 0.25
        return out

    right = exact.tanh
    monkeypatch.setattr(exact, "tanh", changed)
    assert cli.main(["verify", "--quick"]) == 1
    out, err = capsys.readouterr()
    x = np.arange(0, 2**32, verify.QUICK_STEP, np.uint64).astype(np.uint32).view(F4)[500_000]
    row = next(line for line in out.splitlines() if line.startswith("exact_tanh "))
    assert f"DIFFERS first at {x!s}" in row and "got 0.25" in row and f"wanted {right(x)!s}" in row
    assert "3 of the functions give other bits" in err or len(fastact.available_isas()) != 3


def test_nearest_by_decimals():
    """What verify compares with: right next to the middle between two floats, too."""
    x = X[::37]
    for name in FORMULAS:
        want = nearest(name, x)
        got = verify.nearest(name, x).astype(np.float64)
        assert ((got == want) | np.isnan(x)).all(), name
