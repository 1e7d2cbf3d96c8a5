"""fastact.nn: Dense and Sequential against backpropagation written out in float64, and against PyTorch."""

import copy
import itertools

import numpy as np
import pytest

from fastact import nn
from fastact.nn import _fused

ACTIVATIONS = [None, "sigmoid", "tanh", "relu", "leaky_relu"]
CASES = [
    *((activation, 0.01) for activation in ACTIVATIONS),
    *(("leaky_relu", slope) for slope in (0.0, 1.5, -0.3, np.linspace(-0.5, 0.5, 7))),
]


def phi(name, Z, slope=0.01):
    """φ(Z) and φ′(Z) in NumPy, from the definitions."""
    if name is None:
        return Z, np.ones_like(Z)
    if name == "sigmoid":
        Y = 1.0 / (1.0 + np.exp(-Z))
        return Y, Y * (1.0 - Y)
    if name == "tanh":
        return np.tanh(Z), 1.0 / np.cosh(Z) ** 2
    low = 0.0 if name == "relu" else slope
    return np.where(Z > 0, Z, low * Z), np.where(Z > 0, 1.0, low)


def reference(model, X, dY):
    """Y, dX and the gradients [dW, db, …] of a model in float64."""
    kept, A = [], X.astype(np.float64)
    for layer in model.layers:
        W, b = layer.W.astype(np.float64), layer.b.astype(np.float64)
        Y, slope = phi(layer.activation, A @ W + b, layer.negative_slope)
        kept.append((A, W, slope))
        A = Y
    gradients, G = [], dY.astype(np.float64)
    for A_in, W, slope in reversed(kept):
        dZ = G * slope
        gradients = [A_in.T @ dZ, dZ.sum(axis=0), *gradients]
        G = dZ @ W.T
    return A, G, gradients


def network(activation, dtype, slope=0.01, seed=3):
    layers = [nn.Dense(5, 7, activation, slope, dtype=dtype), nn.Dense(7, 6, activation, slope, dtype=dtype)]
    model = nn.Sequential([*layers, nn.Dense(6, 3, dtype=dtype)], seed=seed)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.b = rng.standard_normal(layer.out_features)
    return model


def close(got, wanted, dtype):
    """Equal but for the rounding of sums of a few dozen terms, relative to the largest element."""
    assert got.dtype == dtype
    assert np.abs(got - wanted).max() <= 32 * np.finfo(dtype).eps * np.abs(wanted).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("activation", "slope"), CASES)
def test_forward_and_backward(activation, slope, dtype):
    rng = np.random.default_rng(0)
    if np.ndim(slope):
        model = nn.Sequential([nn.Dense(5, 7, activation, slope, dtype=dtype), nn.Dense(7, 3, dtype=dtype)], seed=3)
    else:
        model = network(activation, dtype, slope)
    X, dY = rng.standard_normal((9, 5)).astype(dtype), rng.standard_normal((9, 3)).astype(dtype)
    X_before, dY_before = X.copy(), dY.copy()
    Y, dX, gradients = reference(model, X, dY)
    close(model.forward(X), Y, dtype)
    for _ in range(2):  # the backward pass destroys nothing that it needs
        close(model.backward(dY), dX, dtype)
        for parameter, wanted in zip(model.parameters(), gradients, strict=True):
            close(parameter.gradient, wanted, dtype)
    close(model.forward(X), Y, dtype)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(dY, dY_before)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_pytorch_agrees(activation):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    model = network(activation, np.float64)
    X, dY = rng.standard_normal((9, 5)), rng.standard_normal((9, 3))
    functions = {
        None: lambda Z: Z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": torch.nn.functional.leaky_relu,
    }
    tensors = [torch.tensor(p.value, requires_grad=True) for p in model.parameters()]
    A = X_tensor = torch.tensor(X, requires_grad=True)
    for layer, W, b in zip(model.layers, tensors[::2], tensors[1::2], strict=True):
        A = functions[layer.activation](A @ W + b)
    A.backward(torch.tensor(dY))
    close(model.forward(X), A.detach().numpy(), np.float64)
    close(model.backward(dY), X_tensor.grad.numpy(), np.float64)
    for parameter, tensor in zip(model.parameters(), tensors, strict=True):
        close(parameter.gradient, tensor.grad.numpy(), np.float64)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_given_is_not_changed(activation):
    rng = np.random.default_rng(0)
    model = nn.Sequential([nn.Dense(5, 4, activation), nn.Dense(4, 3, activation)], seed=0)
    X, dY = rng.standard_normal((9, 5)).astype(np.float32), rng.standard_normal((9, 3)).astype(np.float32)
    kept = dY.copy()
    Y, dX, _ = reference(model, X, dY)
    close(model.forward(X), Y, np.float32)
    close(model.backward(dY), dX, np.float32)
    np.testing.assert_array_equal(dY, kept)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_given_may_have_any_layout(activation):
    layer = nn.Dense(4, 3, activation, dtype=np.float64)
    layer.initialize(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    X, dY = rng.standard_normal((5, 4)), rng.standard_normal((5, 3))
    layer.forward(X)
    wanted = [array.copy() for array in (layer.backward(dY), layer.dW, layer.db)]
    read_only = dY.copy()
    read_only.flags.writeable = False
    for given in (np.asfortranarray(dY), np.repeat(dY, 2, axis=0)[::2], read_only):
        for overwrite in (False, True):
            layer.forward(X)
            for got, want in zip((layer.backward(given, overwrite), layer.dW, layer.db), wanted, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-13)
            np.testing.assert_array_equal(given, dY)


def test_an_overwritten_output_is_not_used_again():
    """`backward` in training writes over Y, and so does dX over dY's memory; the results are those without."""
    rng = np.random.default_rng(0)
    X, dY = rng.standard_normal((6, 5)).astype("f4"), rng.standard_normal((6, 3)).astype("f4")
    for activation, slope in ((None, 0.01), ("tanh", 0.01), ("leaky_relu", [0.3, -2, 0])):
        layer, twin = (nn.Dense(5, 3, activation, slope) for _ in range(2))
        layer.initialize(np.random.default_rng(1))
        twin.W, twin.b = layer.W, layer.b
        wanted = (layer.forward(X), layer.backward(dY), layer.dW, layer.db)[1:]
        memory = np.empty(30, np.float32)
        gradient = memory[:18].reshape(6, 3)
        gradient[...] = dY
        twin.forward(X)
        dX = twin.backward(gradient, overwrite=True, dX=memory.reshape(6, 5))
        for got, value in zip((dX, twin.dW, twin.db), wanted, strict=True):
            np.testing.assert_array_equal(got, value)
        assert np.shares_memory(dX, memory) and twin.output is None
        with pytest.raises(RuntimeError, match="forward"):
            twin.backward(dY)


def test_rows_may_change_from_call_to_call():
    rng = np.random.default_rng(0)
    model = network("tanh", np.float32)
    for rows in (8, 3, 12, 1, 0, 12):
        X, dY = rng.standard_normal((rows, 5)), rng.standard_normal((rows, 3))
        Y, dX, _ = reference(model, X, dY)
        np.testing.assert_allclose(model.forward(X), Y, rtol=0, atol=1e-5)
        np.testing.assert_allclose(model.backward(dY), dX, rtol=0, atol=1e-5)


def test_buffers_of_fewer_rows_are_views_of_the_larger():
    layer = network("relu", np.float32).layers[0]
    whole = layer.forward(np.ones((8, 5), np.float32))
    assert np.shares_memory(whole, layer.forward(np.ones((3, 5), np.float32)))


@pytest.mark.parametrize(
    "make",
    [
        lambda X: X[::-1],
        lambda X: np.asfortranarray(X),
        lambda X: X.astype(">f4"),
        lambda X: X.astype(np.float64),
        lambda X: X.tolist(),
    ],
)
def test_forward_takes_any_layout_and_real_type(make):
    model = network("sigmoid", np.float32)
    X = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    wanted = model.predict(np.ascontiguousarray(np.asarray(make(X), dtype=np.float32)))
    np.testing.assert_array_equal(model.predict(make(X)), wanted)
    np.testing.assert_array_equal(model.forward(make(X)), wanted)


def test_integer_input():
    model = network("relu", np.float32)
    X = np.arange(20).reshape(4, 5) % 7
    for dtype in (np.int64, np.uint8, np.float16):
        np.testing.assert_array_equal(model.predict(X.astype(dtype)), model.predict(X.astype(np.float32)))


def test_predict_gives_an_array_of_its_own():
    model = network("relu", np.float32)
    first = model.predict(np.ones((4, 5)))
    kept = first.copy()
    model.predict(np.zeros((4, 5)))
    model.forward(np.zeros((4, 5)))
    np.testing.assert_array_equal(first, kept)
    assert first.base is None
    assert model.predict(np.ones((0, 5))).shape == (0, 3)


def test_the_kernels_do_the_work(monkeypatch):
    """A wrong kernel makes a wrong layer: nothing is computed beside them."""
    model = network("relu", np.float32)
    X = np.ones((2, 5))
    right = model.predict(X)
    monkeypatch.setattr(_fused, "bias_activation", lambda activation, Z, b, slope: np.abs(Z, out=Z))
    assert not np.array_equal(model.predict(X), right)


# Weights


def test_seed_decides_the_weights():
    W = [network("relu", np.float32, seed=seed).layers[0].W for seed in (3, 3, 4)]
    np.testing.assert_array_equal(W[0], W[1])
    assert not np.array_equal(W[0], W[2])
    model = network("relu", np.float64, seed=3)
    np.testing.assert_array_equal(model.layers[0].W.astype(np.float32), W[0])
    assert not np.array_equal(model.layers[0].W[:5, :5], model.layers[1].W[:5, :5])


@pytest.mark.parametrize(
    ("activation", "init", "slope", "variance"),
    [
        (None, None, 0.01, 2 / 700),
        ("sigmoid", None, 0.01, 2 / 700),
        ("tanh", None, 0.01, 2 / 700),
        ("relu", None, 0.5, 2 / 400),
        ("leaky_relu", None, 0.5, 2 / (1.25 * 400)),
        ("leaky_relu", "he_normal", 0.5, 2 / (1.25 * 400)),
        ("leaky_relu", None, np.full(300, 0.5), 2 / (1.25 * 400)),
        ("relu", "glorot_normal", 0.01, 2 / 700),
        ("tanh", "he_uniform", 0.5, 2 / 400),
        ("sigmoid", "lecun_normal", 0.01, 1 / 400),
        ("leaky_relu", "lecun_normal", 0.5, 1 / 400),
    ],
)
def test_initialisers(activation, init, slope, variance):
    layer = nn.Sequential([nn.Dense(400, 300, activation, slope, init)], seed=1).layers[0]
    assert layer.W.var() == pytest.approx(variance, rel=0.02)
    assert abs(layer.W.mean()) < 4 * np.sqrt(variance / layer.W.size)
    if "normal" in (init or ""):
        assert np.abs(layer.W).max() > 3.5 * np.sqrt(variance)
    else:
        assert np.abs(layer.W).max() <= np.sqrt(3 * variance) * (1 + 1e-6)
    assert not layer.b.any()


@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (40, 40), (1, 5)])
@pytest.mark.parametrize(
    ("activation", "slope", "gain"),
    [
        (None, 0.01, 1.0),
        ("sigmoid", 0.01, 1.0),
        ("tanh", 0.01, 1.0),
        ("relu", 0.5, 2.0),
        ("leaky_relu", 0.5, 2 / 1.25),
        ("leaky_relu", -2.0, 2 / 5),
    ],
)
def test_orthogonal(activation, slope, gain, shape):
    W = nn.Sequential([nn.Dense(*shape, activation, slope, "orthogonal", np.float64)], seed=1).layers[0].W
    product = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(product, gain * np.eye(min(shape)), rtol=0, atol=1e-13)


def test_orthogonal_of_one_slope_a_channel_and_of_both_signs():
    slopes = np.array([0.0, 1.0, 2.0])
    W = nn.orthogonal(np.random.default_rng(0), (5, 3), slopes)
    np.testing.assert_allclose(W.T @ W, 2 / (1 + 5 / 3) * np.eye(3), rtol=0, atol=1e-13)
    rng = np.random.default_rng(0)  # without the fixed signs the first entry would have one sign always
    positive = sum(nn.orthogonal(rng, (3, 3))[0, 0] > 0 for _ in range(200))
    assert 70 < positive < 130


DEEP = {
    "equal": ([64] * 11, 1.5),
    "narrowing": ([300, *[100] * 9, 10], 2.0),
    "uneven": ([32, 128, 64, 200, 64, 128, 32, 100, 50, 20, 10], 3.0),
}


@pytest.mark.parametrize(("widths", "factor"), DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_unit_gain_keeps_the_gradient_through_ten_layers(activation, widths, factor):
    for seed in range(3):
        layers = [nn.Dense(*sizes, activation, 0.2, "unit_gain") for sizes in itertools.pairwise(widths)]
        model = nn.Sequential(layers, seed=seed)
        rng = np.random.default_rng(seed)
        nn.unit_gain(model, rng.standard_normal((200, widths[0])))
        X, dY = rng.standard_normal((200, widths[0])), rng.standard_normal((200, widths[-1]))
        dX = reference(model, X, dY)[1]
        assert 1 / factor < np.linalg.norm(dX) / np.linalg.norm(dY) < factor


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_unit_gain_makes_every_layer_keep_the_norm_of_random_gradients(activation):
    layers = [nn.Dense(20, 30, activation, -0.5, "unit_gain", np.float64), nn.Dense(30, 30, "tanh", dtype=np.float64)]
    layers.append(nn.Dense(30, 12, activation, 0.2, "unit_gain", np.float64))
    model = nn.Sequential(layers, seed=0)
    before = [layer.W.copy() for layer in layers]
    rng = np.random.default_rng(0)
    X = 3 * rng.standard_normal((50, 20))
    layers[0].b = rng.standard_normal(30)
    nn.unit_gain(model, X)
    A = X
    for layer, drawn in zip(layers, before, strict=True):
        Y, slope = phi(layer.activation, A @ layer.W + layer.b, layer.negative_slope)
        scale = np.linalg.norm(layer.W) / np.linalg.norm(drawn)
        np.testing.assert_allclose(layer.W, scale * drawn, rtol=1e-12)
        if layer.init == "unit_gain":
            dY = rng.standard_normal((1000, *Y.shape))
            factor = np.linalg.norm((dY * slope) @ layer.W.T) / np.linalg.norm(dY)
            assert factor == pytest.approx(1.0, abs=0.01)
            assert activation != "sigmoid" or np.abs(np.linalg.svd(layer.W)[1]).max() > 4.0
        else:
            np.testing.assert_array_equal(layer.W, drawn)
        A = Y


@pytest.mark.parametrize("init", ["unit_gain", nn.unit_gain], ids=["name", "function"])
def test_training_scales_fresh_layers_once(init):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((40, 5)), rng.integers(0, 3, 40)

    def fresh():
        return nn.Sequential([nn.Dense(5, 8, "sigmoid", init=init), nn.Dense(8, 3)], seed=0)

    settings = {"loss": "softmax_cross_entropy", "optimizer": nn.SGD(1e-30)}
    wanted, fitted, stepped, assigned = fresh(), fresh(), fresh(), fresh()
    nn.unit_gain(wanted, X[:16])
    assert fitted.layers[0].needs_batch and fitted.astype(np.float64).layers[0].needs_batch
    fitted.fit(X, y, batch_size=16, epochs=2, shuffle=False, **settings)
    stepped.train_on_batch(X[:16], y[:16], **settings)
    for model in (wanted, fitted, stepped):
        assert not model.layers[0].needs_batch
        np.testing.assert_array_equal(model.layers[0].W, wanted.layers[0].W)
    kept = wanted.layers[0].W.copy()
    wanted.fit(X, y, **settings)  # is not scaled again
    np.testing.assert_array_equal(wanted.layers[0].W, kept)
    assigned.layers[0].W = np.ones((5, 8))
    assigned.fit(X, y, **settings)
    assert (assigned.layers[0].W == 1.0).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_unit_gain_where_no_scale_will_do(activation):
    for X in (np.zeros((3, 4)), np.full((1, 4), 1e30), np.full((1, 4), -1e30)):
        model = nn.Sequential([nn.Dense(4, 1, activation, init="unit_gain")], seed=0)
        nn.unit_gain(model, X)
        assert np.isfinite(model.layers[0].W).all() and model.layers[0].W.any()


def test_wrong_unit_gain():
    model = nn.Sequential([nn.Dense(4, 1, init="unit_gain")], seed=0)
    with pytest.raises(ValueError, match=r"X must have shape \(rows, 4\), got \(2, 3\)"):
        nn.unit_gain(model, np.ones((2, 3)))
    with pytest.raises(ValueError, match="X must have at least one row"):
        nn.unit_gain(model, np.ones((0, 4)))
    with pytest.raises(ValueError, match="X must be finite"):
        nn.unit_gain(model, np.full((1, 4), np.nan))
    with pytest.raises(ValueError, match="model must have a layer with init='unit_gain', got none"):
        nn.unit_gain(nn.Sequential([nn.Dense(4, 1)]), np.ones((2, 4)))


def test_own_initialiser():
    layer = nn.Dense(2, 3, init=lambda rng, shape, negative_slope: np.full(shape, 0.5))
    assert (nn.Sequential([layer], seed=0).layers[0].W == 0.5).all()
    wrong = nn.Dense(2, 3, init=lambda rng, shape, negative_slope: np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"W must have shape \(2, 3\), got \(3, 2\)"):
        nn.Sequential([wrong])


def test_layers_that_have_weights_keep_them():
    trained = network("relu", np.float32)
    kept = trained.layers[0].W.copy()
    nn.Sequential([trained.layers[0], nn.Dense(7, 2)], seed=99)
    np.testing.assert_array_equal(trained.layers[0].W, kept)


def test_assigned_weights_are_copied_into_the_layer():
    layer = nn.Dense(2, 2)
    assert not layer.initialized
    with pytest.raises(RuntimeError, match="no W yet"):
        _ = layer.W
    with pytest.raises(RuntimeError, match="no W yet"):
        layer.forward(np.ones((1, 2), np.float32))
    values = np.eye(2)
    layer.W, layer.b = values, [0, 0]
    held = layer.W
    layer.W = 2 * values
    assert layer.W is held and (held == 2 * values).all() and (values == np.eye(2)).all()
    with pytest.raises(ValueError, match=r"W must have shape \(2, 2\), got \(2,\)"):
        layer.W = [1, 2]
    for wrong, words in ((1e39, "W must fit into float32"), (np.nan, "W must be finite")):
        with pytest.raises(ValueError, match=rf"{words}, but W\[1, 0\] is {wrong}".replace("+", r"\+")):
            layer.W = [[1, 2], [wrong, 3]]
    assert (held == 2 * values).all()
    with np.errstate(all="raise"):
        layer.W = np.full((2, 2), 1e-40)
    with pytest.raises(ValueError, match=r"b must be finite, but b\[0\] is -inf"):
        layer.b = [-np.inf, 0]


def test_copies_are_independent():
    model = network("tanh", np.float32)
    X = np.ones((2, 5))
    before = model.predict(X)
    twin, wide = copy.deepcopy(model), model.astype(np.float64)
    assert wide.dtype == np.float64 and wide.predict(X).dtype == np.float64
    np.testing.assert_allclose(wide.predict(X), before, rtol=1e-5)
    for other in (twin, wide):
        other.layers[0].W = np.zeros((5, 7))
    np.testing.assert_array_equal(model.predict(X), before)


# Errors


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0, 3), ValueError, "in_features must be at least 1, got 0"),
        ((10**400, 3), ValueError, "in_features must be at most"),
        ((3, 2.5), TypeError, "out_features must be an integer, got 2.5"),
        ((3, True), TypeError, "out_features must be an integer, got True"),
        ((3, 2, "swish"), ValueError, "activation must be one of None, 'sigmoid', 'tanh', .*; got 'swish'"),
        ((3, 2, []), ValueError, "activation must be one of"),
        ((3, 2, "leaky_relu", np.nan), ValueError, "negative_slope must be finite in float32"),
        ((3, 2, "leaky_relu", 1e300), ValueError, "negative_slope must be finite in float32"),
        ((3, 2, "leaky_relu", [0.1] * 3), ValueError, r"negative_slope must be .* shape \(2,\), got shape \(3,\)"),
        ((3, 2, "leaky_relu", "steep"), TypeError, "negative_slope must hold real numbers"),
        ((3, 2, None, 0.01, "zeros"), ValueError, "init must be one of 'glorot_uniform', .*; got 'zeros'"),
        ((3, 2, None, 0.01, None, np.float16), TypeError, "dtype must be float32 or float64"),
        ((3, 2, None, 0.01, None, "float"), None, None),
        ((3, 2, None, 0.01, None, "foo"), TypeError, "dtype must be float32 or float64, got 'foo'"),
        ((3, 2, None, 0.01, None, "int32"), TypeError, "dtype must be float32 or float64, got 'int32'"),
    ],
)
def test_wrong_layers(arguments, error, words):
    if error is None:
        assert nn.Dense(*arguments).dtype == np.float64
        return
    with pytest.raises(error, match=words):
        nn.Dense(*arguments)


def test_wrong_models():
    with pytest.raises(ValueError, match="at least one layer"):
        nn.Sequential([])
    with pytest.raises(TypeError, match=r"layers\[1\] must be a Dense, got 'relu'"):
        nn.Sequential([nn.Dense(2, 2), "relu"])
    with pytest.raises(ValueError, match=r"layers\[1\] must have in_features=3.*Dense\(4, 2\)"):
        nn.Sequential([nn.Dense(2, 3), nn.Dense(4, 2)])
    with pytest.raises(ValueError, match="one dtype"):
        nn.Sequential([nn.Dense(2, 3), nn.Dense(3, 2, dtype=np.float64)])
    layer = nn.Dense(2, 2)
    with pytest.raises(ValueError, match="stands in the list twice"):
        nn.Sequential([layer, layer])
    for layers in (None, 3, nn.Dense(2, 2)):
        with pytest.raises(TypeError, match=r"layers must be a list of Dense, got (None|3|Dense\(2, 2\))"):
            nn.Sequential(layers)
    for seed in (-1, "zero", 1.5, True, np.False_):
        with pytest.raises(ValueError, match="seed must be an integer of at least 0"):
            nn.Sequential([nn.Dense(2, 2)], seed=seed)


def test_wrong_operands():
    model = network("relu", np.float32)
    with pytest.raises(RuntimeError, match="backward needs a forward pass first"):
        model.backward(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"X must have shape \(rows, 5\), got \(2, 4\)"):
        model.forward(np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"got \(5,\); for a single row pass X\[np.newaxis, :\]"):
        model.forward(np.ones(5))
    with pytest.raises(TypeError, match="X must hold real numbers, got dtype complex128"):
        model.forward(np.ones((2, 5), complex))
    with pytest.raises(TypeError, match="X must hold real numbers, got dtype <U1"):
        model.forward([["a"] * 5])
    with pytest.raises(ValueError, match="X must be an array of numbers"):
        model.forward([[1, 2], [3]])
    model.forward(np.ones((2, 5)))
    with pytest.raises(ValueError, match="dY must have the 2 rows of the last forward pass, got 3"):
        model.backward(np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"dY must have shape \(rows, 3\), got \(2, 5\)"):
        model.backward(np.ones((2, 5)))
    with pytest.raises(TypeError, match="X must have dtype float32, got float64"):
        model.layers[0].forward(np.ones((2, 5)))
    with pytest.raises(TypeError, match="X must be an ndarray of dtype float32, got list"):
        model.layers[0].forward([[1.0] * 5])
    with pytest.raises(TypeError, match="dY must be an ndarray of dtype float32, got list"):
        model.layers[0].backward([[1.0] * 7] * 2)


def test_repr_and_summary():
    assert repr(nn.Dense(3, 2)) == "Dense(3, 2)"
    layer = nn.Dense(3, 2, "leaky_relu", 0.2, "he_normal", np.float64)
    assert repr(layer) == "Dense(3, 2, activation='leaky_relu', negative_slope=0.2, init='he_normal', dtype=float64)"
    model = network("relu", np.float32)
    assert repr(model).startswith("Sequential([\n    Dense(5, 7, activation='relu'),\n")
    assert model.parameter_count == 5 * 7 + 7 + 7 * 6 + 6 + 6 * 3 + 3
    header, *layers, total = model.summary().splitlines()
    assert header.split() == ["layer", "output", "parameters", "bytes"]
    assert [line.split()[-2:] for line in layers] == [["42", "168"], ["48", "192"], ["21", "84"]]
    assert "1  Dense(7, 6, activation='relu')  (rows, 6) " in layers[1]
    assert total.split() == ["total,", "float32", "111", "444"]
    assert [p.name for p in model.parameters()][:3] == ["layers[0].W", "layers[0].b", "layers[1].W"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("activation", "slope"), [
    ("sigmoid", 0.0), ("tanh", 0.0), ("relu", 0.0), ("leaky_relu", 0.1), ("leaky_relu", -0.5), (None, 0.0),
])  # fmt: skip
def test_slopes_and_active_units(activation, slope, dtype):
    """φ′ of the last forward pass, and the units that were on."""
    layer = nn.Dense(4, 6, activation, slope, dtype=dtype)
    layer.initialize(np.random.default_rng(0))
    layer.b = [0.0, 0.0, 0.0, -100.0, 0.0, -100.0]
    seen = np.zeros(6, dtype=bool)
    assert layer.slopes() is None
    layer.mark_active(seen)
    assert not seen.any()
    X = np.random.default_rng(1).standard_normal((20, 4)).astype(dtype)
    layer.forward(X)
    Z = (X @ layer.W + layer.b).astype(np.float64)
    if activation is None:
        assert layer.slopes() is None
    else:
        wanted = {"sigmoid": np.exp(-Z) / (1 + np.exp(-Z)) ** 2, "tanh": 1 - np.tanh(Z) ** 2}.get(
            activation, np.where(Z > 0, 1.0, slope))  # fmt: skip
        np.testing.assert_allclose(layer.slopes(), wanted, atol=10 * np.finfo(dtype).eps)
    layer.mark_active(seen)
    ramp = activation in ("relu", "leaky_relu")
    assert np.array_equal(seen, (Z > 0).any(axis=0) if ramp else np.zeros(6, dtype=bool))
    if ramp:
        layer.forward(np.zeros((3, 4), dtype))
        layer.mark_active(seen)
        assert list(seen) == [True, True, True, False, True, False]  # nothing is forgotten
        with pytest.raises(ValueError, match="seen must be a plain boolean array of 6 elements"):
            layer.mark_active(np.zeros(5, dtype=bool))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("units", [1, 63, 64, 65, 200])
def test_active_units_of_wide_layers(units, dtype):
    """NaN is not above 0, and neither are -0.0 and what is below 0; the smallest number is."""
    rng = np.random.default_rng(units)
    Y = np.where(rng.random((7, units)) < 0.1, rng.standard_normal((7, units)), 0.0).astype(dtype)
    Y[rng.integers(7, size=units), np.arange(units)] = rng.choice(
        np.array([np.nan, -0.0, -np.inf, np.inf, np.finfo(dtype).smallest_subnormal, 0.0], dtype=dtype), units
    )
    seen = rng.random(units) < 0.1
    wanted = seen | (Y > 0).any(axis=0)
    nn._fused.mark_active(Y, seen)
    assert np.array_equal(seen, wanted)
