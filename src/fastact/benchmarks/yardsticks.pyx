"""The machine's limit: how fast memory moves when a loop does next to nothing with it."""

from cython cimport floating
from cython.parallel cimport prange


cdef extern from "yardsticks.h" nogil:
    void yardstick_scale_f32(float *x, float factor, Py_ssize_t n)
    void yardstick_scale_f64(double *x, double factor, Py_ssize_t n)
    void yardstick_stream_copy(const char *from_, char *to, Py_ssize_t bytes)


def scale(floating[::1] x, floating factor, int threads):
    """Multiply every element of `x` by `factor`, in place, each thread an equal part."""
    cdef Py_ssize_t n = x.shape[0], t
    with nogil:
        if threads == 1:
            scale_part(x, factor, 0, n)
        else:
            for t in prange(threads, num_threads=threads, schedule="static"):
                scale_part(x, factor, n * t // threads, n * (t + 1) // threads)


def stream_copy(const floating[::1] x, floating[::1] out, int threads):
    """Copy `x` to `out` with stores that go past the caches, each thread an equal part.

    Raises
    ------
    ValueError
        The lengths differ.
    """
    cdef Py_ssize_t n = x.shape[0], t
    if out.shape[0] != n:
        raise ValueError(f"out must have the length of x, {n}, got {out.shape[0]}")
    with nogil:
        if threads == 1:
            copy_part(x, out, 0, n)
        else:
            for t in prange(threads, num_threads=threads, schedule="static"):
                copy_part(x, out, n * t // threads, n * (t + 1) // threads)


cdef void scale_part(floating[::1] x, floating factor, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    if start < stop:
        if floating is float:
            yardstick_scale_f32(&x[start], factor, stop - start)
        else:
            yardstick_scale_f64(&x[start], factor, stop - start)


cdef void copy_part(const floating[::1] x, floating[::1] out, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    if start < stop:
        yardstick_stream_copy(<const char *>&x[start], <char *>&out[start], (stop - start) * sizeof(floating))
