"""Loads the kernels, and with them the OpenMP runtime; one whose threads did not survive a fork is not used.

PyTorch, Numba and others may have loaded and used the same runtime before. In a child forked after that its threads are
missing, and a call that waits for them never ends; so such a process stays on one thread.
"""

PF_FORKNOEXEC = 0x40  # Linux's mark of a process that was forked and runs no program of its own


def _may_be_inherited():
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


_inherited = _may_be_inherited()

from fastact import kernels  # noqa: E402 after the look at what was there before it

if _inherited:
    kernels.set_forked()
