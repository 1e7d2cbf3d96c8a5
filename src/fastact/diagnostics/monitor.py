"""The same measures while a network learns: a callback that looks at some of the batches of every epoch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact import nn
from fastact.diagnostics.findings import loss_finding
from fastact.diagnostics.measures import Diagnosis, LayerMeasures, LayerTotals, dataframe_row, sum_of_squares
from fastact.nn import _checks
from fastact.nn._types import Floats, Integer, Real
from fastact.nn.layers import ActiveUnits

KEPT_DERIVATIVES = 2**11  # values of φ′ of a batch that are kept for a layer's quartiles

# What `Monitor.array` takes
NUMBERS = [
    field.name
    for field in dataclasses.fields(LayerMeasures)
    if field.name not in ("index", "name", "activation", "units")
]


class Monitor(nn.Callback):
    """Measure every layer in training: gradients, φ′, saturated and dead units, sizes of the steps.

    The first batch of an epoch is measured, and then one in ``every``: the step itself, with nothing computed twice.
    On the other batches only those ReLU layers are looked at that have units not yet active in this epoch.

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
        self._indices: dict[nn.Dense, int] = {}  # of the layers
        # Of the step that is being measured: the weights before it; sums of squares of ∂L/∂Y, the last layer's first
        self._weights_before: list[Floats] = []
        self._output_squares: list[float] = []
        # Of the present epoch
        self._totals: list[LayerTotals] = []
        self._weight_gradient_squares: list[float] = []
        self._update_ratios: list[float] = []
        self._batches = self._rows = 0
        self._inactive: dict[nn.Dense, ActiveUnits] = {}  # layers with units that have not been active yet
        # Of the last epoch
        self._diagnosis: Diagnosis | None = None

    def on_fit_begin(self, model: nn.Sequential) -> None:
        self.history, self._diagnosis = [], None
        self._indices = {layer: index for index, layer in enumerate(model.layers)}
        self._weights_before = [np.empty_like(layer.W) for layer in model.layers]
        self._start_epoch(model)

    def _start_epoch(self, model: nn.Sequential) -> None:
        self._totals = []
        self._weight_gradient_squares = [0.0] * len(model.layers)
        self._update_ratios = [math.nan] * len(model.layers)
        self._batches = self._rows = 0
        self._output_squares = []
        self._mark_active_units({})

    def on_batch_begin(self, model: nn.Sequential, epoch: int, batch: int) -> nn.callbacks.BackwardHook | None:
        if self._output_squares:
            self._finish_batch(model)
        if (batch - 1) % self.every:
            if self._inactive and batch & (batch - 1) == 0:  # at powers of two: most units become active early
                self._mark_active_units(self._inactive)
            return None
        for weights, layer in zip(self._weights_before, model.layers, strict=True):
            weights[...] = layer.W
        return self._measure_layer

    def _mark_active_units(self, inactive: dict[nn.Dense, ActiveUnits]) -> None:
        """Have the backward passes of these layers mark which units are active, if any have not been marked yet."""
        for layer, units in self._inactive.items():
            layer._active_units.remove(units)
        self._inactive = {layer: units for layer, units in inactive.items() if not units.seen.all()}
        for layer, units in self._inactive.items():
            layer._active_units.append(units)

    def _measure_layer(self, layer: nn.Dense, dY: Floats) -> None:
        assert layer.output is not None  # a forward pass has been made
        if not self._totals:
            self._totals = LayerTotals.of_layers(self._indices, self.saturation_threshold, len(dY), KEPT_DERIVATIVES)
        self._totals[self._indices[layer]].add_units(layer.output, layer.slopes(), layer.active())
        if not self._output_squares:
            self._rows += len(dY)
        self._output_squares.append(sum_of_squares(dY))

    def _finish_batch(self, model: nn.Sequential) -> None:
        """Measure the step that has been taken: layers hold its gradients until the next backward pass."""
        self._batches += 1
        input_squares = math.nan  # ∂L/∂X of the first layer is not computed
        for index, layer in enumerate(model.layers):
            output_squares = self._output_squares[-1 - index]
            self._totals[index].add_gradients(output_squares, input_squares)
            input_squares = output_squares  # of the next layer
            self._weight_gradient_squares[index] += sum_of_squares(layer.dW)
            weights = self._weights_before[index]
            weight_squares = sum_of_squares(weights)
            weights -= layer.W
            if weight_squares > 0.0:
                self._update_ratios[index] = math.sqrt(sum_of_squares(weights) / weight_squares)
            else:
                self._update_ratios[index] = math.nan
        self._output_squares = []
        if self._batches == 1:
            self._mark_active_units(
                {
                    layer: ActiveUnits(total.ever_active, self._rows)
                    for layer, total in zip(model.layers, self._totals, strict=True)
                    if total.ever_active is not None
                }
            )

    def on_epoch_end(self, model: nn.Sequential, epoch: int, history: nn.History) -> None:
        if self._output_squares:
            self._finish_batch(model)
        layers = [
            total.result(math.sqrt(squares / self._batches), ratio, batch_mean=True)
            for total, squares, ratio in zip(
                self._totals, self._weight_gradient_squares, self._update_ratios, strict=True
            )
        ]
        self.history.append(layers)
        assert model.loss is not None  # it is being trained
        rows = max([self._rows, *(units.rows for units in self._inactive.values())])
        finding = loss_finding(model.layers[-1].activation, model.loss.name, model.out_features)
        self._diagnosis = Diagnosis(layers, rows, history["loss"][-1], model.loss.name, str(model.dtype), finding)
        self._start_epoch(model)

    def array(self, name: str) -> NDArray[np.float64]:
        """Return one of the numbers of `LayerMeasures` as an array of shape (epochs, layers).

        That of "derivative_quantiles" has the shape (epochs, layers, 5).

        Raises
        ------
        ValueError
            There is no such number.
        """
        _checks.choose("name", name, dict.fromkeys(NUMBERS))
        return np.array([[getattr(layer, name) for layer in layers] for layers in self.history], dtype=np.float64)

    def diagnosis(self) -> Diagnosis:
        """Return the diagnosis of the last epoch.

        Raises
        ------
        ValueError
            No epoch has been finished.
        """
        if self._diagnosis is None:
            raise ValueError("there is nothing to diagnose: the monitor has seen no finished epoch")
        return self._diagnosis

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame: a row for each epoch (counted from 1) and layer, a column a number.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        pandas = _checks.extra("pandas", "pandas")
        rows = [
            {"epoch": epoch, **dataframe_row(layer)}
            for epoch, layers in enumerate(self.history, start=1)
            for layer in layers
        ]
        return pandas.DataFrame(rows).set_index(["epoch", "index"])

    def __repr__(self):
        return f"Monitor(every={self.every}, saturation_threshold={self.saturation_threshold:g})"
