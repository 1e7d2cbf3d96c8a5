"""Scripts in a Python of their own. One that hangs is killed, the processes it started too, and its test fails."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def run(script, timeout=60, **environment):
    """A fresh Python that runs `script`, from a file, as `multiprocessing` wants it; what it printed."""
    __tracebackhide__ = True
    # Dask's nannies set variables of the process that starts them
    unset = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FASTACT_NUM_THREADS", "OMP_WAIT_POLICY",
             "GOMP_SPINCOUNT")  # fmt: skip
    env = {name: value for name, value in os.environ.items() if name not in unset}
    env |= environment
    with tempfile.TemporaryDirectory() as folder:
        main = Path(folder, "main.py")
        main.write_text(script)
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", main], env=env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            pytest.fail(f"no end after {timeout} s; {process.communicate()}")
    assert process.returncode == 0, f"exit status {process.returncode}\n{out}{err}"
    return out.strip()
