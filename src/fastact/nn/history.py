"""What training has measured, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastact.nn import _checks

LOG_FROM = 10.0  # a loss that shrinks by more than this factor is drawn on a logarithmic scale


class History(dict[str, list[float]]):
    """What `Sequential.fit` measured: each name ("loss", "accuracy", "val_loss", …) -> a list, one value an epoch.

    "loss" and "accuracy" are means over the epoch's batches, each taken before the step on it; those with "val_" are
    taken on the validation data after the epoch. `plot` draws them and `to_dataframe` makes a table of them.

    Examples
    --------
    >>> from fastact import nn
    >>> nn.History(loss=[2.5, 1.25], accuracy=[0.25, 0.75])
    History(2 epochs: loss 2.5 -> 1.25, accuracy 0.25 -> 0.75)
    """

    @property
    def epochs(self) -> int:
        """Epochs that were finished."""
        return len(self.get("loss", ()))

    def record(self, measured: Mapping[str, float]) -> None:
        """Append one epoch's numbers."""
        for name, value in measured.items():
            self.setdefault(name, []).append(value)

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame: a row an epoch, counted from 1, and a column for each name.

        Raises
        ------
        ImportError
            pandas is not installed.

        Examples
        --------
        >>> from fastact import nn
        >>> nn.History(loss=[2.5, 1.25], accuracy=[0.25, 0.75]).to_dataframe()
               loss  accuracy
        epoch
        1      2.50      0.25
        2      1.25      0.75
        """
        pandas = _checks.extra("pandas", "pandas")
        return pandas.DataFrame(dict(self), index=pandas.RangeIndex(1, self.epochs + 1, name="epoch"))

    def plot(self, ax: Any = None) -> list[Any]:
        """Draw a panel for the loss and one for the accuracy, where there is one, over the epochs, with Matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, or one for each panel, optional
            What to draw on; by default a new figure.

        Returns
        -------
        list of matplotlib Axes
            One a panel, each with a line for training and one for validation. ``[0].figure`` is the figure.

        Raises
        ------
        ImportError
            Matplotlib is not installed: ``pip install "fastact[plot]"``.
        ValueError
            No epoch has been finished, or there are more or fewer axes than panels.

        Examples
        --------
        >>> from fastact import nn
        >>> history = nn.History(loss=[2.5, 0.2], val_loss=[2.7, 0.4], accuracy=[0.25, 1.0], val_accuracy=[0.2, 0.9])
        >>> loss, accuracy = history.plot()
        >>> loss.get_yscale(), accuracy.get_yscale()
        ('log', 'linear')
        """
        _checks.extra("matplotlib", "plot")
        from matplotlib import pyplot

        if not self.epochs:
            raise ValueError("there is nothing to plot: the history has no finished epoch")
        panels = [name for name in self if not name.startswith("val_")]
        if ax is None:
            _, axes = pyplot.subplots(
                1, len(panels), figsize=(4.8 * len(panels), 3.6), squeeze=False, layout="constrained"
            )
        else:
            axes = np.asarray(ax, dtype=object)
        axes = list(axes.ravel())
        if len(axes) != len(panels):
            raise ValueError(f"ax must hold one axes for each of {', '.join(panels)}, got {len(axes)}")
        for panel, axis in zip(panels, axes, strict=True):
            self._draw(panel, axis)
        return axes

    def _draw(self, panel, axis):
        from matplotlib.ticker import LogLocator, MaxNLocator

        epochs = range(1, self.epochs + 1)
        lines = {"training": self[panel], "validation": self.get(f"val_{panel}")}
        for label, values in lines.items():
            if values is not None:
                axis.plot(epochs, values, label=label, marker="." if self.epochs <= 20 else "")
        values = [value for line in lines.values() if line is not None for value in line]
        if panel == "loss" and min(values) > 0.0 and max(values) > LOG_FROM * min(values):
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_formatter("")
        axis.set_xlim(0.5, self.epochs + 0.5)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_xlabel("epoch")
        axis.set_ylabel(panel)
        axis.grid(alpha=0.3)
        axis.legend()

    def __repr__(self):
        courses = ", ".join(f"{name} {values[0]:.4g} -> {values[-1]:.4g}" for name, values in self.items() if values)
        return f"History({self.epochs} epoch{'s' * (self.epochs != 1)}{': ' * bool(courses)}{courses})"
