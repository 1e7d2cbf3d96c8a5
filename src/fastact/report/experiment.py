"""The same network trained with each activation, and what was measured of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastact import nn
from fastact._datasets import Dataset, Split
from fastact.diagnostics import Diagnosis, Monitor, diagnose
from fastact.nn.initializers import InitializerName
from fastact.nn.layers import Activation
from fastact.nn.losses import LossName
from fastact.nn.progress import Progress

SMALL_SHARE = 0.0005  # what is less is 0.0 %


@dataclass(frozen=True)
class Settings:
    """What is the same for all activations."""

    depth: int
    width: int
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    negative_slope: float
    init: InitializerName | None
    seed: int


@dataclass(frozen=True)
class Run:
    """One activation's training.

    Attributes
    ----------
    activation : str
    before, after : Diagnosis
        Of the training rows, before and after training; ``after`` is None where that ended early.
    history : nn.History
    monitor : Monitor
    error : str or None
        Why training ended early: a loss or a weight was no longer finite.
    """

    activation: Activation
    before: Diagnosis
    after: Diagnosis | None
    history: nn.History
    monitor: Monitor
    error: str | None

    @property
    def score(self) -> float:
        """Accuracy, or R², of the validation rows after training; NaN where it ended early."""
        return math.nan if self.error else self.history["val_score"][-1]

    @property
    def gradient_ratio(self) -> float:
        """‖∂L/∂Y‖ of the first hidden layer over that of the last one, before training."""
        *hidden, _ = self.before.layers
        last = hidden[-1].activation_gradient_norm
        return hidden[0].activation_gradient_norm / last if last > 0.0 else math.nan

    def share(self, name: str) -> float:
        """Share of hidden units ("dead") or their outputs ("saturated", "zeros") after training; NaN if undefined."""
        if self.after is None:
            return math.nan
        *hidden, _ = self.after.layers
        return float(np.mean([getattr(layer, name) for layer in hidden]))


class _Score(nn.Callback):
    """Notes the number that trainings are compared by, and moves the progress bar."""

    def __init__(self, bar: Progress, variance: float | None) -> None:
        self._bar, self._variance = bar, variance

    def on_epoch_end(self, model: nn.Sequential, epoch: int, history: nn.History) -> None:
        if self._variance is None:
            score = history["val_accuracy"][-1]
        else:
            score = 1.0 - history["val_loss"][-1] / self._variance
        history.record({"val_score": score})
        self._bar.update()


def train(data: Dataset, split: Split, names: Sequence[Activation], settings: Settings) -> list[Run]:
    """Train a network with each activation; progress goes to standard error."""
    with Progress(len(names) * settings.epochs, "report") as bar, np.errstate(all="ignore"):
        return [_train(name, data, split, settings, bar) for name in names]


def network(
    data: Dataset,
    widths: Sequence[int],
    activation: Activation,
    negative_slope: float,
    init: InitializerName | None,
    seed: int,
) -> tuple[nn.Sequential, LossName]:
    """Return a network for the data, with hidden layers of these widths, and its loss."""
    sizes = itertools.pairwise([data.X.shape[1], *widths])
    hidden = [nn.Dense(*pair, activation, negative_slope, init=init) for pair in sizes]
    outputs = len(data.classes) if data.classes else 1
    loss: LossName = "softmax_cross_entropy" if data.classes else "mse"
    return nn.Sequential([*hidden, nn.Dense(widths[-1], outputs)], seed=seed), loss


def _train(activation, data, split, settings, bar):
    bar.note(activation)
    widths, init = [settings.width] * settings.depth, settings.init
    model, loss = network(data, widths, activation, settings.negative_slope, init, settings.seed)
    if init == "unit_gain":
        nn.unit_gain(model, split.X[: settings.batch_size])
    before = diagnose(model, split.X, split.y, loss=loss)
    monitor = Monitor()
    variance = None if data.classes else float(np.var(split.y_validation)) or 1.0
    error = None
    try:
        model.fit(
            split.X,
            split.y,
            loss=loss,
            optimizer=nn.SGD(settings.learning_rate, settings.momentum),
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            validation_data=(split.X_validation, split.y_validation),
            callbacks=[monitor, _Score(bar, variance)],
        )
    except FloatingPointError as diverged:
        error = str(diverged)
        bar.update(settings.epochs - model.history.epochs)
    after = None if error else diagnose(model, split.X, split.y, loss=loss)
    return Run(activation, before, after, model.history, monitor, error)


def summary(data: Dataset, split: Split, runs: Sequence[Run]) -> list[str]:
    """Say in words what the trainings show, each sentence from its numbers."""
    metric = "validation accuracy" if data.classes else "validation R²"
    finished = sorted((run for run in runs if not run.error), key=lambda run: -run.score)
    lines = [f"{run.activation}: training ended early, {run.error}" for run in runs if run.error]
    chance = (
        f"always answering with the most frequent class gives {percent(split.baseline)}"
        if data.classes
        else "always answering with the mean gives 0"
    )
    learnt = [run for run in finished if run.score > split.baseline + 0.1 * (1.0 - split.baseline)]
    if learnt:
        scores = ", ".join(f"{run.activation} {score_text(data, run.score)}" for run in learnt)
        lines.append(f"Learnt, by {metric}: {scores} ({chance}).")
    others = [run for run in finished if run not in learnt]
    if others:
        scores = ", ".join(f"{run.activation} {score_text(data, run.score)}" for run in others)
        lines.append(f"Hardly better than guessing after {runs[0].history.epochs} epochs: {scores} ({chance}).")
    ratios = ", ".join(f"{run.activation} {run.gradient_ratio:.2g}" for run in runs)
    lines.append(
        "Gradient at the first hidden layer's output over that at the last one's, before training (1 is what keeps "
        f"every layer learning): {ratios}."
    )
    for name, words in (
        ("saturated", "hidden outputs saturated after training"),
        ("dead", "hidden units active for no training row after training"),
        ("zeros", "hidden outputs exactly 0 after training"),
    ):
        shares = [f"{run.activation} {percent(run.share(name))}" for run in finished if run.share(name) >= SMALL_SHARE]
        if shares:
            lines.append(f"Share of {words}: {', '.join(shares)}.")
    return lines


def percent(share: float) -> str:
    """Return a share as text; NaN, which is none, as a dash."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def score_text(data: Dataset, score: float) -> str:
    """Return an accuracy or R² as text."""
    if data.classes or math.isnan(score):
        return percent(score)
    return f"{score:.3g}"


def to_dict(run: Run) -> dict[str, Any]:
    """Return all numbers of a run as what JSON can hold."""
    layers = [[layer.to_dict() for layer in epoch] for epoch in run.monitor.history]
    return {
        "history": {
            name: [value if math.isfinite(value) else None for value in values] for name, values in run.history.items()
        },
        "before": run.before.to_dict(),
        "after": None if run.after is None else run.after.to_dict(),
        "epochs": layers,
        "error": run.error,
    }
