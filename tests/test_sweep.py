"""The sweeps over the kernels' inputs, shortened; `bash tools/sweep.sh` is the whole."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from passes import PASSES

import fastact

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "src/fastact/simd/README.md"

pytestmark = [
    pytest.mark.skipif(not README.exists(), reason="the sources are not here: an installed package is under test"),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc"),
]


def sweep(*arguments):
    run = subprocess.run(["bash", ROOT / "tools/sweep.sh", *arguments], capture_output=True, text=True, timeout=300)
    return run.returncode, run.stdout.splitlines()[1:], run.stderr


def documented():
    """{pass: (largest float32 error with a fused multiply-add, at the baseline)} as the README's table has it."""
    text = README.read_text(encoding="utf-8").split("## Largest errors")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) \|[^|]*\| [\d.]+ \| ([\d.]+) \|", text, re.M)
    return {name: (float(fma), float(baseline)) for name, fma, baseline in rows}


def test_float32():
    """Every 2,048th of the 2^32 inputs, each pass and level: no bound of the contract broken, none of the README's
    figures exceeded, and the bits of AVX-512 from AVX2."""
    status, rows, errors = sweep("float32", "2048")
    assert status == 0, "\n".join(rows) + errors
    assert len(rows) == len(PASSES) * len(fastact.available_isas())
    for row in rows:
        name, level, largest, _, mean, nan_wrong, disorder, differ = row.split()
        portable = level in ("baseline", "portable")
        assert float(largest) <= documented()[name][portable], row
        assert float(mean) <= float(largest) and nan_wrong == "0", row
        assert portable or differ == disorder == "0", row
    assert {row.split()[0] for row in rows} == {p.name for p in PASSES} == set(documented())


def test_float64():
    """2,000 points a set against 113-bit arithmetic: no bound broken."""
    status, rows, errors = sweep("float64", "2000")
    assert status == 0 and rows, "\n".join(rows) + errors


@pytest.mark.parametrize("arguments", [[], ["float16"], ["float32", "0"], ["float32", "60000"], ["float64", "many"]])
def test_refused(arguments):
    """Status 2 and what can be asked for."""
    status, rows, errors = sweep(*arguments)
    assert status == 2 and not rows
    assert "float32" in errors
