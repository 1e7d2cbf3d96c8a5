"""Loads the kernels, and with them GNU's OpenMP runtime, told how long its idle threads are to spin.

By itself the runtime keeps them in a loop for 8 ms after each call, in the hope of more work. Meanwhile they hold
processors that other threads need, those of NumPy's BLAS first of all: a training step with two threads took six times
as long. 3000 turns are about 0.1 ms: calls in a row still find them awake. Who sets OMP_WAIT_POLICY or GOMP_SPINCOUNT
is obeyed; the variable is set for the time of the load only.
"""

import os


def _load_kernels():
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return
    os.environ["GOMP_SPINCOUNT"] = "3000"
    try:
        import fastact.kernels  # noqa: F401 loading it is the purpose
    finally:
        del os.environ["GOMP_SPINCOUNT"]


_load_kernels()
