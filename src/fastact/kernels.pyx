"""The tile functions of the chosen instruction set, shared among threads.

One pass over one array is one call of `apply` (this thread) or `apply_parallel` (typed memoryviews, OpenMP `prange`
over tiles). An element's result depends on its own inputs alone, so how the work is cut changes no bit.

Other Cython code says ``from fastact.kernels cimport sigmoid`` and calls the functions at the end, without the GIL if
it likes; see ``examples/cython``.
"""

from cython.parallel cimport prange
from libc.math cimport INFINITY


cdef extern from "simd/passes.h" nogil:
    const fastact_pass_info *fastact_pass_table
    const fastact_isa *fastact_isa_level(int i)


cdef extern from "openmp.h" nogil:
    const char *FASTACT_OPENMP_RUNTIME
    int FASTACT_HAS_OPENMP
    int fastact_thread_local_num_threads
    int fastact_thread_local_openmp_num_threads
    int fastact_forked
    int fastact_watch_forks()
    int fastact_startable(int threads)
    int fastact_call_begins()
    void fastact_call_ends()
    int omp_get_max_threads()
    size_t fastact_openmp_address()


OPENMP_RUNTIME = FASTACT_OPENMP_RUNTIME.decode()
HAS_OPENMP = bool(FASTACT_HAS_OPENMP)

# Elements of a tile: in, out and one more array of float64 fit a 512 KiB second-level cache.
cdef enum:
    TILE = 16384

cdef enum:
    LINE = 64  # bytes of a cache's line

pass_table = fastact_pass_table

cdef Py_ssize_t cache_size = 2**25
cdef int process_num_threads = 1
cdef int process_openmp_num_threads = 1  # omp_get_max_threads() when that was set
cdef int processors = 1

if fastact_watch_forks():
    raise MemoryError("fastact: no memory to register what is to be done at a fork")


def set_cache_size(Py_ssize_t size):
    """Set the bytes of the last-level cache, past which a result streams that is not in place with operands of more;
    return what they were."""
    global cache_size
    previous = cache_size
    cache_size = size
    return previous


def set_processors(int n):
    """Set how many processors the process may use, which its long calls share."""
    global processors
    processors = n


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
    return most_threads()


def set_num_threads(int n):
    """Set the process's number of threads (checked by `fastact.runtime`)."""
    global process_num_threads, process_openmp_num_threads
    process_num_threads = n
    process_openmp_num_threads = omp_get_max_threads()


def swap_thread_local(int n, int openmp=0):
    """Set this Python thread's own number of threads (0: none of its own) and what OpenMP's was then (0: what it is
    now); return what both were."""
    global fastact_thread_local_num_threads, fastact_thread_local_openmp_num_threads
    previous = fastact_thread_local_num_threads, fastact_thread_local_openmp_num_threads
    fastact_thread_local_num_threads = n
    fastact_thread_local_openmp_num_threads = openmp or omp_get_max_threads()
    return previous


def set_forked():
    """Stay on one thread from now on, as after a fork."""
    global fastact_forked
    fastact_forked = 1


def openmp_address():
    """Where the OpenMP runtime lies whose functions the kernels call; 0 without OpenMP."""
    return fastact_openmp_address()


def is_forked():
    """Whether this process was forked after an OpenMP runtime was loaded, fastact's or the one it shares."""
    return bool(fastact_forked)


cdef int most_threads() noexcept nogil:
    cdef int threads = process_num_threads
    cdef int openmp_then = process_openmp_num_threads
    cdef int openmp = omp_get_max_threads()
    if fastact_forked or not FASTACT_HAS_OPENMP:
        return 1
    if fastact_thread_local_num_threads > 0:
        threads = fastact_thread_local_num_threads
        openmp_then = fastact_thread_local_openmp_num_threads
    # who has since held OpenMP itself to fewer threads, as threadpoolctl does, is obeyed: the last word counts
    return min(threads, openmp) if openmp != openmp_then else threads


cdef Py_ssize_t grain_of(int which, bint is_double) noexcept nogil:
    """Fewest elements worth a thread of their own."""
    if is_exact(which) or which == FASTACT_sigmoid or which == FASTACT_sigmoid_derivative or \
            which == FASTACT_tanh or which == FASTACT_tanh_derivative:
        return isa.transcendental_grain[is_double]
    return isa.other_grain[is_double]


def grain(str name, str dtype):
    """Fewest elements that are worth a thread of their own, for a pass on float32 or float64 (bench/grain.py)."""
    cdef int which
    for which in range(FASTACT_N_PASSES):
        if pass_table[which].name.decode() == name:
            return grain_of(which, dtype == "float64")
    raise ValueError(f"name must be that of a pass, got {name!r}")


cdef int threads_for(int which, bint is_double, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t least = grain_of(which, is_double)
    if n < 2 * least:
        return 1
    return fastact_startable(<int>min(<Py_ssize_t>most_threads(), n // least))


cdef int begin_team(int threads) noexcept nogil:
    """Return how many of its threads a long call may have beside others that run at the moment, in other Python
    threads: its share of the processors, unless this thread has asked for a number of its own. `end_team` must follow.
    """
    cdef int running = fastact_call_begins()
    if running == 1 or fastact_thread_local_num_threads > 0:
        return threads
    return max(1, min(threads, processors // running))


cdef void end_team() noexcept nogil:
    fastact_call_ends()


def share_of_processors(int threads):
    """Return how many of its threads a long call would have now, beside those that run in other Python threads."""
    cdef int found = begin_team(threads)
    end_team()
    return found


cdef void tile(
        int which, const floating *a, const floating *b, const floating *slope, Py_ssize_t slope_step,
        floating *out, Py_ssize_t n) noexcept nogil:
    if floating is float:
        isa.f32[which](a, b, slope, slope_step, out, n)
    else:
        isa.f64[which](a, b, slope, slope_step, out, n)


cdef void apply(
        int which, const floating *a, const floating *b, const floating *slope, Py_ssize_t slope_step,
        floating *out, Py_ssize_t n) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    tile(which, a, b, slope, slope_step, out, n)
    fastact_fp_leave(caller)


cdef void apply_streamed(
        int which, const floating *a, const floating *b, floating slope, floating *out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t head = min(n, <Py_ssize_t> ((LINE - <size_t> out % LINE) % LINE // sizeof(floating)))
    cdef fastact_fpenv caller
    apply(which, a, b, &slope, 0, out, head)
    caller = fastact_fp_enter()
    if floating is float:
        isa.streamed_f32[which](a + head, b + head, &slope, 0, out + head, n - head)
    else:
        isa.streamed_f64[which](a + head, b + head, &slope, 0, out + head, n - head)
    fastact_fp_leave(caller)


cdef void apply_parallel(
        int which, const floating[::1] a, const floating[::1] b, floating slope, floating[::1] out,
        int threads) noexcept nogil:
    cdef Py_ssize_t n = out.shape[0]
    cdef Py_ssize_t tiles = (n + TILE - 1) // TILE
    cdef Py_ssize_t t
    cdef bint streamed = streams(&a[0], &b[0], &out[0], n * sizeof(floating))
    cdef int granted = begin_team(threads)
    for t in prange(tiles, num_threads=granted, schedule="static"):
        if streamed:
            apply_streamed(which, &a[t * TILE], &b[t * TILE], slope, &out[t * TILE], min(TILE, n - t * TILE))
        else:
            apply(which, &a[t * TILE], &b[t * TILE], &slope, 0, &out[t * TILE], min(TILE, n - t * TILE))
    end_team()


cdef bint streams(const void *a, const void *b, const void *out, Py_ssize_t size) noexcept nogil:
    """Whether stores past the caches are the better ones: not in place, and more than the caches hold."""
    return out != a and out != b and size * (2 if a == b else 3) > cache_size


# ---------------------------------------------------------------------------------------- for other Cython code

cdef int refuse(int which, const char *problem) except -1 with gil:
    raise ValueError(f"fastact.kernels.{pass_table[which].name.decode()}: {problem.decode()}")


cdef inline bint partly_overlaps(const void *a, const void *b, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t distance = <const char *> a - <const char *> b
    return distance != 0 and -size < distance < size


cdef int pass_over(
        int which, const floating[::1] a, const floating[::1] b, floating slope, floating[::1] out) except -1 nogil:
    """One pass on as many threads as are worth it, its arguments checked."""
    cdef Py_ssize_t n = out.shape[0]
    cdef int threads = threads_for(which, floating is double, n)
    if a.shape[0] != n or b.shape[0] != n:
        refuse(which, "the arrays must have one length")
    if not -INFINITY < slope < INFINITY:
        refuse(which, "negative_slope must be finite")
    if which == FASTACT_leaky_relu_backward and slope < 0:
        refuse(which, "negative_slope must not be negative: the output no longer tells the input's sign")
    if n == 0:
        return 0
    if partly_overlaps(&a[0], &out[0], n * sizeof(floating)) or partly_overlaps(&b[0], &out[0], n * sizeof(floating)):
        refuse(which, "out must be one of the arrays or lie apart from both")
    if threads > 1 or streams(&a[0], &b[0], &out[0], n * sizeof(floating)):
        apply_parallel(which, a, b, slope, out, threads)
    else:
        apply(which, &a[0], &b[0], &slope, 0, &out[0], n)
    return 0


cdef int sigmoid(const floating[::1] x, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_sigmoid, x, x, 0, out)


cdef int sigmoid_derivative(const floating[::1] x, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_sigmoid_derivative, x, x, 0, out)


cdef int sigmoid_backward(const floating[::1] dy, const floating[::1] y, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_sigmoid_backward, dy, y, 0, out)


cdef int tanh(const floating[::1] x, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_tanh, x, x, 0, out)


cdef int tanh_derivative(const floating[::1] x, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_tanh_derivative, x, x, 0, out)


cdef int tanh_backward(const floating[::1] dy, const floating[::1] y, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_tanh_backward, dy, y, 0, out)


cdef int relu(const floating[::1] x, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_relu, x, x, 0, out)


cdef int relu_derivative(const floating[::1] x, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_relu_derivative, x, x, 0, out)


cdef int relu_backward(const floating[::1] dy, const floating[::1] y, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_relu_backward, dy, y, 0, out)


cdef int leaky_relu(const floating[::1] x, floating negative_slope, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_leaky_relu, x, x, negative_slope, out)


cdef int leaky_relu_derivative(const floating[::1] x, floating negative_slope, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_leaky_relu_derivative, x, x, negative_slope, out)


cdef int leaky_relu_backward(
        const floating[::1] dy, const floating[::1] y, floating negative_slope, floating[::1] out) except -1 nogil:
    return pass_over(FASTACT_leaky_relu_backward, dy, y, negative_slope, out)
