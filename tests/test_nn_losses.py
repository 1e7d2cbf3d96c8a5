"""fastact.nn: losses against SciPy and closed forms, optimisers against their formulas and PyTorch."""

import json

import numpy as np
import pytest
from scipy.special import expit, logsumexp, softmax

from fastact import nn
from fastact.nn._buffers import Buffers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
def test_softmax_cross_entropy(dtype, scale):
    rng = np.random.default_rng(0)
    Y = (scale * rng.standard_normal((40, 7))).astype(dtype)
    labels = rng.integers(0, 7, 40)
    value, dY = nn.softmax_cross_entropy(Y, labels)
    exact = Y.astype(np.float64)
    assert value == pytest.approx(
        np.mean(logsumexp(exact, axis=1) - exact[np.arange(40), labels]), rel=8 * float(np.finfo(dtype).eps)
    )
    wanted = (softmax(exact, axis=1) - np.eye(7)[labels]) / 40
    assert dY.dtype == dtype
    np.testing.assert_allclose(dY, wanted, rtol=0, atol=16 * np.finfo(dtype).eps / 40)
    same = nn.softmax_cross_entropy(Y, np.eye(7)[labels])
    assert same[0] == value
    np.testing.assert_array_equal(same[1], dY)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_cross_entropy_of_huge_logits(dtype):
    big = np.finfo(dtype).max / 2
    value, dY = nn.softmax_cross_entropy(np.array([[big, 0, -big], [-big, big, 0]], dtype), [0, 1])
    assert value == 0.0 and not dY.any()
    value, dY = nn.softmax_cross_entropy(np.array([[big, -big]], dtype), [1])
    assert value == pytest.approx(2 * float(big), rel=1e-6)
    np.testing.assert_array_equal(dY, [[1, -1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mse(dtype):
    rng = np.random.default_rng(0)
    Y, T = rng.standard_normal((2, 11, 4)).astype(dtype)
    value, dY = nn.mse(Y, T)
    assert value == pytest.approx(np.mean((Y.astype(float) - T) ** 2), rel=8 * float(np.finfo(dtype).eps))
    np.testing.assert_allclose(dY, 2 * (Y.astype(float) - T) / 44, rtol=4 * np.finfo(dtype).eps)
    assert nn.mse(np.float32([[1e30]]), [0])[0] == pytest.approx(1e60, rel=1e-6)
    assert nn.mse(Y[:, :1], T[:, 0])[0] == nn.mse(Y[:, :1], T[:, :1])[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
def test_binary_cross_entropy(dtype, scale):
    rng = np.random.default_rng(0)
    Y = (scale * rng.standard_normal((40, 3))).astype(dtype)
    T = rng.choice([0.0, 1.0, 0.25], (40, 3))
    value, dY = nn.binary_cross_entropy(Y, T)
    exact = Y.astype(np.float64)
    wanted = T * np.logaddexp(0, -exact) + (1 - T) * np.logaddexp(0, exact)
    eps = float(np.finfo(dtype).eps)
    assert value == pytest.approx(wanted.mean(), rel=8 * eps)
    assert dY.dtype == dtype
    np.testing.assert_allclose(dY, (expit(exact) - T) / 120, rtol=0, atol=4 * eps / 120)
    assert nn.binary_cross_entropy(Y[:, 0:1], T[:, 0])[0] == nn.binary_cross_entropy(Y[:, 0:1], T[:, 0:1])[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_of_huge_logits(dtype):
    big = float(np.finfo(dtype).max)
    value, dY = nn.binary_cross_entropy(np.array([[big, -big], [big, -big]], dtype), [[1, 0], [True, False]])
    assert value == 0.0 and not dY.any()
    value, dY = nn.binary_cross_entropy(np.array([[big, -big], [big, -big]], dtype), [[0, 1], [0, 1]])
    assert value == pytest.approx(big, rel=1e-6)
    np.testing.assert_array_equal(dY, [[0.25, -0.25]] * 2)


def test_accuracy_of_binary_cross_entropy():
    X = [[1.0], [2.0], [-3.0], [-1.0], [0.0]]
    model = nn.Sequential([nn.Dense(1, 2)])
    model.layers[0].W, model.layers[0].b = [[1, -1]], [0, 0]
    T = [[1, 0], [1, 1], [0, 0.9], [1, 0], [0, 1]]  # right: 2, 1, 2, 0, 1
    assert model.evaluate(X, T, "binary_cross_entropy")["accuracy"] == 6 / 10


LOSSES = [nn.softmax_cross_entropy, nn.binary_cross_entropy, nn.mse]


def some_targets(loss, rng, rows, columns):
    if loss is nn.softmax_cross_entropy:
        return rng.integers(0, columns, rows)
    return rng.random((rows, columns))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_weights_make_a_weighted_mean_of_the_rows(loss, dtype):
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((6, 4)).astype(dtype)
    targets = some_targets(loss, rng, 6, 4)
    weights = np.array([2.0, 0.0, 0.5, 1.0, 3e-3, 7.0])
    rows = [loss(Y[row : row + 1].astype(np.float64), targets[row : row + 1]) for row in range(6)]
    value, dY = loss(Y, targets, weights)
    tight = 16 * float(np.finfo(dtype).eps)
    assert value == pytest.approx(np.average([row[0] for row in rows], weights=weights), rel=tight)
    wanted = np.concatenate([row[1] for row in rows]) * (weights / weights.sum())[:, np.newaxis]
    assert dY.dtype == dtype
    np.testing.assert_allclose(dY, wanted, rtol=0, atol=tight * np.abs(wanted).max())
    for equal in (np.ones(6), np.full(6, 0.1), np.full(6, 1e38)):
        value, dY = loss(Y, targets, equal)
        plain = loss(Y, targets)
        assert value == pytest.approx(plain[0], rel=tight)
        np.testing.assert_allclose(dY, plain[1], rtol=0, atol=tight)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_batch_without_weight_has_no_gradient(loss):
    Y = np.ones((3, 2), np.float32)
    targets = loss.prepare("y", [0, 1, 1] if loss is nn.softmax_cross_entropy else np.zeros((3, 2)), 3, 2, Y.dtype)
    targets = targets.astype(loss.target_dtype(Y.dtype))
    dY = np.full_like(Y, 7)
    assert loss.value_and_gradient(Y, targets, dY, Buffers(), np.zeros(3, np.float32)) == 0.0
    assert not dY.any()


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        ([1, 2], ValueError, r"weights must have shape \(3,\), a weight for each row, got \(2,\)"),
        (1.0, ValueError, r"weights must have shape \(3,\)"),
        ([[1], [1], [1]], ValueError, r"got \(3, 1\)"),
        ([1, -1, 1], ValueError, r"weights must be at least 0, but weights\[1\] is -1"),
        ([1, np.nan, 1], ValueError, r"weights must be finite, but weights\[1\] is nan"),
        ([0, 0, 0], ValueError, "weights must have a sum above 0 and finite, got 0"),
        (["a", "b", "c"], TypeError, "weights must hold real numbers"),
    ],
)
def test_wrong_weights(weights, error, words):
    with pytest.raises(error, match=words):
        nn.mse(np.zeros((3, 1)), [1, 2, 3], weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_gradient_is_the_derivative(loss, weighted):
    rng = np.random.default_rng(1)
    Y = rng.standard_normal((3, 4))
    weights = [0.5, 2.0, 1.0] if weighted else None
    targets = some_targets(loss, rng, 3, 4)
    _, dY = loss(Y, targets, weights)
    for place in np.ndindex(Y.shape):
        step = np.zeros_like(Y)
        step[place] = 1e-3
        values = [loss(Y + multiple * step, targets, weights)[0] for multiple in (-2, -1, 1, 2)]
        difference = (8 * (values[2] - values[1]) - (values[3] - values[0])) / 12e-3
        assert difference == pytest.approx(dY[place], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("targets", "error", "words"),
    [
        ([0, 3], ValueError, r"targets must hold labels from 0 to 2 .*targets\[1\] is 3"),
        ([-1, 0], ValueError, r"targets\[0\] is -1"),
        ([0.0, 1.0], TypeError, "integer labels, got dtype float64"),
        ([0], ValueError, "one entry for each of the 2 rows of X, got 1"),
        (0, ValueError, "one entry for each of the 2 rows"),
        ([[0], [1]], ValueError, r"pass targets.ravel\(\)"),
        ([[0, 1, 1], [1, 0, 0]], ValueError, r"one-hot .*targets\[0\] is \[0 1 1\]"),
        ([[0.5, 0.5, 0], [1, 0, 0]], ValueError, "one-hot"),
        ([[2, 0, 0], [1, 0, 0]], ValueError, "one-hot"),
        ([[np.nan, 0, 0], [1, 0, 0]], ValueError, "one-hot"),
        (["a", "b"], TypeError, "real numbers"),
        ([[0, 1], [1, 0]], ValueError, r"shape \(2, 3\), got shape \(2, 2\)"),
    ],
)
def test_wrong_labels(targets, error, words):
    with pytest.raises(error, match=words):
        nn.softmax_cross_entropy(np.zeros((2, 3)), targets)


def test_wrong_real_targets():
    with pytest.raises(ValueError, match=r"targets must have the shape of the outputs, \(2, 3\), got \(2,\)"):
        nn.mse(np.zeros((2, 3)), [1, 2])
    with pytest.raises(ValueError, match=r"targets must be finite, but targets\[1, 0\] is nan"):
        nn.mse(np.zeros((2, 1)), [1, np.nan])
    with pytest.raises(ValueError, match="Y must have shape"):
        nn.mse(np.zeros(3), [1, 2, 3])
    for wrong in (-0.5, 2):
        with pytest.raises(ValueError, match=rf"\[0, 1\], but the target of row 1, output 0 is {wrong}"):
            nn.binary_cross_entropy(np.zeros((2, 1)), [1, wrong])
    with pytest.raises(ValueError, match=r"shape of the outputs, \(2, 3\), got \(2,\)"):
        nn.binary_cross_entropy(np.zeros((2, 3)), [1, 0])


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_a_loss_never_warns(loss):
    targets = [0] if loss is nn.softmax_cross_entropy else [[1.0, 0.0]]
    with np.errstate(all="raise"):
        for Y in ([[np.inf, 0]], [[np.nan, 1]], [[3e38, -3e38]], [[1e-40, -1e-40]]):
            loss(np.float32(Y), targets)
            loss(np.float32(Y), targets, [1e-40])


# Optimisers


def formula(name, w, gradients, rate=0.05):
    """The textbook formula, out of place and in float64."""
    w, v, m, s = w.astype(float), 0.0, 0.0, 0.0
    for t, g in enumerate(np.asarray(gradients, float), start=1):
        if name == "sgd":
            w = w - rate * g
        elif name == "momentum":
            v = 0.9 * v + g
            w = w - rate * v
        elif name == "nesterov":
            v = 0.9 * v + g
            w = w - rate * (g + 0.9 * v)
        elif name == "weight decay":
            v = 0.9 * v + g + 0.1 * w
            w = w - rate * v
        elif name == "adagrad":
            s = s + g**2
            w = w - rate * g / (np.sqrt(s) + 1e-6)
        elif name == "rmsprop":
            s = 0.8 * s + 0.2 * g**2
            w = w - rate * g / (np.sqrt(s) + 1e-6)
        elif name == "rmsprop with momentum":
            s = 0.8 * s + 0.2 * g**2
            v = 0.9 * v + g / (np.sqrt(s) + 1e-6)
            w = w - rate * v
        else:
            w = w * (1 - rate * 0.2) if name == "adamw" else w
            m, s = 0.8 * m + 0.2 * g, 0.99 * s + 0.01 * g**2
            w = w - rate * (m / (1 - 0.8**t)) / (np.sqrt(s / (1 - 0.99**t)) + 1e-6)
    return w


# Name -> an optimiser of ours and of PyTorch's; both take more keyword arguments.
OPTIMIZERS = {
    "sgd": lambda **more: nn.SGD(0.05, **more),
    "momentum": lambda **more: nn.SGD(0.05, momentum=0.9, **more),
    "nesterov": lambda **more: nn.SGD(0.05, momentum=0.9, nesterov=True, **more),
    "weight decay": lambda **more: nn.SGD(0.05, 0.9, weight_decay=0.1, **more),
    "adagrad": lambda **more: nn.AdaGrad(0.05, 1e-6, **more),
    "rmsprop": lambda **more: nn.RMSProp(0.05, 0.8, epsilon=1e-6, **more),
    "rmsprop with momentum": lambda **more: nn.RMSProp(0.05, 0.8, 0.9, 1e-6, **more),
    "adam": lambda **more: nn.Adam(0.05, 0.8, 0.99, 1e-6, **more),
    "adamw": lambda **more: nn.AdamW(0.05, 0.8, 0.99, 1e-6, 0.2, **more),
}


def of_pytorch(torch, name, tensors):
    return {
        "sgd": lambda: torch.optim.SGD(tensors, 0.05),
        "momentum": lambda: torch.optim.SGD(tensors, 0.05, momentum=0.9),
        "nesterov": lambda: torch.optim.SGD(tensors, 0.05, momentum=0.9, nesterov=True),
        "weight decay": lambda: torch.optim.SGD(tensors, 0.05, momentum=0.9, weight_decay=0.1),
        "adagrad": lambda: torch.optim.Adagrad(tensors, 0.05, eps=1e-6),
        "rmsprop": lambda: torch.optim.RMSprop(tensors, 0.05, alpha=0.8, eps=1e-6),
        "rmsprop with momentum": lambda: torch.optim.RMSprop(tensors, 0.05, alpha=0.8, eps=1e-6, momentum=0.9),
        "adam": lambda: torch.optim.Adam(tensors, 0.05, (0.8, 0.99), 1e-6),
        "adamw": lambda: torch.optim.AdamW(tensors, 0.05, (0.8, 0.99), 1e-6, weight_decay=0.2),
    }[name]()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("shape", [(1,), (3, 5), (200, 123), (16384,), (16385,)])
def test_optimizers(name, shape, dtype):
    rng = np.random.default_rng(0)
    w = rng.standard_normal(shape).astype(dtype)
    gradients = rng.standard_normal((5, *shape)).astype(dtype)
    wanted = formula(name, w, gradients)
    optimizer, g = OPTIMIZERS[name](), np.empty_like(w)
    for gradient in gradients:
        g[...] = gradient
        optimizer.step([nn.Parameter("w", w, g)])
    np.testing.assert_array_equal(g, gradients[-1])
    np.testing.assert_allclose(w, wanted, rtol=0, atol=40 * np.finfo(dtype).eps)
    assert optimizer.steps == 5


CLIPPING = [{}, {"clip_norm": 0.5}, {"clip_norm": 1e3}, {"clip_value": 0.3}, {"clip_norm": 2.0, "clip_value": 0.3}]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("clipping", CLIPPING, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pytorch_takes_the_same_steps(name, clipping, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape).astype(dtype) for shape in ((6, 4), (4,))]
    tensors = [torch.tensor(value.copy(), requires_grad=True) for value in values]
    theirs, ours = of_pytorch(torch, name, tensors), OPTIMIZERS[name](**clipping)
    parameters = [nn.Parameter("w", value, np.empty_like(value)) for value in values]
    for _ in range(50):
        for parameter, tensor in zip(parameters, tensors, strict=True):
            parameter.gradient[...] = rng.standard_normal(parameter.gradient.shape)
            tensor.grad = torch.tensor(parameter.gradient.copy())
        if "clip_norm" in clipping:
            torch.nn.utils.clip_grad_norm_(tensors, clipping["clip_norm"])
        if "clip_value" in clipping:
            torch.nn.utils.clip_grad_value_(tensors, clipping["clip_value"])
        theirs.step()
        ours.step(parameters)
    for value, tensor in zip(values, tensors, strict=True):
        wanted = tensor.detach().numpy()
        atol = (1e-12 if dtype == np.float64 else 20 * np.finfo(dtype).eps) * np.abs(wanted).max()
        np.testing.assert_allclose(value, wanted, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipping(dtype):
    rng = np.random.default_rng(0)
    gradients = [(100 * rng.standard_normal(shape)).astype(dtype) for shape in ((200, 123), (7,))]
    norm = np.sqrt(sum(np.sum(g.astype(float) ** 2) for g in gradients))

    def steps(given=gradients, **clipping):
        values = [np.zeros_like(g) for g in given]
        kept = [g.copy() for g in given]
        nn.SGD(1.0, **clipping).step([nn.Parameter("w", w, g) for w, g in zip(values, given, strict=True)])
        assert all(np.array_equal(g, copy) for g, copy in zip(given, kept, strict=True))
        return [-w for w in values]

    for got, g in zip(steps(clip_norm=3.0), gradients, strict=True):
        np.testing.assert_allclose(got, g * (3.0 / norm), rtol=1e-5 if dtype == np.float32 else 1e-8)
    for got, g in zip(steps(clip_norm=2 * norm), gradients, strict=True):
        np.testing.assert_array_equal(got, g)
    for got, g in zip(steps(clip_value=50), gradients, strict=True):
        np.testing.assert_array_equal(got, np.minimum(np.maximum(g, -50), 50))
    huge = [np.array([3e30, -4e30], dtype)]  # its square is no float32
    np.testing.assert_allclose(steps(huge, clip_norm=1.0)[0], [0.6, -0.8], rtol=1e-6)
    assert np.isnan(nan_step(dtype)).all()


def nan_step(dtype):
    w = np.zeros(3, dtype)
    nn.SGD(1.0, clip_norm=1.0).step([nn.Parameter("w", w, np.array([1, np.nan, 2], dtype))])
    return w


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_never_warns(name):
    g = np.float32([3e38, -1e-40, np.inf, np.nan])
    with np.errstate(all="raise"):
        for clipping in CLIPPING:
            optimizer = OPTIMIZERS[name](**clipping)
            parameters = [nn.Parameter("w", np.float32([1, 2, 3, 4]), g)]
            optimizer.step(parameters)
            optimizer.step(parameters)


@pytest.mark.parametrize(
    ("w", "g", "error", "words"),
    [
        (np.ones(3, np.float16), np.ones(3, np.float16), TypeError, "layer must have dtype .* float64, .*float16"),
        (np.ones(3), np.ones(3, np.float32), ValueError, "layer: the gradient must have .* float64, .* float32"),
        (np.ones(3), np.ones((3, 1)), ValueError, r"layer: the gradient must have shape \(3,\)"),
        (np.ones((3, 2)).T, np.ones((2, 3)), ValueError, "layer: value and gradient must be C-contiguous"),
        (np.broadcast_to(1.0, 3), np.ones(3), ValueError, "layer: value and gradient must be C-contiguous"),
    ],
)
def test_wrong_parameters(w, g, error, words):
    """Nothing is changed: not the parameter before the wrong one, and not the count of steps."""
    first = np.ones(2)
    optimizer = nn.SGD(0.1)
    with pytest.raises(error, match=words):
        optimizer.step([nn.Parameter("first", first, np.ones(2)), nn.Parameter("layer", w, g)])
    assert optimizer.steps == 0 and (first == 1).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_schedule_gives_the_rate_of_every_step(name):
    rng = np.random.default_rng(0)
    w, gradients = rng.standard_normal(5), rng.standard_normal((4, 5))
    by_schedule, by_hand = w.copy(), w.copy()
    g = np.empty(5)
    ours, assigned = OPTIMIZERS[name](), OPTIMIZERS[name]()
    ours.learning_rate = lambda step: 0.1 / (step + 1)
    for step, gradient in enumerate(gradients):
        g[...] = gradient
        assert ours.rate == 0.1 / (step + 1)
        ours.step([nn.Parameter("w", by_schedule, g)])
        assigned.learning_rate = 0.1 / (step + 1)
        assert assigned.rate == assigned.learning_rate == 0.1 / (step + 1)
        assigned.step([nn.Parameter("w", by_hand, g)])
    np.testing.assert_array_equal(by_schedule, by_hand)
    assert not np.array_equal(by_schedule, formula(name, w, gradients))


def test_state_stays_with_the_parameters():
    optimizer = nn.SGD(0.1, momentum=0.9)
    first, second = ([nn.Parameter("w", np.zeros(2), np.ones(2))] for _ in range(2))
    optimizer.step(first)
    optimizer.step(first)
    assert optimizer.state["velocity"][0].tolist() == [1.9, 1.9] and optimizer.steps == 2
    optimizer.step(second)
    assert optimizer.state["velocity"][0].tolist() == [1.0, 1.0] and optimizer.steps == 1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.SGD(0), ValueError, "learning_rate must be above 0 and finite, got 0"),
        (lambda: nn.SGD(np.nan), ValueError, "learning_rate must be above 0"),
        (lambda: nn.SGD(np.inf), ValueError, "learning_rate must be above 0"),
        (lambda: nn.SGD(10**400), ValueError, "learning_rate must be above 0 and finite"),
        (lambda: nn.SGD("0.1"), TypeError, "learning_rate must be a number, got '0.1'"),
        (lambda: nn.SGD(0.1, momentum=1), ValueError, "momentum must be at least 0 and below 1, got 1"),
        (lambda: nn.Adam(beta_1=-0.1), ValueError, "beta_1 must be at least 0 and below 1"),
        (lambda: nn.Adam(beta_2=1.0), ValueError, "beta_2 must be"),
        (lambda: nn.Adam(epsilon=0), ValueError, "epsilon must be above 0"),
        (lambda: nn.SGD(nesterov=True), ValueError, "nesterov=True needs a momentum above 0"),
        (lambda: nn.SGD(0.1, 0.9, 1), TypeError, r"nesterov must be True or False, got 1 \(int\)"),
        (lambda: nn.SGD(weight_decay=-1), ValueError, "weight_decay must be at least 0"),
        (lambda: nn.AdamW(weight_decay=None), TypeError, "weight_decay must be a number, got None"),
        (lambda: nn.AdaGrad(epsilon=0), ValueError, "epsilon must be above 0"),
        (lambda: nn.RMSProp(rho=1), ValueError, "rho must be at least 0 and below 1"),
        (lambda: nn.SGD(clip_norm=0), ValueError, "clip_norm must be above 0"),
        (lambda: nn.Adam(clip_value="1"), TypeError, "clip_value must be a number"),
        (lambda: nn.SGD(nn.schedules.Warmup), TypeError, "number or a schedule, got the class Warmup"),
        (lambda: setattr(nn.SGD(), "learning_rate", 0), ValueError, "learning_rate must be above 0"),
        (lambda: nn.SGD(lambda step: -1.0).rate, ValueError, r"learning_rate\(0\) must be at least 0 .* got -1"),
        (lambda: nn.SGD(lambda step: None).rate, TypeError, r"learning_rate\(0\) must be a number, got None"),
        (lambda: nn.SGD(lambda step: 0.1).config(), TypeError, "learning_rate must be a number or .* to be saved"),
    ],
)
def test_wrong_optimizers(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("clipping", CLIPPING, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_config_makes_an_equal_optimizer(name, clipping):
    made = OPTIMIZERS[name](**clipping)
    made.learning_rate = nn.schedules.Warmup(nn.schedules.StepDecay(0.3, 5, 0.5), 10)
    config = made.config()
    again = nn.optimizers.from_config(json.loads(json.dumps(config)))
    assert again.config() == config and repr(again) == repr(made) and type(again) is type(made)
    rng = np.random.default_rng(0)
    values = np.ones((2, 3))
    for _ in range(3):
        g = rng.standard_normal(3)
        for optimizer, w in zip((made, again), values, strict=True):
            optimizer.step([nn.Parameter("w", w, g)])
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize(
    ("config", "error", "words"),
    [
        ("adam", TypeError, r"the config of the optimizer must be a dict, got 'adam' \(str\)"),
        ({"learning_rate": 1}, ValueError, "must have a 'name', got the keys 'learning_rate'"),
        ({"name": "lion"}, ValueError, "optimizer name must be one of 'sgd', .*; got 'lion'"),
        ({"name": "sgd", "beta_1": 0.9}, ValueError, "'sgd' takes 'learning_rate', 'momentum'.*; got 'beta_1'"),
        ({"name": "sgd", "learning_rate": -1}, ValueError, "learning_rate must be above 0"),
    ],
)
def test_wrong_configs(config, error, words):
    with pytest.raises(error, match=words):
        nn.optimizers.from_config(config)


def test_names_say_the_settings():
    assert repr(nn.SGD(0.1, 0.9)) == "SGD(learning_rate=0.1, momentum=0.9)"
    assert repr(nn.SGD(nn.schedules.Warmup(1, 5), clip_norm=2, nesterov=False, momentum=0)) == (
        "SGD(learning_rate=Warmup(learning_rate=1, warmup_steps=5), clip_norm=2)"
    )
    assert repr(nn.Adam(beta_1=0)) == "Adam(learning_rate=0.001, beta_1=0, beta_2=0.999, epsilon=1e-08)"
    assert repr(nn.Adam()) == "Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08)"
    assert repr(nn.mse) == "<loss mse>"
