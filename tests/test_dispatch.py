"""Every instruction set this processor has runs when asked for, is right, and gives the bits of all others with FMA."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from passes import F4, PASSES, every_pattern, points

import fastact

TESTS = Path(__file__).parent
VALUE_TESTS = ["test_forward.py", "test_derivatives.py", "test_backward.py", "test_special_values.py"]
KNOWN = ["baseline", "avx2", "avx512", "neon", "portable"]
FMA = [isa for isa in fastact.available_isas() if isa in ("avx2", "avx512", "neon")]
HASH = f"import sys; sys.path.insert(0, {str(TESTS)!r}); from test_dispatch import print_hashes; print_hashes()"


def python(*arguments, isa, timeout=170):
    env = {name: value for name, value in os.environ.items() if name != "FASTACT_ISA"}
    if isa is not None:
        env["FASTACT_ISA"] = isa
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, env=env)


def print_hashes():
    """A line a pass and type: the hash of its results on a dense input, NaNs with their payloads included."""
    print(fastact.get_isa())
    for p in PASSES:
        for dtype in (F4, np.dtype("f8"), np.dtype("f2")):
            rng = np.random.default_rng(list(p.name.encode()))
            if dtype == "f2":
                every = np.arange(2**16, dtype=np.uint16).view(dtype)
                inputs = [every, rng.permutation(every)][-len(p.arguments) :]
            else:
                inputs = points(p, dtype, 1_000_000, rng)
            if dtype == F4:  # other bit patterns than in the value tests
                comb = every_pattern(2**14 + 1)
                inputs = [np.concatenate([a, np.roll(comb, k * 12345)]) for k, a in enumerate(inputs)]
            digest = hashlib.sha256()
            for slope in (0.01, 0.0, 3.0) if p.slope else (None,):
                digest.update(p(*inputs, slope=slope).tobytes())
            print(p.name, dtype.name, digest.hexdigest())


def test_levels():
    """The list is not empty, has known names, ends with one that always runs, and the default is its first."""
    levels = fastact.available_isas()
    assert levels and set(levels) <= set(KNOWN) and len(set(levels)) == len(levels)
    assert levels[-1] in ("baseline", "portable")
    got = python("-c", "import fastact; print(fastact.get_isa())", isa=None)
    assert got.stdout.strip() == levels[0], got.stderr


@pytest.mark.parametrize("isa", fastact.available_isas())
def test_asked_for(isa):
    """FASTACT_ISA: what runs is what was asked for, and show_config says so."""
    got = python("-c", "import fastact; print(fastact.get_isa()); fastact.show_config()", isa=isa)
    assert got.returncode == 0, got.stderr
    first, *rest = got.stdout.splitlines()
    assert first == isa
    assert any(line.startswith("instruction set") and isa in line for line in rest)


@pytest.mark.skipif(os.environ.get("FASTACT_ISA", "") != "", reason="this run is of one level already")
@pytest.mark.parametrize("isa", [isa for isa in fastact.available_isas() if isa != fastact.get_isa()])
def test_values(isa):
    """The value tests (forward, derivatives, backward, special values), whole, in a process that asserts its level."""
    files = [str(TESTS / name) for name in VALUE_TESTS]
    got = python("-m", "pytest", "-x", "-p", "no:cacheprovider", "--tb=short", *files, isa=isa)
    assert got.returncode == 0, got.stdout[-5000:] + got.stderr[-2000:]
    assert f"fastact: instruction set {isa}," in got.stdout


@pytest.mark.skipif(len(FMA) < 2, reason=f"only one instruction set with FMA here: {FMA}")
def test_same_bits():
    """36 hashes, of float32 and float64 over more than a million inputs each, of float16 over all 65,536: the same from
    every instruction set that has FMA."""
    outputs = {}
    for isa in FMA:
        got = python("-c", HASH, isa=isa)
        assert got.returncode == 0, got.stderr
        first, *hashes = got.stdout.splitlines()
        assert first == isa and len(hashes) == 3 * len(PASSES)
        outputs[isa] = hashes
    assert all(hashes == outputs[FMA[0]] for hashes in outputs.values()), outputs


def test_hashes_see_the_level():
    """The hashes of a level with FMA and of the baseline differ in a rounding somewhere: the comparison can fail."""
    levels = fastact.available_isas()
    if not FMA or levels[-1] in FMA:
        pytest.skip(f"nothing to tell apart: {levels}")
    runs = [python("-c", HASH, isa=isa).stdout.splitlines()[1:] for isa in (FMA[0], levels[-1])]
    assert len(runs[0]) == len(runs[1]) == 3 * len(PASSES)
    assert runs[0] != runs[1]
    relu = [[line for line in lines if "relu" in line] for lines in runs]
    assert relu[0] == relu[1]  # these round once at most, whatever the level


REFUSED = ["sse9", "AVX2x", "0", "avx2,avx512", *(set(KNOWN) - set(fastact.available_isas()))]


@pytest.mark.parametrize("isa", sorted(REFUSED))
def test_refused(isa):
    """Unknown names, and known ones that this processor does not run: import fails, naming what came and can be had."""
    got = python("-c", "import fastact", isa=isa)
    assert got.returncode != 0
    last = got.stderr.strip().splitlines()[-1]
    assert "FASTACT_ISA" in last and isa in last
    assert all(level in last for level in fastact.available_isas())
