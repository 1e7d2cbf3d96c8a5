"""Figures of what activations do to gradients and of what training did; Matplotlib draws them.

Every function takes ``ax=``, Matplotlib axes to draw on, and returns the axes that it drew on. Without it they are
those of a new figure, ``ax.figure``, that pyplot knows nothing of: it needs no closing, has no background and can be
read on light and on dark pages, and in grey. For a window or a notebook's own figure pass axes of
``pyplot.subplots()``.

Needs Matplotlib: ``pip install "fastact[plot]"``.

Examples
--------
>>> from fastact import plots
>>> sigmoid, tanh, relu, leaky_relu = plots.activations()
>>> sigmoid.figure.savefig("activations.svg")  # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

import fastact
from fastact import _drawing
from fastact.diagnostics import Diagnosis, Monitor
from fastact.diagnostics.measures import LARGEST_DERIVATIVE
from fastact.nn import _checks
from fastact.nn.history import History
from fastact.nn.layers import ACTIVATIONS, Activation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["activations", "derivative_map", "gradient_norms", "training_curves", "units"]

LEAST_SPAN = 100.0  # largest over smallest value of an axis of gradients, at least
LOG_FROM = 10.0  # a loss that shrinks by more than this factor is drawn on a logarithmic scale
_REGION: dict[str, Any] = {"alpha": 0.14, "linewidth": 0.0}


def activations(
    names: Activation | Sequence[Activation] = ACTIVATIONS,
    *,
    negative_slope: float = 0.01,
    limit: float = 6.0,
    saturation_threshold: float = 0.05,
    ax: Any = None,
) -> list[Axes]:
    """Draw activations and their derivatives from -``limit`` to ``limit``, a panel each.

    Shaded is where a unit hardly passes a gradient, or not at all: where a sigmoid or tanh is saturated, which is
    ``φ′(x) < saturation_threshold * max φ′``, and where a ReLU is dead, which is φ′(x) = 0.

    Parameters
    ----------
    names : {"sigmoid", "tanh", "relu", "leaky_relu"} or a sequence of them, optional
    negative_slope : float, optional
        Slope of leaky_relu for x ≤ 0.
    limit : float, optional
        Above 0.
    saturation_threshold : float, optional
        From 0 to below 1.
    ax : matplotlib Axes, or one for each name, optional
        What to draw on; by default a new figure.

    Returns
    -------
    list of matplotlib Axes
        One for each name, with two lines: φ and φ′.

    Raises
    ------
    ImportError
        Matplotlib is not installed: ``pip install "fastact[plot]"``.
    TypeError, ValueError
        An unknown name, none, a number out of its range, more or fewer axes than names.

    Examples
    --------
    >>> from fastact import plots
    >>> (ax,) = plots.activations(["tanh"])
    >>> [line.get_label() for line in ax.get_lines()]
    ['φ = tanh', 'φ′']
    """
    chosen: Sequence[Activation] = [names] if isinstance(names, str) else list(names)
    if not chosen:
        raise ValueError("names must hold the name of an activation, got none")
    for name in chosen:
        _checks.choose("names", name, dict.fromkeys(ACTIVATIONS))
    negative_slope = _checks.number("negative_slope", negative_slope, least=-math.inf, positive=True)
    limit = _checks.number("limit", limit, positive=True)
    threshold = _checks.number("saturation_threshold", saturation_threshold, below=1.0)
    panels = _drawing.axes_list(ax, chosen)
    if panels is None:
        columns = 1 if len(chosen) == 1 else 2
        panels = _drawing.new_axes(math.ceil(len(chosen) / columns), columns)
        for spare in panels[len(chosen) :]:
            spare.remove()
        panels = panels[: len(chosen)]
    for name, panel in zip(chosen, panels, strict=True):
        _draw_activation(name, negative_slope, limit, threshold, panel)
    return panels


def _draw_activation(name, negative_slope, limit, threshold, ax):
    slope = (negative_slope,) if name == "leaky_relu" else ()
    below, above = np.linspace(-limit, 0.0, 151), np.linspace(np.nextafter(0.0, 1.0), limit, 151)
    x = np.concatenate([below, above])  # 0 twice, once from each side: there ReLU's derivative jumps
    value, derivative = getattr(fastact, name)(x, *slope), getattr(fastact, f"{name}_derivative")(x, *slope)
    style = _drawing.styles([name])[name]
    titles = {"relu": "ReLU", "leaky_relu": f"leaky ReLU, slope {negative_slope:g}"}
    ax.plot(x, value, color=style["color"], linewidth=2.0, label=f"φ = {titles.get(name, name)}")
    ax.plot(x, derivative, color=style["color"], linewidth=1.6, linestyle="--", label="φ′")
    if name in LARGEST_DERIVATIVE:
        region, label = derivative < threshold * LARGEST_DERIVATIVE[name], f"saturated, φ′ < {100 * threshold:g} %"
    else:
        region, label = derivative == 0.0, "dead, φ′ = 0"
    boundaries = np.flatnonzero(np.diff(region, prepend=False, append=False))  # each stretch begins and ends at one
    for start, stop in boundaries.reshape(-1, 2):
        ax.axvspan(x[start], x[stop - 1], label=label, color=_drawing.text_color(ax), **_REGION)
        label = f"_{label}"  # which Matplotlib leaves out: one entry in the legend is enough
    ax.set(xlabel="x", ylabel="φ(x) and φ′(x)", xlim=(-limit, limit))
    _drawing.add_grid_and_legend(ax)


def gradient_norms(
    diagnoses: Diagnosis | Mapping[str, Diagnosis],
    quantity: Literal["activation", "weight"] = "activation",
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the norm of the gradient by layer, on a logarithmic axis: a line that falls to the left vanishes.

    Parameters
    ----------
    diagnoses : Diagnosis, or dict of str to Diagnosis
        What `fastact.diagnostics.diagnose` returned; of a dict each value gets a line.
    quantity : {"activation", "weight"}, optional
        ‖∂L/∂Y‖ of the layers' outputs or ‖∂L/∂W‖ of their weights.
    ax : matplotlib Axes, optional
        What to draw on; by default a new figure.

    Returns
    -------
    matplotlib Axes
        A norm of 0, which has no place on a logarithmic axis, is a mark on the lower edge.

    Raises
    ------
    ImportError
        Matplotlib is not installed: ``pip install "fastact[plot]"``.
    TypeError, ValueError
        Anything other than diagnoses, or none; an unknown quantity.
    """
    names = {
        "activation": ("activation_gradient_norm", "gradient of the output, ‖∂L/∂Y‖"),
        "weight": ("weight_gradient_norm", "gradient of the weights, ‖∂L/∂W‖"),
    }
    attribute, label = _checks.choose("quantity", quantity, names)
    by_name = _named("diagnoses", diagnoses, Diagnosis)
    ax = _drawing.one_axes(ax)
    style = _drawing.styles(by_name)
    last = max(diagnosis.layers[-1].index for diagnosis in by_name.values())
    ax.set_yscale("log")
    for name, diagnosis in by_name.items():
        norms = np.array([getattr(layer, attribute) for layer in diagnosis.layers], dtype=float)
        layers = np.array([layer.index for layer in diagnosis.layers])
        ax.plot(layers, np.where(norms > 0.0, norms, np.nan), label=name,
                markevery=_drawing.marker_interval(last + 1), **style[name])
        zeros = layers[norms == 0.0]
        if len(zeros):
            ax.plot(zeros, np.zeros(len(zeros)), color=style[name]["color"], marker="x", linestyle="", clip_on=False,
                    transform=ax.get_xaxis_transform(), label="_exactly 0")
    least, most = ax.get_ylim()
    if most < LEAST_SPAN * least:  # else the axis would magnify gradients that are level
        middle = math.sqrt(least * most)
        ax.set_ylim(middle / math.sqrt(LEAST_SPAN), middle * math.sqrt(LEAST_SPAN))
    _drawing.whole_numbers(ax.xaxis, 0, last)
    ax.set(xlabel="layer (0 is at the input)", ylabel=label)
    return _drawing.add_grid_and_legend(ax, legend=isinstance(diagnoses, Mapping))


def derivative_map(monitor: Monitor, *, ax: Axes | None = None) -> Axes:
    """Draw the mean of φ′ of each layer with an activation in each epoch as a map, dark where no gradient passes.

    Parameters
    ----------
    monitor : Monitor
        A `fastact.diagnostics.Monitor` that has watched a training.
    ax : matplotlib Axes, optional
        What to draw on; by default a new figure.

    Returns
    -------
    matplotlib Axes
        The map, its colours from 0 to the largest φ′ there is (sigmoid 0.25, the others 1), blank for a layer without
        an activation; its colour bar is ``ax.figure.axes[-1]``.

    Raises
    ------
    ImportError
        Matplotlib is not installed: ``pip install "fastact[plot]"``.
    TypeError, ValueError
        Anything other than a monitor, or one that has seen no epoch, or no layer with an activation.
    """
    layers = _activated_layers(monitor)
    means = monitor.array("derivative_mean")[:, layers[0] : layers[-1] + 1]
    for place, layer in enumerate(range(layers[0], layers[-1] + 1)):
        if layer not in layers:  # φ′ of the identity is no news
            means[:, place] = np.nan
    epochs = len(means)
    kinds = {monitor.history[0][layer].activation for layer in layers}
    largest = max(LARGEST_DERIVATIVE.get(kind, 1.0) for kind in kinds)
    ax = _drawing.one_axes(ax)
    image = ax.imshow(
        means.T, cmap="cividis", vmin=0.0, vmax=max(largest, float(np.nanmax(means))), origin="lower", aspect="auto",
        interpolation="none", extent=(0.5, epochs + 0.5, layers[0] - 0.5, layers[-1] + 0.5),
    )
    _drawing.whole_numbers(ax.xaxis, 1, epochs)
    _drawing.whole_numbers(ax.yaxis, layers[0], layers[-1])
    ax.set(xlabel="epoch", ylabel="layer (0 is at the input)")
    bar = ax.figure.colorbar(image, ax=ax)
    color = _drawing.text_color(ax)
    bar.set_label("mean of φ′", color=color)
    bar.ax.tick_params(color=color, labelcolor=color)
    bar.outline.set_visible(False)
    return ax


def units(monitor: Monitor, *, ax: Axes | None = None) -> Axes:
    """Draw the shares of saturated units, dead units and exact zeros over the epochs.

    Parameters
    ----------
    monitor : Monitor
        A `fastact.diagnostics.Monitor` that has watched a training.
    ax : matplotlib Axes, optional
        What to draw on; by default a new figure.

    Returns
    -------
    matplotlib Axes
        A line for each share that the network's activations have, over all units of the hidden layers; the band
        around it reaches from the layer with the smallest share to the one with the largest.

    Raises
    ------
    ImportError
        Matplotlib is not installed: ``pip install "fastact[plot]"``.
    TypeError, ValueError
        Anything other than a monitor, or one that has seen no epoch, or no layer with an activation.
    """
    layers = _activated_layers(monitor)
    counts = np.array([monitor.history[0][layer].units for layer in layers], dtype=float)
    ax = _drawing.one_axes(ax)
    epochs = len(monitor.history)
    labels = {"saturated": "saturated", "dead": "dead", "zeros": "outputs exactly 0"}
    for (name, label), style in zip(labels.items(), _drawing.styles(labels).values(), strict=True):
        shares = monitor.array(name)[:, layers]
        known = ~np.isnan(shares).all(axis=0)
        if not known.any() or (name == "zeros" and not (shares > 0.0).any()):
            continue
        shares = 100.0 * shares[:, known]
        ax.fill_between(range(1, epochs + 1), shares.min(axis=1), shares.max(axis=1), color=style["color"], **_REGION)
        mean = np.average(shares, axis=1, weights=counts[known])
        ax.plot(range(1, epochs + 1), mean, label=label, markevery=_drawing.marker_interval(epochs), **style)
    _drawing.whole_numbers(ax.xaxis, 1, epochs)
    ax.set(xlabel="epoch", ylabel="share in %, all hidden layers", ylim=(-3.0, 103.0))
    return _drawing.add_grid_and_legend(ax)


def training_curves(
    histories: History | Mapping[str, History], metric: str = "loss", *, ax: Axes | None = None
) -> Axes:
    """Draw what trainings measured over their epochs, several in one picture.

    Parameters
    ----------
    histories : History, or dict of str to History
        What `fastact.nn.Sequential.fit` returned; of a dict each value gets a colour and a marker.
    metric : str, optional
        "loss", "accuracy" or another name of the histories. Where a history has it for validation data too (``"val_"``
        and the name), that is a dashed line.
    ax : matplotlib Axes, optional
        What to draw on; by default a new figure.

    Returns
    -------
    matplotlib Axes
        Its vertical axis is logarithmic where a loss spans more than a factor of 10.

    Raises
    ------
    ImportError
        Matplotlib is not installed: ``pip install "fastact[plot]"``.
    TypeError, ValueError
        Anything other than histories, or none; one without a finished epoch, or without the metric.

    Examples
    --------
    >>> from fastact import nn, plots
    >>> ax = plots.training_curves({"tanh": nn.History(loss=[2.5, 0.2]), "relu": nn.History(loss=[2.5, 0.1])})
    >>> ax.get_yscale(), [line.get_label() for line in ax.get_lines()]
    ('log', ['tanh', 'relu'])
    """
    several = not isinstance(histories, History)  # which is a dict itself, of lists
    by_name: dict[str, History] = _named("histories", histories if several else {"training": histories}, History)
    for name, history in by_name.items():
        if not history.epochs:
            whose = f" of {name}" if several else ""
            raise ValueError(f"there is nothing to plot: the history{whose} has no finished epoch")
        if metric not in history:
            raise ValueError(f"metric must be one of {', '.join(map(repr, history))}; got {metric!r}")
    ax = _drawing.one_axes(ax)
    style = _drawing.styles(by_name)
    longest = max(history.epochs for history in by_name.values())
    drawn: list[float] = []
    validation = f"val_{metric}"
    for name, history in by_name.items():
        epochs = range(1, history.epochs + 1)
        look = {"markevery": _drawing.marker_interval(longest), **style[name]}
        ax.plot(epochs, history[metric], "-", label=name, **look)
        drawn += history[metric]
        if validation in history:  # several dashed lines have one entry in the legend, which is added below
            ax.plot(epochs, history[validation], "--", label="_validation" if several else "validation", **look)
            drawn += history[validation]
    if metric == "loss":
        _scale_losses(ax, drawn)
    _drawing.whole_numbers(ax.xaxis, 1, longest)
    ax.set(xlabel="epoch", ylabel=metric)
    more_handles = []
    if several and any(validation in history for history in by_name.values()):
        from matplotlib.lines import Line2D

        more_handles.append(Line2D([], [], color=_drawing.text_color(ax), linestyle="--", label="validation"))
    return _drawing.add_grid_and_legend(ax, more_handles=more_handles)


def _scale_losses(ax, losses):
    """Make the vertical axis logarithmic if the losses span more than a factor of LOG_FROM."""
    finite = [value for value in losses if math.isfinite(value)]
    if not finite or min(finite) <= 0.0 or max(finite) <= LOG_FROM * min(finite):
        return
    from matplotlib.ticker import LogLocator

    ticks = (1.0, 2.0, 5.0) if max(finite) < 100.0 * min(finite) else (1.0,)  # of each power of ten
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=ticks))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")


def _named(argument, values, kind):
    """Return ``values``, which must be of type ``kind``, as a dict: a single one goes by no name."""
    named = dict(values) if isinstance(values, Mapping) else {"": values}
    if not named:
        raise ValueError(f"{argument} must hold at least one value to draw, got none")
    for name, value in named.items():
        if not isinstance(value, kind):
            where = f"{argument}[{name!r}]" if isinstance(values, Mapping) else argument
            raise TypeError(f"{where} must be a {kind.__name__}, got {type(value).__name__}")
    return named


def _activated_layers(monitor) -> NDArray[np.intp]:
    """Return the places of the layers that have an activation, of which there must be one."""
    if not isinstance(monitor, Monitor):
        raise TypeError(f"monitor must be a Monitor, got {type(monitor).__name__}")
    if not monitor.history:
        raise ValueError("there is nothing to plot: the monitor has seen no finished epoch")
    layers = [place for place, layer in enumerate(monitor.history[0]) if layer.activation is not None]
    if not layers:
        raise ValueError("there is nothing to plot: no layer of the network has an activation")
    return np.array(layers)
