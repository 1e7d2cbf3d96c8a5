"""What training has measured, epoch by epoch."""

from collections.abc import Mapping
from typing import Any

from fastact.nn import _checks


class History(dict[str, list[float]]):
    """What `Sequential.fit` measured: each name ("loss", "accuracy", "val_loss", …) -> a list, one value an epoch.

    "loss" and "accuracy" are means over the epoch's batches, each taken before the step on it; those with ``"val_"``
    are taken on the validation data after the epoch. `plot` draws them and `to_dataframe` makes a table of them.

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
            What to draw on; by default a new figure of pyplot's. `fastact.plots.training_curves` draws several
            histories into one.

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
        from fastact import _drawing, plots

        if not self.epochs:
            raise ValueError("there is nothing to plot: the history has no finished epoch")
        panels = [name for name in self if not name.startswith("val_")]
        axes = _drawing.axes_list(ax, panels)
        if axes is None:
            from matplotlib import pyplot  # so that pyplot.show() shows it

            size = (4.8 * len(panels), 3.6)
            axes = list(pyplot.subplots(1, len(panels), figsize=size, squeeze=False, layout="constrained")[1].ravel())
        for panel, axis in zip(panels, axes, strict=True):
            plots.training_curves(self, panel, ax=axis)
        return axes

    def __repr__(self):
        length = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        courses = ", ".join(f"{name} {values[0]:.4g} -> {values[-1]:.4g}" for name, values in self.items() if values)
        return f"History({length}: {courses})" if courses else f"History({length})"
