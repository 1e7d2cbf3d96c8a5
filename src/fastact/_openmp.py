"""Loads the kernels, and with them the OpenMP runtime; one whose threads did not survive a fork is not used.

PyTorch, Numba and others may have loaded and used the same runtime before. In a child forked after that its threads are
missing, and a call that waits for them never ends; so such a process stays on one thread.
"""

PF_FORKNOEXEC = 0x40  # Linux's mark of a process that was forked and runs no program of its own


def _forked():
    """Whether this process was forked and runs no program of its own."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            flags = int(stat.read().rpartition(b")")[2].split()[6])
    except (OSError, ValueError, IndexError):  # not Linux
        return False
    return bool(flags & PF_FORKNOEXEC)


def _ranges():
    """Where copies of GNU's OpenMP lie in memory: the system's, and those that wheels bring."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            lines = [line for line in maps if b"/libgomp" in line]
    except OSError:
        return []
    return [[int(end, 16) for end in line.split()[0].split(b"-")] for line in lines]


_before = _ranges() if _forked() else []

from fastact import kernels  # noqa: E402 after the look at what was there before it

# Whose copy the kernels call is the loader's choice: one that PyTorch has loaded for all comes before fastact's own.
if any(start <= kernels.openmp_address() < end for start, end in _before):  # who used it cannot be told
    kernels.set_forked()
