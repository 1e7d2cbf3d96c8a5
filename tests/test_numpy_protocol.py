"""The passes among NumPy's types and other libraries' arrays: they behave as np.tanh does."""

import array
import importlib.util
import inspect
import pydoc
import subprocess
import sys

import numpy as np
import pytest
from passes import F4, F8, NUMPY_2, PASSES, assert_same_bits, each_pass, points

import fastact
from fastact import ufuncs

HALF = np.dtype("f2")


def bfloat16_dtype():
    return np.dtype(importlib.import_module("ml_dtypes").bfloat16)


def installed(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


@each_pass
@pytest.mark.parametrize("kind", ["?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"])
def test_integers_and_bool(p, kind):
    """11 types: the result's type is np.tanh's, the value that of the input converted to it; arrays and scalars."""
    x = np.array([0, 1, 1, 0, 1], kind)
    want = np.tanh(x).dtype
    arrays = [x for _ in p.arguments]
    got = p(*arrays)
    assert got.dtype == want
    assert_same_bits(got, p(*(a.astype(want) for a in arrays)))
    assert type(p(*(x[1] for _ in arrays))) is want.type
    out = np.empty(5, F8)
    assert p(*arrays, out=out) is out
    np.testing.assert_array_equal(out, got)


@each_pass
def test_python_numbers_and_lists(p):
    """Alone they are float64 (bool: what np.tanh makes of it); beside an array they are weak; lists become arrays."""
    n = len(p.arguments)
    for number in (0.5, 1, -2):
        got = p(*[number] * n)
        assert type(got) is np.float64
        np.testing.assert_array_equal(got, p(*[np.float64(number)] * n))
    assert type(p(*[True] * n)) is type(np.tanh(True))
    assert_same_bits(p(*[[0.5, -1.0]] * n), p(*[np.array([0.5, -1.0])] * n))
    assert_same_bits(p(*[[[1], [2]]] * n), p(*[np.array([[1.0], [2.0]])] * n))
    for dtype in (HALF, F4, F8):
        x = np.array([0.25, 0.5, 0.75], dtype)
        if n == 2:
            assert_same_bits(p(2.0, x), p(np.full(3, 2, dtype), x))
            assert_same_bits(p(x, 1), p(x, np.full(3, 1, dtype)))
        for slope in (0.25, 1, True, np.array(0.25, dtype), np.full(3, 0.25, dtype)) if p.slope else ():
            assert p(*[-x] * n, slope=slope).dtype == dtype


@pytest.mark.parametrize("kind", ["", "_derivative", "_backward"])
def test_slope_is_rounded_to_the_array_type(kind):
    """0.1, exact in no type, with 3 array types: that of 0.1 rounded first; past the range refused."""
    p = next(p for p in PASSES if p.name == "leaky_relu" + kind)
    for dtype in (HALF, F4, F8):
        arrays = [np.array([-3, -7, 5], dtype)] * len(p.arguments)
        assert_same_bits(p(*arrays, slope=0.1), p(*arrays, slope=np.full(3, 0.1, dtype)))
        assert p(*arrays, slope=0.1).dtype == dtype
    for dtype, slope in ((HALF, 1e5), (F4, 1e39)):
        with pytest.raises(ValueError, match="negative_slope"):
            p(*[np.array([-1], dtype)] * len(p.arguments), slope=slope)


@each_pass
def test_mixed_types(p):
    """float16, float32, float64 and integers in pairs: the type of NumPy's ufuncs (float16 for int8 and uint8, whose
    common type is int16), the values of the converted inputs."""
    if p.kind != "backward" and not p.slope:
        pytest.skip("one input")
    types = [HALF, F4, F8, *map(np.dtype, "?bBhHi")]
    for first in types:
        for second in types:
            a, b = np.array([1, -2, 3]).astype(first), np.array([1, 0, 0], second)
            common = np.logaddexp(np.zeros(1, first), np.zeros(1, second)).dtype
            if p.kind == "backward":
                assert_same_bits(p(a, b), p(a.astype(common), b.astype(common)))
            else:
                assert_same_bits(p(a, slope=b), p(a.astype(common), slope=b.astype(common)))


@pytest.mark.parametrize(
    "half", [lambda: HALF, pytest.param(bfloat16_dtype, marks=installed("ml_dtypes"))], ids=["float16", "bfloat16"])
@each_pass
def test_half_precision(p, half, rng):
    """float16 and bfloat16, all 65,536 inputs (for backward passes as dy with random y, and as y with random dy): what
    float32 gives, rounded once."""
    half = half()
    every = np.arange(2**16, dtype=np.uint16).view(half)
    sets = [(every,)]
    if p.kind == "backward":
        low, high = p.activation.y_range
        other = rng.uniform(low, high, every.size).astype(half)
        sets = [(every, other), (other, every), (every, rng.permutation(every))]
    for arrays in sets:
        for slope in (0.1, 0.0, 3.0) if p.slope else (None,):
            rounded = None if slope is None else float(half.type(slope))
            with np.errstate(all="ignore"):
                want = p(*(a.astype(F4) for a in arrays), slope=rounded).astype(half)
            with np.errstate(all="raise"):
                got = p(*arrays, slope=slope)
            assert got.dtype == half
            nan = np.isnan(want)
            np.testing.assert_array_equal(np.isnan(got), nan)
            assert_same_bits(got[~nan], want[~nan])
            assert_same_bits(p(*(a[::-2] for a in arrays), slope=slope), got[::-2], "strided")
            fresh = [a.copy() for a in arrays]
            assert p(*fresh, slope=slope, out=fresh[-1]) is fresh[-1]
            assert_same_bits(fresh[-1], got, "in place")


@installed("ml_dtypes")
@each_pass
def test_bfloat16(p):
    """Scalars, empty, out of another type, dtype=, beside float32, slopes; the messages name the type."""
    bfloat16 = bfloat16_dtype()
    x = np.array([0.25, 0.5, 0.75], bfloat16)
    arrays = [x] * len(p.arguments)
    want = p(*(a.astype(F4) for a in arrays), slope=float(bfloat16.type(0.1)))
    got = p(*arrays, slope=0.1)
    assert_same_bits(got, want.astype(bfloat16))
    assert type(p(*(a[0] for a in arrays), slope=0.1)) is bfloat16.type
    assert p(*(a[:0] for a in arrays)).dtype == bfloat16
    wide = np.empty(3, F4)
    assert p(*arrays, slope=0.1, out=wide) is wide
    assert_same_bits(wide, got.astype(F4))
    assert p(*arrays, slope=0.1, dtype=F8).dtype == F8
    if p.kind == "backward":
        assert p(x, x.astype(F4)).dtype == F4
        with pytest.raises(ValueError, match=f"{p}: dy is an integer of 1329 bits"):
            p(10**400, x)
        with np.errstate(all="raise"):  # beyond bfloat16
            assert p(3.4e38, x).dtype == p(1e39, x).dtype == bfloat16
    if p.slope:
        with np.errstate(all="raise"):  # beyond float32, the common type
            assert not NUMPY_2 or p(1e39, *[x] * (len(arrays) - 1), slope=np.array(0.5, F4)).dtype == F4
        with pytest.raises(ValueError, match=f"{p}: {p.arguments[0]} is an integer of 1329 bits"):
            p(10**400, *[x] * (len(arrays) - 1), slope=np.array(0.5, bfloat16))
    with pytest.raises(TypeError, match=r"complex64.*bfloat16"):
        p(*[np.ones(3, "c8")] * len(arrays))
    if p.slope:
        with pytest.raises(ValueError, match="finite in bfloat16"):
            p(*arrays, slope=1e39)
        assert p(*arrays, slope=np.array(0.5, bfloat16)).dtype == bfloat16


@pytest.mark.parametrize("p", [p for p in PASSES if p.kind == "backward"], ids=str)
def test_python_numbers_are_weak(p):
    """A float and an int for dy and y beside float16, bfloat16 and float32: the array's type; past its range infinite,
    and no floating-point error (warnings are errors here, too)."""
    for dtype in (HALF, F4, *([bfloat16_dtype()] if importlib.util.find_spec("ml_dtypes") else [])):
        x = np.array([0.25, 0.5, 0.75], dtype)
        for number in (0.5, 2, 1e39, 10**39) if NUMPY_2 else (0.5, 2):
            with np.errstate(all="ignore"):
                full = np.full(3, number, F4).astype(dtype)
            with np.errstate(all="raise"):
                assert_same_bits(p(number, x), p(full, x))
                assert_same_bits(p(x, number), p(x, full))
                if p.slope:
                    assert_same_bits(p(x, number, slope=x[1]), p(x, full, slope=x[1]))


@installed("ml_dtypes")
@each_pass
@pytest.mark.parametrize("kind", ["?", "b", "h", "e", "f"])
def test_out_of_bfloat16_leaves_later_calls_alone(p, kind):
    """5 types: the result is that without out, cast; and the next call on the type is as it was before."""
    arrays = [np.array([0, 1, 1], kind)] * len(p.arguments)
    want = p(*arrays)
    out = np.empty(3, bfloat16_dtype())
    for given in (out, (out,)):
        assert p(*arrays, out=given) is out
        assert_same_bits(out, want.astype(out.dtype))
        assert_same_bits(p(*arrays), want)


@installed("ml_dtypes")
@each_pass
@pytest.mark.parametrize("name", ["float8_e5m2", "float8_e4m3fn", "float8_e3m4", "int4", "uint2"])
def test_other_types_of_ml_dtypes(p, name):
    """5 types that NumPy would cast without a loss: arrays, scalars, each argument; TypeError, out as it was."""
    ml_dtypes = importlib.import_module("ml_dtypes")
    other = np.ones(3).astype(getattr(ml_dtypes, name))
    fine = np.ones(3, F4)
    for value in (other, other[0]):
        for index, argument in enumerate(p.arguments):
            arrays = [fine] * len(p.arguments)
            arrays[index] = value
            out = np.full(3, 7, F4)
            with pytest.raises(TypeError, match=f"^{p}: {argument} has dtype {name}; wanted float16"):
                p(*arrays, out=out)
            assert (out == 7).all()


@installed("ml_dtypes")
def test_importing_imports_no_ml_dtypes():
    """A fresh Python: fastact leaves ml_dtypes alone, and takes its arrays when it is imported afterwards."""
    script = (
        "import sys, fastact; assert 'ml_dtypes' not in sys.modules; import ml_dtypes, numpy as np; "
        "x = np.ones(3, ml_dtypes.bfloat16); assert fastact.relu(x).dtype == x.dtype; "
        "assert fastact.ufuncs.tanh(x).dtype == x.dtype"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


class Tagged(np.ndarray):
    """A subclass that carries something of its own."""

    def __array_finalize__(self, source):
        self.tag = getattr(source, "tag", None)


@each_pass
def test_subclass(p):
    """A subclass comes back as itself with what it carries, as a plain array with subok=False; `out` may be one."""
    x = np.array([0.25, 0.5, 0.75], F4).view(Tagged)
    x.tag = "kept"
    arrays = [x] * len(p.arguments)
    plain = p(*(np.asarray(a) for a in arrays))
    got = p(*arrays)
    assert type(got) is Tagged and got.tag == "kept"
    assert_same_bits(np.asarray(got), plain)
    assert type(p(*arrays, subok=False)) is np.ndarray
    out = np.zeros(3, F4).view(Tagged)
    assert p(*arrays, out=out) is out
    assert_same_bits(np.asarray(out), plain)


@each_pass
def test_masked_array(p):
    """The mask is kept and the visible values are right."""
    x = np.ma.array([0.25, 0.5, 0.75, 0.1], mask=[0, 1, 0, 0], dtype=F4)
    got = p(*[x] * len(p.arguments))
    assert isinstance(got, np.ma.MaskedArray)
    np.testing.assert_array_equal(np.ma.getmaskarray(got), x.mask)
    np.testing.assert_array_equal(got.compressed(), p(*[x.compressed()] * len(p.arguments)))


@each_pass
def test_memmap(p, tmp_path, rng):
    """A file's array as input and as `out`: the file holds the result; a read-only map is refused."""
    (x,) = points(next(q for q in PASSES if q.name == "tanh"), F4, 1000, rng)
    x = np.abs(np.nan_to_num(x, nan=1, posinf=1, neginf=0)).clip(0, 1)
    path = tmp_path / "x.bin"
    x.tofile(path)
    mapped = np.memmap(path, F4, "r+")
    arrays = [mapped] * len(p.arguments)
    want = p(*[x] * len(p.arguments))
    assert_same_bits(np.asarray(p(*arrays)), want)
    assert p(*arrays, out=mapped) is mapped
    mapped.flush()
    assert np.fromfile(path, F4).tobytes() == want.tobytes()
    locked = np.memmap(path, F4, "r")
    with pytest.raises(ValueError, match="read-only"):
        p(*[locked] * len(p.arguments), out=locked)


class Recorder:
    """An array type of another library: NumPy must hand it the call."""

    __array_priority__ = 100

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return ufunc.__name__, method, len(inputs), sorted(options)


@each_pass
def test_array_ufunc(p):
    """An object with __array_ufunc__, as any input or as out, gets the ufunc, with only the options given."""
    mine = Recorder()
    x = np.ones(3, F4)
    n = len(p.arguments)
    inputs = n + p.slope
    for k in range(n):
        arrays = [mine if j == k else x for j in range(n)]
        assert p(*arrays) == (p.name, "__call__", inputs, [])
        assert p(*arrays, where=x > 0) == (p.name, "__call__", inputs, ["where"])
    assert p(*[x] * n, out=mine) == (p.name, "__call__", inputs, ["out"])
    if p.slope:
        assert p(*[x] * n, slope=mine) == (p.name, "__call__", inputs, [])


class Overriding(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if len({np.shape(value) for value in inputs[:2]} - {()}) > 1:
            raise ValueError("my own words")
        return ufunc.__name__, sorted(options)


@each_pass
def test_subclass_with_an_array_ufunc(p):
    """A subclass of ndarray that overrides __array_ufunc__ gets the call whatever it holds, and its errors arrive."""
    n = len(p.arguments)
    for values in (np.ones(3, F4), np.ones(3, "c8"), np.array(["a", None, 3], object), np.ones(3, "m8[s]")):
        assert p(*[values.view(Overriding)] * n) == (p.name, [])
    assert p(*[np.ones(3)] * n, out=np.ones(3).view(Overriding)) == (p.name, ["out"])
    if n == 2:
        with pytest.raises(ValueError, match=r"^my own words$"):
            p(np.ones(3, F4).view(Overriding), np.ones(4, F4))


class Refuser:
    __array_ufunc__ = None


@each_pass
def test_array_ufunc_none(p):
    """__array_ufunc__ = None means no: TypeError."""
    with pytest.raises(TypeError):
        p(*[Refuser()] * len(p.arguments))


class ArrayLike:
    def __array__(self, dtype=None, copy=None):
        return np.array([0.25, 0.5], F4 if dtype is None else dtype)


@each_pass
def test_array_method_and_buffer(p):
    """Objects with __array__, and buffers (array.array, memoryview): read as the arrays they are."""
    want = p(*[np.array([0.25, 0.5], F4)] * len(p.arguments))
    assert_same_bits(p(*[ArrayLike()] * len(p.arguments)), want)
    assert_same_bits(p(*[memoryview(np.array([0.25, 0.5], F4))] * len(p.arguments)), want)


class Exporter:
    """An array that speaks DLPack only."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@each_pass
def test_out_in_the_memory_of_others(p):
    """DLPack, array.array and memoryview as out, DLPack as input: the memory is written, `out` comes back."""
    x = np.array([0.25, 0.5, 0.75], F4)
    arrays = [x] * len(p.arguments)
    want = p(*arrays)
    assert_same_bits(p(*[Exporter(x)] * len(arrays)), want)
    kinds = [Exporter, memoryview, lambda target: array.array("f", target.tobytes())]
    for kind in kinds if NUMPY_2 else kinds[1:]:
        target = np.zeros(3, F4)
        out = kind(target)
        assert p(*arrays, out=out) is out
        assert_same_bits(np.frombuffer(out, F4) if isinstance(out, array.array) else target, want)
    mine = Exporter(x.copy())
    if NUMPY_2:
        p(*[mine] * len(arrays), out=mine)
        assert_same_bits(mine.array, want)
    else:
        with pytest.raises(ValueError, match="out is read-only"):
            p(*arrays, out=mine)
    target = np.zeros(3, F4)
    target.flags.writeable = False
    for out in (memoryview(target), bytes(12)):
        with pytest.raises(ValueError, match="out is read-only"):
            p(*arrays, out=out)
    assert not target.any()
    with pytest.raises(ValueError, match=r"out has shape \(2,\)"):
        p(*arrays, out=memoryview(np.zeros(2, F4)))


@installed("torch")
@each_pass
def test_torch(p):
    """A tensor on the CPU, whole and strided, is changed in place; one that requires a gradient is refused."""
    import torch

    start = np.array([0.25, 0.5, 0.75, 1.0], F4)
    want = p(*[start] * len(p.arguments))
    tensor = torch.from_numpy(start.copy())
    assert p(*[tensor] * len(p.arguments), out=tensor) is tensor
    assert_same_bits(tensor.numpy(), want)
    tensor = torch.from_numpy(start.copy())
    every_other = tensor[::2]
    p(*[every_other] * len(p.arguments), out=every_other)
    assert tensor.tolist() == [want[0], start[1], want[2], start[3]]
    learned = torch.zeros(4, requires_grad=True)
    with pytest.raises(TypeError, match=r"out must be a NumPy array.*Tensor.*grad"):
        p(*[start] * len(p.arguments), out=learned)
    assert not learned.detach().any()


@installed("pandas")
@each_pass
def test_pandas(p):
    """A Series and a DataFrame keep index, columns and name."""
    import pandas as pd

    series = pd.Series(np.array([0.25, 0.5], F4), index=["a", "b"], name="s")
    got = p(*[series] * len(p.arguments))
    assert isinstance(got, pd.Series) and list(got.index) == ["a", "b"] and got.name == "s"
    frame = pd.DataFrame({"u": [0.25, 0.5], "v": [0.1, 0.9]}, index=[3, 4])
    got = p(*[frame] * len(p.arguments))
    assert isinstance(got, pd.DataFrame) and list(got.columns) == ["u", "v"] and list(got.index) == [3, 4]
    assert_same_bits(got.to_numpy(), np.array(p(*[frame.to_numpy()] * len(p.arguments))))


@installed("xarray")
@each_pass
def test_xarray(p):
    """Dimensions and coordinates are kept."""
    import xarray as xr

    array = xr.DataArray(np.array([[0.25, 0.5]], F4), dims=("r", "c"), coords={"c": [7, 8]})
    got = p(*[array] * len(p.arguments))
    assert isinstance(got, xr.DataArray) and got.dims == ("r", "c") and list(got.c) == [7, 8]
    assert_same_bits(got.to_numpy(), p(*[array.to_numpy()] * len(p.arguments)))


@installed("dask")
@each_pass
def test_dask(p):
    """Lazy, chunk by chunk, the same bits."""
    da = pytest.importorskip("dask.array")
    x = np.linspace(0, 1, 1000, dtype=F4)
    lazy = p(*[da.from_array(x, chunks=130)] * len(p.arguments))
    assert isinstance(lazy, da.Array) and lazy.dtype == F4
    assert_same_bits(lazy.compute(), p(*[x] * len(p.arguments)))


@pytest.mark.parametrize("p", [p for p in PASSES if p.slope], ids=str)
def test_slopes_beside_other_libraries(p):
    """A Python slope leaves pandas' and xarray's float32 alone, columns of several types included; slopes of theirs
    that are not finite, or negative in the backward pass, are refused; Dask's are not computed to be checked."""
    pandas = pytest.importorskip("pandas", reason="pandas' arrays are tested with it")
    xarray = pytest.importorskip("xarray", reason="xarray's arrays are tested with it")
    array = pytest.importorskip("dask.array", reason="Dask's arrays are tested with it")
    values = np.array([0.5, -2], F4)
    n = len(p.arguments)
    with np.errstate(all="raise"):
        for slope in ({}, {"slope": 0.25}, {"slope": 2}):
            want = p(*[values] * n, **slope)
            assert_same_bits(p(*[pandas.Series(values)] * n, **slope).to_numpy(), want)
            assert_same_bits(p(*[pandas.DataFrame({"a": values})] * n, **slope)["a"].to_numpy(), want)
            assert_same_bits(p(*[xarray.Dataset({"a": ("x", values)})] * n, **slope)["a"].to_numpy(), want)
            got = p(*[pandas.Series(values, dtype="Float32")] * n, **slope)
            assert str(got.dtype) == "Float32" and got.tolist() == want.tolist()
    mixed = pandas.DataFrame({"a": values, "b": values.astype(F8)})
    assert p(*[mixed] * n, slope=0.25)["b"].tolist() == p(*[values.astype(F8)] * n, slope=0.25).tolist()
    for make in (pandas.Series, xarray.DataArray, list, memoryview):
        with pytest.raises(ValueError, match=f"{p}: negative_slope must be finite in float64, got an array with NaN"):
            p(*[values] * n, slope=make(np.array([0.5, np.nan])))
        if p.kind == "backward":
            with pytest.raises(ValueError, match=f"{p}: negative_slope must not be negative, got from -0.5 to 0.25"):
                p(*[values] * n, slope=make(np.array([-0.5, 0.25])))
    lazy = p(*[values] * n, slope=array.from_array(np.array([0.5, np.nan], F4)))
    assert isinstance(lazy, array.Array)


def test_array_is_asked_for_once():
    """An object whose __array__ gives another slope every time: what was checked is what is computed with."""
    class Changing:
        slopes = iter([0.5, np.nan, np.nan])

        def __array__(self, dtype=None, copy=None):
            return np.array(next(self.slopes))

    assert fastact.leaky_relu(np.array([-2.0]), Changing()).tolist() == [-1.0]


@each_pass
def test_out_of_ellipsis_none_and_tuples(p):
    """out=... gives an array where a scalar would come back (NumPy from 2.3 on); out=None with where= does not warn;
    (out,) is out, a tensor as well."""
    n = len(p.arguments)
    if np.lib.NumpyVersion(np.__version__) >= "2.3.0":
        assert_same_bits(p(*[0.5] * n, out=...), np.array(p(*[0.5] * n)))
        assert isinstance(p(*[0.5] * n, out=...), np.ndarray)
    else:
        with pytest.raises(TypeError, match="out must be a NumPy array, got ellipsis"):
            p(*[0.5] * n, out=...)
    x = np.full(3, 0.5, F4)
    mask = np.array([True, False, True])
    for out in (None, (None,)):
        assert_same_bits(p(*[x] * n, out=out, where=mask)[mask], p(*[x] * n)[mask])
    room = array.array("f", [7, 7, 7])
    assert p(*[x] * n, out=(room,)) is room
    assert np.asarray(room).tobytes() == p(*[x] * n).tobytes()


@each_pass
def test_signature_and_docstring(p):
    """12 signatures as the contract states them, then the ufunc options by keyword; a docstring that help() shows."""
    signature = inspect.signature(p.function)
    names = [*p.arguments, *(["negative_slope"] if p.slope else []), "out"]
    assert list(signature.parameters)[: len(names)] == names
    assert signature.parameters["out"].default is None
    if p.slope:
        assert signature.parameters["negative_slope"].default == 0.01
    options = {"where": True, "dtype": None, "casting": "same_kind", "order": "K", "subok": True}
    rest = {name: a for name, a in signature.parameters.items() if name not in names}
    assert {name: a.default for name, a in rest.items()} == options
    assert all(a.kind is a.KEYWORD_ONLY for a in rest.values())
    assert p.function.__name__ == p.name and p.function.__module__.startswith("fastact")
    for section in ("Parameters", "Returns", "Raises", "Examples"):
        assert section in p.function.__doc__
    assert p.name in pydoc.render_doc(p.function)
    assert p.name in fastact.__all__


@pytest.mark.parametrize("dtype", [HALF, F4, F8], ids=str)
@pytest.mark.parametrize("p", [p for p in PASSES if p.kind == "backward" and not p.slope], ids=str)
def test_methods_of_the_ufuncs(p, dtype, rng):
    """reduce, accumulate, reduceat, at and outer of the two-input passes, 1,000 elements, both axes of 10 by 100: what
    one call an element gives."""
    ufunc = getattr(ufuncs, p.name)
    x = rng.uniform(-1, 1, 1000).astype(dtype)
    grid, rows = x.reshape(10, 100), [0, 5, 700]

    def accumulate(column):
        total = [column[0]]
        for value in column[1:]:
            total.append(ufunc(total[-1], value))
        return np.array(total, dtype)

    assert_same_bits(ufunc.accumulate(x), accumulate(x))
    assert_same_bits(ufunc.accumulate(x[::-3]), accumulate(x[::-3]))
    assert_same_bits(ufunc.reduceat(x, rows), np.array([accumulate(part)[-1] for part in np.split(x, rows[1:])]))
    for axis in (0, 1):
        want = np.apply_along_axis(accumulate, axis, grid)
        assert_same_bits(ufunc.accumulate(grid, axis=axis), want)
        assert_same_bits(ufunc.reduce(grid, axis=axis), np.ascontiguousarray(want.take(-1, axis)))
    assert_same_bits(ufunc.outer(x, x[:7]), ufunc(x[:, None], x[:7]))
    places, want = [1, 1, 1, 2, 5, 5], x.copy()
    for place in places:
        want[place] = ufunc(want[place], x[-1])
    ufunc.at(x, places, x[-1])
    assert_same_bits(x, want)


@each_pass
def test_errors_of_other_libraries_arrive_unchanged(p):
    """An array type whose __array_ufunc__ refuses: its own error, not ours."""

    class Refusing:
        def __array_ufunc__(self, *arguments, **keywords):
            raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        p(*[Refusing() for _ in p.arguments])


def test_masked_slopes_that_are_not_finite_are_not_looked_at():
    slopes = np.ma.masked_array([np.nan, 0.5], mask=[True, False])
    result = fastact.leaky_relu(np.array([-2.0, -2.0]), slopes)
    assert result.mask.tolist() == [True, False]
    assert result[1] == -1.0
