"""Scripts on the ranks of MPI."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="mpi4py or mpiexec is not installed: pip install mpi4py mpich",
)

START = """
import os, signal, sys, time
import numpy as np
from mpi4py import MPI
from fastact import nn

comm = MPI.COMM_WORLD
rank, size = comm.rank, comm.size
rng = np.random.default_rng(0)
X, y = rng.standard_normal((96, 6)), rng.integers(0, 3, 96)
mine = slice(rank, None, size)

def network(seed=0, **options):
    return nn.Sequential([nn.Dense(6, 16, "tanh", **options), nn.Dense(16, 3, **options)], seed=seed)

def fit(model, X=X[mine], y=y[mine], optimizer=None, comm=comm, **options):
    options = dict(loss="softmax_cross_entropy", batch_size=16, epochs=3) | options
    return model.fit(X, y, optimizer=optimizer or nn.Adam(0.01), comm=comm, **options)

def weights(model):
    return np.concatenate([parameter.value.ravel() for parameter in model.parameters()])
"""


def start(script, size=2):
    """`script` after START on so many ranks, as a process group whose output is read as text."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the ranks share the processors
    open_mpi = {name: "1" for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")}
    open_mpi |= {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    folder = tempfile.TemporaryDirectory()
    main = Path(folder.name, "main.py")
    main.write_text(START + script)
    process = subprocess.Popen(
        [MPIEXEC, "-n", str(size), sys.executable, main], env=os.environ | one_thread | open_mpi, text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.folder = folder  # of which `ended` disposes
    return process


def ended(process, timeout=60):
    """Exit status, standard output and standard error; a job that hangs is killed, and its test fails."""
    __tracebackhide__ = True
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        pytest.fail(f"no end after {timeout} s: {process.communicate()}")
    finally:
        process.folder.cleanup()
    return process.returncode, out, err


def run(script, size=2):
    """What a script printed that ends well."""
    __tracebackhide__ = True
    status, out, err = ended(start(script, size))
    assert status == 0, f"exit status {status}\n{out}{err}"
    return out.strip()
