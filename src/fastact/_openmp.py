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


def _runtimes():
    """The files of GNU's OpenMP that are loaded: the system's, and those of wheels, which bring their own."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            return {line.split(maxsplit=5)[5].strip() for line in maps if b"/libgomp" in line}
    except OSError:
        return set()


_before = _runtimes() if _forked() else set()

from fastact import kernels  # noqa: E402 after the look at what was there before it

if _before and _runtimes() == _before:  # none was added, so one of these is fastact's; who loaded it cannot be told
    kernels.set_forked()
