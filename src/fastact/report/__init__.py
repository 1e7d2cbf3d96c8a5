"""``python -m fastact report``: the user's own data, a network with each activation, one page about it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import fastact
from fastact import _commands, _datasets
from fastact._commands import CommandError, UsageError, integer, names, one_thread, real
from fastact.nn.layers import ACTIVATIONS
from fastact.report import experiment

PAGE, NUMBERS = "report.html", "report.json"

DESCRIPTION = f"""\
Train the same deep network with each activation and write about it into a folder: {PAGE}, one page that needs no
network and holds findings, plots, tables and the settings that reproduce it; the plots as SVG and PNG; {NUMBERS}
with all numbers. Progress goes to standard error, the findings to standard output, too.

{_datasets.DESCRIPTION}
Needs Matplotlib, and for the digits scikit-learn: pip install "fastact[plot,demo]".
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the report to its parser."""
    add = parser.add_argument
    _datasets.add_arguments(parser)
    add("--out", required=True, metavar="DIR", help="the folder to write; a report that is there is replaced")
    add("--activations", default=list(ACTIVATIONS), type=names(ACTIVATIONS), metavar="NAMES",
        help="all (the default), or some: sigmoid,relu")
    add("--depth", type=integer(1, 100), default=10, metavar="N", help="hidden layers (10)")
    add("--width", type=integer(1, 4096), default=64, metavar="N", help="units in each (64)")
    add("--learning-rate", type=real(0.0), default=0.02, metavar="R", help="of gradient descent (0.02)")
    momentum = real(0.0, below=1.0, or_equal=True)
    add("--momentum", type=momentum, default=0.9, metavar="M", help="its momentum (0.9)")
    _commands.add_training_arguments(parser, epochs=30)


def run(arguments: argparse.Namespace) -> None:
    """Read, train, write."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise CommandError(f'the report needs Matplotlib ({error}); install it: pip install "fastact[plot]"') from None
    from fastact.report import page

    dataset = _datasets.load(arguments.data, arguments.target, arguments.drop, arguments.task)
    split = _datasets.split(dataset, arguments.seed)
    settings = experiment.Settings(
        depth=arguments.depth,
        width=arguments.width,
        epochs=arguments.epochs,
        batch_size=min(arguments.batch_size, len(split.X)),
        learning_rate=arguments.learning_rate,
        momentum=arguments.momentum,
        negative_slope=arguments.negative_slope,
        init=arguments.init,
        seed=arguments.seed,
    )
    out = Path(arguments.out)
    with _new_folder(out) as folder:
        with one_thread():
            runs = experiment.train(dataset, split, arguments.activations, settings)
        findings = experiment.summary(dataset, split, runs)
        document = _document(dataset, split, settings, runs, findings, _command(arguments))
        figures = page.draw(runs, settings, dataset, folder)
        (folder / PAGE).write_text(page.html(document, dataset, runs, figures), encoding="utf-8")
        document["files"] = [*sorted(path.name for path in folder.iterdir()), NUMBERS]
        text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)
        (folder / NUMBERS).write_text(text + "\n", encoding="utf-8")
    print("\n".join(f"* {line}" for line in findings))
    print(f"\n{out / PAGE}")


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Yield a new folder beside ``out``, which becomes ``out`` at the end, or is removed after an error."""
    _check_replaceable(out)
    absolute = Path(os.path.abspath(out))
    temporary = absolute.with_name(f".{absolute.name}.{os.getpid()}")
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
    except OSError as error:
        raise UsageError(f"--out {out}: the folder cannot be made: {error.strerror}") from None
    try:
        yield temporary
        if out.exists():
            old = temporary.with_name(f"{temporary.name}.old")
            out.rename(old)
            temporary.rename(out)
            shutil.rmtree(old)
        else:
            temporary.rename(out)
    except OSError as error:  # a full disk, say
        raise CommandError(f"--out {out}: the report cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_replaceable(out):
    """Refuse a folder with anything in it but an earlier report."""
    try:
        if not out.exists():
            return
        if out.is_symlink() or not out.is_dir():
            raise UsageError(f"--out {out} is not a folder")
        if os.path.ismount(out) or Path.cwd().is_relative_to(out.resolve()):
            raise UsageError(f"--out {out} is the current folder, or cannot be replaced: name a folder in it")
        present = {path.name for path in out.iterdir()}
        try:
            known = set(json.loads((out / NUMBERS).read_text(encoding="utf-8"))["files"])
        except (OSError, ValueError, KeyError, TypeError):
            known = set()
    except OSError as error:
        raise UsageError(f"--out {out}: {error.strerror}") from None
    if present - known:
        raise UsageError(f"--out {out} holds what no report has written ({min(present - known)}): name a new folder")


def _command(arguments):
    """Return the command line, every setting in it."""
    words = ["python", "-m", "fastact", "report"]
    for name, value in vars(arguments).items():
        if name in ("run", "command") or value is None or value == []:
            continue
        words += [f"--{name.replace('_', '-')}", _commands.csv_line(value) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def _document(dataset, split, settings, runs, findings, command) -> dict[str, Any]:
    import matplotlib as mpl

    return {
        "command": command,
        "versions": {
            "fastact": fastact.__version__,
            "instruction set": fastact.get_isa(),
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "Matplotlib": mpl.__version__,
            "system": f"{sys.platform} {platform.machine()}",
        },
        "data": {
            "name": dataset.name,
            "target": dataset.target,
            "task": dataset.task,
            "reason": dataset.reason,
            "classes": dataset.classes,
            "features": dataset.features,
            "training_rows": len(split.X),
            "validation_rows": len(split.X_validation),
            "baseline": split.baseline,
        },
        "settings": vars(settings),
        "findings": findings,
        "activations": {run.activation: experiment.to_dict(run) for run in runs},
    }
