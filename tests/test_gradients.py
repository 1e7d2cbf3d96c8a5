"""The theory of vanishing gradients, and the command that holds it against what is measured."""

import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from fastact import gradients, nn
from fastact.cli import main
from fastact.diagnostics import diagnose, theory

ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu"]
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error"}


def run(*arguments, **settings):
    return subprocess.run([sys.executable, "-m", "fastact", "gradients", *arguments], capture_output=True, text=True,
                          check=False, timeout=120, **{"env": ENVIRONMENT, **settings})  # fmt: skip


def by_hand(activation, depth, x, slope):
    """d/dx of φ(φ(… x)), by the chain rule in plain NumPy."""
    product = np.ones_like(x)
    for _ in range(depth):
        if activation == "sigmoid":
            x = 1.0 / (1.0 + np.exp(-x))
            product = product * x * (1.0 - x)
        elif activation == "tanh":
            x = np.tanh(x)
            product = product * (1.0 - x**2)
        else:
            inactive = slope if activation == "leaky_relu" else 0.0
            product = product * np.where(x > 0, 1.0, inactive)
            x = np.where(x > 0, x, inactive * x)
    return product


@pytest.mark.parametrize("depth", [1, 10, 40])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_chain(activation, depth):
    x = np.linspace(-3.0, 3.0, 601)
    chain = theory.chain(activation, depth, negative_slope=0.2)
    np.testing.assert_allclose(chain.derivatives, by_hand(activation, depth, x, 0.2), rtol=1e-12)
    assert chain.largest <= chain.bound
    assert chain.gain == pytest.approx(np.sqrt(np.mean(chain.derivatives**2)), rel=1e-12)


def test_bounds():
    assert theory.bound("sigmoid", 10) == 0.25**10 < 1e-6
    assert theory.bound("tanh", 10) == theory.bound("relu", 10) == theory.bound("leaky_relu", 10, 0.3) == 1.0
    assert theory.bound("leaky_relu", 3, -2.0) == 8.0
    assert theory.chain("sigmoid", 1, [0.0]).derivatives == 0.25  # the bounds are reached
    assert theory.chain("tanh", 10, [0.0]).derivatives == 1.0
    assert set(theory.chain("relu", 10).derivatives) == {0.0, 1.0}
    leaky = theory.chain("leaky_relu", 10, negative_slope=0.5).derivatives
    assert set(leaky) == {1.0, 0.5**10}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bound_holds_for_wide_layers(activation):
    """Weights whose singular values are 1, and the bound of a model with weights of any size."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 16)), np.arange(100) % 3
    for init in (theory.unit, "he_normal"):
        layers = [nn.Dense(16, 16, activation, init=init, dtype=np.float64) for _ in range(6)]
        model = nn.Sequential([*layers, nn.Dense(16, 3, dtype=np.float64)], seed=0)
        measured, own_bound = theory.passed_on(diagnose(model, X, y)), theory.own_bound(model)
        assert 0.0 < measured <= own_bound * (1 + 1e-9)
        if init is theory.unit:
            assert own_bound == pytest.approx(theory.bound(activation, 6), rel=1e-9)


def test_chain_of_drawn_weights():
    assert theory.chain("tanh", 5, init="he_uniform", seed=1).gain != theory.chain("tanh", 5, init="he_uniform").gain
    assert theory.chain("tanh", 1, init="unit_gain").gain == pytest.approx(1.0, rel=2e-3)


def rows_of(table):
    """(activation, init) -> [bound, chain, own bound, network, accuracy]"""
    rows = {}
    for line in table.splitlines():
        words = line.replace("%", "").split()
        if len(words) == 7 and words[0] in ACTIVATIONS:
            rows[words[0], words[1]] = [float(word) if word != "-" else None for word in words[2:]]
    return rows


def test_command():
    result = run("--data", "synthetic", "--epochs", "3", "--init", "unit,he,unit_gain")
    assert result.returncode == 0 and "gradients:" in result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 120
    rows = rows_of(result.stdout)
    assert list(rows) == [(a, i) for a in ACTIVATIONS for i in ("unit", "he", "unit_gain")]
    for (activation, init), (bound, chain, own_bound, network, accuracy) in rows.items():
        assert bound == (9.5e-07 if activation == "sigmoid" else 1.0)
        assert network <= 1.1 * own_bound and 0.0 <= accuracy <= 100.0
        if init == "unit":
            assert chain <= bound and network <= 1.1 * bound
        if init == "unit_gain":
            assert 0.5 < network < 2.0
    text = " ".join(result.stdout.split())
    assert "sigmoid, weights of size one: the network keeps within the theory" in text
    assert re.search(r"sigmoid, unit_gain: \d\.\de\+0\d times what size-one weights allow", text)
    assert re.search(r"sigmoid, unit_gain cures it: [01]\.\d+ of the gradient is left, with unit \d\.\de-0\d", text)
    assert "the chain is not the network" in text


def test_command_of_one_seed_gives_one_result():
    settings = ["--data", "synthetic", "--epochs", "0", "--activation", "tanh", "--init", "he", "--depth", "4"]
    same, again, other = (run(*settings, "--seed", seed).stdout for seed in ("1", "1", "2"))
    assert same == again != other
    assert rows_of(same)["tanh", "he"][-1] is None


def test_command_without_scikit_learn(tmp_path):
    """Synthetic data, and a line that says so; the digits, asked for by name, are an error."""
    (tmp_path / "sklearn.py").write_text("raise ImportError(\"No module named 'sklearn'\")\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = {**ENVIRONMENT, "PYTHONPATH": path}
    settings = ["--epochs", "0", "--activation", "relu", "--init", "he", "--depth", "2"]
    result = run(*settings, env=environment)
    assert result.returncode == 0 and result.stdout.startswith("Synthetic data, not the digits: ")
    result = run(*settings, "--data", "digits", env=environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert 'pip install "fastact[demo]"' in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["--activation", "swish"], "argument --activation: must be all or some of sigmoid,tanh,relu,leaky_relu, got"),
    (["--init", "he,she"], "argument --init: must be all or some of unit,glorot,he,unit_gain, got 'she'"),
    (["--depth", "0"], "argument --depth: must be between 1 and 1000, got 0"),
    (["--data", "wine"], "argument --data: invalid choice: 'wine'"),
    (["--dying-relu", "--epochs", "0"], "--dying-relu needs --epochs of at least 1"),
    (["--dying-relu", "--activation", "relu"], "--dying-relu takes no --activation: it compares ReLU with leaky ones"),
    (["--dying-relu", "--init", "he"], "--dying-relu takes no --init"),
])  # fmt: skip
def test_bad_input_is_one_line_and_status_2(arguments, words):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr and len(result.stderr.splitlines()) == 1


def test_dying_relu():
    result = run("--dying-relu", "--data", "synthetic", "--epochs", "3", "--width", "16", "--depth", "1")
    assert result.returncode == 0 and "dying ReLU:" in result.stderr
    rows = [line.replace("%", "").split() for line in result.stdout.splitlines() if " -> " in line and "+-" in line]
    assert [float(row[0]) for row in rows] == [0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0]
    assert rows[0][1:4] == ["100.0", "->", "100.0"]
    assert all(row[1] == "100.0" and float(row[3]) < 100.0 for row in rows[1:])
    assert all(float(row[5]) <= float(rows[0][7]) for row in rows)
    assert "0% of a ReLU's units come back" in result.stdout and "from a usual start" in result.stdout
    fewest = min(rows[1:], key=lambda row: float(row[7]))
    said = re.search(r"rate too high, (\d+)% .* fewest are with slope (\S+): (\d+)%", " ".join(result.stdout.split()))
    assert said and float(said[2]) == float(fewest[0])
    assert abs(float(said[1]) - float(rows[0][7])) <= 0.5 and abs(float(said[3]) - float(fewest[7])) <= 0.5


def test_a_hundred_layers(capsys):
    """float32 has nothing left of such a gradient."""
    options = ["--depth", "100", "--activation", "sigmoid", "--init", "unit", "--epochs", "0", "--data", "synthetic"]
    assert main(["gradients", *options]) == 0
    output = capsys.readouterr().out
    assert "the network keeps within the theory" in output and "nan" not in output


def test_so_many_layers_that_nothing_is_left():
    """Of the bound float64 has nothing left; and of a gradient that units which are off have stopped."""
    row = gradients.Row("sigmoid", "unit_gain", theory.bound("sigmoid", 600), 0.0, math.inf, 1e-90, None)
    assert row.bound == 0.0
    assert "sigmoid, unit_gain: more than size-one weights allow" in gradients._findings([row], 600)
    layers = [nn.Dense(2, 2, "relu", init=theory.unit, dtype=np.float64) for _ in range(30)]
    model = nn.Sequential([*layers, nn.Dense(2, 2, dtype=np.float64)], seed=0)
    diagnosis = diagnose(model, np.random.default_rng(0).standard_normal((50, 2)), np.arange(50) % 2)
    assert math.isnan(diagnosis.layers[0].gradient_factor) and theory.passed_on(diagnosis) == 0.0
