"""Bad input: the error names the argument, what came and what was wanted, and `out` keeps every byte."""

import importlib.util
import re

import numpy as np
import pytest
from passes import F4, F8, each_dtype, each_pass


def inputs(p, dtype=F4, shape=(2, 3)):
    return [np.full(shape, 0.5, dtype) for _ in p.arguments]


def refused(error, words, p, *arrays, out=None, **keywords):
    """The call raises `error` with every one of `words` in its message, and `out` stays as it is."""
    before = out.tobytes() if isinstance(out, np.ndarray) else None
    with pytest.raises(error) as caught:
        p(*arrays, out=out, **keywords)
    message = str(caught.value)
    assert p.name in message, message
    for word in words:
        assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message), (word, message)
    if before is not None:
        assert out.tobytes() == before


@each_dtype
@each_pass
def test_out_of_the_wrong_shape(p, dtype):
    """7 shapes that cannot take a (2, 3) result: ValueError with both shapes."""
    for shape in [(3,), (2, 1), (3, 2), (2, 4), (6,), (), (0,)]:
        refused(ValueError, ["out", str(shape).strip("()"), "2, 3"], p, *inputs(p, dtype), out=np.full(shape, 7, dtype))


@each_dtype
@each_pass
def test_out_read_only(p, dtype):
    """Whole, strided, and the input itself: ValueError."""
    arrays = inputs(p, dtype)
    for out in (np.full((2, 3), 7, dtype), np.full((2, 6), 7, dtype)[:, ::2], arrays[0]):
        out.flags.writeable = False
        refused(ValueError, ["out", "read-only"], p, *arrays, out=out)


@each_pass
def test_out_of_a_type_that_cannot_hold_it(p):
    """3 types: TypeError with the type that came and the result's type. Narrower floats pass, as in NumPy."""
    for dtype in ("int64", "bool", "uint8"):
        refused(TypeError, ["out", dtype, "float32"], p, *inputs(p), out=np.full((2, 3), 1, dtype))
    refused(TypeError, ["out", "float32", "float64"], p, *inputs(p, F8), out=np.full((2, 3), 7, F4), casting="safe")
    out = np.zeros((2, 3), F4)
    assert p(*inputs(p, F8), out=out) is out
    np.testing.assert_array_equal(out, p(*inputs(p, F8)).astype(F4))


@each_pass
def test_out_is_not_an_array(p):
    """A list, a number, a string: TypeError naming out and the type that came."""
    for out in ([0.0, 0.0], 1.0, "out"):
        refused(TypeError, ["out", type(out).__name__], p, *inputs(p), out=out)


WRONG = [
    np.array([1j]), np.array([1], object), np.array(["1"]), np.array([b"1"]), np.array([1], "m8[s]"),
    np.array(["2020"], "M8[Y]"), np.zeros(1, "V4"),
]  # fmt: skip
if np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant:
    WRONG.append(np.zeros(1, np.longdouble))


@each_pass
@pytest.mark.parametrize("bad", WRONG, ids=lambda a: a.dtype.kind + str(a.dtype.itemsize))
def test_inputs_of_the_wrong_type(p, bad):
    """8 types for each argument: TypeError naming the argument, the type that came and the types that are taken."""
    for k, name in enumerate(p.arguments):
        arrays = inputs(p, shape=(1,))
        arrays[k] = bad
        refused(TypeError, [name, "float32", "float64"], p, *arrays, out=np.full(1, 7, F4))
        refused(TypeError, [name, bad.dtype.name if bad.dtype.kind in "cOg" else name], p, *arrays)
        if bad.dtype.kind != "f":  # of a long double it is a cast like any other
            refused(TypeError, [name, "float32", "float64"], p, *arrays, casting="unsafe")
            arrays[k] = bad.tolist()  # in a list
            if bad.dtype.kind not in "VO":
                refused(TypeError, [name, "float32", "float64"], p, *arrays, dtype=F4, casting="unsafe")


@each_pass
def test_scalars_of_the_wrong_type(p):
    """None, a string, a complex number, a dict, for each argument: TypeError."""
    for k, name in enumerate(p.arguments):
        refused(TypeError, [name], p, *(1j if i == k else a for i, a in enumerate(inputs(p))), casting="unsafe")
        for bad in (None, "abc", 1j, {}):
            arrays = inputs(p)
            arrays[k] = bad
            refused(TypeError, [name], p, *arrays, out=np.full((2, 3), 7, F4))


@each_pass
def test_shapes_that_do_not_broadcast(p):
    """dy (2, 3) with y (4,), and slopes of 4: ValueError with the names and shapes."""
    if len(p.arguments) == 2:
        dy, y = np.ones((2, 3), F4), np.ones(4, F4)
        refused(ValueError, ["dy", "y", "2, 3", "4,"], p, dy, y)
        refused(ValueError, ["dy", "y", "2, 3", "4,"], p, dy, y, out=np.full((2, 3), 7, F4))
    if p.slope:
        out = np.full((2, 3), 7, F4)
        refused(ValueError, ["negative_slope", "2, 3", "4,"], p, *inputs(p), slope=np.ones(4, F4), out=out)
        for bad in ("abc", None, 1j, np.array([1j]), {}):
            with pytest.raises(TypeError, match="negative_slope"):
                p.function(*inputs(p), negative_slope=bad)


@each_pass
def test_arguments_missing_unknown_or_too_many(p):
    """None given, one of two given, an unknown keyword, one too many: TypeError with the name where there is one."""
    with pytest.raises(TypeError):
        p.function()
    if len(p.arguments) == 2:
        with pytest.raises(TypeError, match=r"\by\b|2"):
            p.function(np.ones(3, F4))
    with pytest.raises(TypeError, match="no_such_argument"):
        p(*inputs(p), no_such_argument=1)
    with pytest.raises(TypeError):
        p.function(*inputs(p), *([0.1] if p.slope else []), None, None, None)


@each_pass
def test_bad_options(p):
    """casting, order and dtype that mean nothing: an error, and out untouched."""
    for options in ({"casting": "no such"}, {"order": "Z"}, {"dtype": "int32"}, {"dtype": complex}):
        out = np.full((2, 3), 7, F4)
        with pytest.raises((TypeError, ValueError)):
            p(*inputs(p), out=out, **options)
        assert (out == 7).all()
    with pytest.raises(TypeError):
        p(*inputs(p, F8), dtype=F4, casting="safe")
    for dtype in (complex, object, "U5", "f4,f4", "m8[s]", "int8", "no such", np.dtypes.Complex64DType):
        refused(TypeError, ["dtype", "float32", "float64"], p, *inputs(p), dtype=dtype)
    assert p(*inputs(p), dtype=np.dtypes.Float64DType).dtype == F8
    for subok in ("no such", None, 1):
        with pytest.raises(TypeError, match="subok"):
            p(*inputs(p), subok=subok)


@each_pass
def test_where_of_the_wrong_shape_or_type(p):
    """A mask of integers and one that does not broadcast: an error that says so, and out untouched."""
    out = np.full((2, 3), 7, F4)
    refused(TypeError, ["where", "int8", "bool"], p, *inputs(p), out=out, where=np.ones((2, 3), "i1"))
    refused(ValueError, ["where", "4,", "2, 3"], p, *inputs(p), out=out, where=np.ones(4, bool))


@each_pass
def test_what_cannot_be_made_an_array(p):
    """Ragged lists, an object whose __array__ fails, tensors that require a gradient or hold a type that NumPy does not
    know: the argument, its type and the cause are named; so for the slope."""
    class Failing:
        def __array__(self, dtype=None, copy=None):
            raise ValueError("my own words")

    bad = [(ValueError, [[1.0], [2.0, 3.0]], "regular"), (ValueError, Failing(), "my own words")]
    if importlib.util.find_spec("torch"):
        import torch

        bad += [(TypeError, torch.ones(3, requires_grad=True), "requires grad"),
                (TypeError, torch.ones(3, dtype=torch.bfloat16), "BFloat16")]  # fmt: skip
        negative = torch.tensor([1 + 1j]).conj().imag
        refused(TypeError, ["out", "Tensor", "negative"], p, *inputs(p, shape=1), out=negative)
    for error, value, words in bad:
        for k, name in enumerate(p.arguments):
            arrays = inputs(p)
            arrays[k] = value
            refused(error, [name, type(value).__name__, words], p, *arrays)
        if p.slope:
            refused(error, ["negative_slope", type(value).__name__, words], p, *inputs(p), slope=value)
