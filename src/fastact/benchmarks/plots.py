"""The plots of the report, as SVG that can be read on light and on dark pages. Needs Matplotlib."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from fastact._drawing import TEXT, svg
from fastact.benchmarks import report
from fastact.benchmarks.cases import KI, format_size, format_threads
from fastact.benchmarks.peers import OPERATIONS

# colours of a contrast of 3.5 or more both to white and to GitHub's dark pages, #0d1117
COLORS = {
    "fastact": "#df4c37", "numpy": "#2a6fc4", "numpy (other)": "#528aca", "scipy": "#2b9170", "numexpr": "#8a6e47",
    "numba": "#8569d4", "torch": "#bf780a", "onnxruntime": "#cf5ba3", "jax": "#1e94a8", "sklearn": "#759128",
    "thinc": "#7b7b7b",
}  # fmt: skip
MARKERS = dict(zip(COLORS, "osv^D<>phXd", strict=True))
STYLE = {
    "font.family": "sans-serif", "font.size": 10, "text.color": TEXT, "axes.edgecolor": TEXT, "axes.labelcolor": TEXT,
    "axes.titlecolor": TEXT, "xtick.color": TEXT, "ytick.color": TEXT, "grid.color": TEXT, "grid.alpha": 0.25,
    "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none", "figure.facecolor": "none",
    "savefig.facecolor": "none", "legend.frameon": False,
}  # fmt: skip

# Floating-point operations an element in float32 (a fused multiply-add is two, a comparison is one), counted in the
# AVX-512 loops that the compiler made of simd/formulas_f32.h.
OPERATIONS_AN_ELEMENT = {
    "sigmoid": 34, "sigmoid_derivative": 33, "sigmoid_backward": 4, "tanh": 19, "tanh_derivative": 35,
    "tanh_backward": 4, "relu": 1, "relu_derivative": 1, "relu_backward": 1, "leaky_relu": 2,
    "leaky_relu_derivative": 1, "leaky_relu_backward": 2,
}  # fmt: skip
_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def draw(document):
    """Draw what the document has rows for.

    Returns
    -------
    list of (str, str, str)
        Of each plot its name, the SVG, and what it shows.
    """
    rows = report.rows_of(document)
    with mpl.rc_context(STYLE):
        plots = [*_ratios(document, rows), *_rooflines(document, rows), *_times(document, rows)]
        return [(name, svg(figure, name, bbox_inches="tight"), caption) for name, figure, caption in plots]


def _machine(document):
    machine = document["machine"]
    return machine["processor"] + (f" ({machine['model']})" if machine["model"] else "")


def _ratios(document, rows):
    """Bars: the fastest peer's time over fastact's, a plot for each instruction set."""
    for level in document["machine"]["levels"]:
        chosen = [row for row in rows if report.is_headline(row) and row.case["level"] == level]
        if not chosen:
            continue
        operations = [name for name in OPERATIONS if any(row.case["operation"] == name for row in chosen)]
        dtypes = sorted({row.case["dtype"] for row in chosen})
        figure = Figure(figsize=(9, 0.42 * len(operations) * max(1, len(dtypes) / 1.4) + 1.2))
        axes = figure.subplots()
        height = 0.8 / len(dtypes)
        for index, dtype in enumerate(dtypes):
            for row in chosen:
                if row.case["dtype"] != dtype:
                    continue
                ratio = row.ratio
                y = operations.index(row.case["operation"]) + (index - (len(dtypes) - 1) / 2) * height
                color = COLORS["fastact"] if dtype == "float32" else COLORS["numpy"]
                axes.barh(y, ratio["median"] - 1, 0.9 * height, left=1, color=color)
                axes.plot([ratio["low"], ratio["high"]], [y, y], color=TEXT, linewidth=1.5)
                axes.text(max(ratio["high"], 1) * 1.03, y,
                          f"{ratio['median']:.2f}  {report.NAMES[row.best_peer]}", va="center", fontsize=8)  # fmt: skip
        axes.axvline(1, color=TEXT, linewidth=1, linestyle="--")
        axes.set_yticks(range(len(operations)), operations)
        axes.invert_yaxis()
        axes.set_xscale("log", base=2)
        axes.set_xlim(min(0.8, axes.get_xlim()[0]), axes.get_xlim()[1] * 1.6)
        axes.set_xticks([tick for tick in (0.02, 0.05, 0.1, 0.25, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)
                         if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]])  # fmt: skip
        axes.minorticks_off()
        axes.xaxis.set_major_formatter(_PLAIN)
        axes.set_xlabel("fastest peer's time / fastact's (right of 1 fastact is faster)")
        handles = [Patch(color=COLORS["fastact" if dtype == "float32" else "numpy"], label=dtype)
                   for dtype in dtypes]  # fmt: skip
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 1.08), ncols=2)
        axes.grid(axis="x")
        caption = (
            f"Fastest peer's time over fastact's, 64 Ki elements, one thread, {level}, on {_machine(document)}; "
            "the thin lines are quartiles."
        )
        yield f"ratios-{level}", figure, caption


def _times(document, rows):
    """Time an element against size, a plot for each pass: in the caches on one thread, beyond them on all."""
    level = document["machine"]["levels"][0]
    for operation in OPERATIONS:
        chosen = [
            row for row in rows
            if row.case["operation"] == operation and row.case["level"] == level
            and (row.case["group"], row.case["mode"]) in (("call", "inplace"), ("cache", "into"), ("memory", "into"))
        ]  # fmt: skip
        if len({row.case["size"] for row in chosen}) < 2:
            continue
        dtypes = sorted({row.case["dtype"] for row in chosen})
        figure = Figure(figsize=(5 * len(dtypes) + 1.8, 4))
        panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False)[0]
        for panel, dtype in zip(panels, dtypes, strict=True):
            for name in report.ordered({name for row in chosen for name in row.times}):
                for group, line in ((("call", "cache"), "-"), (("memory",), "--")):
                    points = sorted(
                        (row.case["size"], row.time(name)) for row in chosen
                        if row.case["dtype"] == dtype and row.case["group"] in group and name in row.times
                    )  # fmt: skip
                    if points:
                        ours = name == "fastact"
                        panel.plot(*zip(*points, strict=True), line, color=COLORS[name], marker=MARKERS[name],
                                   markersize=6 if ours else 4, linewidth=2.2 if ours else 1.2,
                                   zorder=3 if ours else 2, label=report.NAMES[name])  # fmt: skip
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            sizes = sorted({row.case["size"] for row in chosen})
            panel.set_xticks(sizes, map(format_size, sizes), rotation=45, ha="right", rotation_mode="anchor")
            panel.minorticks_off()
            panel.set_title(f"{operation} {dtype}", fontsize=11)
            panel.set_xlabel("elements")
            panel.grid()
        panels[0].set_ylabel("ns an element")
        panels[0].yaxis.set_major_formatter(_PLAIN)
        handles = {}
        for panel in panels:
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        figure.legend(handles.values(), handles.keys(), loc="center left", bbox_to_anchor=(0.9, 0.5))
        threads = max((row.case["threads"] for row in chosen), default=1)
        caption = (
            f"`{operation}`, {level}, on {_machine(document)}: solid on one thread (1 element in place, else `out=`), "
            f"dashed on {threads} threads in main memory (`out=`)."
        )
        yield f"time-{operation}", figure, caption


def _rooflines(document, rows):
    """What bounds each pass: the memory (slanted) or the arithmetic (level), in the caches and in main memory."""
    level = document["machine"]["levels"][0]
    peaks = {found["threads"]: found["gigaflops"] for found in document["environments"] if found["level"] == level}
    chosen = [
        row for row in rows
        if row.limit and row.case["level"] == level and row.case["mode"] == "into" and row.case["dtype"] == "float32"
        and ((row.case["group"] == "cache" and row.case["size"] == 64 * KI)
             or (row.case["group"] == "memory" and row.case["size"] == 2**24))
    ]  # fmt: skip
    if not chosen:
        return
    settings = {}
    for row in chosen:
        settings.setdefault((row.case["group"], row.case["threads"]), []).append(row)
    figure = Figure(figsize=(5.5 * len(settings), 4.5))
    panels = figure.subplots(1, len(settings), sharey=True, squeeze=False)[0]
    labels = []
    for panel, ((group, threads), members) in zip(panels, settings.items(), strict=True):
        bandwidth = float(np.median([row.limit_gigabytes for row in members]))
        where = "caches, 64 Ki" if group == "cache" else "main memory, 16 Mi"
        panel.set_title(f"{where} elements, {format_threads(threads)}", fontsize=11)
        peak = peaks[threads]
        panel.plot([0.05, peak / bandwidth, 32], [0.05 * bandwidth, peak, peak], color=COLORS["numpy"],
                   label=f"{bandwidth:.0f} GB/s, {peak:.0f} GFLOP/s")  # fmt: skip
        points = []
        for row in members:
            flops = OPERATIONS_AN_ELEMENT[row.case["operation"]]
            speed = flops / row.time("fastact") * bandwidth / row.limit_gigabytes
            points.append((flops / (4 * row.arrays), speed, row.case["operation"]))
        panel.plot(*zip(*(point[:2] for point in points), strict=True), "o", color=COLORS["fastact"])
        labels += [
            (panel, [point for point in points if point[0] < 1], 0.9, min(peak, 0.9 * bandwidth)),
            (panel, [point for point in points if point[0] >= 1], 9, min(peak, 9 * bandwidth)),
        ]
        panel.set_xscale("log", base=2)
        panel.set_yscale("log", base=2)
        panel.xaxis.set_major_formatter(_PLAIN)
        panel.yaxis.set_major_formatter(_PLAIN)
        panel.set_xlabel("floating-point operations a byte moved")
        panel.grid()
        panel.legend(loc="upper left")
    panels[0].set_ylabel("GFLOP/s, float32")
    for panel, points, x, roof in labels:
        _label(panel, points, x, roof)
    caption = (
        f"Roofline of fastact's float32 passes with `out=`, {level}, on {_machine(document)}: the slanted lines are "
        "the loops that only move memory, the level ones NumPy's matrix product (a pass that adds and multiplies "
        "in units of their own may lie a little above). The slanted lines are medians; a point stands as far from one "
        "as from the limit that was measured beside it."
    )
    yield "roofline", figure, caption


def _label(panel, points, x, roof):
    """Write the points' names into a column at x, below the roof there, and draw a thin line from each to its point."""
    low, high = np.log2(panel.get_ylim())
    points_of_height = panel.get_position().height * panel.figure.get_size_inches()[1] * 72
    line = 10 * (high - low) / points_of_height  # the height of a line of text, in octaves
    y = np.log2(roof)
    leader = {"arrowstyle": "-", "color": TEXT, "linewidth": 0.6, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 3}
    for place_x, place_y, name in sorted(points, key=lambda point: (-point[1], point[0])):
        y = min(y - line, np.log2(place_y))
        panel.annotate(name, (place_x, place_y), (x, 2**y), va="center", fontsize=7, arrowprops=leader)
