# The compiled kernels as other Cython code sees them: the functions at the end are for everyone, the rest is for
# fastact itself and may change.

from cython cimport floating
from libc.stdint cimport uint16_t


cdef extern from "simd/passes.h" nogil:
    enum fastact_pass:
        FASTACT_sigmoid
        FASTACT_sigmoid_derivative
        FASTACT_sigmoid_backward
        FASTACT_tanh
        FASTACT_tanh_derivative
        FASTACT_tanh_backward
        FASTACT_relu
        FASTACT_relu_derivative
        FASTACT_relu_backward
        FASTACT_leaky_relu
        FASTACT_leaky_relu_derivative
        FASTACT_leaky_relu_backward
        FASTACT_exact_sigmoid
        FASTACT_exact_sigmoid_derivative
        FASTACT_exact_tanh
        FASTACT_exact_tanh_derivative

    enum:  # of its own, so that it is an int
        FASTACT_N_PASSES

    ctypedef struct fastact_pass_info:
        const char *name
        int arrays
        int slope

    ctypedef void (*fastact_tile_f32)(
        const float *a, const float *b, const float *slope, Py_ssize_t slope_step, float *out, Py_ssize_t n) noexcept
    ctypedef void (*fastact_tile_f64)(
        const double *a, const double *b, const double *slope, Py_ssize_t slope_step, double *out, Py_ssize_t n
    ) noexcept

    ctypedef void (*fastact_tile_half)(
        const uint16_t *a, const uint16_t *b, const uint16_t *slope, Py_ssize_t slope_step, uint16_t *out, Py_ssize_t n
    ) noexcept

    enum fastact_update:
        FASTACT_UPDATE_sgd
        FASTACT_UPDATE_adagrad
        FASTACT_UPDATE_rmsprop
        FASTACT_UPDATE_adam

    ctypedef struct fastact_update_settings:
        double rate, clip_scale, clip_value
        double weight_decay, momentum, epsilon, rho, beta_1, beta_2, root_correction, kept
        int nesterov

    ctypedef void (*fastact_update_f32)(
        const fastact_update_settings *settings, float *w, const float *g, float *slot_1, float *slot_2, Py_ssize_t n
    ) noexcept
    ctypedef void (*fastact_update_f64)(
        const fastact_update_settings *settings, double *w, const double *g, double *slot_1, double *slot_2,
        Py_ssize_t n) noexcept

    ctypedef struct fastact_fused_f32:
        void (*bias_activation)(
            fastact_tile_f32 activation, const float *b, const float *slope, Py_ssize_t slope_step, float *z,
            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        void (*backward_bias)(
            fastact_tile_f32 backward, const float *dy, const float *y, const float *slope, Py_ssize_t slope_step,
            float *dz, float *db, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        double (*softmax_cross_entropy)(
            const float *y, const Py_ssize_t *labels, const float *share, Py_ssize_t share_step, float *dy,
            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        Py_ssize_t (*hits)(const float *y, const Py_ssize_t *labels, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        double (*elementwise_loss)(
            fastact_tile_f32 sigmoid, const float *y, const float *t, const float *share, Py_ssize_t share_step,
            float *dy, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        Py_ssize_t (*binary_hits)(const float *y, const float *t, Py_ssize_t n) noexcept nogil
        bint (*all_finite)(const float *a, Py_ssize_t n) noexcept nogil
        fastact_update_f32 *update

    ctypedef struct fastact_fused_f64:
        void (*bias_activation)(
            fastact_tile_f64 activation, const double *b, const double *slope, Py_ssize_t slope_step, double *z,
            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        void (*backward_bias)(
            fastact_tile_f64 backward, const double *dy, const double *y, const double *slope, Py_ssize_t slope_step,
            double *dz, double *db, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        double (*softmax_cross_entropy)(
            const double *y, const Py_ssize_t *labels, const double *share, Py_ssize_t share_step, double *dy,
            Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        Py_ssize_t (*hits)(
            const double *y, const Py_ssize_t *labels, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        double (*elementwise_loss)(
            fastact_tile_f64 sigmoid, const double *y, const double *t, const double *share, Py_ssize_t share_step,
            double *dy, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil
        Py_ssize_t (*binary_hits)(const double *y, const double *t, Py_ssize_t n) noexcept nogil
        bint (*all_finite)(const double *a, Py_ssize_t n) noexcept nogil
        fastact_update_f64 *update

    ctypedef struct fastact_isa:
        const char *name
        Py_ssize_t *transcendental_grain
        Py_ssize_t *other_grain
        fastact_tile_f32 *f32
        fastact_tile_f64 *f64
        fastact_tile_f32 *of_halves
        fastact_tile_f32 *streamed_f32
        fastact_tile_f64 *streamed_f64
        fastact_tile_half *float16
        fastact_tile_half *bfloat16
        void (*from_float16)(const uint16_t *halves, float *floats, Py_ssize_t n) noexcept nogil
        void (*to_float16)(const float *floats, uint16_t *halves, Py_ssize_t n) noexcept nogil
        void (*from_bfloat16)(const uint16_t *halves, float *floats, Py_ssize_t n) noexcept nogil
        void (*to_bfloat16)(const float *floats, uint16_t *halves, Py_ssize_t n) noexcept nogil
        fastact_fused_f32 fused_f32
        fastact_fused_f64 fused_f64


cdef extern from "fpenv.h" nogil:
    ctypedef struct fastact_fpenv:
        pass
    fastact_fpenv fastact_fp_enter()
    void fastact_fp_leave(fastact_fpenv saved)
    float fastact_nearest_float(double value)


cdef const fastact_isa *isa  # the instruction set in use
cdef const fastact_pass_info *pass_table  # a row a pass

cdef inline bint is_exact(int which) noexcept nogil:
    """Whether this is a pass of fastact.exact, which float64 has not."""
    return which >= FASTACT_exact_sigmoid

# Between fastact_fp_enter and fastact_fp_leave, which `apply` calls itself.
cdef void tile(
    int which, const floating *a, const floating *b, const floating *slope, Py_ssize_t slope_step,
    floating *out, Py_ssize_t n) noexcept nogil

cdef void apply(
    int which, const floating *a, const floating *b, const floating *slope, Py_ssize_t slope_step,
    floating *out, Py_ssize_t n) noexcept nogil

cdef void apply_parallel(
    int which, const floating[::1] a, const floating[::1] b, floating slope, floating[::1] out,
    int threads) noexcept nogil

cdef int threads_for(int which, bint is_double, Py_ssize_t n) noexcept nogil
cdef int begin_team(int threads) noexcept nogil
cdef void end_team() noexcept nogil

cdef bint streams(const void *a, const void *b, const void *out, Py_ssize_t size) noexcept nogil


# The twelve passes over contiguous arrays of float or double: GIL or not, on as many threads as are worth it and
# `fastact.set_num_threads` allows. `out` may be an input itself. ValueError, and nothing written, for arrays of several
# lengths, for an `out` that overlaps an input in part, and for a slope that is not finite (or negative, in
# leaky_relu_backward).
cdef int sigmoid(const floating[::1] x, floating[::1] out) except -1 nogil
cdef int sigmoid_derivative(const floating[::1] x, floating[::1] out) except -1 nogil
cdef int sigmoid_backward(const floating[::1] dy, const floating[::1] y, floating[::1] out) except -1 nogil
cdef int tanh(const floating[::1] x, floating[::1] out) except -1 nogil
cdef int tanh_derivative(const floating[::1] x, floating[::1] out) except -1 nogil
cdef int tanh_backward(const floating[::1] dy, const floating[::1] y, floating[::1] out) except -1 nogil
cdef int relu(const floating[::1] x, floating[::1] out) except -1 nogil
cdef int relu_derivative(const floating[::1] x, floating[::1] out) except -1 nogil
cdef int relu_backward(const floating[::1] dy, const floating[::1] y, floating[::1] out) except -1 nogil
cdef int leaky_relu(const floating[::1] x, floating negative_slope, floating[::1] out) except -1 nogil
cdef int leaky_relu_derivative(const floating[::1] x, floating negative_slope, floating[::1] out) except -1 nogil
cdef int leaky_relu_backward(
    const floating[::1] dy, const floating[::1] y, floating negative_slope, floating[::1] out) except -1 nogil
