"""Make every figure and every number of the guide: ``python docs/make_guide.py``, half a minute.

A number in guide.md is followed by a comment that says what it is: ``96.9<!-- digits.tanh.score .1f -->`` is the value
of that name in `numbers`, formatted so. This script writes the values into the text and the figures into figures/;
tests/test_guide.py computes them anew and compares. Needs: pip install "fastact[plot,demo]".
"""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

import fastact
from fastact import _datasets, _drawing, nn, plots
from fastact._commands import one_thread
from fastact.diagnostics import diagnose, experiments, theory
from fastact.nn.layers import ACTIVATIONS
from fastact.report import experiment

GUIDE = Path(__file__).with_name("guide.md")
FIGURES = GUIDE.with_name("figures")
MARK = re.compile(r"([^\s|(]+)<!-- ([\w.+-]+) (\S+) -->")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

DEPTH, WIDTH, EPOCHS, BATCH, RATE, MOMENTUM, SLOPE = 10, 64, 20, 64, 0.02, 0.9, 0.01
DEPTHS = range(1, 21)
SEEDS = range(3)
SLOPES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6)
HIGH_RATE = 0.2


class Killed(NamedTuple):
    """Networks whose first layer has been killed, trained by gradient descent: histories of the first seed, what share
    of that layer is dead in the end, and validation accuracies by slope (0 is the ReLU), one a seed."""

    histories: dict[str, nn.History]
    dead: dict[str, float]
    scores: dict[float, list[float]]


class Results(NamedTuple):
    """What the figures and the numbers are made of."""

    chains: dict[str, list[theory.Chain]]
    digits: dict[str, experiment.Run]
    unit_gain: dict[str, experiment.Run]
    tasks: dict[str, dict[str, list[float]]]
    high_rate: dict[str, experiment.Run]
    killed: Killed
    sweep: list[experiments.SlopeResult]


def compute() -> Results:
    """Run all experiments."""
    digits = _datasets.load("digits", None)
    with one_thread():
        return Results(
            {name: [theory.chain(name, depth) for depth in DEPTHS] for name in ACTIVATIONS},
            _train(digits, 0, DEPTH),
            _train(digits, 0, DEPTH, "unit_gain"),
            {
                "deep": _scores(digits, DEPTH),
                "shallow": _scores(digits, 2),
                "waves": _scores(waves(), 2),
            },
            _train(digits, 0, 3, rate=HIGH_RATE),
            _kill(_datasets.digits("the guide")),
            experiments.sweep_slopes(_datasets.digits("the guide"), (0.0, *SLOPES), SEEDS),
        )


def waves() -> _datasets.Dataset:
    """A surface that goes up and down: z = sin 3x cos 2y at 1,000 points of [-2, 2]²."""
    X = np.random.default_rng(0).uniform(-2.0, 2.0, (1000, 2))
    z = np.sin(3.0 * X[:, 0]) * np.cos(2.0 * X[:, 1])
    return _datasets.Dataset("waves", X, z, ["x", "y"], "z", "regression", "", None)


def _train(dataset, seed, depth, init=None, rate=RATE):
    settings = experiment.Settings(depth, WIDTH, EPOCHS, BATCH, rate, MOMENTUM, SLOPE, init, seed)
    runs = experiment.train(dataset, _datasets.split(dataset, seed), ACTIVATIONS, settings)
    return {run.activation: run for run in runs}


def _scores(dataset, depth):
    runs = [_train(dataset, seed, depth) for seed in SEEDS]
    return {name: [of_seed[name].score for of_seed in runs] for name in ACTIVATIONS}


def _kill(digits):
    """Train networks of two hidden layers, all weights of the first below 0, on inputs of 0 or above."""
    histories, dead, scores = {}, {}, {slope: [] for slope in (0.0, *SLOPES)}
    X, X_test, y, y_test = digits
    for slope, seed in itertools.product(scores, SEEDS):
        activation = "leaky_relu" if slope else "relu"
        layers = [nn.Dense(64, WIDTH, activation, slope), nn.Dense(WIDTH, WIDTH, activation, slope)]
        model = nn.Sequential([*layers, nn.Dense(WIDTH, 10)], seed=seed)
        layers[0].W = -np.abs(layers[0].W)
        history = model.fit(X, y, loss="softmax_cross_entropy", optimizer=nn.SGD(RATE, MOMENTUM), epochs=EPOCHS,
                            batch_size=BATCH, validation_data=(X_test, y_test))  # fmt: skip
        scores[slope].append(history["val_accuracy"][-1])
        if seed == 0 and slope in (0.0, SLOPE, 0.1):
            histories[f"leaky_relu, slope {slope:g}" if slope else "relu"] = history
            dead[f"{slope:g}"] = diagnose(model, X, y).layers[0].dead
    return Killed(histories, dead, scores)


def numbers(results: Results) -> dict[str, float]:
    """Return every number of the guide by name."""
    found = {
        "sigmoid.largest": float(fastact.sigmoid_derivative(0.0)),
        "sigmoid.saturated": math.log((1 + math.sqrt(0.95)) / (1 - math.sqrt(0.95))),
        "tanh.saturated": math.atanh(math.sqrt(0.95)),
        "bound.sigmoid": theory.bound("sigmoid", DEPTH),
        "bound.sigmoid.between": theory.bound("sigmoid", DEPTH - 1),
        "layers": DEPTH,
        "width": WIDTH,
        "epochs": EPOCHS,
        "seeds": len(SEEDS),
        "rate": RATE,
        "slope": SLOPE,
    }
    for name, chains in results.chains.items():
        found[f"chain.{name}.largest"] = chains[DEPTH - 1].largest
        found[f"chain.{name}.gain"] = chains[DEPTH - 1].gain
    for key, runs in (("digits", results.digits), ("unit_gain", results.unit_gain)):
        for name, run in runs.items():
            found[f"{key}.{name}.ratio"] = run.gradient_ratio
            found[f"{key}.{name}.factor"] = run.gradient_ratio ** (1 / (DEPTH - 1))
            found[f"{key}.{name}.derivative"] = float(
                np.mean([layer.derivative_mean for layer in run.before.layers[:-1]])
            )
            found[f"{key}.{name}.score"] = 100 * run.score
            for share in ("saturated", "dead", "zeros"):
                found[f"{key}.{name}.{share}"] = 100 * run.share(share)
            found[f"{key}.{name}.saturated.before"] = 100 * float(
                np.mean([layer.saturated for layer in run.before.layers[:-1]])
            )
    found["high_rate"] = HIGH_RATE
    for name, run in results.high_rate.items():
        found[f"high_rate.{name}.score"] = 100 * run.score
        found[f"high_rate.{name}.dead"] = 100 * run.share("dead")
        found[f"high_rate.{name}.epochs"] = run.history.epochs
    for name, share in results.killed.dead.items():
        found[f"killed.{name}.first.dead"] = 100 * share
    for slope, of_seeds in results.killed.scores.items():
        found[f"killed.{slope:g}.mean"] = 100 * float(np.mean(of_seeds))
        found[f"killed.{slope:g}.spread"] = 100 * float(np.std(of_seeds, ddof=1))
    for result in results.sweep:
        name = f"{result.negative_slope:g}"
        found[f"adam.{name}.back"] = 100 * result.recovered
        found[f"adam.{name}.score"] = 100 * result.recovered_accuracy
        found[f"usual.{name}.mean"] = 100 * result.accuracy
        found[f"usual.{name}.spread"] = 100 * result.spread
    for task, scores in results.tasks.items():
        for name, of_seeds in scores.items():
            found[f"{task}.{name}.mean"] = 100 * float(np.mean(of_seeds))
            found[f"{task}.{name}.spread"] = 100 * float(np.std(of_seeds, ddof=1))
    return found


def shown(value: float, form: str) -> str:
    """Return a number as it stands in the text: 2.6e-06 as 2.6·10⁻⁶."""
    mantissa, _, exponent = format(value, form).partition("e")
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}" if exponent else mantissa.replace("-", "−")


def draw(results: Results) -> dict[str, object]:
    """Return the axes of every figure by the name of its file."""
    digits, unit_gain = results.digits, results.unit_gain
    cured = {"sigmoid": digits["sigmoid"].history, "sigmoid, unit_gain": unit_gain["sigmoid"].history}
    usual, level = (plots.gradient_norms({name: run.before for name, run in runs.items()}) for runs in results[1:3])
    level.set_ylim(usual.get_ylim())  # on the same axis to be compared
    return {
        "activations": plots.activations(negative_slope=0.1)[0],
        "chain": _draw_chains(results.chains),
        "gradients": usual,
        "training": plots.training_curves({name: run.history for name, run in digits.items()}, "accuracy"),
        "sparsity": plots.units(digits["relu"].monitor),
        "high-rate": plots.units(results.high_rate["relu"].monitor),
        "killed": plots.training_curves(results.killed.histories, "accuracy"),
        "slopes": _draw_slopes(results),
        "gradients-unit-gain": level,
        "training-unit-gain": plots.training_curves(cured, "accuracy"),
    }


def _draw_chains(chains):
    """What a chain of one-unit layers leaves of a gradient, and the bound, dashed."""
    ax = _drawing.one_axes(None)
    styles = _drawing.styles(chains)
    ax.set_yscale("log")
    for name, of_depths in chains.items():
        ax.plot(DEPTHS, [chain.bound for chain in of_depths], "--", color=styles[name]["color"], linewidth=1.2)
        ax.plot(DEPTHS, [chain.gain for chain in of_depths], label=name, **styles[name])
    _drawing.whole_numbers(ax.xaxis, DEPTHS[0], DEPTHS[-1])
    ax.set(xlabel="layers, r", ylabel="∂y/∂x, root mean square")
    return _drawing.add_grid_and_legend(ax)


def _draw_slopes(results):
    """Accuracy by slope: of killed networks, and of one that starts as usual; the bars are the spread of the seeds."""
    ax = _drawing.one_axes(None)
    scores = np.array([results.killed.scores[slope] for slope in SLOPES])
    sweep = results.sweep[1:]  # without the ReLU
    lines = {
        "killed, gradient descent": (scores.mean(axis=1), scores.std(axis=1, ddof=1)),
        "killed, Adam": ([result.recovered_accuracy for result in sweep], None),
        "usual weights": ([result.accuracy for result in sweep], [result.spread for result in sweep]),
    }
    for (label, (mean, spread)), style in zip(lines.items(), _drawing.styles(lines).values(), strict=True):
        ax.errorbar(SLOPES, mean, spread, label=label, capsize=3, **style)
    ax.set_xscale("log")
    ax.set(xlabel="slope of leaky ReLU", ylabel="accuracy", ylim=(0.0, 1.03))
    return _drawing.add_grid_and_legend(ax)


def main() -> None:
    """Write the figures and the numbers."""
    results = compute()
    FIGURES.mkdir(exist_ok=True)
    for name, ax in draw(results).items():
        (FIGURES / f"{name}.svg").write_text(_drawing.svg(ax.figure, name), encoding="utf-8")
    values = numbers(results)
    text = GUIDE.read_text(encoding="utf-8")
    text = MARK.sub(lambda mark: f"{shown(values[mark[2]], mark[3])}<!-- {mark[2]} {mark[3]} -->", text)
    GUIDE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
