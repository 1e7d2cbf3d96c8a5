"""How fastact's figures look: colours that can be read on light and on dark pages, axes, legends, files.

The figures have no background. Their lines have a contrast of 3 or more both to white and to GitHub's dark pages
(#0d1117), what the Web Content Accessibility Guidelines ask of graphics; their text is a grey of 4.3 to either, which
is the most there is. Matplotlib is imported when it is used.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastact.nn import _checks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT = "#727a83"
# Blue, vermillion, bluish green and reddish purple of M. Okabe, K. Ito, "Color Universal Design", 2008
# (https://jfly.uni-koeln.de/color/), the four of their colours with contrast enough to white; in grey the markers tell
# the lines apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
MARKERS = "os^Dv<>"
# Activation -> place of the colour and marker of a network that has it
_PLACES = {"sigmoid": 1, "tanh": 3, "relu": 0, "leaky_relu": 2}
_SIZE = (5.0, 3.4)  # of one axes, in inches: 10 points of text are to be read on a telephone's width, too


def styles(names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the style of a line for each name; where a name is an activation, its colour and marker are that one's.

    Each line is thinner than the one before, which can so be seen where it lies below.
    """
    reserved = {name: _color_and_marker(place) for name, place in _PLACES.items() if name in names}
    others = (pair for pair in map(_color_and_marker, itertools.count()) if pair not in reserved.values())
    styles = {}
    for number, name in enumerate(names):
        color, marker = reserved[name] if name in reserved else next(others)
        styles[name] = {
            "color": color,
            "marker": marker,
            "linewidth": max(1.2, 2.1 - 0.25 * number),
            "markersize": max(4.0, 6.4 - 0.8 * number),
        }
    return styles


def _color_and_marker(place):
    if place < 16:  # four colours and four markers, each pair once
        return COLORS[place % 4], MARKERS[(place + place // 4) % 4]
    return COLORS[place % 4], MARKERS[place % len(MARKERS)]


def new_axes(rows: int = 1, columns: int = 1) -> list[Axes]:
    """Return the axes of a new figure that pyplot does not know, so that it is freed when it is forgotten."""
    _checks.extra("matplotlib", "plot")
    from matplotlib.figure import Figure

    width, height = _SIZE
    figure = Figure((columns * width, rows * height), facecolor="none", layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes:
        ax.set_facecolor("none")
        ax.spines[:].set_color(TEXT)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(which="both", color=TEXT, labelcolor=TEXT)
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            text.set_color(TEXT)
    return axes


def one_axes(ax: Axes | None) -> Axes:
    """Return ``ax``, or the axes of a new figure."""
    return new_axes()[0] if ax is None else ax


def axes_list(ax: Any, names: Sequence[str]) -> list[Axes] | None:
    """Return the axes given, one for each of ``names``, or None where none were given."""
    if ax is None:
        return None
    axes = list(np.asarray(ax, dtype=object).ravel())
    if len(axes) != len(names):
        raise ValueError(f"ax must hold one axes for each of {', '.join(names)}, got {len(axes)}")
    return axes


def add_grid_and_legend(ax: Axes, legend: bool = True, more_handles: Sequence[Any] = ()) -> Axes:
    """Add a faint grid and, above the axes where it covers no line, a legend of all lines and ``more_handles``."""
    ax.grid(color=text_color(ax), alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    if legend:
        handles = [*ax.get_legend_handles_labels()[0], *more_handles]
        columns = _columns_that_fit(ax, [handle.get_label() for handle in handles])
        ax.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, borderaxespad=0.2, fontsize=9,
            ncols=columns, columnspacing=1.0, handlelength=1.7, handletextpad=0.5, labelcolor=text_color(ax),
        )
    return ax


def _columns_that_fit(ax, labels):
    """Return the number of columns that makes a legend about as wide as the axes.

    A letter takes 5 points, a line and the gaps 29.
    """
    width = 1.1 * ax.get_window_extent().width * 72 / ax.figure.dpi
    lengths = [len(label) for label in labels]
    for columns in range(len(labels), 1, -1):
        parts = np.array_split(lengths, columns)  # as Matplotlib does it
        if sum(5 * part.max() + 29 for part in parts) <= width:
            return columns
    return 1


def text_color(ax: Axes) -> Any:
    """Return the colour of the axes' text: TEXT, or what the user's own axes have."""
    return ax.xaxis.label.get_color()


def whole_numbers(axis: Any, first: int, last: int) -> None:
    """Make the axis count from ``first`` to ``last``."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.axes.set(**{f"{axis.axis_name}lim": (first - 0.5, last + 0.5)})


def svg(figure: Figure, name: str, **settings: Any) -> str:
    """Return the figure as SVG: text as text, no date, and of the same figure and name the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    file = io.StringIO()
    rc: dict[Any, Any] = {"svg.hashsalt": name, "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans", "Verdana"]}
    with mpl.rc_context(rc):
        FigureCanvasSVG(figure)
        figure.savefig(file, format="svg", metadata={"Date": None}, **settings)
    return file.getvalue()


def marker_interval(count: int) -> int:
    """Return the interval between markers of a line of ``count`` points that gives it at most 12 of them."""
    return max(1, math.ceil(count / 12))
