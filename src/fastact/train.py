"""``python -m fastact train``: a network for the user's own data, in a file that takes rows as they come."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from fastact import _datasets, nn
from fastact._commands import CommandError, UsageError, add_training_arguments, integer, one_thread, real
from fastact._datasets import Dataset, Scaling
from fastact.nn import _checks, optimizers
from fastact.nn._files import check_place
from fastact.nn.layers import ACTIVATIONS
from fastact.report.experiment import network, score_text

SUFFIX = ".safetensors"

DESCRIPTION = f"""\
Train a network on the digits or on your data, print how well it has learnt, and save it. The saved model takes rows
as they are in the file, for the scaling lies in its weights, which are float64:

    nn.load("model.safetensors").predict(X)

gives logits, one a class, or the predicted targets of a regression.

{_datasets.DESCRIPTION}
Progress goes to standard error, a table and how to use the model to standard output. A file that is there is replaced,
as a whole. The network is trained on one thread: a seed gives one result, bit for bit.

Needs safetensors, and for the digits scikit-learn: pip install "fastact[save,demo]".
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training to its parser."""
    add = parser.add_argument
    _datasets.add_arguments(parser)
    add("--out", required=True, metavar="FILE", help=f"the model to write, FILE{SUFFIX}")
    add("--layers", type=_widths, default=[64, 64], metavar="N,N", help="units of each hidden layer (64,64)")
    add("--activation", choices=ACTIVATIONS, default="relu", help="activation of the hidden layers (relu)")
    add("--optimizer", choices=list(optimizers.OPTIMIZERS), default="adam", help="optimiser (adam)")
    add("--learning-rate", type=real(0.0), metavar="R", help="its learning rate (0.01 for sgd and adagrad, else 0.001)")
    add_training_arguments(parser, epochs=20)


def run(arguments: argparse.Namespace) -> None:
    """Read, train, save."""
    try:
        _checks.extra("safetensors", "save")
    except ImportError as error:
        raise CommandError(str(error)) from None
    out = _checked_place(arguments.out)
    data = _datasets.load(arguments.data, arguments.target, arguments.drop, arguments.task)
    split = _datasets.split(data, arguments.seed)
    rate = {} if arguments.learning_rate is None else {"learning_rate": arguments.learning_rate}
    model, loss = network(
        data, arguments.layers, arguments.activation, arguments.negative_slope, arguments.init, arguments.seed
    )
    with one_thread():
        try:
            model.fit(
                split.X,
                split.y,
                loss=loss,
                optimizer=optimizers.OPTIMIZERS[arguments.optimizer](**rate),
                epochs=arguments.epochs,
                batch_size=arguments.batch_size,
                validation_data=(split.X_validation, split.y_validation),
                progress=True,
            )
        except FloatingPointError as error:
            raise CommandError(f"training failed: {error}") from None
        model = for_raw_rows(model, split.X_scaling, split.y_scaling)
        table = _table(model, data, split)
    model.save(out)
    print(table, _usage(out, data), sep="\n\n")


def for_raw_rows(model: nn.Sequential, X_scaling: Scaling, y_scaling: Scaling | None) -> nn.Sequential:
    """Return the model for rows, and targets, that are not scaled.

    With (x - m) / s in place of x, x W + b is x (W / s) + (b - m (W / s)). In float64: of columns with means far above
    their deviations, float32 would keep little.
    """
    model = model.astype(np.float64)
    first, last = model.layers[0], model.layers[-1]
    first.W = first.W / X_scaling.deviation[:, np.newaxis]
    first.b = first.b - X_scaling.mean @ first.W
    if y_scaling is not None:
        last.W = last.W * y_scaling.deviation
        last.b = last.b * y_scaling.deviation + y_scaling.mean
    return model


def _widths(text):
    """Return the widths in an option's text, a type for ``add_argument``."""
    return [integer(1, 4096)(width) for width in text.split(",")]


def _checked_place(out):
    if Path(out).suffix != SUFFIX:
        raise UsageError(f"--out must be a file's name that ends in {SUFFIX}, got {out!r}")
    try:
        check_place(out)
    except OSError as error:
        raise UsageError(f"--out: {error}") from None
    return out


def _table(model, data, split):
    """Return what the saved model reaches on the rows as they are in the file."""
    score_name = "accuracy" if data.classes else "R²"
    loss_name = "cross-entropy" if data.classes else "squared error"
    lines = [f"{'rows':>18}  {loss_name:>13}  {score_name:>8}"]
    for name, rows in (("training", split.training), ("validation", split.validation)):
        y = data.y[rows] if data.classes else data.y[rows, np.newaxis]
        means = model.evaluate(data.X[rows], y)
        if data.classes:
            score = means["accuracy"]
        else:
            variance = float(np.var(y))
            score = 1.0 - means["loss"] / variance if variance > 0.0 else math.nan
        lines.append(f"{name:<10}{len(rows):>8,}  {means['loss']:>13.4g}  {score_text(data, score):>8}")
    return "\n".join(lines)


def _usage(out: str, data: Dataset) -> str:
    """Return a program that uses the saved model."""
    columns = ", ".join(map(repr, data.features[:4]))
    if len(data.features) > 4:
        columns += ", ..."
    if data.name == "digits":
        columns += " (from 0 to 1)"
    lines = [
        "from fastact import nn",
        f"model = nn.load({out!r})",
        f"Y = model.predict(X)  # X: (rows, {len(data.features)}), columns {columns}",
    ]
    if data.classes:
        lines.append(f"labels = [{data.classes}[k] for k in Y.argmax(axis=1)]")
    return f"Saved {out}. To use it:\n\n" + "\n".join(f"    {line}" for line in lines)
