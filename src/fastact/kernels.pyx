"""The tile functions of the chosen instruction set, shared among threads.

One pass over one array is one call of `apply` (this thread) or `apply_parallel` (typed memoryviews, OpenMP `prange`
over tiles). An element's result depends on its own inputs alone, so how the work is cut changes no bit.
"""

from cython.parallel cimport prange


cdef extern from "simd/passes.h" nogil:
    const fastact_pass_info *fastact_pass_table
    const fastact_isa *fastact_isa_level(int i)


cdef extern from "fpenv.h" nogil:
    ctypedef struct fastact_fpenv:
        pass
    fastact_fpenv fastact_fp_enter()
    void fastact_fp_leave(fastact_fpenv saved)


cdef extern from "openmp.h" nogil:
    const char *FASTACT_OPENMP_RUNTIME
    int FASTACT_HAS_OPENMP
    int fastact_thread_local_num_threads


OPENMP_RUNTIME = FASTACT_OPENMP_RUNTIME.decode()
HAS_OPENMP = bool(FASTACT_HAS_OPENMP)

# Elements of a tile: in, out and one more array of float64 fit a 512 KiB second-level cache.
cdef enum:
    TILE = 16384

# Fewest elements worth a thread of their own: about 20 microseconds of work. A team whose threads are awake starts in
# one or two microseconds, one that must be woken in 30 (Zen 4, two cores): with these grains two threads take 0.6 of
# the time of one in the first case and about as long in the second.
cdef enum:
    GRAIN_TRANSCENDENTAL = 65536
    GRAIN_SELECT = 262144

pass_table = fastact_pass_table

cdef int process_num_threads = 1
cdef bint forked = False


def available_isas():
    """Instruction sets compiled in that this processor runs, best first, as a list of str.

    Examples
    --------
    >>> import fastact
    >>> fastact.get_isa() in fastact.available_isas()
    True
    """
    cdef int i = 0
    cdef const fastact_isa *level = fastact_isa_level(0)
    names = []
    while level != NULL:
        names.append(level.name.decode())
        i += 1
        level = fastact_isa_level(i)
    return names


def get_isa():
    """Name of the instruction set in use: the best one, or the one that FASTACT_ISA names.

    Examples
    --------
    >>> import fastact
    >>> fastact.get_isa() in ("avx512", "avx2", "baseline", "neon", "portable")
    True
    """
    return isa.name.decode()


def set_isa(str name):
    """Use the named instruction set from now on; called once, when the package is imported."""
    global isa
    isa = fastact_isa_level(available_isas().index(name))


def get_num_threads():
    """Threads that a long call from this Python thread may use.

    Examples
    --------
    >>> import fastact
    >>> fastact.get_num_threads() >= 1
    True
    """
    if forked or not FASTACT_HAS_OPENMP:
        return 1
    return fastact_thread_local_num_threads or process_num_threads


def set_num_threads(int n):
    """Set the process's number of threads (checked by `fastact.runtime`)."""
    global process_num_threads
    process_num_threads = n


def swap_thread_local(int n):
    """Set this Python thread's own number of threads (0: none of its own) and return what it was."""
    global fastact_thread_local_num_threads
    previous = fastact_thread_local_num_threads
    fastact_thread_local_num_threads = n
    return previous


def after_fork_in_child():
    """Stay on one thread: OpenMP's pool did not survive the fork, and entering a team would hang."""
    global forked
    forked = True


def is_forked():
    """Whether this process was forked after fastact was imported."""
    return bool(forked)


cdef int threads_for(int which, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t grain = GRAIN_SELECT
    cdef Py_ssize_t threads = process_num_threads
    if which == FASTACT_sigmoid or which == FASTACT_sigmoid_derivative or \
            which == FASTACT_tanh or which == FASTACT_tanh_derivative:
        grain = GRAIN_TRANSCENDENTAL
    if n < 2 * grain or forked or not FASTACT_HAS_OPENMP:
        return 1
    if fastact_thread_local_num_threads > 0:
        threads = fastact_thread_local_num_threads
    return <int>min(threads, n // grain)


cdef void apply(
        int which, const floating *a, const floating *b, const floating *slope, Py_ssize_t slope_step,
        floating *out, Py_ssize_t n) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    if floating is float:
        isa.f32[which](a, b, slope, slope_step, out, n)
    else:
        isa.f64[which](a, b, slope, slope_step, out, n)
    fastact_fp_leave(caller)


cdef void apply_parallel(
        int which, const floating[::1] a, const floating[::1] b, floating slope, floating[::1] out,
        int threads) noexcept nogil:
    cdef Py_ssize_t n = out.shape[0]
    cdef Py_ssize_t tiles = (n + TILE - 1) // TILE
    cdef Py_ssize_t t
    for t in prange(tiles, num_threads=threads, schedule="static"):
        apply(which, &a[t * TILE], &b[t * TILE], &slope, 0, &out[t * TILE], min(TILE, n - t * TILE))
