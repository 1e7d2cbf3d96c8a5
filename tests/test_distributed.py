"""docs/distributed.md: its code runs, that for MPI on two ranks."""

import re
from pathlib import Path

import pytest
from ranks import needs_mpi, run

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "distributed.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)


def blocks(mpi):
    return [block for block in BLOCKS if ("mpi4py" in block) is mpi]


@pytest.mark.parametrize("block", blocks(mpi=False))
def test_code_for_dask(block):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    exec(compile(block, str(DOCUMENT), "exec"), {})


@needs_mpi
@pytest.mark.parametrize("block", blocks(mpi=True))
def test_code_for_mpi(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "History(20 epochs" in run(block)


def test_there_are_examples():
    assert len(blocks(mpi=False)) == 2 and len(blocks(mpi=True)) == 1
