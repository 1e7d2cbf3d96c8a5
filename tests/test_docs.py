"""The documentation's code runs and prints what it says."""

import doctest
import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import fastact

README = Path(__file__).resolve().parent.parent / "README.md"
NN = ["callbacks", "gradient_check", "history", "initializers", "layers", "losses", "model", "optimizers", "scaling",
      "schedules", "storage"]
DIAGNOSTICS = ["experiments", "models", "monitor", "theory"]
MODULES = ["", "_reference", "activations", "nn", *(f"nn.{name}" for name in NN)]
MODULES += [f"diagnostics.{name}" for name in DIAGNOSTICS]
if importlib.util.find_spec("matplotlib"):
    MODULES += ["plots"]
if importlib.util.find_spec("distributed"):
    MODULES += ["distributed.dask"]
if importlib.util.find_spec("sklearn"):
    MODULES += ["sklearn", "sklearn.estimators", "sklearn.patching"]


def documented():
    """The public objects of each module and their methods, by dotted name."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"fastact.{name}".rstrip("."))
        names = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
        for item in names:
            value = getattr(module, item)
            if callable(value) and str(getattr(value, "__module__", "")).startswith("fastact"):
                found[f"{value.__module__}.{item}"] = value
                if inspect.isclass(value):
                    methods = {f"{value.__module__}.{item}.{n}": m for n, m in vars(value).items() if callable(m)}
                    found.update({n: m for n, m in methods.items() if not n.rsplit(".", 1)[1].startswith("_")})
    return found


def examples_of(name, text):
    return doctest.DocTestParser().get_doctest(text or "", {}, name, None, None)


OBJECTS = documented()
WITH_EXAMPLES = [name for name, value in OBJECTS.items() if examples_of(name, value.__doc__).examples]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(examples_of(name, OBJECTS[name].__doc__), out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_every_pass_has_an_example():
    """All functions of the package itself, the twelve passes among them."""
    functions = [n for n in fastact.__all__ if callable(getattr(fastact, n))]
    without = [n for n in functions if not any(name.endswith(f".{n}") for name in WITH_EXAMPLES)]
    assert without == []


def test_readme_shows_the_report():
    """Every row of the README's table of speed stands in the report, and its plot exists."""
    text = README.read_text(encoding="utf-8")
    folder = README.parent / "bench" / "results" / "whole"
    rows = re.findall(r"^\| `\w+` \| float(?:32|64) .*$", text, flags=re.MULTILINE)
    assert len(rows) == 24
    report = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in report] == []
    counts = re.search(r"each of (\d+) rows fastact is ahead in (\d+), .* in (\d+), and behind in (\d+)\. .*?"
                       r"ratios\s+is (\d\.\d\d)\.", " ".join(report))  # fmt: skip
    claim = re.search(r"all (\d+) comparisons fastact is ahead in\s+(\d+), even in (\d+) and behind in (\d+), and the"
                      r"\s+median ratio is (\d\.\d\d)", text)  # fmt: skip
    assert claim.groups() == counts.groups()
    plots = re.findall(r"\((bench/results/\S+\.svg)\)", text)
    assert plots and all((README.parent / plot).is_file() for plot in plots)


def test_readme_runs():
    """Its Python blocks, in order, each in a fresh namespace."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 2
    pytest.importorskip("sklearn", reason="the README's second example takes its data from scikit-learn")
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
