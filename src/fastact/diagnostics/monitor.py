"""The same measures while a network learns: a callback that looks at some of the batches of every epoch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact import nn
from fastact.diagnostics.findings import of_loss
from fastact.diagnostics.measures import Diagnosis, LayerMeasures, LayerTotals, columns, square_sum
from fastact.nn import _checks
from fastact.nn._types import Floats, Integer, Real
from fastact.nn.layers import ActiveUnits

KEPT_SLOPES = 2**11  # values of φ′ of a batch that are kept for a layer's quartiles


class Monitor(nn.Callback):
    """Measure every layer in training: gradients, φ′, saturated and dead units, sizes of the steps.

    The first batch of an epoch is measured, and after it one in ``every``: the step itself, with nothing computed
    twice. On the other batches only layers of ReLUs are looked at whose units have not all been active in this epoch
    yet.

    Parameters
    ----------
    every : int, optional
        One batch in so many is measured. In epochs of 2,048 batches the default costs 2 to 4 % of a step of 28 µs
        (64-32-32-10, 32 rows), with dead units 4 to 6 %, and up to 1 % of one of 1.6 ms (784-256-256-10, 128 rows), on
        one core of an Intel Xeon of family 6, model 167. An epoch costs some 0.3 ms, which counts in short ones.
    saturation_threshold : float in (0, 1), optional
        See `diagnose`.

    Attributes
    ----------
    history : list of list of LayerMeasures
        One list an epoch, one entry a layer. Gradients are those of the batches' losses, as root mean squares over the
        measured batches; φ′, ``saturated`` and ``zeros`` are of their rows, ``update_ratio`` of the last of them.
        ``dead`` is counted over all batches of the epoch. The first layer has no ``gradient_factor``: training has no
        use for the gradient of X.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> from fastact.diagnostics import Monitor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((640, 4))
    >>> model = nn.Sequential([nn.Dense(4, 16, activation="relu"), nn.Dense(16, 2)], seed=0)
    >>> monitor = Monitor(every=10)
    >>> history = model.fit(X, (X[:, 0] > 0).astype(int), loss="softmax_cross_entropy", optimizer="adam", epochs=3,
    ...                     callbacks=[monitor])
    >>> monitor.array("dead").shape
    (3, 2)
    >>> bool(1e-4 < monitor.history[-1][0].update_ratio < 0.1)
    True
    >>> [finding.kind for finding in monitor.diagnosis().findings]
    ['healthy']
    """

    def __init__(self, every: Integer = 512, saturation_threshold: Real = 0.05) -> None:
        self.every = _checks.integer("every", every)
        self.saturation_threshold = _checks.number(
            "saturation_threshold", saturation_threshold, below=1.0, positive=True
        )
        self.history: list[list[LayerMeasures]] = []
        self._last: tuple[Any, ...] = ()  # of the last epoch, what a Diagnosis takes after its layers
        self._inactive: dict[nn.Dense, ActiveUnits] = {}  # layers with units that have not been active in this epoch

    def on_fit_begin(self, model: nn.Sequential) -> None:
        self.history = []
        self._weights = [np.empty_like(layer.W) for layer in model.layers]
        self._places = {layer: index for index, layer in enumerate(model.layers)}
        self._start_epoch(model)

    def _start_epoch(self, model: nn.Sequential) -> None:
        self._totals: list[LayerTotals] = []
        self._weight_squares = [0.0] * len(model.layers)
        self._update_ratios = [math.nan] * len(model.layers)
        self._look_for_active({})
        self._batches = self._rows = 0
        self._squares: list[float] = []  # of the batch that is being measured

    def on_batch_begin(self, model: nn.Sequential, epoch: int, batch: int) -> nn.callbacks.BackwardHook | None:
        if self._squares:
            self._finish_batch(model)
        if (batch - 1) % self.every:
            if self._inactive and not batch & (batch - 1):  # a power of two: often at first, when units come in
                self._look_for_active(self._inactive)
            return None
        for weights, layer in zip(self._weights, model.layers, strict=True):
            weights[...] = layer.W
        return self._see

    def _look_for_active(self, inactive):
        """Have the backward passes of layers mark which units are active, as long as there are others."""
        for layer, units in self._inactive.items():
            layer._active_units.remove(units)
        self._inactive = {layer: units for layer, units in inactive.items() if not units.seen.all()}
        for layer, units in self._inactive.items():
            layer._active_units.append(units)

    def _see(self, layer: nn.Dense, dY: Floats) -> None:
        assert layer.output is not None
        if not self._totals:
            self._totals = LayerTotals.of_layers(self._places, self.saturation_threshold, len(dY), KEPT_SLOPES)
        self._totals[self._places[layer]].add_units(layer.output, layer.slopes(), layer.active())
        if not self._squares:
            self._rows += len(dY)
        self._squares.append(square_sum(dY))

    def _finish_batch(self, model):
        """Measure the step that has been taken: layers hold its gradients until the next backward pass."""
        self._batches += 1
        below = math.nan  # ∂L/∂X of the first layer is not computed
        for index, (layer, total, squares) in enumerate(
            zip(model.layers, self._totals, reversed(self._squares), strict=True)
        ):
            total.add_gradients(squares, below)
            below = squares
            self._weight_squares[index] += square_sum(layer.dW)
            before = self._weights[index]
            size = square_sum(before)
            before -= layer.W
            self._update_ratios[index] = math.sqrt(square_sum(before) / size) if size > 0.0 else math.nan
        self._squares = []
        if self._batches == 1:
            self._look_for_active(
                {
                    layer: ActiveUnits(total.ever_active, self._rows)
                    for layer, total in zip(model.layers, self._totals, strict=True)
                    if total.ever_active is not None
                }
            )

    def on_epoch_end(self, model: nn.Sequential, epoch: int, history: nn.History) -> None:
        if self._squares:
            self._finish_batch(model)
        self.history.append(
            [
                total.result(math.sqrt(squares / self._batches), ratio, mean=True)
                for total, squares, ratio in zip(self._totals, self._weight_squares, self._update_ratios, strict=True)
            ]
        )
        assert model.loss is not None
        rows = max([self._rows, *(units.rows for units in self._inactive.values())])
        finding = of_loss(model.layers[-1].activation, model.loss.name, model.out_features)
        self._last = (rows, history["loss"][-1], model.loss.name, str(model.dtype), finding)
        self._start_epoch(model)

    def array(self, name: str) -> NDArray[np.float64]:
        """Return one of the numbers of `LayerMeasures` as an array of shape (epochs, layers).

        That of "derivative_quantiles" has the shape (epochs, layers, 5).

        Raises
        ------
        ValueError
            There is no such number.
        """
        _checks.choose("name", name, NUMBERS)
        return np.array([[getattr(layer, name) for layer in layers] for layers in self.history], dtype=np.float64)

    def diagnosis(self) -> Diagnosis:
        """Return the diagnosis of the last epoch.

        Raises
        ------
        ValueError
            No epoch has been finished.
        """
        if not self.history:
            raise ValueError("there is nothing to diagnose: the monitor has seen no finished epoch")
        return Diagnosis(self.history[-1], *self._last)

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame: a row for each epoch (counted from 1) and layer, a column a number.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        pandas = _checks.extra("pandas", "pandas")
        rows = [
            {"epoch": epoch, **columns(layer)} for epoch, layers in enumerate(self.history, start=1) for layer in layers
        ]
        return pandas.DataFrame(rows).set_index(["epoch", "index"])

    def __repr__(self):
        return f"Monitor(every={self.every}, saturation_threshold={self.saturation_threshold:g})"


# Names that `Monitor.array` takes
NUMBERS = dict.fromkeys(
    name for name in LayerMeasures.__dataclass_fields__ if name not in ("index", "name", "activation", "units")
)
