"""The fused passes of fastact.nn beside the formulas in float64, at every instruction set, and their bits beside each
other."""

import hashlib
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

import fastact
from fastact import _reference
from fastact.nn import _fused

TESTS = Path(__file__).parent
HASH = f"import sys; sys.path.insert(0, {str(TESTS)!r}); from test_nn_fused import print_hashes; print_hashes()"
SHAPES = [(1, 1), (5, 1), (0, 3), (3, 10), (7, 33), (2, 4099), (300, 64), (1, 9000), (130, 257)]
PLAIN = [None, "sigmoid", "tanh", "relu"]
ACTIVATIONS = [*((name, None) for name in PLAIN), *(("leaky_relu", slope) for slope in (0, 0.3, 1))]
UPDATES = {
    "sgd": ({"rate": 0.1}, 0),
    "momentum": ({"rate": 0.1, "momentum": 0.9}, 1),
    "nesterov": ({"rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2}, 1),
    "adagrad": ({"rate": 0.1, "epsilon": 1e-3}, 1),
    "rmsprop": ({"rate": 0.1, "rho": 0.7, "momentum": 0.0, "epsilon": 1e-3}, 1),
    "rmsprop with momentum": ({"rate": 0.1, "rho": 0.7, "momentum": 0.9, "epsilon": 1e-3}, 2),
    "adam": (
        {"rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "root_correction": 1.5, "epsilon": 1e-3, "kept": 0.9}, 2
    ),
}  # fmt: skip
DTYPES = [np.float32, np.float64]
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def slopes(kind, columns, dtype):
    """No slope, one for all (0 or 0.3), or one a column, of which one is 0."""
    if kind is None:
        return None
    return np.linspace(0, 2, columns).astype(dtype) if kind == 1 else np.full(1, kind, dtype)


def bias_activation(activation, slope, Z, b):
    Z = Z.copy()
    _fused.bias_activation(activation, Z, b, slope)
    return Z


def backward_bias(activation, slope, dY, Y, in_place=True):
    dZ = dY.copy() if in_place else np.full_like(dY, np.nan)
    db = np.full(dY.shape[1], np.nan, dY.dtype)
    backward = activation and f"{activation}_backward"
    _fused.backward_bias(backward, dZ if in_place else dY, Y, dZ, db, slope)
    return dZ, db


def update(name, w, g, slots, **clipping):
    settings, count = UPDATES[name]
    w, slots = w.copy(), [slot.copy() for slot in slots[:count]]
    function = getattr(_fused, "sgd" if name in ("momentum", "nesterov") else name.split()[0])
    function(SimpleNamespace(steps=0), [(w, g, *slots)], _fused.Clipping(**clipping), **settings)
    return w, *slots


def updated(name, w, g, slots, scale=1.0, limit=np.inf):
    """The same in NumPy and float64."""
    settings, count = UPDATES[name]
    rate, epsilon, momentum = (settings.get(key, 0.0) for key in ("rate", "epsilon", "momentum"))
    g = np.clip(g * scale, -limit, limit)
    if name == "sgd":
        return (w - rate * g,)
    if name in ("momentum", "nesterov"):
        g = g + settings.get("weight_decay", 0.0) * w
        v = momentum * slots[0] + g
        return w - rate * (g + momentum * v if name == "nesterov" else v), v
    if name == "adagrad":
        s = slots[0] + g**2
        return w - rate * g / (np.sqrt(s) + epsilon), s
    if name == "adam":
        m, v = 0.8 * slots[0] + (1 - 0.8) * g, 0.9 * slots[1] + (1 - 0.9) * g**2
        return 0.9 * w - rate * m / (np.sqrt(v) * 1.5 + epsilon), m, v
    s = 0.7 * slots[0] + (1 - 0.7) * g**2
    direction = g / (np.sqrt(s) + epsilon)
    if count == 1:
        return w - rate * direction, s
    v = momentum * slots[1] + direction
    return w - rate * v, s, v


def parameters(shape, dtype):
    rng = np.random.default_rng(0)
    w, g, v, s = rng.standard_normal((4, *shape)).astype(dtype)
    return w, g, [np.abs(v), np.abs(s)]


@dtypes
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("activation", "kind"), ACTIVATIONS)
def test_rows(activation, kind, shape, dtype):
    rng = np.random.default_rng(0)
    Z, dY = rng.standard_normal((2, *shape)).astype(dtype)
    b = rng.standard_normal(shape[1]).astype(dtype)
    slope = slopes(kind, shape[1], dtype)
    arguments = [] if slope is None else [slope]
    Y = bias_activation(activation, slope, Z, b)
    # the pass itself, whose values have tests of their own, over what NumPy adds: the same bits
    wanted = Z + b if activation is None else getattr(fastact, activation)(Z + b, *arguments)
    np.testing.assert_array_equal(Y, wanted)
    wanted = dY if activation is None else getattr(_reference, f"{activation}_backward")(dY, Y, *arguments)
    for in_place in (True, False):
        dZ, db = backward_bias(activation, slope, dY, Y, in_place)
        np.testing.assert_allclose(dZ, wanted, rtol=2 * np.finfo(dtype).eps, atol=0)
        sums = np.sum(dZ, axis=0, dtype=np.float64)
        bound = np.sum(np.abs(dZ), axis=0, dtype=np.float64) * shape[0] * np.finfo(dtype).eps
        assert (np.abs(db - sums) <= bound).all()


@dtypes
@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("clipping", [{}, {"scale": 0.25}, {"scale": 2.0, "limit": 0.5}], ids=str)
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 11), (40_001,)])
def test_updates(name, clipping, shape, dtype):
    w, g, slots = parameters(shape, dtype)
    got = update(name, w, g, slots, **clipping)
    wanted = updated(name, *(np.float64(a) for a in (w, g, slots)), **clipping)
    for ours, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@dtypes
@pytest.mark.parametrize("shape", [(1, 1), (5, 2), (32, 10), (7, 16), (9, 37), (3, 9000), (500, 100)])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_cross_entropy(shape, weighted, dtype):
    rng = np.random.default_rng(0)
    Y = (rng.standard_normal(shape) * rng.choice([1, 10, 300], (shape[0], 1))).astype(dtype)
    labels = rng.integers(0, shape[1], shape[0])
    share = rng.random(shape[0]).astype(dtype) if weighted else 1 / shape[0]
    dY = np.full_like(Y, np.nan)
    value = _fused.softmax_cross_entropy(Y, labels, dY, share)
    exact = np.longdouble(Y)
    exact -= exact.max(axis=1, keepdims=True)
    softmax = np.exp(exact) / np.exp(exact).sum(axis=1, keepdims=True)
    one_hot = np.arange(shape[1]) == labels[:, np.newaxis]
    weights = np.broadcast_to(share, shape[0]).astype(np.longdouble)
    wanted = np.sum(weights * (np.log(np.exp(exact).sum(axis=1)) - exact[one_hot]))
    eps = float(np.finfo(dtype).eps)
    assert value == pytest.approx(float(wanted), rel=8 * eps, abs=8 * eps)
    gradient = weights[:, np.newaxis] * (softmax - one_hot)
    # the difference top - y is rounded, and exp turns that into a relative error; below exp(-85) float32 has 0
    relative = eps * (8 + np.abs(exact))
    bound = weights[:, np.newaxis] * (relative * softmax + eps * one_hot + (1e-36 if dtype == np.float32 else 1e-307))
    assert (np.abs(dY - gradient) <= bound).all()
    assert _fused.hits(Y, labels) == np.count_nonzero(Y.argmax(axis=1) == labels)


def test_hits_of_ties():
    """Of several largest elements the first is the guess."""
    Y = np.float32([[1, 3, 3], [1, 3, 3], [2, 2, 2], [0, 0, 1]])
    assert _fused.hits(Y, np.array([1, 2, 0, 2])) == 3


def test_an_update_is_of_all_parameters_and_counted():
    counter, first, second = SimpleNamespace(steps=7), np.ones(3), np.full((2, 2), 2, np.float32)
    _fused.sgd(counter, [(first, first.copy()), (second, second.copy())], _fused.Clipping(), 0.25)
    np.testing.assert_array_equal(first, 0.75)
    np.testing.assert_array_equal(second, 1.5)
    assert counter.steps == 8


def exact_loss(name, y, t):
    """The loss of an element and its derivative, by mpmath."""
    y, t = mpmath.mpf(float(y)), mpmath.mpf(float(t))
    if name == "mean_squared_error":
        return (y - t) ** 2, 2 * (y - t)
    return mpmath.log1p(mpmath.exp(y)) - t * y, 1 / (1 + mpmath.exp(-y)) - t


@dtypes
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["mean_squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 1), (3, 5), (2, 17), (1, 5000)], ids=str)
def test_elementwise_losses(name, shape, weighted, dtype):
    """Logits of all sizes; the targets of the second loss are 0, 1 and what lies between."""
    rng = np.random.default_rng(0)
    Y = (rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 2, shape)).astype(dtype)
    targets = rng.choice([0.0, 1.0, 0.3], shape).astype(dtype)
    shares = rng.random(shape[0]).astype(dtype) if weighted else np.full(shape[0], 1 / shape[0])
    dY = np.full(shape, np.nan, dtype)
    value = getattr(_fused, name)(Y, targets, dY, shares if weighted else 1 / shape[0])
    with mpmath.workdps(40):
        exact = np.vectorize(lambda y, t: exact_loss(name, y, t), otypes=[object, object])(Y, targets)
        share = shares.astype(float)[:, np.newaxis] / shape[1]
        wanted = float(np.sum(exact[0] * share))
        gradient = (exact[1] * share).astype(float)
    epsilon = float(np.finfo(dtype).eps)
    assert value == pytest.approx(wanted, rel=2 * epsilon)
    scale = np.maximum(np.abs(gradient), epsilon * share)  # sigmoid(y) - t may cancel
    error = np.abs(dY - gradient) / scale
    cancels = np.abs(gradient) < share / 8
    assert error[~cancels].max(initial=0) < 12 * epsilon
    assert np.abs(dY - gradient).max() < 4 * epsilon * np.abs(share).max() * (1 + np.abs(Y).max())


@dtypes
def test_a_small_cross_entropy_keeps_its_accuracy(dtype):
    """Of targets that the logits agree with: log(1 + e) is about e, of which 1 + e would leave nothing."""
    Y, dY = np.full((1, 1000), -50, dtype), np.empty((1, 1000), dtype)
    value = _fused.binary_cross_entropy(Y, np.zeros_like(Y), dY, 1.0)
    assert value == pytest.approx(math.exp(-50), rel=4 * float(np.finfo(dtype).eps))
    np.testing.assert_allclose(dY, math.exp(-50) / 1000, rtol=4 * float(np.finfo(dtype).eps))


@dtypes
def test_elementwise_losses_of_special_values(dtype):
    largest = np.finfo(dtype).max
    dY = np.empty((1, 3), dtype)
    with np.errstate(all="raise"):
        for value in (np.nan, np.inf, -np.inf):
            for loss in (_fused.mean_squared_error, _fused.binary_cross_entropy):
                assert not math.isfinite(loss(np.array([[0, value, 1]], dtype), np.ones((1, 3), dtype), dY, 1.0))
        assert _fused.binary_cross_entropy(np.array([[largest]]), np.ones((1, 1), dtype), dY[:, :1].copy(), 1.0) == 0
        if dtype == np.float32:  # whose squares float64 has room for
            value = _fused.mean_squared_error(np.full((1, 3), largest), np.zeros((1, 3), dtype), dY, 1.0)
            assert value == pytest.approx(float(largest) ** 2)


@dtypes
def test_binary_hits(dtype):
    Y = np.array([[1, -1, 0, np.nan, 2], [-2, 3, 1e-40, -0.0, -np.inf]], dtype)
    targets = np.array([[1, 0, 0, 0, 0.5], [1, 0.6, 1, 0, 1]], dtype)
    wanted = sum((y > 0) == (t > 0.5) for y, t in zip(Y.ravel().tolist(), targets.ravel().tolist(), strict=True))
    assert _fused.binary_hits(Y, targets) == wanted == 7


@dtypes
def test_all_finite(dtype):
    """Wherever the odd one stands."""
    assert _fused.all_finite(np.empty(0, dtype))
    for size in (1, 3, 16, 130, 1000):
        array = np.full(size, np.finfo(dtype).max)
        array[::2] *= -1
        with np.errstate(all="raise"):
            assert _fused.all_finite(array)
            for place in {0, size // 2, size - 1}:
                for value in (np.nan, np.inf, -np.inf):
                    kept, array[place] = array[place], value
                    assert not _fused.all_finite(array)
                    array[place] = kept


def test_are_labels():
    assert _fused.are_labels(np.array([0, 2, 1]), 3) and _fused.are_labels(np.empty(0, np.intp), 3)
    for array in (np.array([0, 3]), np.array([-1]), np.array([0.0]), np.array([0], np.int32), np.arange(4)[::2]):
        assert not _fused.are_labels(array, 3)


@dtypes
def test_special_values_stay(dtype):
    """NaN and infinities come out of sums, steps and losses; nothing warns."""
    odd = np.array([[np.nan, np.inf, -np.inf, 1.0, np.finfo(dtype).max]], dtype)
    with np.errstate(all="raise"):
        Y = bias_activation("relu", None, odd, np.ones(5, dtype))
        np.testing.assert_array_equal(Y[0, :4], [np.nan, np.inf, 0, 2])
        dZ, db = backward_bias("relu", None, odd, np.ones((1, 5), dtype))
        np.testing.assert_array_equal(dZ, odd)
        np.testing.assert_array_equal(db, odd[0])
        for limit, wanted in ((np.inf, odd[0]), (2.0, [np.nan, 2, -2, 1, 2])):
            w = np.zeros(5, dtype)
            _fused.sgd(SimpleNamespace(steps=0), [(w, odd[0])], _fused.Clipping(limit=limit), -1.0)
            np.testing.assert_array_equal(w, wanted)
        for scale, w in ((np.nan, np.zeros(5, dtype)), (1.0, np.full(5, np.nan, dtype))):
            for name in UPDATES:
                assert np.isnan(update(name, w, np.ones(5, dtype), np.ones((2, 5), dtype), scale=scale)[0]).all()
        for value in (np.nan, np.inf):
            dY = np.empty((1, 3), dtype)
            assert np.isnan(_fused.softmax_cross_entropy(np.array([[0, value, 1]], dtype), np.array([0]), dY, 1.0))
            assert np.isnan(dY).all()
        dY = np.empty((1, 2), dtype)
        assert _fused.softmax_cross_entropy(np.array([[0, -np.inf]], dtype), np.array([0]), dY, 1.0) == 0


def sgd(*arrays):
    """A step of SGD: of nothing, where one of the parameters does not fit."""
    counter, first = SimpleNamespace(steps=0), np.ones(2)
    try:
        _fused.sgd(counter, [(first, np.ones(2)), *arrays], _fused.Clipping(), 0.1)
    finally:
        assert counter.steps == 0
        np.testing.assert_array_equal(first, 1)


READ_ONLY = np.ones((2, 3))
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: _fused.bias_activation("relu", np.ones((2, 3), np.float16), np.ones(3)), TypeError, "Z .*float16"),
        (lambda: _fused.bias_activation("relu", np.ones((2, 3)), np.ones(3, np.float32)), TypeError, "b .*float32"),
        (lambda: _fused.bias_activation("relu", np.ones((2, 3)), np.ones(2)), ValueError, "b .* 3 elements"),
        (lambda: _fused.bias_activation("relu", np.ones((3, 2)).T, np.ones(3)), ValueError, "Z .*C-contiguous"),
        (lambda: _fused.bias_activation("relu", np.ones(3), np.ones(3)), ValueError, "two dimensions"),
        (lambda: _fused.bias_activation("relu", READ_ONLY, np.ones(3)), ValueError, "Z .*read-only"),
        (lambda: _fused.hits(np.ones((2, 3)), np.array([0, 3])), ValueError, r"labels\[1\] is 3"),
        (lambda: _fused.hits(np.ones((2, 3)), np.array([0])), ValueError, "labels must be 2"),
        (lambda: sgd((np.ones(3), np.ones(2))), ValueError, "g .* 3 elements"),
        (lambda: sgd((np.ones(3), np.ones(3), np.ones(2))), ValueError, "slot .* 3 elements"),
        (lambda: sgd((np.ones(3), np.ones(3), np.ones(3), np.ones(3))), ValueError, "0 to 1 slots each, got 4 arrays"),
        (lambda: sgd((READ_ONLY, np.ones((2, 3)))), ValueError, "w .*read-only"),
        (lambda: sgd((np.ones(3), [1.0] * 3)), TypeError, "list"),
        (lambda: _fused.binary_hits(np.ones((2, 3)), np.ones((2, 2))), ValueError, "targets .* 6 elements"),
        (lambda: _fused.all_finite(np.ones(3, int)), TypeError, "array .*int64"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def print_hashes():
    """A line a fused function and type: the hash of its results over many shapes."""
    print(fastact.get_isa())
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        for activation, kind in ACTIVATIONS:
            digest = hashlib.sha256()
            for shape in SHAPES:
                Z, dY = rng.standard_normal((2, *shape)).astype(dtype)
                b, slope = rng.standard_normal(shape[1]).astype(dtype), slopes(kind, shape[1], dtype)
                Y = bias_activation(activation, slope, Z, b)
                for array in (Y, *backward_bias(activation, slope, dY, Y)):
                    digest.update(array.tobytes())
            print(activation, kind, digest.hexdigest())
        for name in UPDATES:
            digest = hashlib.sha256()
            for array in update(name, *parameters((10_001,), dtype), scale=0.7, limit=1.0):
                digest.update(array.tobytes())
            print(name, digest.hexdigest())
        digest = hashlib.sha256()
        for columns in (1, 2, 10, 33, 1000):
            Y = (10 * rng.standard_normal((40, columns))).astype(dtype)
            dY = np.empty_like(Y)
            value = _fused.softmax_cross_entropy(Y, rng.integers(0, columns, 40), dY, 0.1)
            digest.update(dY.tobytes() + np.float64(value).tobytes())
        print("softmax_cross_entropy", digest.hexdigest())
        for loss in (_fused.mean_squared_error, _fused.binary_cross_entropy):
            digest = hashlib.sha256()
            for shape in SHAPES:
                Y, targets = (10 * rng.standard_normal(shape)).astype(dtype), rng.random(shape).astype(dtype)
                dY = np.empty_like(Y)
                value = loss(Y, targets, dY, 0.1)
                digest.update(dY.tobytes() + np.float64(value).tobytes())
            print(loss.__name__, digest.hexdigest())


def python(*arguments, isa):
    environment = os.environ | {"FASTACT_ISA": isa}
    got = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=170, env=environment)
    assert got.returncode == 0, got.stdout[-5000:] + got.stderr[-2000:]
    return got.stdout


@pytest.mark.skipif(os.environ.get("FASTACT_ISA", "") != "", reason="this run is of one level already")
@pytest.mark.parametrize("isa", [isa for isa in fastact.available_isas() if isa != fastact.get_isa()])
def test_every_instruction_set(isa):
    got = python("-m", "pytest", "-x", "-p", "no:cacheprovider", "--tb=short", __file__, isa=isa)
    assert f"fastact: instruction set {isa}," in got


def test_same_bits():
    """What AVX2 and AVX-512 give."""
    levels = [isa for isa in fastact.available_isas() if isa in ("avx2", "avx512", "neon")]
    if len(levels) < 2:
        pytest.skip(f"only one instruction set with FMA here: {levels}")
    outputs = [python("-c", HASH, isa=isa).splitlines() for isa in levels]
    assert [lines[0] for lines in outputs] == levels
    assert len(outputs[0]) == 1 + 2 * (len(ACTIVATIONS) + len(UPDATES) + 3)
    assert all(lines[1:] == outputs[0][1:] for lines in outputs)
