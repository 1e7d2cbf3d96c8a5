"""The report as one HTML page that loads nothing: plots as inline SVG in the page's colours, light or dark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from fastact import _drawing, plots
from fastact._datasets import Dataset
from fastact.nn.progress import Progress
from fastact.report.experiment import Run, Settings, percent, score_text

PNG_DPI = 160


class Figure(NamedTuple):
    """A plot of the page: where it stands, its SVG and what it shows."""

    section: str
    svg: str
    caption: str


def draw(runs: Sequence[Run], settings: Settings, data: Dataset, folder: Path) -> list[Figure]:
    """Draw all plots, write them into ``folder`` as SVG and PNG, and return them."""
    figures, drawn = [], list(_plots(runs, settings, data))
    with Progress(len(drawn), "plots") as bar:
        for section, stem, ax, caption in drawn:
            text = _drawing.svg(ax.figure, stem)
            (folder / f"{stem}.svg").write_text(text, encoding="utf-8")
            ax.figure.set_layout_engine("none")  # the SVG's layout will do, and making one is most of the work
            ax.figure.savefig(folder / f"{stem}.png", dpi=PNG_DPI)
            figures.append(Figure(section, text, caption))
            bar.update()
    return figures


def _plots(runs, settings, data):
    """Yield section, name of the files, axes and caption."""
    histories = {run.activation: run.history for run in runs if run.history.epochs}
    if histories:
        loss = "cross-entropy" if data.classes else "mean squared error"
        caption = f"Loss ({loss}) over the epochs; dashed on the validation rows."
        yield "training", "loss", plots.training_curves(histories), caption
        if data.classes:
            caption = "Share of rows answered right; dashed on the validation rows."
            yield "training", "accuracy", plots.training_curves(histories, "accuracy"), caption
        else:
            ax = plots.training_curves(histories, "val_score")
            ax.set(ylabel="R² of the validation rows", ylim=(max(ax.get_ylim()[0], -1.0), 1.05))
            yield "training", "r2", ax, "R² of the validation rows: 1 is perfect, 0 what their mean gives."
    for when in ("before", "after"):
        diagnoses = {run.activation: getattr(run, when) for run in runs if getattr(run, when)}
        if not diagnoses:
            continue
        for quantity, words in (("activation", "the layers' outputs"), ("weight", "the layers' weights")):
            caption = f"Norm of the gradient of {words}, {when} training; × on the lower edge is exactly 0."
            yield "gradients", f"gradient-{quantity}-{when}", plots.gradient_norms(diagnoses, quantity), caption
    for run in runs:
        if run.monitor.history:
            caption = f"{run.activation}: mean of φ′ by layer and epoch, dark where little of a gradient passes."
            yield run.activation, f"derivative-{run.activation}", plots.derivative_map(run.monitor), caption
            caption = f"{run.activation}: share of units; the band goes from the least of the layers to the most."
            yield run.activation, f"units-{run.activation}", plots.units(run.monitor), caption
    for run in runs:
        (ax,) = plots.activations([run.activation], negative_slope=settings.negative_slope)
        yield "activations", f"activation-{run.activation}", ax, f"{run.activation} and its derivative."


def html(document: dict[str, Any], data: Dataset, runs: Sequence[Run], figures: Sequence[Figure]) -> str:
    """Return the page."""
    found, settings = document["data"], document["settings"]
    task = f"{len(data.classes)} classes" if data.classes else "a regression"
    introduction = (
        f"{len(data.X):,} rows of {data.name} with {len(data.features):,} features; the target {data.target} makes it "
        f"{task} ({data.reason}). Networks of {settings['depth']} hidden layers of {settings['width']} units, alike "
        f"but for their activation, were trained on {found['training_rows']:,} of the rows for {settings['epochs']} "
        f"epochs; the other {found['validation_rows']:,} rows tell what they have learnt."
    )
    explanation = (
        "Gradient, first / last: the norm of the gradient at the output of the first hidden layer over that of the "
        "last one, before training. Saturated: outputs where φ′ is below 5 % of its largest value. Dead: units active "
        "for no training row. Zeros: outputs that are 0 exactly. The last three over all hidden layers, after training."
    )
    values = {
        "title": escape(f"What activations do: {data.name}"),
        "introduction": escape(introduction),
        "findings": _bullets(document["findings"]),
        "table": _summary_table(data, runs),
        "explanation": escape(explanation),
        "training": _figures(figures, "training"),
        "gradients": _figures(figures, "gradients"),
        "networks": "".join(_network(run, figures) for run in runs),
        "activations": _figures(figures, "activations"),
        "command": escape(document["command"]),
        "settings": "".join(
            f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
            for name, value in {**_readable(settings), **document["versions"]}.items()
        ),
    }
    template = resources.files("fastact.report").joinpath("page.html").read_text(encoding="utf-8")
    return Template(template).substitute(values)


def _readable(settings):
    """Return the settings by names to read."""
    shown = {name: value for name, value in settings.items() if value is not None}
    return {name.replace("_", " "): value for name, value in {"init": "by activation", **shown}.items()}


def _bullets(lines):
    return "<ul>" + "".join(f"<li>{_without_breaks(escape(line))}</li>" for line in lines) + "</ul>"


def _without_breaks(text):
    """Keep lines from ending within a number: before its per cent sign, or behind the minus of its exponent."""
    return re.sub(r"(?<=\de)-(?=\d)", "\u2011", re.sub(r"(?<=\d) %", "\u00a0%", text))


def _summary_table(data, runs):
    score = "accuracy" if data.classes else "R²"
    head = ["activation", "training loss", "validation loss", f"validation {score}", "gradient, first / last",
            "saturated", "dead", "zeros"]
    rows = []
    for run in runs:
        losses = ["–" if run.error else f"{run.history[name][-1]:.4g}" for name in ("loss", "val_loss")]
        shares = [percent(run.share(name)) for name in ("saturated", "dead", "zeros")]
        rows.append([run.activation, *losses, score_text(data, run.score), f"{run.gradient_ratio:.2g}", *shares])
    cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
    return (
        f"<table><thead><tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr></thead>"
        f"<tbody>{''.join(f'<tr>{row}</tr>' for row in cells)}</tbody></table>"
    )


def _network(run, figures):
    parts = [f"<h3>{escape(run.activation)}</h3>"]
    if run.error:
        parts.append(f"<p>Training ended early: {escape(run.error)}</p>")
    for when in ("before", "after"):
        diagnosis = getattr(run, when)
        if diagnosis is not None:
            parts.append(f"<p>{when.capitalize()} training:</p>")
            parts.append(_bullets(finding.text for finding in diagnosis.findings))
            parts.append(f"<details><summary>All numbers {when} training</summary>")
            parts.append(f"<pre>{escape(diagnosis.table())}</pre></details>")
    parts.append(f'<div class="figures">{_figures(figures, run.activation)}</div>')
    return "".join(parts)


def _figures(figures, section):
    return "".join(
        f"<figure>{_inline(figure)}<figcaption>{escape(figure.caption)}</figcaption></figure>"
        for figure in figures
        if figure.section == section
    )


def _inline(figure):
    """Return the SVG as a part of the page: its text in the page's colour, its size free, ids only where needed."""
    text = re.sub(r"^.*?(?=<svg)|<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", figure.svg, flags=re.DOTALL)
    needed = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in needed else "", text)
    text = text.replace(_drawing.TEXT, "currentColor")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(figure.caption)}"', 1)
