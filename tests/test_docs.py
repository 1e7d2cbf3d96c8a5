"""The documentation's code runs and prints what it says."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import fastact
from fastact.cli import COMMANDS, make_parser

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md")), *ROOT.glob("src/fastact/simd/README.md")]
REPORT = ROOT / "bench" / "results" / "whole" / "report.md"
NN = ["callbacks", "gradient_check", "history", "initializers", "layers", "losses", "model", "optimizers", "schedules",
      "storage"]
DIAGNOSTICS = ["_diagnose", "experiments", "monitor", "theory"]
MODULES = ["", "_reference", "activations", "exact", "ufuncs", "nn", *(f"nn.{name}" for name in NN)]
MODULES += [f"diagnostics.{name}" for name in DIAGNOSTICS]
if importlib.util.find_spec("matplotlib"):
    MODULES += ["plots"]
if importlib.util.find_spec("distributed"):
    MODULES += ["distributed.dask"]
if importlib.util.find_spec("sklearn"):
    MODULES += ["sklearn", "sklearn.estimators", "sklearn.patching"]


def name_of(page):
    return str(page.relative_to(ROOT))


def documented():
    """The modules, their public objects and the methods of these, by dotted name."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"fastact.{name}".rstrip("."))
        found[module.__name__] = module
        names = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
        for item in names:
            value = getattr(module, item)
            if callable(value) and str(getattr(value, "__module__", "")).startswith("fastact"):
                path = f"{value.__module__}.{getattr(value, '__name__', item)}"  # exact.sigmoid is exact_sigmoid
                found[path] = value
                if inspect.isclass(value):
                    methods = {f"{path}.{n}": m for n, m in vars(value).items() if callable(m)}
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


def blocks_of(path):
    """The page's Python, a block each: (language, text)."""
    return re.findall(r"```(python|pycon)\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_code_runs(page, tmp_path, monkeypatch):
    """Blocks in order, in one namespace and an empty folder; what is printed after >>> is what comes out."""
    for package in re.findall(r"^(?:>>> )?(?:import|from) (\w+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    namespace, report, threads = {}, [], fastact.get_num_threads()
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    try:
        for language, text in blocks_of(page):
            if language == "python":
                exec(compile(text, str(page), "exec"), namespace)
            else:
                examples = doctest.DocTestParser().get_doctest(text, namespace, page.name, str(page), 0)
                runner.run(examples, out=report.append, clear_globs=False)
                namespace.update(examples.globs)
    finally:
        fastact.set_num_threads(threads)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_commands_exist():
    """Every `python -m fastact ...` of the pages is one that its parser takes, every script is there, every extra."""
    lines = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    calls = re.findall(r"python -m fastact ([^\n`&]*)", lines)
    assert len(calls) > 10
    for call in calls:
        words = shlex.split(call, comments=True)
        if words and words[0] != "COMMAND":
            assert words[0] in COMMANDS, call
            if len(words) > 1:
                make_parser().parse_args(words)
    scripts = re.findall(r"\b(?:python|bash) ([\w./-]+\.(?:py|sh))", lines)
    assert [script for script in scripts if not (ROOT / script).is_file()] == []
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.optional-dependencies]")[1]
    wanted = {name for names in re.findall(r'"(?:\.|fastact)\[([\w,]+)\]"', lines) for name in names.split(",")}
    assert {"demo", "test", "plot", "docs"} <= wanted <= set(re.findall(r"^(\w+) = \[", extras, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_within_the_repository(page):
    """What is linked or shown is there (what lies in src/ only where the sources are)."""
    links = re.findall(r'(?:\]\(|<img [^>]*src=")(?![a-z]+:|#)([^)#\s"]+)', page.read_text(encoding="utf-8"))
    targets = [(page.parent / link).resolve() for link in links]
    if not (ROOT / "src").exists():
        targets = [target for target in targets if not target.is_relative_to(ROOT / "src")]
    assert [target for target in targets if not target.exists()] == []


def test_every_edge_case_has_a_test():
    """Each row of docs/specification.md names one test, by a link to the file that has it; no row is there twice."""
    text = (ROOT / "docs" / "specification.md").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| ") and not row.startswith(("| rule", "| ---"))]
    assert len(rows) > 80 and len(set(rows)) == len(rows)
    for row in rows:
        found = re.fullmatch(r"\| .+ \| \[`(test_\w+)`\]\(\.\./(tests/test_\w+\.py)\) \|", row)
        assert found, row
        assert f"\ndef {found[1]}(" in (ROOT / found[2]).read_text(encoding="utf-8"), row


def test_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 100


def test_readme_shows_the_report():
    """Its table is made of the report's: each activation as in the overview, and rows where others are faster."""
    report = REPORT.read_text(encoding="utf-8")
    overview, behind = report.split("## Overview")[1].split("\n## ")[0], report.split("Behind, the worst first:")[1]
    table = re.search(r"^\| pass \|.*?\n\n", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)[0]
    passes, losses = table.split("| **Behind** | | | | |\n")

    ratio = r"\*\*([\d.]+) \([^|]*\*\* ([^|]+) \|[^|]*\|"
    rows = re.findall(rf"^(\| `\w+` \|) float(?:32|64) \| ([^|]+) \|.*\| {ratio}$", overview, flags=re.MULTILINE)
    cells = [f"{time} | {times} {peer} |" for _, time, times, peer in rows]
    expected = [" ".join((rows[i][0], cells[i], cells[i + 1])) for i in range(0, len(rows), 2)]
    assert len(expected) == 12 and passes.splitlines()[2:] == expected[:4]

    listed = re.findall(r"^\| (.+) \| (.+) \| ([\d.]+) \(", behind.split("\n## ")[0], flags=re.MULTILINE)
    for row in losses.strip().splitlines():
        what, _, single, _, double = (cell.strip() for cell in row.strip("|").split("|"))
        for dtype, cell in (("float32", single), ("float64", double)):
            parts = {*re.split(r",? ", what), dtype}
            assert not cell or [ratio for label, peer, ratio in listed if parts <= set(re.split(r",? ", label))
                                and cell == f"{ratio} {peer}"], (what, cell)  # fmt: skip


@pytest.mark.parametrize("page", [README, ROOT / "docs" / "performance.md"], ids=name_of)
def test_counts_of_the_report(page):
    report, text = (" ".join(path.read_text(encoding="utf-8").split()) for path in (REPORT, page))
    counts = re.search(r"each of (\d+) rows fastact is ahead in (\d+), .*? in (\d+), and behind in (\d+)\. "
                       r"The median of the ratios is (\d\.\d\d)\.", report)  # fmt: skip
    claim = re.search(r"all (\d+) comparisons fastact is ahead in (\d+), even in (\d+) and behind in (\d+)"
                      r"(?:;|, and) the median ratio is (\d\.\d\d)", text)  # fmt: skip
    assert claim.groups() == counts.groups()


def test_site(tmp_path):
    """It builds without a warning, and its reference has every public name."""
    for package in ("sphinx", "myst_parser", "furo", "sphinx_copybutton"):
        pytest.importorskip(package, reason="the site is built where the extra docs is installed")
    from sphinx.util.inventory import InventoryFile

    call = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", ROOT / "docs", tmp_path]
    process = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    with (tmp_path / "objects.inv").open("rb") as lines:
        inventory = InventoryFile.load(lines, "", lambda base, name: name)
    documented = {name for kind in inventory if kind.startswith("py:") for name in inventory[kind]}
    modules = {module.name for module in pkgutil.walk_packages(fastact.__path__, "fastact.")}
    modules = [name for name in modules if "._" not in name and name != "fastact.runtime"]  # whose names are fastact's
    names = {f"{module}.{name}" for module in ["fastact", *modules]
             for name in getattr(importlib.import_module(module), "__all__", [])}  # fmt: skip
    assert len(names) > 80 and names - documented == set()
