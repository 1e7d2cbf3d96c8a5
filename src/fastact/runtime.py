"""Threads, the instruction set, and what the library found on this machine."""

import contextlib
import operator
import os
import platform
import sys
from collections.abc import Iterator
from typing import SupportsIndex

import numpy as np

from fastact import kernels
from fastact.kernels import available_isas, get_isa, get_num_threads

__all__ = [
    "available_isas", "get_include", "get_isa", "get_num_threads", "num_threads", "set_num_threads", "show_config",
]  # fmt: skip

MOST_THREADS = 1024


def set_num_threads(n: SupportsIndex) -> None:
    """Set how many threads a long call may use, for the whole process.

    Long calls that run at the same time in several Python threads (of Dask, joblib or your own) share the processors:
    of n calls, each has its n-th part of them, or fewer threads where fewer are set.

    A forked child stays on one thread whatever is set: OpenMP's threads do not survive a fork. A limit that is set in
    OpenMP itself afterwards, by ``threadpoolctl.threadpool_limits`` for one, holds as well.

    Parameters
    ----------
    n : int
        At least 1, at most 1024.

    Raises
    ------
    TypeError
        `n` is not an integer.
    ValueError
        `n` is out of range.

    Examples
    --------
    >>> import fastact
    >>> before = fastact.get_num_threads()
    >>> fastact.set_num_threads(1)
    >>> fastact.get_num_threads()
    1
    >>> fastact.set_num_threads(before)
    """
    kernels.set_num_threads(_checked("set_num_threads: n", n))


@contextlib.contextmanager
def num_threads(n: SupportsIndex) -> Iterator[None]:
    """Within the block, calls from this Python thread may use `n` threads; other Python threads are not affected.

    They have that many whatever runs beside them; see `set_num_threads`.

    Parameters
    ----------
    n : int
        At least 1, at most 1024.

    Raises
    ------
    TypeError
        `n` is not an integer.
    ValueError
        `n` is out of range.

    Examples
    --------
    >>> import fastact
    >>> with fastact.num_threads(1):
    ...     fastact.get_num_threads()
    1
    """
    previous = kernels.swap_thread_local(_checked("num_threads: n", n))
    try:
        yield
    finally:
        kernels.swap_thread_local(*previous)


def get_include() -> str:
    """Return the folder of the C headers that Cython code which cimports `fastact.kernels` is compiled with.

    Returns
    -------
    str
        For ``include_dirs`` of an extension; ``examples/cython`` has a whole one.

    Examples
    --------
    >>> import os, fastact
    >>> os.path.isfile(os.path.join(fastact.get_include(), "kernels.pxd"))
    True
    """
    return os.path.dirname(os.path.abspath(__file__))


def show_config() -> None:
    """Print version, instruction set, threads, OpenMP runtime, NumPy and BLAS, and what would make it faster.

    Examples
    --------
    >>> import fastact
    >>> fastact.show_config()  # doctest: +ELLIPSIS
    fastact ...
    """
    from fastact import __version__

    isas = available_isas()
    rows = [
        ("fastact", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"),
        ("processor", f"{processor_name()}, {_processors()} usable"),
        ("instruction set", f"{get_isa()} (can be had: {', '.join(isas)})"),
        ("threads", f"{get_num_threads()} ({_threads_source()})"),
        ("OpenMP", kernels.OPENMP_RUNTIME),
        ("NumPy", np.__version__),
        ("BLAS", _blas()),
    ]
    for name, value in rows:
        print(f"{name:<16} {value}")
    for hint in _hints():
        print(f"could be faster  {hint}")


def _checked(argument, n):
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"{argument} must be an integer, got {type(n).__name__}") from None
    if not 1 <= n <= MOST_THREADS:
        raise ValueError(f"{argument} must be between 1 and {MOST_THREADS}, got {n}")
    return n


def _environment_threads(variable):
    """The number of threads an environment variable asks for, or None."""
    # OMP_NUM_THREADS may be a list, one number a nesting level
    first = os.environ.get(variable, "").split(",")[0].strip()
    if first.isdecimal() and 1 <= int(first) <= MOST_THREADS:
        return int(first)
    if first and variable.startswith("FASTACT"):
        raise ValueError(f"{variable} must be a whole number between 1 and {MOST_THREADS}, got {first!r}")
    return None


def _processors():
    """Processors this process may use: its affinity mask, and the control group's quota where there is one."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    return count if quota is None else max(1, min(count, int(quota + 0.5)))


def _cgroup_quota(root="/sys/fs/cgroup", membership="/proc/self/cgroup"):
    """Processors' worth of time that the control groups allow, this process's own and those above it; None for no
    limit."""
    quotas = []
    try:
        lines = _read(membership).splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        while True:
            try:
                if controllers:  # version 1
                    folder = f"{root}/cpu{path}"
                    quotas.append(_ratio(_read(f"{folder}/cpu.cfs_quota_us"), _read(f"{folder}/cpu.cfs_period_us")))
                else:
                    quotas.append(_ratio(*_read(f"{root}{path}/cpu.max").split()))
            except OSError:  # in a container the path may be the host's
                pass
            if path == "/":
                break
            path = os.path.dirname(path)
    return min(filter(None, quotas), default=None)


def _read(path):
    with open(path) as lines:  # pathlib takes as long to import as all of fastact
        return lines.read()


def _ratio(quota, period):
    return None if quota.strip() in ("max", "-1") else int(quota) / int(period)


def _threads_source():
    if kernels.is_forked():
        return "a forked process stays on one thread"
    for variable in ("FASTACT_NUM_THREADS", "OMP_NUM_THREADS"):
        if _environment_threads(variable) == get_num_threads():
            return f"{variable} is set"
    return "set by the program" if get_num_threads() != _processors() else "the processors this process may use"


def processor_name() -> str:
    """The processor's name as the operating system gives it."""
    try:
        for line in _read("/proc/cpuinfo").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _blas():
    """The BLAS library that NumPy multiplies matrices with, and the kernels it runs if threadpoolctl can tell."""
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name = f"{built.get('name', 'unknown')} {built.get('version', '')}".strip()
    try:
        import threadpoolctl
    except ImportError:
        return f"{name} (threadpoolctl, if installed, tells which kernels run)"
    libraries = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    if not libraries:
        return name
    # SciPy brings a BLAS of its own; NumPy's lies in numpy.libs, or is the only one
    library = max(libraries, key=lambda library: "numpy" in library["filepath"])
    kernel = f", {library['architecture']} kernels" if library.get("architecture") else ""
    return f"{library['internal_api']} {library['version']}{kernel}, {library['num_threads']} threads"


def _one_blas_thread():
    """Return a context manager in which NumPy multiplies matrices on the calling thread, where threadpoolctl is."""
    try:
        import threadpoolctl
    except ImportError:
        return contextlib.nullcontext()
    return threadpoolctl.threadpool_limits(1, "blas")


def _hints():
    """What would make this process faster, a sentence each."""
    hints = []
    best = available_isas()[0]
    if get_isa() != best:
        hints.append(f"FASTACT_ISA holds the kernels to {get_isa()}; this processor runs {best}")
    if not kernels.HAS_OPENMP:
        hints.append("this build has no OpenMP, so every call runs on one thread; rebuild with a compiler that has it")
    elif get_num_threads() < _processors():
        hints.append(f"{get_num_threads()} of {_processors()} usable processors are used ({_threads_source()})")
    for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        if variable in os.environ:
            hints.append(f"{variable}={os.environ[variable]} overrides what OpenBLAS would pick by itself; on an "
                         "AVX-512 processor Haswell kernels halve the speed of matrix products")
    return hints


def _choose_isa():
    """Use the best instruction set, or the one that FASTACT_ISA names."""
    isas = available_isas()
    name = os.environ.get("FASTACT_ISA", "").strip().lower() or isas[0]
    if name not in isas:
        raise ValueError(
            f"FASTACT_ISA={os.environ['FASTACT_ISA']!r} cannot be had on this processor; available: {', '.join(isas)}")
    kernels.set_isa(name)


def _choose_num_threads():
    kernels.set_processors(min(_processors(), MOST_THREADS))
    kernels.set_num_threads(
        _environment_threads("FASTACT_NUM_THREADS") or _environment_threads("OMP_NUM_THREADS")
        or min(_processors(), MOST_THREADS))


def _measure_cache(path="/sys/devices/system/cpu/cpu0/cache/index3/size"):
    """Tell the kernels the last-level cache's size; they go by 32 MiB where the system does not say."""
    try:
        size = _read(path).strip()  # C's sysconf gives the sum over a processor's parts, of which a thread has one
    except OSError:
        return
    if size.endswith("K") and size[:-1].isdecimal():
        kernels.set_cache_size(int(size[:-1]) * 1024)


def _is_command():
    """Whether this is the import of ``python -m fastact``, or of the script ``fastact``."""
    program = (getattr(sys, "argv", None) or [""])[0]  # an embedded Python may have none
    if program == "-m":  # Python is still looking for the module
        return ("-m", "fastact") in zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    return os.path.basename(program) == "fastact"


environment_error = None  # what is wrong with a variable, where the command line is to say so
try:
    _choose_isa()
    _choose_num_threads()
except ValueError as error:
    if not _is_command():
        raise
    environment_error = str(error)
_measure_cache()
