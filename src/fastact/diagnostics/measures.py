"""What is measured of a layer, and the diagnosis of a whole network: numbers, table, data frame, findings."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastact.diagnostics.findings import Finding, find
from fastact.nn import _checks
from fastact.nn._types import Floats
from fastact.nn.layers import Dense

# Activation that saturates -> the largest value of its derivative
LARGEST_DERIVATIVE = {"sigmoid": 0.25, "tanh": 1.0}

KEPT_DERIVATIVES = 2**17  # values of φ′ that are kept for a layer's quartiles; of more, those of evenly spaced rows


@dataclass(frozen=True)
class LayerMeasures:
    """The numbers of one layer, Y = φ(Z) with Z = X W + b. Numbers that a layer does not have are NaN.

    Attributes
    ----------
    index : int
        Place in the network, counted from 0.
    name : str
    activation : str or None
        φ: "sigmoid", "tanh", "relu", "leaky_relu", None for the identity. (In a PyTorch network it may be the name of
        another function, of which nothing but the gradients is known.)
    units : int
        Columns of Y; channels for a convolution.
    weight_gradient_norm : float
        ‖∂L/∂W‖, the root of the sum of squares. L is the mean loss over all rows.
    activation_gradient_norm : float
        ‖∂L/∂Y‖ over all rows and units. As L is a mean, it falls with 1 / √rows: compare layers by it, not data sets.
    derivative_mean : float
        Mean of φ′(Z) over rows and units.
    derivative_quantiles : tuple of 5 floats
        Least, lower quartile, median, upper quartile and largest of ``|φ′(Z)|``. Least and largest are those of all
        values; of more than 2¹⁷ values the quartiles are those of evenly spaced rows.
    gradient_factor : float
        ‖∂L/∂X‖ / ‖∂L/∂Y‖, what weights and φ′ together multiply the gradient's norm by on its way down. The norms run
        over all units, so the factors of successive layers multiply to the factor of them all, and a W with
        orthonormal columns has the factor 1 whatever the two widths are; `nn.unit_gain` makes it 1.
    saturated : float
        Share of all (row, unit) with φ′(Z) below ``saturation_threshold`` times its largest value, for sigmoid and
        tanh. The others do not saturate: see ``dead`` and ``zeros``.
    dead : float
        Share of units with Z ≤ 0 for every row, for relu and leaky_relu. A dead unit of a ReLU has no gradient, one of
        a leaky ReLU has its slope times a gradient.
    zeros : float
        Share of all elements of Y that are 0 exactly.
    update_ratio : float
        ‖ΔW‖ / ‖W‖ of the last training step measured; NaN where no training was watched.
    """

    index: int
    name: str
    activation: str | None
    units: int
    weight_gradient_norm: float = math.nan
    activation_gradient_norm: float = math.nan
    derivative_mean: float = math.nan
    derivative_quantiles: tuple[float, ...] = (math.nan,) * 5
    gradient_factor: float = math.nan
    saturated: float = math.nan
    dead: float = math.nan
    zeros: float = math.nan
    update_ratio: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by name; NaN and infinities, which JSON lacks, are None."""
        return {name: _for_json(value) for name, value in dataclasses.asdict(self).items()}


@dataclass(frozen=True)
class Diagnosis:
    """What was measured of a network, layer by layer, and what follows from it.

    ``print(diagnosis)`` shows the table and the findings.

    Attributes
    ----------
    layers : list of LayerMeasures
        From the first layer to the last.
    rows : int
        Rows of data that were measured, or, by a `Monitor`, looked at for dead units.
    loss : float or None
        Their mean loss.
    loss_name : str or None
    dtype : str or None
        Type of the numbers in which the gradients were computed, "float32" say.
    loss_finding : Finding or None
        What is wrong with the loss: it takes outputs for logits that a sigmoid, softmax or tanh has bounded.
    findings : list of Finding
        What the numbers say in words; one of kind "healthy" where there is nothing to say.
    """

    layers: list[LayerMeasures]
    rows: int
    loss: float | None = None
    loss_name: str | None = None
    dtype: str | None = None
    loss_finding: Finding | None = None

    @property
    def findings(self) -> list[Finding]:
        return find(self)

    def table(self) -> str:
        """Return the numbers as text, a line a layer."""
        rows = [_HEADER, *(_cells(layer) for layer in self.layers)]
        columns = []
        for title, *cells in zip(*rows, strict=True):
            width = max(len(cell) for cell in (title, *cells))
            aligned_left = title in ("layer", "activation")
            columns.append([cell.ljust(width) if aligned_left else cell.rjust(width) for cell in (title, *cells)])
        return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as dictionaries and lists that JSON can hold (None for NaN)."""
        return {
            "rows": self.rows,
            "loss": _for_json(self.loss),
            "loss_name": self.loss_name,
            "dtype": self.dtype,
            "layers": [layer.to_dict() for layer in self.layers],
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame: a row a layer, a column a number.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        pandas = _checks.extra("pandas", "pandas")
        return pandas.DataFrame([dataframe_row(layer) for layer in self.layers]).set_index("index")

    def __str__(self) -> str:
        loss = ""
        if self.loss is not None:
            loss = f", loss {self.loss:.4g}"
            if self.loss_name:
                loss += f" ({self.loss_name})"
        findings = "\n".join(f"* {finding.text}" for finding in self.findings)
        return f"{self.rows:,} rows{loss}\n\n{self.table()}\n\n{findings}"


_HEADER = ("", "layer", "activation", "units", "|dL/dW|", "|dL/dY|", "factor", "phi' mean", "saturated", "dead",
           "zeros", "update")


def _cells(layer):
    return (
        str(layer.index),
        layer.name,
        layer.activation or "-",
        str(layer.units),
        _number(layer.weight_gradient_norm, ".1e"),
        _number(layer.activation_gradient_norm, ".1e"),
        _number(layer.gradient_factor, ".3g"),
        _number(layer.derivative_mean, ".3f"),
        _number(layer.saturated, ".1%"),
        _number(layer.dead, ".1%"),
        _number(layer.zeros, ".1%"),
        _number(layer.update_ratio, ".1e"),
    )


def _number(value, form):
    return "-" if math.isnan(value) else format(value, form)


def dataframe_row(layer: LayerMeasures) -> dict[str, Any]:
    """Return a layer's numbers as a row of a data frame: a column for each of the five quantiles."""
    row = dataclasses.asdict(layer)
    names = [f"derivative_{name}" for name in ("least", "lower_quartile", "median", "upper_quartile", "largest")]
    return row | dict(zip(names, row.pop("derivative_quantiles"), strict=True))


def _for_json(value):
    if isinstance(value, tuple):
        return [_for_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sum_of_squares(array: Floats) -> float:
    """Return the sum of squares; what float32 cannot hold is summed in float64."""
    total = float(np.vdot(array, array))
    if 1e-30 < total < math.inf:
        return total
    return float(np.sum(np.square(array, dtype=np.float64)))


def _quartiles(values):
    """Return the quartiles as np.quantile does, for few values in a tenth of its time, which a `Monitor` needs."""
    values.sort()
    quartiles = []
    for share in (0.25, 0.5, 0.75):
        place = share * (len(values) - 1)
        below = float(values[int(place)])
        quartiles.append(below + (place - int(place)) * (float(values[math.ceil(place)]) - below))
    return quartiles


class LayerTotals:
    """Sums over batches, from which the measures of a layer are made.

    Parameters
    ----------
    index, name, activation, units
        As in `LayerMeasures`.
    saturation_threshold : float
    rows, kept : int
        How many rows will be counted, and how many values of φ′ kept of them at most, for the quartiles: those of
        evenly spaced rows.
    """

    def __init__(
        self,
        index: int,
        name: str,
        activation: str | None,
        units: int,
        saturation_threshold: float,
        rows: int,
        kept: int = KEPT_DERIVATIVES,
    ) -> None:
        self.index, self.name, self.activation, self.units = index, name, activation, units
        self.ever_active: NDArray[np.bool_] | None = None
        self._threshold = saturation_threshold * LARGEST_DERIVATIVE.get(activation or "", math.nan)
        self._kept_every = max(1, math.ceil(rows * units / kept))
        self._rows = self._elements = self._zeros = self._saturated = 0
        self._slope_sum = 0.0
        self._least, self._largest = math.inf, -math.inf
        self._kept_slopes: list[Floats] = []
        self._batches = 0
        self._output_squares = self._input_squares = 0.0

    @classmethod
    def of_layers(
        cls, layers: Iterable[Dense], saturation_threshold: float, rows: int, kept: int = KEPT_DERIVATIVES
    ) -> list[LayerTotals]:
        """Return one for each layer of a network of fastact.nn."""
        return [
            cls(index, f"layers[{index}]", layer.activation, layer.out_features, saturation_threshold, rows, kept)
            for index, layer in enumerate(layers)
        ]

    def add_units(self, Y: Floats, slopes: Floats | None, active: NDArray[np.bool_] | None) -> None:
        """Count a batch: outputs, slopes φ′(Z) (None for the identity), where Z > 0 (None where φ has no inactive
        side)."""
        self._elements += Y.size
        self._zeros += Y.size - int(np.count_nonzero(Y))
        if active is not None:
            if self.ever_active is None:
                self.ever_active = np.zeros(self.units, np.bool_)
            self.ever_active |= active.any(axis=0)
        if slopes is not None:
            self._slope_sum += float(slopes.sum())
            if self.activation in LARGEST_DERIVATIVE:
                self._saturated += int(np.count_nonzero(slopes < self._threshold))
            sizes = np.abs(slopes)
            self._least = min(self._least, float(sizes.min()))
            self._largest = max(self._largest, float(sizes.max()))
            self._kept_slopes.append(sizes[-self._rows % self._kept_every :: self._kept_every].copy())
        self._rows += len(Y)

    def add_gradients(self, output_squares: float, input_squares: float = math.nan) -> None:
        """Count the sums of squares of a batch's ∂L/∂Y and ∂L/∂X."""
        self._batches += 1
        self._output_squares += output_squares
        self._input_squares += input_squares

    def result(
        self, weight_gradient_norm: float = math.nan, update_ratio: float = math.nan, batch_mean: bool = False
    ) -> LayerMeasures:
        """Return the measures; with ``batch_mean`` the gradient's norm is a root mean square over the batches."""
        quantiles: tuple[float, ...]
        if self._kept_slopes:
            derivative_mean = self._slope_sum / self._elements
            quantiles = (self._least, *_quartiles(np.concatenate(self._kept_slopes, axis=None)), self._largest)
        elif self.activation is None:
            derivative_mean, quantiles = 1.0, (1.0,) * 5
        else:
            derivative_mean, quantiles = math.nan, (math.nan,) * 5
        squares = self._output_squares
        return LayerMeasures(
            index=self.index,
            name=self.name,
            activation=self.activation,
            units=self.units,
            weight_gradient_norm=weight_gradient_norm,
            activation_gradient_norm=math.sqrt(squares / max(1, self._batches) if batch_mean else squares),
            derivative_mean=derivative_mean,
            derivative_quantiles=quantiles,
            gradient_factor=math.sqrt(self._input_squares / squares) if squares > 0.0 else math.nan,
            saturated=self._saturated / self._elements if self.activation in LARGEST_DERIVATIVE else math.nan,
            dead=math.nan if self.ever_active is None else 1.0 - float(self.ever_active.mean()),
            zeros=self._zeros / self._elements,
            update_ratio=update_ratio,
        )
