"""Diagnoses, held against the same quantities computed by hand: in NumPy, with torch.autograd, by scikit-learn."""

import copy
import importlib
import itertools
import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest

from fastact import nn
from fastact._datasets import synthetic
from fastact.diagnostics import Diagnosis, LayerMeasures, Monitor, diagnose
from fastact.diagnostics.experiments import SlopeResult, best_slopes, dying_relu, sweep_slopes

ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu"]


def by_hand(Z, activation, slope):
    """φ(Z) and φ′(Z) in plain NumPy."""
    if activation == "sigmoid":
        Y = 1.0 / (1.0 + np.exp(-Z))
        return Y, Y * (1.0 - Y)
    if activation == "tanh":
        return np.tanh(Z), 1.0 - np.tanh(Z) ** 2
    if activation is None:
        return Z, np.ones_like(Z)
    slope = slope if activation == "leaky_relu" else 0.0
    return np.where(Z > 0, Z, slope * Z), np.where(Z > 0, 1.0, slope)


def expected(model, X, T, threshold=0.05):
    """The measures of every layer, for the mean squared error of all rows at once."""
    A, layers = np.asarray(X, dtype=np.float64), []
    for layer in model.layers:
        Z = A @ layer.W.astype(np.float64) + layer.b
        Y, slopes = by_hand(Z, layer.activation, layer.negative_slope)
        layers.append((A, Z, Y, slopes, layer))
        A = Y
    dY = 2.0 * (A - T) / A.size
    found = []
    for A, Z, Y, slopes, layer in reversed(layers):
        dZ = dY * slopes
        dX = dZ @ layer.W.T.astype(np.float64)
        ramp, limit = layer.activation in ("relu", "leaky_relu"), {"sigmoid": 0.25, "tanh": 1.0}.get(layer.activation)
        found.append({
            "weight_gradient_norm": np.linalg.norm(A.T @ dZ),
            "activation_gradient_norm": np.linalg.norm(dY),
            "derivative_mean": slopes.mean(),
            "derivative_quantiles": np.quantile(np.abs(slopes), [0.0, 0.25, 0.5, 0.75, 1.0]),
            "gradient_factor": np.linalg.norm(dX) / np.linalg.norm(dY),
            "saturated": np.nan if limit is None else np.mean(slopes < threshold * limit),
            "dead": np.mean((Z <= 0).all(axis=0)) if ramp else np.nan,
            "zeros": np.mean(Y == 0),
        })  # fmt: skip
        dY = dX
    return found[::-1]


def assert_measures(layers, wanted, rtol=1e-9):
    assert len(layers) == len(wanted)
    for layer, numbers in zip(layers, wanted, strict=True):
        for name, value in numbers.items():
            np.testing.assert_allclose(getattr(layer, name), value, rtol=rtol, atol=1e-15, err_msg=f"{name} of {layer}")


def network(activation, dtype=np.float64, slope=0.1, sizes=(5, 12, 9, 7), outputs=3, scale=3.0):
    """A network with saturated and dead units, and a batch of data."""
    layers = [nn.Dense(*pair, activation, slope, dtype=dtype) for pair in itertools.pairwise(sizes)]
    model = nn.Sequential([*layers, nn.Dense(sizes[-1], outputs, dtype=dtype)], seed=1)
    rng = np.random.default_rng(2)
    for layer in layers:
        layer.W = scale * layer.W
        layer.b = np.where(np.arange(layer.out_features) % 4 == 0, -100.0, rng.standard_normal(layer.out_features))
    return model, rng.standard_normal((50, sizes[0])), rng.standard_normal((50, outputs))


@pytest.mark.parametrize("slope", [0.1, -0.3], ids=["slope", "negative-slope"])
@pytest.mark.parametrize("batch_size", [7, 50, 256])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, None])
def test_sequential(activation, batch_size, slope):
    """All rows count as one batch, whatever the batches are."""
    model, X, T = network(activation, slope=slope)
    diagnosis = diagnose(model, X, T, batch_size=batch_size)
    assert_measures(diagnosis.layers, expected(model, X, T))
    assert diagnosis.rows == 50 and diagnosis.loss_name == "mse"
    assert diagnosis.loss == pytest.approx(np.mean((model.predict(X) - T) ** 2), rel=1e-12)
    if activation == "relu":
        assert diagnosis.layers[0].dead >= 0.25


def test_float32_gradients_too_small_for_its_squares():
    """Norms of gradients whose squares float32 cannot hold."""
    model = nn.Sequential([nn.Dense(8, 8, "sigmoid") for _ in range(30)], seed=0)
    model.layers[-1].W = 1e-6 * model.layers[-1].W
    X, T = np.ones((4, 8)), np.zeros((4, 8))
    found = diagnose(model, X, T).layers
    wanted = expected(model, X, T)
    assert 0.0 < wanted[0]["activation_gradient_norm"] < 1e-23
    assert found[0].activation_gradient_norm == pytest.approx(wanted[0]["activation_gradient_norm"], rel=1e-3)
    assert found[0].gradient_factor == pytest.approx(wanted[0]["gradient_factor"], rel=1e-3)


def test_saturation_threshold():
    model, X, T = network("tanh")
    wanted = expected(model, X, T, threshold=0.5)
    assert_measures(diagnose(model, X, T, saturation_threshold=0.5).layers, wanted)
    assert 0.1 < wanted[0]["saturated"] < 0.9


def test_quartiles_of_many_values_are_those_of_evenly_spaced_rows():
    model = nn.Sequential([nn.Dense(2, 64, "tanh")], seed=0)
    X = np.random.default_rng(0).standard_normal((9000, 2))
    (layer,) = diagnose(model, X, np.zeros((9000, 64)), batch_size=64).layers
    slopes = 1.0 - np.tanh(X @ model.layers[0].W) ** 2
    wanted = np.quantile(slopes[::5], [0.25, 0.5, 0.75])  # 9000 · 64 / 2¹⁷ is above 4
    np.testing.assert_allclose(layer.derivative_quantiles, [slopes.min(), *wanted, slopes.max()], rtol=1e-4)


def test_sequential_is_not_changed():
    model, X, T = network("relu")
    model.forward(X)
    model.backward(T)

    def arrays():
        return [array for layer in model.layers for array in (layer.W, layer.b, layer.dW, layer.db, layer.output)]

    before = [array.copy() for array in arrays()]
    diagnose(model, X[:9], T[:9])
    assert all(np.array_equal(*pair) for pair in zip(before, arrays(), strict=True))


def test_unit_gain_is_applied_to_the_copy():
    X = np.random.default_rng(0).standard_normal((200, 32))
    model = nn.Sequential([nn.Dense(32, 32, "sigmoid", init="unit_gain") for _ in range(6)], seed=0)
    factors = [layer.gradient_factor for layer in diagnose(model, X, X).layers]
    assert all(0.6 < factor < 1.6 for factor in factors)
    assert all(layer.needs_batch for layer in model.layers)


def test_default_losses():
    def name(outputs, y):
        return diagnose(nn.Sequential([nn.Dense(2, outputs)], seed=0), np.ones((4, 2)), y).loss_name

    assert name(3, [0, 1, 2, 0]) == name(2, np.eye(2)[[0, 1, 1, 0]].astype(int)) == "softmax_cross_entropy"
    assert name(1, [0, 1, 1, 0]) == name(1, np.array([True, False, True, True])) == "binary_cross_entropy"
    assert name(1, [0, 1, 2, 0]) == name(1, [0.0, 1.0, 1.0, 0.0]) == name(2, [[3, 4]] * 4) == "mse"
    model = nn.Sequential([nn.Dense(2, 1)], seed=0)
    model.fit(np.ones((4, 2)), [0, 1, 1, 0], loss="mse", optimizer="sgd")
    assert diagnose(model, np.ones((4, 2)), [0, 1, 1, 0]).loss_name == "mse"


@pytest.mark.parametrize(("arguments", "error", "words"), [
    ({"model": [1, 2]}, TypeError, "model must be an nn.Sequential.*got list"),
    ({"X": np.ones((3, 4))}, ValueError, r"X must have shape \(rows, 5\)"),
    ({"y": np.ones((2, 3))}, ValueError, "y must have one entry for each of the 50 rows"),
    ({"loss": "hinge"}, ValueError, "loss must be one of"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"saturation_threshold": 1.0}, ValueError, "saturation_threshold must be above 0 and below 1"),
])  # fmt: skip
def test_errors(arguments, error, words):
    model, X, T = network("tanh")
    arguments = {"model": model, "X": X, "y": T, **arguments}
    with pytest.raises(error, match=words):
        diagnose(arguments.pop("model"), arguments.pop("X"), arguments.pop("y"), **arguments)


def test_table_dictionary_and_data_frame():
    model, X, T = network("relu")
    diagnosis = diagnose(model, X, T)
    lines = diagnosis.table().splitlines()
    assert len(lines) == 5 and lines[1].split()[1:4] == ["layers[0]", "relu", "12"]
    assert diagnosis.table() in str(diagnosis) and diagnosis.findings[0].text in str(diagnosis)
    stored = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
    assert stored["layers"][0]["dead"] == diagnosis.layers[0].dead and stored["layers"][3]["dead"] is None
    assert stored["findings"][0]["text"] == diagnosis.findings[0].text
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = diagnosis.to_dataframe()
    assert frame.loc[1, "zeros"] == diagnosis.layers[1].zeros
    assert frame.loc[2, "derivative_median"] == diagnosis.layers[2].derivative_quantiles[2]


def test_importing_it_loads_no_other_library():
    code = "import sys, fastact.diagnostics; sys.exit(bool({'torch', 'sklearn', 'pandas', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# findings


def kinds(diagnosis):
    return [finding.kind for finding in diagnosis.findings]


def deep(activation, depth=10, init=None, width=32):
    layers = [nn.Dense(width, width, activation, init=init) for _ in range(depth)]
    return nn.Sequential([*layers, nn.Dense(width, 2)], seed=0)


DATA = np.random.default_rng(0).standard_normal((300, 32))
LABELS = (DATA[:, 0] > 0).astype(int)


def test_finding_vanishing():
    diagnosis = diagnose(deep("sigmoid"), DATA, LABELS)
    assert kinds(diagnosis) == ["vanishing"]
    (finding,) = diagnosis.findings
    first, last = diagnosis.layers[0], diagnosis.layers[-1]
    assert finding.layer == 0
    assert finding.value == first.activation_gradient_norm / last.activation_gradient_norm < 1e-4
    assert f"{finding.value:.1e} is left at layers[0]" in finding.text
    assert "sigmoid's derivative is 0.2" in finding.text and "unit_gain" in finding.text and "relu" in finding.text


def test_unit_gain_cures_it():
    """The price are weights so large that they saturate units, which is said."""
    assert kinds(diagnose(deep("sigmoid", init="unit_gain"), DATA, LABELS)) == ["saturated"]
    assert kinds(diagnose(deep("tanh", init="unit_gain"), DATA, LABELS)) == ["healthy"]


def test_finding_small_weights():
    model = deep("tanh")
    for layer in model.layers:
        layer.W = 0.1 * layer.W
    (finding,) = diagnose(model, DATA, LABELS).findings
    assert finding.kind == "vanishing" and "the weights are too small" in finding.text


def test_finding_exploding():
    model = deep("relu")
    for layer in model.layers:
        layer.W = 4.0 * layer.W
    diagnosis = diagnose(model, DATA, LABELS)
    (finding,) = diagnosis.findings
    assert finding.kind == "exploding" and finding.value > 1e5 and "unit_gain" in finding.text


def test_finding_saturated():
    model = deep("tanh", depth=2)
    model.layers[0].W = 30.0 * model.layers[0].W
    diagnosis = diagnose(model, DATA, LABELS)
    (finding,) = [finding for finding in diagnosis.findings if finding.kind == "saturated"]
    assert (finding.layer, finding.value) == (0, diagnosis.layers[0].saturated) and finding.value > 0.9
    assert f"{finding.value:.0%}" in finding.text and "mean 0 and variance 1" in finding.text


def test_finding_dead():
    model = deep("relu", depth=2)
    model.layers[1].b = np.full(32, -100.0)
    diagnosis = diagnose(model, DATA, LABELS)
    dead, vanishing = diagnosis.findings
    assert (dead.kind, dead.layer, dead.value) == ("dead", 1, 1.0) and "32 of 32" in dead.text
    assert (vanishing.kind, vanishing.value) == ("vanishing", 0.0) and "all its units are dead" in vanishing.text
    leaky = nn.Sequential([copy.deepcopy(layer) for layer in deep("leaky_relu", depth=2).layers], seed=0)
    leaky.layers[0].b = np.full(32, -100.0)
    diagnosis = diagnose(leaky, DATA, LABELS)
    assert diagnosis.layers[0].dead == 1.0 and "dead" not in kinds(diagnosis)


def test_findings_of_the_steps_and_of_numbers_that_are_not_finite():
    def one(loss=1.0, **numbers):
        return Diagnosis([LayerMeasures(0, "layers[0]", "tanh", 3, **numbers)], 100, loss)

    healthy = {"activation_gradient_norm": 1.0, "weight_gradient_norm": 1.0, "update_ratio": 1e-3}
    assert kinds(one(**healthy)) == ["healthy"]
    assert kinds(one(**healthy | {"update_ratio": 1e-8})) == ["small_update"]
    assert kinds(one(**healthy | {"update_ratio": 0.7})) == ["large_update"]
    assert "70%" in one(**healthy | {"update_ratio": 0.7}).findings[0].text
    assert kinds(one(loss=math.nan)) == ["not_finite"]
    assert kinds(one(**healthy | {"weight_gradient_norm": math.inf})) == ["not_finite"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_that_learns_is_healthy(activation):
    """Before, during and after a training that succeeds."""
    model = nn.Sequential([nn.Dense(32, 64, activation), nn.Dense(64, 64, activation), nn.Dense(64, 2)], seed=0)
    monitor = Monitor(every=1)
    fresh = kinds(diagnose(model, DATA, LABELS))
    history = model.fit(DATA, LABELS, loss="softmax_cross_entropy", optimizer=nn.Adam(0.003), epochs=10,
                        callbacks=[monitor])  # fmt: skip
    assert history["accuracy"][-1] > 0.85
    assert fresh == kinds(monitor.diagnosis()) == kinds(diagnose(model, DATA, LABELS)) == ["healthy"]


@pytest.mark.parametrize(
    ("activation", "dead", "rows", "words"),
    [
        ("relu", 0.4, 100, "no layer is mostly dead or saturated."),
        ("relu", 0.8, 10, "none is saturated. 10 rows are too few to tell which units are dead."),
        ("leaky_relu", 0.8, 100, "a has units that are off for every row, but still learn."),
    ],
)
def test_healthy_does_not_deny_what_the_table_shows(activation, dead, rows, words):
    layer = LayerMeasures(0, "a", activation, 5, activation_gradient_norm=1.0, weight_gradient_norm=1.0, dead=dead)
    (finding,) = Diagnosis([layer], rows, 1.0).findings
    assert finding.kind == "healthy" and finding.text.endswith(words)


# in training


def test_monitor_measures_the_step():
    """An epoch of one batch: what diagnose finds before the step, and the step."""
    model, X, T = network("relu", scale=1.0)
    wanted = expected(model, X, T)
    before = [layer.W.copy() for layer in model.layers]
    monitor = Monitor()
    model.fit(X, T, loss="mse", optimizer=nn.SGD(0.1), batch_size=50, shuffle=False, callbacks=[monitor])
    wanted[0]["gradient_factor"] = math.nan  # the gradient of X is not computed in training
    for layer, W, numbers in zip(model.layers, before, wanted, strict=True):
        numbers["update_ratio"] = np.linalg.norm(layer.W - W) / np.linalg.norm(W)
        assert numbers["update_ratio"] == pytest.approx(
            0.1 * numbers["weight_gradient_norm"] / np.linalg.norm(W), rel=1e-9)  # fmt: skip
    assert_measures(monitor.history[0], wanted)
    assert monitor.diagnosis().loss == model.history["loss"][0] and monitor.diagnosis().rows == 50


def test_monitor_takes_root_mean_squares_over_the_batches_it_measures():
    model, X, T = network("tanh", scale=1.0)
    parts = [expected(model, X[rows], T[rows]) for rows in (slice(0, 10), slice(20, 30), slice(40, 50))]
    monitor = Monitor(every=2)
    model.fit(X, T, loss="mse", optimizer=nn.SGD(1e-12), batch_size=10, shuffle=False, callbacks=[monitor])
    for index, layer in enumerate(monitor.history[0]):
        for name in ("weight_gradient_norm", "activation_gradient_norm"):
            wanted = math.sqrt(np.mean([part[index][name] ** 2 for part in parts]))
            assert getattr(layer, name) == pytest.approx(wanted, rel=1e-6)
        assert layer.derivative_mean == pytest.approx(np.mean([p[index]["derivative_mean"] for p in parts]), rel=1e-6)
    assert monitor.diagnosis().rows == 30


@pytest.mark.parametrize("slope", [0.0, 0.1, -0.1], ids=["relu", "leaky", "negative"])
def test_monitor_counts_dead_units_over_all_batches(slope):
    """A unit that is on in one row only, of a batch that is not measured, is not dead."""
    activation = "leaky_relu" if slope else "relu"
    model = nn.Sequential([nn.Dense(4, 4, activation, slope), nn.Dense(4, 1)], seed=0)
    model.layers[0].W = np.eye(4)
    X = -np.ones((40, 4), dtype=np.float32)
    X[0, 0] = X[37, 1] = X[17, 2] = 1.0  # of unit 3 no row is on
    monitor = Monitor(every=100)
    model.fit(X, np.zeros(40), loss="mse", optimizer=nn.SGD(1e-9), batch_size=4, epochs=2, shuffle=False,
              callbacks=[monitor])  # fmt: skip
    assert [layers[0].dead for layers in monitor.history] == [0.25, 0.25]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_monitor_changes_nothing_in_the_training(activation):
    def train(callbacks):
        model = nn.Sequential([nn.Dense(32, 16, activation), nn.Dense(16, 2)], seed=0)
        model.fit(DATA, LABELS, loss="softmax_cross_entropy", optimizer="adam", epochs=3, callbacks=callbacks)
        return model.predict(DATA)

    assert np.array_equal(train([]), train([Monitor(every=3)]))


def test_monitor_arrays_and_data_frame():
    model, X, T = network("sigmoid")
    monitor = Monitor(every=1)
    with pytest.raises(ValueError, match="no finished epoch"):
        monitor.diagnosis()
    model.fit(X, T, loss="mse", optimizer="sgd", epochs=3, callbacks=[monitor])
    assert monitor.array("saturated").shape == (3, 4)
    assert monitor.array("derivative_quantiles").shape == (3, 4, 5)
    assert monitor.array("update_ratio")[2, 1] == monitor.history[2][1].update_ratio
    with pytest.raises(ValueError, match="name must be one of 'weight_gradient_norm'"):
        monitor.array("colour")
    with pytest.raises(ValueError, match="every must be at least 1"):
        Monitor(every=0)
    model.fit(X, T, loss="mse", optimizer="sgd", epochs=1, callbacks=[monitor])
    assert len(monitor.history) == 1  # of the last fit
    pytest.importorskip("pandas", reason="pandas is not installed")
    assert monitor.to_dataframe().loc[(1, 2), "zeros"] == monitor.history[0][2].zeros


# PyTorch


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def torch_network(torch, kind, activation):
    F = torch.nn.functional
    modules = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU,
               "leaky_relu": lambda **how: torch.nn.LeakyReLU(0.1, **how)}  # fmt: skip
    functions = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": F.relu,
                 "leaky_relu": lambda Z: F.leaky_relu(Z, 0.1)}  # fmt: skip
    in_place = {"sigmoid": lambda Z: Z.sigmoid_(), "tanh": lambda Z: Z.tanh_(), "relu": F.relu_,
                "leaky_relu": lambda Z: F.leaky_relu(Z, negative_slope=0.1, inplace=True)}  # fmt: skip
    linear = [torch.nn.Linear(*sizes, dtype=torch.float64) for sizes in ((5, 12), (12, 9), (9, 7), (7, 3))]
    if kind == "modules":
        layers = [part for layer in linear[:-1] for part in (layer, modules[activation]())]
        return torch.nn.Sequential(*layers, linear[-1]), linear

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.ModuleList(linear)

        def forward(self, X):
            for layer in self.linear[:-1]:
                Z = layer(X)
                X = (functions if kind == "functions" else in_place)[activation](Z)
            return self.linear[-1](X)

    return Network(), linear


def by_autograd(torch, linear, activation, X, T):
    """The measures by hand: every Z and Y a tensor of its own, whose gradients autograd keeps."""
    A = torch.tensor(X, requires_grad=True)
    T = torch.tensor(T)
    inputs, Zs, Ys, slopes = [], [], [], []
    for index, layer in enumerate(linear):
        inputs.append(A)
        Z = A @ layer.weight.T + layer.bias
        hidden = index < len(linear) - 1
        name = activation if hidden else None
        Y = {"sigmoid": lambda Z: 1 / (1 + torch.exp(-Z)), "tanh": torch.tanh, "relu": lambda Z: Z * (Z > 0),
             "leaky_relu": lambda Z: torch.where(Z > 0, Z, 0.1 * Z), None: lambda Z: Z * 1}[name](Z)  # fmt: skip
        (slope,) = torch.autograd.grad(Y.sum(), Z, retain_graph=True)
        Zs, Ys, slopes, A = [*Zs, Z], [*Ys, Y], [*slopes, slope], Y
    loss = ((A - T) ** 2).mean()
    of_weights = torch.autograd.grad(loss, [layer.weight for layer in linear], retain_graph=True)
    of_outputs = torch.autograd.grad(loss, Ys, retain_graph=True)
    of_inputs = torch.autograd.grad(loss, inputs)
    limit = {"sigmoid": 0.25, "tanh": 1.0}.get(activation)
    wanted = []
    for index, slope in enumerate(slopes):
        hidden = index < len(linear) - 1
        ramp = hidden and limit is None
        wanted.append({
            "weight_gradient_norm": float(of_weights[index].norm()),
            "activation_gradient_norm": float(of_outputs[index].norm()),
            "gradient_factor": float(of_inputs[index].norm() / of_outputs[index].norm()),
            "derivative_mean": float(slope.mean()),
            "derivative_quantiles": np.quantile(slope.numpy(), [0.0, 0.25, 0.5, 0.75, 1.0]),
            "saturated": float((slope < 0.05 * limit).double().mean()) if hidden and limit else math.nan,
            "dead": float((Zs[index] <= 0).all(dim=0).double().mean()) if ramp else math.nan,
            "zeros": float((Ys[index] == 0).double().mean()),
        })  # fmt: skip
    return wanted, float(loss.detach())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["modules", "functions", "in place"])
def test_torch(torch, kind, activation):
    model, linear = torch_network(torch, kind, activation)
    twin, X, T = network(activation)
    with torch.no_grad():
        for layer, other in zip(linear, twin.layers, strict=True):
            layer.weight.copy_(torch.tensor(other.W.T))
            layer.bias.copy_(torch.tensor(other.b))
    wanted, loss = by_autograd(torch, linear, activation, X, T)
    for batch_size in (50, 16):
        diagnosis = diagnose(model, X, T, batch_size=batch_size)
        assert_measures(diagnosis.layers, wanted)
        assert diagnosis.loss == pytest.approx(loss, rel=1e-12) and diagnosis.loss_name == "mse"
        assert [layer.activation for layer in diagnosis.layers] == [activation] * 3 + [None]
    assert_measures(diagnosis.layers, expected(twin, X, T))
    names = {"modules": ["0", "2", "4", "6"]}.get(kind, [f"linear.{index}" for index in range(4)])
    assert [layer.name for layer in diagnosis.layers] == names


def test_torch_convolutions(torch):
    """Channels are units; every place of every image is a row."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(inplace=True),
                                torch.nn.Flatten(), torch.nn.Linear(4 * 16, 3))  # fmt: skip
    with torch.no_grad():
        model[1].bias[2] = -50.0
    model.eval()
    X, y = torch.randn(20, 1, 6, 6), torch.arange(20) % 3
    first, last = diagnose(model, X, y, batch_size=8).layers
    Z = model[1](model[0](X))
    Y = torch.relu(Z)
    loss = torch.nn.functional.cross_entropy(model[4](Y.flatten(1)), y)
    dW, dY = torch.autograd.grad(loss, [model[0].weight, Y])
    assert (first.name, first.activation, first.units, first.dead) == ("0", "relu", 4, 0.25)
    assert (last.name, last.activation, last.units) == ("4", None, 3)
    assert first.weight_gradient_norm == pytest.approx(float(dW.norm()), rel=1e-5)
    assert first.activation_gradient_norm == pytest.approx(float(dY.norm()), rel=1e-5)
    assert first.zeros == pytest.approx(float((Y == 0).float().mean()), rel=1e-6)
    assert first.derivative_mean == pytest.approx(float((Z > 0).float().mean()), rel=1e-6)


class Failing(Exception):
    pass


@pytest.mark.parametrize("fails", [False, True])
def test_torch_module_is_not_changed(torch, fails):
    """Weights, gradients, modes, buffers, random numbers and hooks are what they were, after an error too."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Dropout(0.5),
                                torch.nn.Linear(4, 2))  # fmt: skip
    model[3].eval()
    X, y = torch.randn(30, 5), torch.arange(30) % 2
    model(X).sum().backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    numbers = torch.random.get_rng_state()

    def loss(outputs, targets):
        torch.rand(3)
        if fails:
            raise Failing
        return torch.nn.functional.cross_entropy(outputs, targets)

    try:
        diagnose(model, X, y, loss=loss)
        assert not fails
    except Failing:
        assert fails
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, gradient) for p, gradient in zip(model.parameters(), gradients, strict=True))
    assert [module.training for module in model.modules()] == [True, True, True, True, False, True]
    assert torch.equal(numbers, torch.random.get_rng_state())
    assert not X.requires_grad and torch.is_grad_enabled()
    assert not any(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not any(p._backward_hooks for p in model.parameters())


def test_torch_frozen_weights_shared_weights_and_other_functions(torch):
    torch.manual_seed(0)
    shared = torch.nn.Linear(5, 5)
    model = torch.nn.Sequential(shared, torch.nn.GELU(), shared, torch.nn.Sigmoid(), torch.nn.Linear(5, 1))
    model[4].weight.requires_grad_(False)
    first, second, last = diagnose(model, torch.randn(10, 5), np.arange(10) % 2).layers
    assert (first.activation, second.activation) == ("gelu", "sigmoid") and math.isnan(first.derivative_mean)
    assert first.weight_gradient_norm == second.weight_gradient_norm > 0.0
    assert math.isnan(last.weight_gradient_norm) and last.activation_gradient_norm > 0.0


@pytest.mark.parametrize(("build", "arguments", "error", "words"), [
    ("Linear(5, 3)", {"y": np.zeros((50, 2))}, ValueError, r"y must have the shape of the outputs, \(50, 3\)"),
    ("Linear(5, 3)", {"y": np.zeros(3)}, ValueError, "y must have one entry for each of the 50 rows"),
    ("Linear(5, 3)", {"loss": "hinge"}, ValueError, "loss must be one of"),
    ("Linear(5, 3)", {"loss": lambda outputs, y: outputs}, TypeError, "loss must return a tensor of one number"),
    ("LSTM(5, 3)", {}, TypeError, "model must return one tensor, got tuple"),
    ("Identity()", {"y": np.zeros((50, 5))}, ValueError, "model must have a layer to be seen"),
])  # fmt: skip
def test_torch_errors(torch, build, arguments, error, words):
    model = eval(f"torch.nn.{build}")
    _, X, T = network("tanh")
    arguments = {"y": T, **arguments}
    with pytest.raises(error, match=words):
        diagnose(model, X, arguments.pop("y"), **arguments)


# scikit-learn


def sklearn_gradients(estimator, X, y):
    """‖dW‖ of each layer and the loss, by scikit-learn's own backpropagation."""
    if hasattr(estimator, "_label_binarizer"):
        y = estimator._label_binarizer.transform(y)
    y = np.asarray(y).reshape(len(X), -1)
    units = [X.shape[1], *np.atleast_1d(estimator.hidden_layer_sizes), estimator.n_outputs_]
    activations = [X] + [np.empty((len(X), n)) for n in units[1:]]
    deltas = [np.empty_like(a) for a in activations[1:]]
    W, b = [np.empty_like(w) for w in estimator.coefs_], [np.empty_like(v) for v in estimator.intercepts_]
    arguments = [X, y, activations, deltas, W, b]
    if "sample_weight" in estimator._backprop.__code__.co_varnames:
        arguments.insert(2, None)
    loss, W, _ = estimator._backprop(*arguments)
    return [np.linalg.norm(w) for w in W], loss


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("task", ["two classes", "three classes", "labels", "regression", "two targets"])
def test_sklearn(task, activation):
    neural_network = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    y = {"two classes": np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)], "three classes": np.arange(60) % 3 + 7,
         "labels": (X[:, :3] > 0).astype(int), "regression": X[:, 0] ** 2,
         "two targets": X[:, :2] ** 2}[task]  # fmt: skip
    name = "MLPRegressor" if task in ("regression", "two targets") else "MLPClassifier"
    settings = {"activation": activation, "alpha": 0.0, "max_iter": 5, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = getattr(neural_network, name)(hidden_layer_sizes=(8, 6), **settings).fit(X, y)
        from fastact import sklearn

        ours = getattr(sklearn, name)(hidden_layer_sizes=(8, 6), **settings).fit(X, y)
    wanted, loss = sklearn_gradients(theirs, X, y)
    before = [W.copy() for W in theirs.coefs_]
    diagnosis = diagnose(theirs, X, y, batch_size=16)
    assert [layer.weight_gradient_norm for layer in diagnosis.layers] == pytest.approx(wanted, rel=1e-8)
    assert diagnosis.loss == pytest.approx(loss, rel=1e-8)
    assert all(np.array_equal(a, b) for a, b in zip(before, theirs.coefs_, strict=True))
    assert [layer.activation for layer in diagnosis.layers] == [sklearn.estimators.ACTIVATIONS[activation]] * 2 + [None]
    theirs.coefs_, theirs.intercepts_ = ours.coefs_, ours.intercepts_  # the same but for rounding
    wanted, _ = sklearn_gradients(theirs, X, y)
    assert [layer.weight_gradient_norm for layer in diagnose(ours, X, y).layers] == pytest.approx(wanted, rel=1e-8)


def test_sklearn_errors():
    neural_network = pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    from sklearn.pipeline import make_pipeline

    with pytest.raises(ValueError, match="model must be fitted"):
        diagnose(neural_network.MLPClassifier(), np.ones((3, 2)), [0, 1, 0])
    with pytest.raises(TypeError, match="of a pipeline give the last step"):
        diagnose(make_pipeline(neural_network.MLPClassifier()), np.ones((3, 2)), [0, 1, 0])


# experiments


@pytest.mark.parametrize("cause", ["negative_weights", "high_rate"])
def test_dying_relu(cause):
    X, _, y, _ = synthetic()
    relu, leaky = (dying_relu(X, y, cause, slope, width=32) for slope in (0.0, 0.1))
    assert relu.dead[0] == leaky.dead[0] < 0.2  # the same fresh network
    assert relu.dead[1] == leaky.dead[1] > 0.5
    assert relu.dead[2] >= relu.dead[1]  # for good
    assert leaky.dead[2] < leaky.dead[1]
    if cause == "negative_weights":
        assert relu.dead[1] == relu.dead[2] == 1.0 and relu.accuracy < 0.2
        assert leaky.dead[2] < 0.5 and leaky.accuracy > 0.9
    with pytest.raises(ValueError, match="cause must be one of 'negative_weights', 'high_rate'; got 'age'"):
        dying_relu(X, y, "age")
    with pytest.raises(ValueError, match="X must have values of at least 0, got -1"):
        dying_relu(X - 1.0, y, cause)


def test_sweep_of_slopes():
    found = sweep_slopes(synthetic(), slopes=(0.0, 0.1), seeds=(0, 1), depth=2, width=32, epochs=10)
    assert [result.negative_slope for result in found] == [0.0, 0.1]
    assert found[0].recovered == 0.0 < 0.3 < found[1].recovered
    assert found[1].recovered_accuracy > found[0].recovered_accuracy
    assert all(result.accuracies.shape == (2,) for result in found)


def test_best_slopes_are_those_that_the_seeds_cannot_tell_apart():
    results = [SlopeResult(slope, [], np.array(accuracies)) for slope, accuracies in
               {0.0: [0.70, 0.71, 0.72], 0.1: [0.90, 0.80, 0.85], 0.2: [0.91, 0.79, 0.86]}.items()]  # fmt: skip
    assert best_slopes(results) == [0.1, 0.2]
    assert results[1].accuracy == pytest.approx(0.85) and results[1].spread == pytest.approx(0.05)


def test_monitor_tells_of_dead_units_in_batches_of_few_rows():
    """They are counted over all rows of the epoch, not over those of the batch that is measured."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((2000, 8)), rng.integers(0, 2, 2000)
    model = nn.Sequential([nn.Dense(8, 10, "relu"), nn.Dense(10, 2)], seed=0)
    model.layers[0].b = [-50.0] * 8 + [1.0] * 2
    monitor = Monitor()
    model.fit(X, y, loss="softmax_cross_entropy", optimizer="sgd", batch_size=32, callbacks=[monitor])
    (finding,) = [finding for finding in monitor.diagnosis().findings if finding.kind == "dead"]
    assert "8 of 10 (80%) are off for each of the 2,000 rows" in finding.text


def test_torch_compiled(torch):
    """Measured as it was before torch.compile, and compiled still."""
    plain = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
    compiled = torch.compile(plain, backend="eager")
    X, y = np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 2
    assert str(diagnose(compiled, X, y)) == str(diagnose(plain, X, y))
    assert compiled(torch.zeros(3, 4)).shape == (3, 2)
    assert str(diagnose(compiled, X, y)) == str(diagnose(plain, X, y))


def test_torch_activations_belong_to_the_layer_they_are_given(torch):
    class Branches(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = torch.nn.Linear(4, 6), torch.nn.Linear(4, 6), torch.nn.Linear(6, 2)

        def forward(self, x):
            p, q = self.a(x), self.b(x)
            return self.c(torch.relu(p) + torch.tanh(q))

    X = np.random.default_rng(0).standard_normal((60, 4))
    layers = diagnose(Branches(), X, np.arange(60) % 2).layers
    assert [(layer.name, layer.activation) for layer in layers] == [("a", "relu"), ("b", "tanh"), ("c", None)]


def test_a_gradient_that_is_lost_between_the_layers_is_not_blamed_on_them(torch):
    """The mean over the places of an image divides it by their number."""
    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Conv2d(1, 8, 3, padding=1)
            self.last = torch.nn.Linear(8, 3)

        def forward(self, x):
            return self.last(torch.relu(self.first(x)).mean(dim=(2, 3)))

    torch.manual_seed(0)
    X = np.random.default_rng(0).standard_normal((60, 1, 112, 112))
    diagnosis = diagnose(Pooled(), X, np.arange(60) % 3)
    vanishing = [finding for finding in diagnosis.findings if finding.kind == "vanishing"]
    assert vanishing and "the rest comes from what lies between the layers" in vanishing[0].text
    assert f"multiply to {diagnosis.layers[1].gradient_factor:.2g}:" in vanishing[0].text


@pytest.mark.parametrize(("size", "function", "kind"), [(1.0, "sigmoid", "vanishing"), (10.0, "relu", "exploding")])
def test_torch_layers_of_unknown_factors(torch, size, function, kind):
    class Gates(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = torch.nn.ParameterList([torch.nn.Parameter(size * torch.ones(4)) for _ in range(6)])
            self.last = torch.nn.Linear(4, 2)

        def forward(self, x):
            for weight in self.weights:
                x = getattr(torch, function)(weight * x)
            return self.last(x)

    torch.manual_seed(0)
    diagnosis = diagnose(Gates(), np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 2)
    (finding,) = [finding for finding in diagnosis.findings if finding.kind == kind]
    assert f"the factors of {function} 1 to {function} 5 are not known" in finding.text
    assert not any(words in finding.text for words in ("nan", "too small", "multiplies", "between the layers"))


def test_torch_weights_that_are_too_small_for_a_function_whose_derivative_is_not_known(torch):
    torch.manual_seed(0)
    layers = [layer for _ in range(8) for layer in (torch.nn.Linear(4, 4), torch.nn.GELU())]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(4, 2))
    (finding,) = diagnose(model, np.random.default_rng(0).standard_normal((60, 4)), np.arange(60) % 2).findings
    assert "the weights are too small for gelu" in finding.text and "nan" not in finding.text


def test_dead_layers_are_blamed_though_those_below_have_no_factor():
    model = deep("relu", depth=4)
    for layer in model.layers[1:3]:
        layer.b = np.full(32, -100.0)
    diagnosis = diagnose(model, DATA, LABELS)
    assert math.isnan(diagnosis.layers[1].gradient_factor)
    (finding,) = [finding for finding in diagnosis.findings if finding.kind == "vanishing"]
    assert "passes on a factor of 0, because all its units are dead" in finding.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"X": [[0.0, np.nan]] * 4}, r"X must be finite, but X\[0, 1\] is nan"),
        ({"y": [0, 1, 2, 0]}, r"y must hold labels from 0 to 1 \(the model has 2 outputs\), got 0 to 2"),
        ({"y": ["a", "b", "a", "b"]}, "y must hold real numbers"),
        ({"y": [0.0, 1.0, 0.0, 1.0]}, r"y must be integer labels of shape \(4,\) or .*\(4, 2\), got torch.float32"),
        ({"y": [[0, 1, 0]] * 4}, r"y must be integer labels .*, got torch.int64 of shape \(4, 3\)"),
        ({"y": [[0, 5]] * 4, "loss": "binary_cross_entropy"}, r"y must lie in \[0, 1\], got 0 to 5"),
        ({"y": np.ones((4, 3)), "loss": "mse"}, r"y must have the shape of the outputs, \(4, 2\), got \(4, 3\)"),
    ],
)
def test_wrong_data_for_torch(torch, change, words):
    arguments = {"X": np.ones((4, 2)), "y": [0, 1, 0, 1], "loss": "softmax_cross_entropy"} | change
    with pytest.raises((TypeError, ValueError), match=words):
        diagnose(torch.nn.Linear(2, 2), **arguments, batch_size=3)  # errors tell of all rows, not of a batch


@pytest.mark.parametrize("library", ["sklearn.neural_network", "fastact.sklearn"])
@pytest.mark.parametrize(
    ("y", "wrong", "loss", "words"),
    [
        (["no", "yes"], ["no", "zz"], None, r"y must hold labels that the model was fitted to, but y\[1\] is 'zz'"),
        (["no", "yes"], [["no"], ["zz"]], None, r"y must hold labels .*, but y\[1\] is 'zz'"),
        ([3, 5, 7, 5], [3, 4, 7, 5], None, r"y must hold labels .*, but y\[1\] is 4"),
        ([[1, 1, 0], [0, 1, 0]], [[1, 1], [0, 1]], None, r"y must have shape \(rows, 3\), got \(40, 2\)"),
        (["no", "yes"], ["no", "yes"], "softmax_cross_entropy", "loss must be 'binary_cross_entropy' or 'mse' for"),
    ],
    ids=["label", "column", "three classes", "labels", "loss"],
)
def test_wrong_targets_for_a_classifier(library, y, wrong, loss, words):
    pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")
    X = np.random.default_rng(0).standard_normal((40, 3))
    y, wrong = (np.array(rows * (40 // len(rows))) for rows in (y, wrong))
    model = importlib.import_module(library).MLPClassifier((4,), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    with pytest.raises(ValueError, match=words):
        diagnose(model, X, wrong, loss=loss)


# losses of networks that end in their own sigmoid or softmax


SIGMOID_ENDS = {
    "module": lambda torch, Z: torch.nn.Sigmoid()(Z),
    "vector": lambda torch, Z: torch.sigmoid(Z).squeeze(-1),
    "in place": lambda torch, Z: Z.sigmoid_(),
    "clamped": lambda torch, Z: torch.special.expit(Z).clamp(1e-7, 1 - 1e-7).reshape(-1),
}


def ending(torch, end, outputs):
    """A module of two layers with weights large enough for outputs that are sure, and ends as ``end`` says."""

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Linear(5, 8), torch.nn.Linear(8, outputs)

        def forward(self, X):
            return end(torch, self.last(torch.tanh(self.first(X))))

    torch.manual_seed(0)
    model = Network().double()
    with torch.no_grad():
        model.last.weight.mul_(20.0)
    return model


@pytest.mark.parametrize("loss", [None, "binary_cross_entropy", "module", "by hand"])
@pytest.mark.parametrize("end", SIGMOID_ENDS)
def test_torch_sigmoid_at_the_end_belongs_to_the_cross_entropy(torch, end, loss):
    model = ending(torch, SIGMOID_ENDS[end], 1)
    X = np.random.default_rng(0).standard_normal((60, 5))
    y = torch.arange(60).double() % 2
    probabilities = torch.sigmoid(model.last(torch.tanh(model.first(torch.tensor(X))))).squeeze(1)
    by_hand = -(y * torch.log(probabilities) + (1 - y) * torch.log(1 - probabilities)).mean()
    of_weights = torch.autograd.grad(by_hand, [model.first.weight, model.last.weight])
    by_hand, probabilities = by_hand.detach(), probabilities.detach()
    losses = {
        "module": lambda p, y: torch.nn.BCELoss()(p.reshape(-1), y),
        "by hand": lambda p, y: -(y * torch.log(p.reshape(-1)) + (1 - y) * torch.log(1 - p.reshape(-1))).mean(),
    }
    for batch_size in (60, 16):
        diagnosis = diagnose(model, X, y, loss=losses.get(loss, loss), batch_size=batch_size)
        assert diagnosis.loss == pytest.approx(float(by_hand), rel=1e-6)
        assert [layer.activation for layer in diagnosis.layers] == ["tanh", None]
        assert [layer.weight_gradient_norm for layer in diagnosis.layers] == pytest.approx(
            [float(gradient.norm()) for gradient in of_weights], rel=1e-5
        )
        of_logits = (probabilities - y) / 60  # and not that of the probabilities, which is 1 / p (1 - p) times as large
        assert diagnosis.layers[-1].activation_gradient_norm == pytest.approx(float(of_logits.norm()), rel=1e-5)
    assert not {"logits", "vanishing"} & set(kinds(diagnosis))
    if loss in (None, "binary_cross_entropy"):
        assert diagnosis.loss_name == "binary_cross_entropy"


def test_torch_softmax_at_the_end_belongs_to_the_cross_entropy(torch):
    model = ending(torch, lambda torch, Z: torch.nn.functional.softmax(Z, dim=-1), 3)
    X, y = torch.tensor(np.random.default_rng(0).standard_normal((60, 5))), torch.arange(60) % 3
    by_hand = torch.nn.functional.nll_loss(torch.log(model(X)), y)
    (of_weights,) = torch.autograd.grad(by_hand, [model.first.weight])
    one_hot = torch.nn.functional.one_hot(y).double()
    for targets, loss in ((y, None), (one_hot, None), (y, "softmax_cross_entropy")):
        diagnosis = diagnose(model, X, targets, loss=loss)
        assert diagnosis.loss == pytest.approx(float(by_hand.detach()), rel=1e-9)
        assert diagnosis.layers[0].weight_gradient_norm == pytest.approx(float(of_weights.norm()), rel=1e-9)
        assert diagnosis.loss_name == "softmax_cross_entropy" and "logits" not in kinds(diagnosis)
    assert diagnose(model, X, one_hot, loss="mse").loss_name == "mse"


@pytest.mark.parametrize(("end", "outputs", "loss", "words"), [
    ("sigmoid", 3, None, "loss must be 'binary_cross_entropy', 'mse' or a function for a model that ends in a sigmoid"),
    ("sigmoid", 3, "softmax_cross_entropy", "its outputs are not the logits that 'softmax_cross_entropy' takes"),
    ("softmax", 3, "binary_cross_entropy", "loss must be 'softmax_cross_entropy', 'mse' or a function .* in a softmax"),
    ("softmax over the rows", 3, None, "loss must be 'mse' or a function for a model that ends in a softmax"),
])  # fmt: skip
def test_torch_losses_that_the_end_contradicts(torch, end, outputs, loss, words):
    ends = {"sigmoid": lambda torch, Z: torch.sigmoid(Z), "softmax": lambda torch, Z: Z.softmax(1),
            "softmax over the rows": lambda torch, Z: Z.softmax(0)}  # fmt: skip
    with pytest.raises(ValueError, match=words):
        diagnose(ending(torch, ends[end], outputs), np.ones((6, 5)), [0, 1, 2, 0, 1, 2], loss=loss)


def least_cross_entropy(low, high, outputs, binary):
    """The least loss of the rows that are worst off, of outputs from low to high."""
    if binary:
        logits = np.linspace(low, high, 101)
        return max(np.log1p(np.exp(-logits)).min(), np.log1p(np.exp(logits)).min())
    logits = np.full(outputs, low) + (high - low) * np.eye(outputs)[0]
    return -np.log(np.exp(logits[0]) / np.exp(logits).sum())


@pytest.mark.parametrize(("end", "low"), [("sigmoid", 0), ("softmax", 0), ("tanh", -1)])
@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "BCEWithLogitsLoss"])
def test_torch_functions_that_take_probabilities_for_logits(torch, loss, end, low):
    ends = {"sigmoid": torch.sigmoid, "softmax": lambda Z: Z.softmax(1), "tanh": torch.tanh}
    binary = loss == "BCEWithLogitsLoss"
    model = ending(torch, lambda torch, Z: ends[end](Z), 4)
    y = np.arange(60) % 4
    diagnosis = diagnose(model, np.random.default_rng(0).standard_normal((60, 5)),
                         np.eye(4)[y] if binary else y, loss=getattr(torch.nn, loss)())  # fmt: skip
    (finding,) = [finding for finding in diagnosis.findings if finding.kind == "logits"]
    assert finding.value == pytest.approx(least_cross_entropy(low, 1, 4, binary))
    assert f"the network ends in a {end}" in finding.text and f"fall below {finding.value:.2g}" in finding.text
    assert diagnosis.loss >= finding.value * (0.5 if binary else 1.0)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "softmax_cross_entropy"])
def test_finding_of_a_last_activation_that_bounds_the_logits(loss):
    """`fit` has losses of logits only, so that a sigmoid before them is always a fault."""
    binary = loss == "binary_cross_entropy"
    model = nn.Sequential([nn.Dense(32, 8, "tanh"), nn.Dense(8, 1 if binary else 2, "sigmoid")], seed=0)
    wanted = pytest.approx(least_cross_entropy(0, 1, 2, binary))
    assert [(f.kind, f.value) for f in diagnose(model, DATA, LABELS).findings] == [("logits", wanted)]
    monitor = Monitor()
    model.fit(DATA, LABELS, loss=loss, optimizer="adam", callbacks=[monitor])
    assert ("logits", wanted) in [(f.kind, f.value) for f in monitor.diagnosis().findings]
    assert kinds(diagnose(model, DATA, LABELS[:, np.newaxis] * np.ones(model.out_features), loss="mse")) == ["healthy"]


# gradients that float32 cannot hold, branches, and texts


def test_a_gradient_that_underflows_is_no_layer_s_fault():
    diagnosis = diagnose(deep("sigmoid", depth=120, width=16), DATA[:, :16], LABELS)
    (finding,) = diagnosis.findings
    norms = [layer.activation_gradient_norm for layer in diagnosis.layers]
    lost = sum(norm == 0.0 for norm in norms)
    assert 30 < lost < 90 and finding.value == 0.0 and diagnosis.dtype == "float32"
    assert f"From layers[{lost - 1}] down it is 0: it underflows, below 1.4e-45, float32's smallest" in finding.text
    assert "It is no single layer: " in finding.text and "sigmoid's derivative is 0.2" in finding.text
    assert "layers[" not in finding.text.partition("It is no single layer")[2]
    factor = float(finding.text.partition("on a factor of ")[2].split()[0])
    wanted = (norms[90] / norms[120]) ** (1 / 30)
    assert factor == pytest.approx(wanted, rel=0.05)
    exact = diagnose(deep("sigmoid", depth=120, width=16).astype(np.float64), DATA[:, :16], LABELS)
    assert exact.layers[0].activation_gradient_norm > 0.0 and "underflows" not in exact.findings[0].text


def test_dead_units_far_below_are_no_underflow():
    model = deep("relu", depth=3)
    model.layers[0].b = np.full(32, -100.0)
    assert "underflow" not in " ".join(finding.text for finding in diagnose(model, DATA, LABELS).findings)


def test_torch_underflow(torch):
    torch.manual_seed(0)
    layers = [part for _ in range(120) for part in (torch.nn.Linear(16, 16), torch.nn.Sigmoid())]
    text = str(diagnose(torch.nn.Sequential(*layers, torch.nn.Linear(16, 2)), DATA[:, :16], LABELS).findings[0].text)
    assert "underflows, below 1.4e-45, float32's smallest number" in text and "It is no single layer" in text


def test_finding_of_a_gradient_that_saturated_layers_stop():
    model = deep("tanh", depth=6)
    for layer in model.layers[:-1]:
        layer.W = layer.W * 0.2
        layer.b = np.full(32, 4.0)
    (finding,) = [finding for finding in diagnose(model, DATA, LABELS).findings if finding.kind == "vanishing"]
    assert "100% of its units' values are saturated. Smaller weights" in finding.text and "('" not in finding.text


def test_torch_branches_of_one_input_have_gradients_of_their_own(torch):
    """‖∂L/∂X‖ is that of the use, not of the sum over all uses; in place, by keyword and in a matrix product too."""
    class Branches(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.a, self.b = (torch.nn.Linear(4, 4, dtype=torch.float64) for _ in range(3))
            self.c = torch.nn.Parameter(torch.randn(4, 4, dtype=torch.float64))

        def forward(self, x, split=False):
            h = torch.relu_(self.first(x))
            uses = [h.clone() for _ in range(3)] if split else [h, h, h]
            self.uses = uses
            with_a = torch.nn.functional.linear(weight=self.a.weight, bias=self.a.bias, input=uses[0])
            return torch.tanh(with_a) + 3.0 * torch.tanh_(self.b(uses[1])) + uses[2] @ self.c

    torch.manual_seed(0)
    model = Branches()
    X, T = torch.randn(50, 4, dtype=torch.float64), torch.randn(50, 4, dtype=torch.float64)
    layers = diagnose(model, X, T).layers
    loss = ((model(X, split=True) - T) ** 2).mean()
    wanted = [float(gradient.norm()) for gradient in torch.autograd.grad(loss, model.uses)]
    found = [layer.gradient_factor * layer.activation_gradient_norm for layer in layers[1:]]
    assert found == pytest.approx(wanted, rel=1e-12)
    assert len({round(value, 6) for value in found}) == 3


def test_two_monitors_count_dead_units_each_for_itself():
    """And when the training is over, nobody counts."""
    model = nn.Sequential([nn.Dense(4, 4, "relu"), nn.Dense(4, 1)], seed=0)
    model.layers[0].W = np.eye(4)
    X = -np.ones((44, 4), dtype=np.float32)
    X[5, 0] = X[41, 1] = 1.0
    monitors = [Monitor(every=100), Monitor(every=3), Monitor(every=1)]
    model.fit(X, np.zeros(44), loss="mse", optimizer=nn.SGD(1e-9), batch_size=4, epochs=2, shuffle=False,
              callbacks=monitors)  # fmt: skip
    assert [[layers[0].dead for layers in monitor.history] for monitor in monitors] == [[0.5, 0.5]] * 3
    assert [monitor.diagnosis().rows for monitor in monitors] == [44] * 3
    assert model.layers[0]._active_units == []
