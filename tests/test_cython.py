"""`cimport fastact.kernels`: the example package, and all twelve functions in a module built for the purpose."""

import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from passes import PASSES, assert_same_bits, each_dtype, points

import fastact

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "cython"
SIZES = [0, 1, 7, 1000, 300_001]

pytest.importorskip("Cython", reason="Cython is not installed")
pytest.importorskip("setuptools", reason="setuptools is not installed")
compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
pytestmark = pytest.mark.skipif(shutil.which(compiler) is None, reason=f"no C compiler: {compiler} is not installed")


def build(folder, name):
    """Build the extension module of a folder in place and import it."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob(f"{name}*{sysconfig.get_config_var('EXT_SUFFIX')}")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    return build(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("example") / "cython"), "gated")


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory):
    """A module with a Python function for each of the twelve."""
    source = ["from cython cimport floating", "from fastact cimport kernels"]
    for p in PASSES:
        slope = ["negative_slope"] if p.slope else []
        typed = [f"const floating[::1] {name}" for name in p.arguments] + [f"floating {name}" for name in slope]
        source += [f"def {p}({', '.join(typed)}, floating[::1] out):", "    with nogil:",
                   f"        kernels.{p}({', '.join([*p.arguments, *slope])}, out)"]  # fmt: skip
    folder = tmp_path_factory.mktemp("wrapped")
    (folder / "wrapped.pyx").write_text("\n".join(source))
    (folder / "setup.py").write_text((EXAMPLE / "setup.py").read_text().replace("gated", "wrapped"))
    return build(folder, "wrapped")


@each_dtype
def test_example(gated, dtype, rng):
    """5 lengths: the product of the two passes."""
    for n in SIZES:
        a, b = rng.normal(0, 3, (2, n)).astype(dtype)
        want = fastact.tanh(a) * fastact.sigmoid(b)
        gated.gate(a, b)
        assert_same_bits(a, want)
    with pytest.raises(ValueError, match="one length, got 3 and 2"):
        gated.gate(np.zeros(3), np.zeros(2))


@each_dtype
@pytest.mark.parametrize("p", PASSES, ids=str)
def test_functions(wrapped, p, dtype, rng):
    """5 lengths, into another array and in place, 1 and 2 threads: the bits of the Python function."""
    inputs = [np.resize(a, max(SIZES)) for a in points(p, dtype, 50_000, rng)]
    slope = (0.125,) if p.slope else ()
    function = getattr(wrapped, p.name)
    for n in SIZES:
        arrays = [a[:n] for a in inputs]
        want = p(*arrays, slope=0.125)
        for threads in (1, 2):
            with fastact.num_threads(threads):
                out = np.empty(n, dtype)
                function(*arrays, *slope, out)
                assert_same_bits(out, want)
                fresh = [a.copy() for a in arrays]
                function(*fresh, *slope, fresh[-1])
                assert_same_bits(fresh[-1], want)


@pytest.mark.parametrize("p", PASSES, ids=str)
def test_refused(wrapped, p):
    """Lengths that differ, an out that overlaps in part, slopes that make no sense: ValueError, out as it was."""
    function = getattr(wrapped, p.name)
    slope = (0.125,) if p.slope else ()
    memory = np.ones(12)
    for arrays, out in [
        ([np.ones(3)] * len(p.arguments), memory[:4]),
        ([np.ones(4)] * (len(p.arguments) - 1) + [np.ones(3)], memory[:4]),
        ([memory[:8]] * len(p.arguments), memory[1:9]),
        ([np.ones(8)] * (len(p.arguments) - 1) + [memory[4:]], memory[:8]),
    ]:
        with pytest.raises(ValueError, match=f"fastact.kernels.{p}: "):
            function(*arrays, *slope, out)
        assert (memory == 1).all()
    if p.slope:
        for bad in [np.inf, -np.inf, np.nan] + [-0.5] * (p.kind == "backward"):
            with pytest.raises(ValueError, match="negative_slope must"):
                function(*[np.ones(3)] * len(p.arguments), bad, memory[:3])
            assert (memory == 1).all()
