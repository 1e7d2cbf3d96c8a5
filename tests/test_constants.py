"""The constants of the formulas are those that the derivation prints."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("script", ["derive_constants_exact.py", "derive_constants_f32.py", "derive_constants_f64.py"])
def test_constants_are_derived(script):
    if not (ROOT / "src").exists():
        pytest.skip("the sources are not here: an installed package is under test")
    run = subprocess.run(
        [sys.executable, ROOT / "tools" / script, "--check"], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
