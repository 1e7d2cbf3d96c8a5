"""How fastact's figures look: colours that can be read on light and on dark pages, axes, legends, files.

The figures have no background. Their lines have a contrast of 3 or more both to white and to GitHub's dark pages
(#0d1117), what the Web Content Accessibility Guidelines ask of graphics; their text is a grey of 4.3 to either, which
is the most there is. Matplotlib is imported when it is used.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from itertools import count
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
_ACTIVATIONS = {"sigmoid": 1, "tanh": 3, "relu": 0, "leaky_relu": 2}  # a network's colour is its activation's
_SIZE = (5.0, 3.4)  # inches: 10 points of text are to be read on a telephone's width, too


def styles(names: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return colour and marker for a line of each name, those of the activation where a name is one.

    Each line is thinner than the one before, which so can be seen where it lies below.
    """
    own = {name: (COLORS[index], MARKERS[index]) for name, index in _ACTIVATIONS.items() if name in names}
    pairs = ((COLORS[i % 4], MARKERS[(i + i // 4) % 4 if i < 16 else i % len(MARKERS)]) for i in count())
    others = (pair for pair in pairs if pair not in own.values())
    chosen = {name: own[name] if name in own else next(others) for name in names}
    return {
        name: {
            "color": color,
            "marker": marker,
            "linewidth": max(1.2, 2.1 - 0.25 * i),
            "markersize": max(4.0, 6.4 - 0.8 * i),
        }
        for i, (name, (color, marker)) in enumerate(chosen.items())
    }


def new_axes(rows: int = 1, columns: int = 1, size: tuple[float, float] = _SIZE) -> list[Axes]:
    """Return the axes of a new figure that pyplot does not know, so that it is freed when it is forgotten.

    ``size`` is that of one axes, in inches.
    """
    _checks.extra("matplotlib", "plot")
    from matplotlib.figure import Figure

    figure = Figure((columns * size[0], rows * size[1]), facecolor="none", layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for ax in axes:
        ax.set_facecolor("none")
        ax.spines[:].set_color(TEXT)
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(which="both", color=TEXT, labelcolor=TEXT)
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            text.set_color(TEXT)
    return axes


def one_axes(ax: Axes | None, size: tuple[float, float] = _SIZE) -> Axes:
    """Return ``ax``, or that of a new figure."""
    return new_axes(size=size)[0] if ax is None else ax


def axes_list(ax: Any, names: Sequence[str]) -> list[Axes] | None:
    """Return the axes given, one for each of ``names``, or None where none were given."""
    if ax is None:
        return None
    axes = list(np.asarray(ax, dtype=object).ravel())
    if len(axes) != len(names):
        raise ValueError(f"ax must hold one axes for each of {', '.join(names)}, got {len(axes)}")
    return axes


def finish(ax: Axes, legend: bool = True, more: Sequence[Any] = ()) -> Axes:
    """Give the axes a faint grid and, above them where it covers no line, a legend of all lines and of ``more``."""
    ax.grid(color=text_color(ax), alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)
    if legend:
        handles = [*ax.get_legend_handles_labels()[0], *more]
        columns = _columns_that_fit(ax, [handle.get_label() for handle in handles])
        ax.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, borderaxespad=0.2, fontsize=9,
            ncols=columns, columnspacing=1.0, handlelength=1.7, handletextpad=0.5, labelcolor=text_color(ax),
        )  # fmt: skip
    return ax


def _columns_that_fit(ax, labels):
    """Return in how many columns a legend is about as wide as the axes: a letter takes 5 points, a line and gaps 29."""
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
    settings_of_svg: dict[Any, Any] = {
        "svg.hashsalt": name, "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans", "Verdana"],
    }  # fmt: skip
    with mpl.rc_context(settings_of_svg):
        FigureCanvasSVG(figure)
        figure.savefig(file, format="svg", metadata={"Date": None}, **settings)
    return file.getvalue()


def spread(count: int, most: int = 12) -> int:
    """Return every how many points of ``count`` a line has a marker."""
    return max(1, -(-count // most))
