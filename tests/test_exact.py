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


@each_function
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_float32_into_halves(name, dtype):
    """An `out` of fewer bits is rounded once, too: next to the middle between two halves, strided, broadcast and with
    `where=`; what NumPy refuses stays refused."""
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    function = getattr(exact, name)
    halves = np.arange(2**16, dtype=np.uint16).view(dtype)
    with np.errstate(all="ignore"):
        x = np.concatenate([halves.astype(F4), X[::50]])
        value = nearest(name, x)  # a float32; where that is a middle between two halves, the exact value decides
        want = rounded(value, np.dtype(dtype))
        for i in np.flatnonzero(np.abs(value - want) * 2 == unit(value, np.dtype(dtype))):
            with mpmath.workdps(150):
                place = unit(value[i], np.dtype(dtype))
                want[i] = float(mpmath.nint(FORMULAS[name](mpmath.mpf(float(x[i]))) / mpmath.mpf(float(place)))) * place
    out = np.empty(x.size, dtype)
    assert function(x, out=out) is out and function(x, out=(out,)) is out
    with np.errstate(all="ignore"):
        wrong = ~((out.astype(np.float64) == want) | (np.isnan(x) & np.isnan(out)))
    assert not wrong.any(), f"{wrong.sum()} wrong, first at {x[wrong][0]!r}: {out[wrong][0]!r}, want {want[wrong][0]!r}"
    wide = np.zeros((2, 2 * x.size), dtype)
    function(x[::-1], out=wide[:, ::2], where=x[::-1] > 0)
    assert_same_bits(wide[1, ::2], np.where(x > 0, out, np.zeros_like(out))[::-1])
    assert (wide[:, 1::2] == 0).all()
    refused = [{"out": np.ones(3, dtype)}, {"out": out, "casting": "equiv"}, {"out": out, "where": np.ones(x.size)}]
    for options in refused:
        before = out.copy()
        with pytest.raises((TypeError, ValueError), match=rf"fastact\.exact\.{name}: (out|where) has"):
            function(x, **options)
        assert_same_bits(out, before)


def test_float32_into_halves_is_rounded_once():
    """By way of a float32 it would be the number below; ``out`` of a float16 by DLPack as well."""
    x, want = np.float32([3 * 2.0**-10]), np.float16(0.5 + 2.0**-11)
    assert np.float16(exact.sigmoid(x)) != want
    out = np.empty(1, F2)
    exact.sigmoid(x, out=memoryview(out))
    assert out[0] == want
    assert exact.sigmoid(x[0], out=np.empty((), F2)) == want
    assert exact.sigmoid(0.0029296875, dtype=F4, out=np.empty((), F2)) == want


@each_function
def test_float16_into_bfloat16(name):
    """Rounded once, from the exact value: its bfloat16 is seldom in the middle, so all 65,536 are tried."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    out = np.empty(HALVES.size, ml_dtypes.bfloat16)
    function = getattr(exact, name)
    with np.errstate(all="ignore"):
        wide = HALVES.astype(F4)
    assert_same_bits(function(HALVES, out=out).copy(), function(wide, out=out))
    assert_same_bits(function(HALVES, dtype=F2, out=out).copy(), function(wide, out=out))


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
    words = rf"^fastact\.exact\.{name}: x has dtype \w+, whose result would be a float64; wanted.*fastact\.{name},"
    with pytest.raises(TypeError, match=words):
        getattr(exact, name)(x)


@each_function
def test_other_errors(name):
    function = getattr(exact, name)
    with pytest.raises(TypeError, match="dtype is 'f8', whose result would be a float64"):
        function(np.ones(3, F4), dtype="f8")
    for x, dtype in ((1j, "complex128"), ("1", "<U1"), (np.array([None]), "object")):
        with pytest.raises(TypeError, match=rf"^fastact\.exact\.{name}: x has dtype {dtype}; wanted") as caught:
            function(x)
        assert "float64" not in str(caught.value)
    with pytest.raises(TypeError, match=rf"^fastact\.exact\.{name}: dtype is complex64; wanted float16, float32 or b"):
        function(np.ones(3, F4), dtype="c8")
    with pytest.raises(ValueError, match=rf"^fastact\.exact\.{name}: x cannot be made an array"):
        function([[1], [2, 3]])
    with pytest.raises(TypeError, match=rf"^fastact\.exact\.{name}: out must be a NumPy array"):
        function(np.ones(3, F4), out=[1, 2, 3])
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
    """All of fastact's but its ufuncs; those that have always been exact, or are not, are the plain ones."""
    assert set(exact.__all__) == set(fastact.__all__) - {"ufuncs"}
    assert exact.__version__ == fastact.__version__
    others = set(exact.__all__) - set(FORMULAS)
    assert all(getattr(exact, name) is getattr(fastact, name) for name in others)
    assert all(getattr(exact, name) is not getattr(fastact, name) for name in FORMULAS)


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
        assert set(found["wrong"].values()) == {0} and {"avx512", "avx2", "baseline", "portable"} <= set(found["wrong"])
        assert 20 <= len(set(proof["hardest"][name])) <= 64  # not all have 64 that float64 does not decide


@in_checkout
def test_proof_is_of_this_source():
    """Kernels, constants or the compiler's flags changed since the proof: run tools/prove_exact.py."""
    assert record()["source"] == proof_tool().source_digest()


@in_checkout
def test_source_digest(tmp_path, monkeypatch):
    """A digit of a constant, an operation, any file that decides values, or a flag changes it; a comment does not."""
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
    text = constants.read_text()
    constants.write_text(text.replace("p-3f", "p-4f", 1))
    assert tool.source_digest() != digest
    constants.write_text(text)
    for path in (tmp_path / "simd").glob("*.[chi]*"):
        text = path.read_text()
        path.write_text(text + "int more;\n")
        assert (tool.source_digest() == digest) == (path.name in ("fused.inc", "strided.h")), path.name
        path.write_text(text)
    assert tool.source_digest() == digest and "-ffp-contract=off" in tool.flags()
    shutil.copy(tool.ROOT / "setup.py", tmp_path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    assert tool.source_digest() == digest
    (tmp_path / "setup.py").write_text((tmp_path / "setup.py").read_text().replace("contract=off", "contract=fast"))
    assert tool.source_digest() != digest


@in_checkout
def test_an_interrupted_proof_goes_on_only_with_what_it_was(tmp_path, monkeypatch):
    tool = proof_tool()
    monkeypatch.setattr(tool, "UNFINISHED", tmp_path / "unfinished.json")
    assert tool.unfinished(["source", "gcc 12"]) == {}
    tool.UNFINISHED.write_text(json.dumps({"of": ["source", "gcc 12"], "done": {"exact_tanh": {}}}))
    assert tool.unfinished(["source", "gcc 12"]) == {"exact_tanh": {}}
    assert tool.unfinished(["source", "gcc 13"]) == tool.unfinished(["other", "gcc 12"]) == {}


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


def sample():
    return verify.sample(record()).view(F4)


def changed(module, name, at, level=None):
    """A function one ULP off where its first input has the bits of `at`; only at one level, if that is given."""
    right = getattr(module, name)

    def wrong(*inputs, out):
        right(*inputs, out=out)
        if level in (None, fastact.get_isa()):
            out[bits(inputs[0]) == bits(at)] = np.float32(0.25)
        return out

    return wrong


def verify_rows(capsys, *arguments):
    """The rows of the table, by function and level, and the last line; the command must fail."""
    assert cli.main(["verify", "--quick", *arguments]) == 1
    out, err = capsys.readouterr()
    rows = [line.split(maxsplit=2) for line in out.splitlines()[1:]]
    return {(name, level): words for name, level, words in rows}, err.splitlines()[-1]


def test_verify_tells_the_first_difference(monkeypatch, capsys):
    """At all levels, where the formula tells: status 1, the input, what came and what was wanted."""
    x = sample()[500_000]
    want = exact.tanh(x)
    monkeypatch.setattr(exact, "tanh", changed(exact, "tanh", x))
    rows, error = verify_rows(capsys)
    levels = fastact.available_isas()
    for level in levels:
        assert rows["exact_tanh", level].startswith(f"DIFFERS first at {x!s} (")
        assert "got 0.25" in rows["exact_tanh", level] and f"wanted {want!s}" in rows["exact_tanh", level]
        assert rows["exact_sigmoid", level] == "agrees"
    assert f"{len(levels)} of the functions give other bits" in error


@pytest.mark.parametrize("name", ["relu", "leaky_relu_backward"])
def test_verify_tells_the_first_difference_of_a_relu(monkeypatch, capsys, name):
    inputs = [sample()[700_000]]
    if name.endswith("_backward"):
        inputs = [verify._scrambled(bits(sample())).view(F4)[700_000], *inputs]
    want = getattr(fastact, name)(*inputs)
    monkeypatch.setattr(fastact, name, changed(fastact, name, inputs[0]))
    rows, _ = verify_rows(capsys, "--plain", "--isa", fastact.available_isas()[-1])
    words = rows[name, fastact.available_isas()[-1]]
    for part in (*(f"{value!s} ({float(value).hex()})" for value in inputs), "got 0.25", f"wanted {want!s}"):
        assert part in words


def test_verify_tells_the_first_difference_of_a_plain_pass(monkeypatch, capsys):
    """At one of two levels with the same bits: what was wanted is the other's. At all: that nothing tells."""
    both = [level for level in fastact.available_isas() if verify.Check("tanh", level).kind == "fma"]
    x = sample()[600_000]
    want = fastact.tanh(x)
    monkeypatch.setattr(fastact, "tanh", changed(fastact, "tanh", x, both[0]))
    rows, _ = verify_rows(capsys, "--plain")
    if len(both) > 1:
        assert rows["tanh", both[1]] == "agrees"
        assert rows["tanh", both[0]].startswith(f"DIFFERS first at {x!s} (")
        assert "got 0.25" in rows["tanh", both[0]] and f"wanted {want!s}" in rows["tanh", both[0]]
    monkeypatch.undo()
    monkeypatch.setattr(fastact, "tanh", changed(fastact, "tanh", x))
    rows, _ = verify_rows(capsys, "--plain")
    assert all("no level here gives the published bits" in rows["tanh", level] for level in both)


@pytest.mark.parametrize("segment", [0, 130, 255])
def test_verify_goes_through_a_segment(segment):
    """All of its inputs in order, and the digest that is published of them."""
    assert_same_bits(
        np.concatenate([part.copy() for part in verify.chunks(segment)]).view(F4),
        np.arange(segment * 2**24, (segment + 1) * 2**24, dtype=np.uint64).astype(np.uint32).view(F4))  # fmt: skip
    used = fastact.get_isa()
    check = verify.Check("exact_tanh", fastact.available_isas()[0])
    wanted = record()["digests"][check.name][check.kind].split()[segment]
    assert verify.digests(check, [segment]) == [wanted] and fastact.get_isa() == used


def test_verify_samples_special_values():
    """Zeros, infinities, NaNs that signal or are quiet, the ends of the subnormals, and what is hard to round."""
    x = sample()
    for value in (0.0, np.inf, 2.0**-149, 2.0**-126 - 2.0**-149, 2.0**-126, 1.0):
        assert {0, 1} == set(np.signbit(x[np.abs(x) == np.float32(value)]))
    assert {0x7F800001, 0xFFC00000} <= set(bits(x).tolist()) and 1e6 < x.size < 1.1e6
    assert float.fromhex("-0x1.250c02p-10") in x


def test_verify_at_one_level(capsys):
    level = fastact.available_isas()[-1]
    assert cli.main(["verify", "--quick", "--isa", level]) == 0
    assert [line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]] == 4 * [[level, "agrees"]]
    with pytest.raises(SystemExit):
        cli.main(["verify", "--isa", "abacus"])
    assert "must be all or some of" in capsys.readouterr().err


def test_nearest_by_decimals():
    """What verify compares with: right next to the middle between two floats, too."""
    x = X[::37]
    for name in FORMULAS:
        want = nearest(name, x)
        got = verify.nearest(name, x).astype(np.float64)
        assert ((got == want) | np.isnan(x)).all(), name
