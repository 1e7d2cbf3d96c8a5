"""Loads the kernels, and with them GNU's OpenMP runtime, told how long its idle threads are to spin.

By itself the runtime keeps them in a loop for 8 ms after each call, in the hope of more work. Meanwhile they hold
processors that other threads need, those of NumPy's BLAS first of all: a training step with two threads took six times
as long. 3000 turns are about 0.1 ms: calls in a row still find them awake. Who sets OMP_WAIT_POLICY or GOMP_SPINCOUNT
is obeyed; the variable is set for the time of the load only.

PyTorch, Numba and others may have loaded and used the same runtime before. In a child forked after that its threads are
missing, and a call that waits for them never ends; so such a process stays on one thread.
"""

import os

PF_FORKNOEXEC = 0x40  # Linux's mark of a process that was forked and runs no program of its own


def _load_kernels():
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return
    os.environ["GOMP_SPINCOUNT"] = "3000"
    try:
        import fastact.kernels  # noqa: F401 loading it is the purpose
    finally:
        del os.environ["GOMP_SPINCOUNT"]


def _openmp_may_be_inherited():
    """Whether this process was forked and GNU's OpenMP runtime is in it already: who loaded it cannot be told."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            flags = int(stat.read().rpartition(b")")[2].split()[6])
        if not flags & PF_FORKNOEXEC:
            return False
        with open("/proc/self/maps", "rb") as maps:
            return b"/libgomp.so" in maps.read()
    except (OSError, ValueError, IndexError):  # not Linux
        return False


_inherited = _openmp_may_be_inherited()
_load_kernels()
if _inherited:
    from fastact.kernels import set_forked

    set_forked()
