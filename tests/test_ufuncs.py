"""`fastact.ufuncs`: the passes as the ufunc objects that NumPy, Dask and others look for."""

import concurrent.futures
import copy
import importlib.util
import multiprocessing
import pickle
import pickletools
import sys
import types

import numpy as np
import pytest
from passes import F4, F8, PASSES, assert_same_bits, each_dtype, each_pass

import fastact
from fastact import ufuncs


@pytest.fixture
def arrays(request, rng):
    """The inputs of a ufunc, 12 elements each, the slope among them."""
    p = request.getfixturevalue("p")
    return [rng.uniform(0.1, 0.9, 12).astype(F4) for _ in range(ufunc_of(p).nin)]


def ufunc_of(p):
    return getattr(ufuncs, p.name)


def of_function(p, arrays):
    """What the function of the same name gives."""
    return p(*arrays[: len(p.arguments)], slope=arrays[-1] if p.slope else None)


@each_pass
def test_attributes(p):
    """12 ufuncs: type, name, numbers of arguments, loops; those named in __all__."""
    ufunc = ufunc_of(p)
    nin = len(p.arguments) + p.slope
    assert type(ufunc) is np.ufunc
    assert (ufunc.__name__, ufunc.nin, ufunc.nout, ufunc.nargs) == (p.name, nin, 1, nin + 1)
    assert ufunc.types == [f"{kind * nin}->{kind}" for kind in "efd"]
    assert ufunc.identity is None and ufunc.signature is None
    assert p.name in ufuncs.__all__
    assert ufunc.resolve_dtypes((F4,) * nin + (None,)) == (F4,) * (nin + 1)


@each_pass
def test_docstring(p):
    """The summary is the function's, and every argument is described."""
    doc = ufunc_of(p).__doc__
    assert doc.startswith(f"{p.name}(x")
    assert doc.split("\n")[2] == p.function.__doc__.split("\n")[0]
    names = [*p.arguments, *["negative_slope"] * p.slope]
    wanted = ["x : array_like"] if names == ["x"] else [
        f"x{number} : array_like\n    {name}. " for number, name in enumerate(names, start=1)]  # fmt: skip
    assert all(f"\n{text}" in doc for text in wanted)
    assert f"fastact.{p.name}" in doc


@each_dtype
@each_pass
def test_values(p, dtype, rng):
    """The bits of the function of the same name: contiguous, strided, in place, where, 1,000 elements."""
    ufunc = ufunc_of(p)
    arrays = [rng.uniform(0.1, 0.9, 1000).astype(dtype) for _ in range(ufunc.nin)]
    want = of_function(p, arrays)
    assert_same_bits(ufunc(*arrays), want)
    assert_same_bits(ufunc(*(a[::-3] for a in arrays)), want[::-3])
    out = arrays[0].copy()
    assert ufunc(out, *arrays[1:], out=out) is out
    assert_same_bits(out, want)
    half = np.arange(1000) % 2 == 0
    out = np.zeros(1000, dtype)
    ufunc(*arrays, out=out, where=half)
    assert_same_bits(out, np.where(half, want, dtype.type(0)))


@each_pass
def test_slope_is_by_position_and_has_no_default(p):
    if not p.slope:
        pytest.skip("no slope")
    ones = [np.ones(3)] * len(p.arguments)
    with pytest.raises(TypeError):
        ufunc_of(p)(*ones)
    with pytest.raises(TypeError):
        ufunc_of(p)(*ones, negative_slope=0.1)
    ufunc_of(p)(*ones, -1.0)  # nor is it checked


@each_pass
def test_in_numpys_tools(p, arrays):
    """np.vectorize, np.frompyfunc, apply_along_axis, map, np.testing, dtype= and signature=."""
    ufunc, want = ufunc_of(p), of_function(p, arrays)
    as_python_floats = ufunc(*(a.astype(F8) for a in arrays))  # what those two hand on
    assert_same_bits(np.vectorize(ufunc, otypes=[F8])(*arrays), as_python_floats)
    assert_same_bits(np.frompyfunc(ufunc, ufunc.nin, 1)(*arrays).astype(F8), as_python_floats)
    first, *rest = arrays
    got = np.apply_along_axis(ufunc, 1, first.reshape(3, 4), *(a[:4] for a in rest))
    assert_same_bits(got, ufunc(first.reshape(3, 4), *(a[:4] for a in rest)))
    np.testing.assert_array_equal(list(map(ufunc, *arrays)), want)
    np.testing.assert_array_max_ulp(ufunc(*arrays), want, maxulp=0)
    assert ufunc(*arrays, dtype=F8).dtype == F8
    assert ufunc(*arrays, signature="d" * ufunc.nin + "->d").dtype == F8


@each_pass
def test_methods(p, arrays):
    """`at` and `outer`; `reduce` where there are two inputs (more of it in test_numpy_protocol.py)."""
    ufunc, (first, *rest) = ufunc_of(p), arrays
    if ufunc.nin > 2:
        with pytest.raises(ValueError):
            ufunc.reduce(first)
        return
    changed, places = first.copy(), [0, 3, 5]
    ufunc.at(changed, places, *(a[:3] for a in rest))
    want = first.copy()
    want[places] = ufunc(first[places], *(a[:3] for a in rest))
    assert_same_bits(changed, want)
    if ufunc.nin == 2:
        assert_same_bits(ufunc.outer(*arrays), ufunc(first[:, None], rest[0]))
        assert ufunc.reduce(first) == ufunc.accumulate(first)[-1]


PICKLED = [*(getattr(ufuncs, p.name) for p in PASSES), *(p.function for p in PASSES)]
each_pickled = pytest.mark.parametrize("f", PICKLED, ids=lambda f: f"{type(f).__name__}-{f.__name__}")


@each_pickled
def test_pickle_and_copy(f):
    """12 ufuncs and 12 functions, all protocols: the same object comes back; as part of something, too."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(f, protocol)) is f
    assert copy.copy(f) is f
    assert copy.deepcopy({"f": [f]})["f"][0] is f


@each_pickled
def test_pickle_names_fastact(f, monkeypatch):
    """Not a module of the user's that imported it: that one may be missing where the pickle is read."""
    if isinstance(f, np.ufunc) and not hasattr(np.tanh, "__dict__"):
        pytest.skip("ufuncs of this NumPy cannot be told their module")
    mine = types.ModuleType("mine")
    setattr(mine, f.__name__, f)
    modules = {"mine": mine, **sys.modules}
    monkeypatch.setattr(sys, "modules", modules)
    names = [argument for _, argument, _ in pickletools.genops(pickle.dumps(f, 2)) if isinstance(argument, str)]
    assert names == [f"{'fastact.ufuncs' if isinstance(f, np.ufunc) else 'fastact.activations'} {f.__name__}"]


def test_processes(rng):
    """A ufunc and a function sent to a spawned process."""
    x = rng.normal(0, 3, 100).astype(F4)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        for f in (ufuncs.sigmoid, fastact.sigmoid):
            assert_same_bits(pool.submit(f, x).result(), fastact.sigmoid(x))


@pytest.mark.skipif(importlib.util.find_spec("dask") is None, reason="dask is not installed")
@each_pass
def test_dask(p, arrays):
    """elemwise, map_blocks, apply_gufunc and the ufunc itself: lazy, the same bits; a token that stays."""
    da = pytest.importorskip("dask.array")
    from dask.base import tokenize

    ufunc, want = ufunc_of(p), of_function(p, arrays)
    lazy = [da.from_array(a, chunks=5) for a in arrays]
    core = ",".join("()" for _ in arrays)
    for got in (
        ufunc(*lazy),
        da.map_blocks(ufunc, *lazy, dtype=F4),
        da.apply_gufunc(ufunc, f"{core}->()", *lazy, output_dtypes=F4),
        da.core.elemwise(ufunc, *lazy),
    ):
        assert isinstance(got, da.Array)
        assert_same_bits(got.compute(scheduler="threads"), want)
    assert tokenize(ufunc) == tokenize(ufunc) != tokenize(ufuncs.sigmoid if p.name != "sigmoid" else ufuncs.tanh)
