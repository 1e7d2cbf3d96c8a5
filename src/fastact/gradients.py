"""``python -m fastact gradients``: the theory of vanishing gradients beside what is measured."""

import itertools
import math
import statistics
from typing import NamedTuple

import numpy as np

from fastact import nn
from fastact._commands import CommandError, UsageError, integer, names, one_thread
from fastact._datasets import digits, synthetic
from fastact.demo import LEARNING_RATE, MOMENTUM
from fastact.diagnostics import diagnose, experiments, theory
from fastact.nn.layers import ACTIVATIONS
from fastact.nn.progress import Progress

CHAINS = 25  # of random weights, of which the median is told
BATCH_SIZE = 64
SEEDS = 5  # of the experiments with dying ReLUs
DYING_DEPTH = 5  # of their network that starts as usual, at most

# name on the command line -> initialiser of a network, and of a chain (None: every weight is 1)
INITIALIZERS = {
    "unit": (theory.unit, None),
    "glorot": ("glorot_uniform", "glorot_uniform"),
    "he": ("he_uniform", "he_uniform"),
    "unit_gain": ("unit_gain", "unit_gain"),
}

DESCRIPTION = """\
How much of a gradient is left behind many layers: what the theory allows, what a chain of one-unit layers leaves, and
what a network leaves on real data, for each activation and each initialiser of the weights; then how well the network
learns. The theory: with weights of size one, r sigmoid layers leave at most 0.25^r, the others at most 1. The data are
the handwritten digits that scikit-learn ships; without it, points around ten centres. Progress goes to standard error,
the table to standard output.
"""


def add_arguments(parser):
    """Add the options of the command to its parser."""
    parser.add_argument("--depth", type=integer(1, 1000), default=10, metavar="N", help="hidden layers (10)")
    parser.add_argument("--width", type=integer(1, 4096), default=64, metavar="N", help="units in a layer (64)")
    parser.add_argument(
        "--activation", type=names(ACTIVATIONS), default="all", metavar="NAMES", help=f"{','.join(ACTIVATIONS)} (all)"
    )
    parser.add_argument(
        "--init", type=names(INITIALIZERS), default="all", metavar="NAMES", help=f"{','.join(INITIALIZERS)} (all)"
    )
    parser.add_argument(
        "--data", choices=["digits", "synthetic"], help="digits (needs scikit-learn) or synthetic points"
    )
    parser.add_argument(
        "--epochs", type=integer(0), default=10, metavar="N", help="epochs of training; 0 measures only (10)"
    )
    parser.add_argument(
        "--dying-relu",
        action="store_true",
        help=f"instead: kill the units of a ReLU, see which come back, and try slopes ({SEEDS} seeds from --seed on, a "
        f"network of at most {DYING_DEPTH} layers for the usual start); goes without --activation and --init",
    )
    parser.add_argument("--seed", type=integer(0), default=0, metavar="N", help="seed of weights and batches (0)")


class Row(NamedTuple):
    """What the table says about an activation and an initialiser: each a factor that a gradient is multiplied by."""

    activation: str
    init: str
    bound: float  # of the theory, weights of size one
    chain: float
    own_bound: float  # of the theory, with the weights that the network has
    network: float
    accuracy: float | None  # None where nothing was trained, NaN where the training diverged


def run(arguments):
    """Measure and print."""
    data, what = _load_data(arguments.data)
    described = f"{len(data[0]):,} training and {len(data[1]):,} test {what}"
    if arguments.dying_relu:
        _run_dying_relu(arguments, data, described)
        return
    combinations = list(itertools.product(arguments.activation, arguments.init))
    rows = []
    with np.errstate(all="ignore"), one_thread(), Progress(len(combinations), "gradients") as bar:
        for activation, init in combinations:
            bar.note(f"{activation}, {init}")
            rows.append(_measure(activation, init, data, arguments))
            bar.update()
    print(
        f"{described}\n"
        f"network 64 - {arguments.depth} x {arguments.width} - 10, float32; seed {arguments.seed}\n"
        f"SGD, learning rate {LEARNING_RATE}, momentum {MOMENTUM}; "
        f"{arguments.epochs} epochs of batches of {BATCH_SIZE}\n"
    )
    print(_table(rows), end="\n\n")
    print(_findings(rows, arguments.depth))


def _load_data(name):
    """Return the data and what they are; without a name the digits, or else points where scikit-learn is missing."""
    if name != "synthetic":
        try:
            return digits("--data digits"), "images of handwritten digits, 8x8 pixels"
        except CommandError as error:
            if name == "digits":
                raise
            print(f"Synthetic data, not the digits: {error}\n")
    return synthetic(), "points around 10 centres"


def _measure(activation, init, data, arguments):
    """Return the row of an activation and an initialiser."""
    X, _, y, _ = data
    network_init, chain_init = INITIALIZERS[init]
    sizes = itertools.pairwise([X.shape[1], *[arguments.width] * arguments.depth])
    hidden = [nn.Dense(fan_in, fan_out, activation, init=network_init) for fan_in, fan_out in sizes]
    model = nn.Sequential([*hidden, nn.Dense(arguments.width, 10)], seed=arguments.seed)
    if init == "unit_gain":
        nn.unit_gain(model, X[:BATCH_SIZE])  # as the first step of training would
    exact = model.astype(np.float64)  # float32 would underflow behind some sixty layers of a sigmoid
    network, own_bound = theory.passed_on(diagnose(exact, X, y)), theory.own_bound(model)
    accuracy = _accuracy_after(arguments.epochs, model, data) if arguments.epochs else None

    inputs = np.random.default_rng(arguments.seed).standard_normal(1000)
    seeds = range(arguments.seed, arguments.seed + (CHAINS if chain_init else 1))
    chains = [theory.chain(activation, arguments.depth, inputs, chain_init, seed=seed).gain for seed in seeds]
    bound = theory.bound(activation, arguments.depth)
    return Row(activation, init, bound, statistics.median(chains), own_bound, network, accuracy)


def _accuracy_after(epochs, model, data):
    X, X_test, y, y_test = data
    try:
        model.fit(X, y, loss="softmax_cross_entropy", optimizer=nn.SGD(LEARNING_RATE, MOMENTUM), epochs=epochs,
                  batch_size=BATCH_SIZE)
    except FloatingPointError:
        return math.nan
    return model.evaluate(X_test, y_test)["accuracy"]


def _table(rows):
    lines = [
        "                                      bound,                bound,                  test",
        "activation  weights    size-one weights      chain    own weights    network    accuracy",
        "-" * 88,
    ]
    for row in rows:
        if row.accuracy is None:
            accuracy = "-"
        elif math.isnan(row.accuracy):
            accuracy = "diverged"
        else:
            accuracy = f"{row.accuracy:.1%}"
        lines.append(
            f"{row.activation:<10}  {row.init:<9}  {row.bound:>16.1e}  {row.chain:>9.1e}  {row.own_bound:>13.1e}  "
            f"{row.network:>9.1e}  {accuracy:>10}"
        )
    lines += [
        "-" * 88,
        "Factors that the layers multiply a gradient by. bound: max phi'^layers, and with the singular values",
        f"of the network's own weights in it. chain: one unit a layer, 1,000 inputs (median of {CHAINS} where the",
        "weights are drawn). network: measured before training, on all training data, in float64.",
    ]
    return "\n".join(lines)


def _findings(rows, depth):
    """Say in words what the table shows, each sentence from its numbers: where theory and practice part."""
    lines = []
    for row in rows:
        if row.init == "unit":
            held = "keeps within" if row.network <= 1.01 * row.bound else "does not keep within"
            lines.append(
                f"* {row.activation}, weights of size one: the network {held} the theory, {row.network:.1e} of at most "
                f"{row.bound:.1e}{_shortfall(row)}"
            )
    for row in rows:
        if row.network > 1.01 * row.bound and row.bound < 1e-3:
            times = f"{row.network / row.bound:.1e} times what" if row.bound > 0.0 else "more than"
            lines.append(
                f"* {row.activation}, {row.init}: {times} size-one weights allow, "
                f"because the weights are larger than one\n  (they would allow {row.own_bound:.1e}); a layer passes on "
                f"{row.network ** (1 / depth):.2f} of a gradient, in the mean"
            )
    lines += _cures(rows)
    parted = [row for row in rows if row.init == "unit_gain" and row.chain < 0.1 * row.network]
    if parted:
        lines.append("* the chain is not the network: one unit has no others to make up for it, and unit_gain leaves")
        lines += [
            f"  {row.activation} {row.chain:.1e} in the chain, {row.network:.1e} in the network" for row in parted
        ]
    return "\n".join(lines)


def _shortfall(row):
    """Say why less is left than the theory allows, where it is."""
    if row.network > 0.5 * row.bound:
        return ""
    off = "units are off" if row.activation in ("relu", "leaky_relu") else "inputs are not all 0, where phi' is largest"
    return f"\n  (less, because {off})"


def _cures(rows):
    """Say what unit_gain makes of the worst of the other initialisers, for each activation."""
    lines = []
    for cured in (row for row in rows if row.init == "unit_gain"):
        others = [row for row in rows if row.activation == cured.activation and row is not cured]
        if not others:
            continue
        worst = min(others, key=lambda row: row.network)
        accuracies = ""
        if cured.accuracy is not None:
            accuracies = f"; test accuracy {worst.accuracy:.1%} -> {cured.accuracy:.1%}"
        cure = " cures it" if worst.network < 1e-2 and 0.1 < cured.network < 10.0 else ""
        lines.append(
            f"* {cured.activation}, unit_gain{cure}: {cured.network:.2g} of the gradient is left, with {worst.init} "
            f"{worst.network:.1e}{accuracies}"
        )
    return lines


class DyingRow(NamedTuple):
    """Means over the seeds, of a network killed one way and trained on with a slope."""

    dead_before: float  # shares of the hidden units, before the training and after it
    dead_after: float
    right: float  # share of the training rows that get the right label

    @classmethod
    def mean(cls, recoveries):
        return cls(
            statistics.fmean(recovery.dead[1] for recovery in recoveries),
            statistics.fmean(recovery.dead[2] for recovery in recoveries),
            statistics.fmean(recovery.accuracy for recovery in recoveries),
        )


def _run_dying_relu(arguments, data, described):
    """Kill units and let them come back, with a ReLU and with leaky ones, and print what became of them."""
    if not arguments.epochs:
        raise UsageError("--dying-relu needs --epochs of at least 1")
    for option, known in (("activation", ACTIVATIONS), ("init", INITIALIZERS)):
        if len(getattr(arguments, option)) < len(known):
            raise UsageError(f"--dying-relu takes no --{option}: it compares ReLU with leaky ones, from He's weights")
    depth = min(arguments.depth, DYING_DEPTH)
    seeds = range(arguments.seed, arguments.seed + SEEDS)
    settings = {"width": arguments.width, "epochs": arguments.epochs}
    X, _, y, _ = data
    results, high_rate = [], []  # of each slope: killed by weights and from the usual start; killed by a high rate
    with np.errstate(all="ignore"), one_thread(), Progress(2 * len(experiments.SLOPES), "dying ReLU") as bar:
        for slope in experiments.SLOPES:
            bar.note(f"slope {slope:g}")
            results += experiments.sweep_slopes(data, [slope], seeds, depth=depth, **settings)
            bar.update()
            recoveries = [experiments.dying_relu(X, y, "high_rate", slope, seed=seed, **settings) for seed in seeds]
            high_rate.append(DyingRow.mean(recoveries))
            bar.update()
    print(
        f"{described}\n"
        f"One hidden layer of {arguments.width} ReLUs, killed; then {arguments.epochs} epochs of Adam with the slope.\n"
        f"Means of seeds {seeds[0]} to {seeds[-1]}.\n"
    )
    print(_dying_table(results, high_rate, depth), end="\n\n")
    print(_dying_findings(results, high_rate))


def _dying_table(results, high_rate, depth):
    lines = [
        "         negative weights             rate too high                start as usual,",
        f"  slope  dead before -> after  right  dead before -> after  right  {depth} layers: test right",
        "-" * 87,
    ]
    for result, by_rate in zip(results, high_rate, strict=True):
        killed = (DyingRow.mean(result.recoveries), by_rate)
        cells = [f"{row.dead_before:>11.1%} -> {row.dead_after:>6.1%} {row.right:>6.1%}" for row in killed]
        test = f"{result.accuracy:.1%} +- {result.spread:.1%}"
        lines.append(f"{result.negative_slope:>7g}  {'  '.join(cells)}  {test:>22}")
    lines += [
        "-" * 87,
        "dead: hidden units that are off for every training row. right: training rows with the right label.",
    ]
    return "\n".join(lines)


def _dying_findings(results, high_rate):
    """Say in words what the table shows: of the ReLU, which is its first line, and of the best slopes."""
    relu, leaky = results[0], max(results[1:], key=lambda result: result.recovered)
    relu_by_rate, *leaky_by_rate = high_rate
    by_slope = zip(experiments.SLOPES[1:], leaky_by_rate, strict=True)
    fewest_slope, fewest = min(by_slope, key=lambda pair: pair[1].dead_after)
    best = experiments.best_slopes(results)
    if len(best) == 1:
        usual = f"slope {best[0]:g} serves best from a usual start"
    else:
        slopes = ", ".join(f"{slope:g}" for slope in best)
        usual = (
            f"from a usual start {len(best)} of {len(experiments.SLOPES)} slopes cannot be told apart by {SEEDS} "
            f"seeds: {slopes}"
        )
    return (
        f"* killed by negative weights, {relu.recovered:.0%} of a ReLU's units come back, and it gets "
        f"{relu.recovered_accuracy:.1%} right;\n  most come back with slope {leaky.negative_slope:g}: "
        f"{leaky.recovered:.0%}, and {leaky.recovered_accuracy:.1%} right\n"
        f"* killed by a rate too high, {relu_by_rate.dead_after:.0%} of a ReLU's units are dead in the end, and it "
        f"gets {relu_by_rate.right:.1%} right;\n  fewest are with slope {fewest_slope:g}: {fewest.dead_after:.0%}, and "
        f"{fewest.right:.1%} right\n"
        f"* {usual}"
    )
