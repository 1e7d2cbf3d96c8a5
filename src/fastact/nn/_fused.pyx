"""What layers and optimisers do in one pass over memory, where NumPy makes several: simd/fused.inc has the formulas.

Arrays are C-contiguous, of float32 or float64, all of one type; others are a TypeError or ValueError before anything
is written. A pass runs on the calling thread, which releases the GIL for a long one.
"""

cimport numpy as cnp
from libc.math cimport INFINITY

from fastact.kernels cimport (
    FASTACT_N_PASSES,
    FASTACT_UPDATE_adagrad,
    FASTACT_UPDATE_adam,
    FASTACT_UPDATE_rmsprop,
    FASTACT_UPDATE_sgd,
    fastact_fp_enter,
    fastact_fp_leave,
    fastact_fpenv,
    fastact_update_settings,
    isa,
    pass_table,
)

cnp.import_array()

cdef enum:
    LONG = 32768  # elements, from which on a pass releases the GIL

cdef int IDENTITY = -1
cdef dict PASSES = {pass_table[i].name.decode(): i for i in range(FASTACT_N_PASSES)} | {None: IDENTITY}


cdef inline bint is_plain(cnp.ndarray array, int typenum) noexcept:
    return cnp.PyArray_TYPE(array) == typenum and cnp.PyArray_IS_C_CONTIGUOUS(array) and \
        cnp.PyArray_ISALIGNED(array) and cnp.PyArray_ISNOTSWAPPED(array)


cdef int check(str name, cnp.ndarray array, int typenum, Py_ssize_t size, bint written=False) except -1:
    """Refuse an array of another type, layout or size than wanted."""
    if typenum != cnp.NPY_FLOAT and typenum != cnp.NPY_DOUBLE or cnp.PyArray_TYPE(array) != typenum:
        raise TypeError(f"{name} must be of float32 or float64, as all arrays beside it are, got {array.dtype}")
    if not is_plain(array, typenum) or cnp.PyArray_SIZE(array) != size:
        raise ValueError(f"{name} must be C-contiguous with {size} elements, got shape {(<object> array).shape}")
    if written and not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name} must not be read-only")
    return 0


cdef int check_slope(cnp.ndarray slope, int typenum, Py_ssize_t columns) except -1:
    """Return the step from a column's slope to the next one's: 1, or 0 where all have the same or there is none."""
    cdef bint each
    if slope is None:
        return 0
    each = cnp.PyArray_SIZE(slope) != 1
    check("slope", slope, typenum, columns if each else 1)
    return each


cdef inline Py_ssize_t rows_of(cnp.ndarray matrix) except -1:
    if cnp.PyArray_NDIM(matrix) != 2:
        raise ValueError(f"the array must have two dimensions, got shape {(<object> matrix).shape}")
    return cnp.PyArray_DIM(matrix, 0)


cdef inline void *data(cnp.ndarray array) noexcept:
    return NULL if array is None else cnp.PyArray_DATA(array)


cdef void run_bias_activation(
        int which, int typenum, const void *b, const void *slope, Py_ssize_t slope_step, void *Z, Py_ssize_t rows,
        Py_ssize_t columns) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    if typenum == cnp.NPY_FLOAT:
        isa.fused_f32.bias_activation(
            NULL if which == IDENTITY else isa.f32[which], <const float *> b, <const float *> slope, slope_step,
            <float *> Z, rows, columns)
    else:
        isa.fused_f64.bias_activation(
            NULL if which == IDENTITY else isa.f64[which], <const double *> b, <const double *> slope, slope_step,
            <double *> Z, rows, columns)
    fastact_fp_leave(caller)


def bias_activation(str activation, cnp.ndarray Z not None, cnp.ndarray b not None, cnp.ndarray slope=None):
    """Z ← φ(Z + b) for Z of shape (rows, columns) and b of shape (columns,).

    ``activation`` is the name of φ, None for the identity; ``slope``, for "leaky_relu", has the shape (1,) or
    (columns,).
    """
    cdef int which = PASSES[activation], typenum = cnp.PyArray_TYPE(Z)
    cdef Py_ssize_t rows = rows_of(Z), columns = cnp.PyArray_DIM(Z, 1), step
    check("Z", Z, typenum, rows * columns, written=True)
    check("b", b, typenum, columns)
    step = check_slope(slope, typenum, columns)
    cdef void *z = data(Z)
    cdef void *bias = data(b)
    cdef void *slopes = data(slope)
    if rows * columns < LONG:
        run_bias_activation(which, typenum, bias, slopes, step, z, rows, columns)
    else:
        with nogil:
            run_bias_activation(which, typenum, bias, slopes, step, z, rows, columns)


cdef void run_backward_bias(
        int which, int typenum, const void *dY, const void *Y, const void *slope, Py_ssize_t slope_step, void *dZ,
        void *db, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    if typenum == cnp.NPY_FLOAT:
        isa.fused_f32.backward_bias(
            NULL if which == IDENTITY else isa.f32[which], <const float *> dY, <const float *> Y,
            <const float *> slope, slope_step, <float *> dZ, <float *> db, rows, columns)
    else:
        isa.fused_f64.backward_bias(
            NULL if which == IDENTITY else isa.f64[which], <const double *> dY, <const double *> Y,
            <const double *> slope, slope_step, <double *> dZ, <double *> db, rows, columns)
    fastact_fp_leave(caller)


def backward_bias(
        str backward, cnp.ndarray dY not None, cnp.ndarray Y not None, cnp.ndarray dZ not None,
        cnp.ndarray db not None, cnp.ndarray slope=None):
    """dZ ← dY · φ′, from the forward pass's output Y, and db ← the column sums of dZ.

    ``backward`` is the name of a backward pass; None is the identity's. dZ may be dY or Y.
    """
    cdef int which = PASSES[backward], typenum = cnp.PyArray_TYPE(dY)
    cdef Py_ssize_t rows = rows_of(dY), columns = cnp.PyArray_DIM(dY, 1), step
    check("dY", dY, typenum, rows * columns)
    check("Y", Y, typenum, rows * columns)
    check("dZ", dZ, typenum, rows * columns, written=dZ is not dY or which != IDENTITY)
    check("db", db, typenum, columns, written=True)
    step = check_slope(slope, typenum, columns)
    cdef void *dy = data(dY)
    cdef void *y = data(Y)
    cdef void *dz = data(dZ)
    cdef void *sums = data(db)
    cdef void *slopes = data(slope)
    if rows * columns < LONG:
        run_backward_bias(which, typenum, dy, y, slopes, step, dz, sums, rows, columns)
    else:
        with nogil:
            run_backward_bias(which, typenum, dy, y, slopes, step, dz, sums, rows, columns)


cdef double run_softmax_cross_entropy(
        int typenum, const void *Y, const Py_ssize_t *labels, const void *share, Py_ssize_t share_step, void *dY,
        Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    cdef double loss
    if typenum == cnp.NPY_FLOAT:
        loss = isa.fused_f32.softmax_cross_entropy(
            <const float *> Y, labels, <const float *> share, share_step, <float *> dY, rows, columns)
    else:
        loss = isa.fused_f64.softmax_cross_entropy(
            <const double *> Y, labels, <const double *> share, share_step, <double *> dY, rows, columns)
    fastact_fp_leave(caller)
    return loss


def are_labels(cnp.ndarray array not None, Py_ssize_t columns):
    """Whether the array is C-contiguous, of type intp, and holds numbers from 0 to columns - 1 only."""
    return is_plain(array, cnp.NPY_INTP) and first_invalid_label(array, columns) == cnp.PyArray_SIZE(array)


cdef Py_ssize_t first_invalid_label(cnp.ndarray labels, Py_ssize_t columns) noexcept:
    cdef const Py_ssize_t *label = <const Py_ssize_t *> data(labels)
    cdef Py_ssize_t row = 0, rows = cnp.PyArray_SIZE(labels)
    while row < rows and 0 <= label[row] < columns:
        row += 1
    return row


cdef int check_labels(cnp.ndarray labels, Py_ssize_t rows, Py_ssize_t columns) except -1:
    cdef Py_ssize_t row
    if not is_plain(labels, cnp.NPY_INTP) or cnp.PyArray_SIZE(labels) != rows:
        raise ValueError(f"labels must be {rows} of type intp, got {labels.dtype}, shape {(<object> labels).shape}")
    row = first_invalid_label(labels, columns)
    if row < rows:
        raise ValueError(f"labels must lie from 0 to {columns - 1}, but labels[{row}] is {labels[row]}")
    return 0


cdef class Shares:
    """What each row counts in a mean: an array with one number a row (a step of 1), or one number for all (0)."""

    cdef object share
    cdef double number_f64
    cdef float number_f32
    cdef bint step

    def __init__(self, share):
        self.share = share
        self.step = cnp.PyArray_Check(share)
        if not self.step:
            self.number_f64 = share
            self.number_f32 = <float> self.number_f64

    cdef void *pointer(self, int typenum, Py_ssize_t rows) except NULL:
        if self.step:
            check("share", self.share, typenum, rows)
            return data(self.share)
        return <void *> &self.number_f32 if typenum == cnp.NPY_FLOAT else <void *> &self.number_f64


def softmax_cross_entropy(
        cnp.ndarray Y not None, cnp.ndarray labels not None, cnp.ndarray dY not None, share not None):
    """Σᵢ shareᵢ (log Σⱼ exp(yᵢⱼ) - yᵢ at row i's label), a float; and its gradient by Y, written into dY.

    ``share`` is an array with one number a row, or one number for all.
    """
    cdef int typenum = cnp.PyArray_TYPE(Y)
    cdef Py_ssize_t rows = rows_of(Y), columns = cnp.PyArray_DIM(Y, 1)
    cdef double loss
    check("Y", Y, typenum, rows * columns)
    check("dY", dY, typenum, rows * columns, written=True)
    check_labels(labels, rows, columns)
    cdef Shares shares = Shares(share)
    cdef void *part = shares.pointer(typenum, rows)
    cdef void *y = data(Y)
    cdef void *dy = data(dY)
    cdef const Py_ssize_t *label = <const Py_ssize_t *> data(labels)
    if rows * columns < LONG:
        return run_softmax_cross_entropy(typenum, y, label, part, shares.step, dy, rows, columns)
    with nogil:
        loss = run_softmax_cross_entropy(typenum, y, label, part, shares.step, dy, rows, columns)
    return loss


cdef double run_elementwise_loss(
        int which, int typenum, const void *Y, const void *targets, const void *share, Py_ssize_t share_step, void *dY,
        Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    cdef double loss
    if typenum == cnp.NPY_FLOAT:
        loss = isa.fused_f32.elementwise_loss(
            NULL if which == IDENTITY else isa.f32[which], <const float *> Y, <const float *> targets,
            <const float *> share, share_step, <float *> dY, rows, columns)
    else:
        loss = isa.fused_f64.elementwise_loss(
            NULL if which == IDENTITY else isa.f64[which], <const double *> Y, <const double *> targets,
            <const double *> share, share_step, <double *> dY, rows, columns)
    fastact_fp_leave(caller)
    return loss


cdef double elementwise_loss(
        int which, cnp.ndarray Y, cnp.ndarray targets, cnp.ndarray dY, share) except? -1:
    cdef int typenum = cnp.PyArray_TYPE(Y)
    cdef Py_ssize_t rows = rows_of(Y), columns = cnp.PyArray_DIM(Y, 1)
    cdef double loss
    check("Y", Y, typenum, rows * columns)
    check("targets", targets, typenum, rows * columns)
    check("dY", dY, typenum, rows * columns, written=True)
    cdef Shares shares = Shares(share)
    cdef void *part = shares.pointer(typenum, rows)
    cdef void *y = data(Y)
    cdef void *t = data(targets)
    cdef void *dy = data(dY)
    if rows * columns < LONG:
        return run_elementwise_loss(which, typenum, y, t, part, shares.step, dy, rows, columns)
    with nogil:
        loss = run_elementwise_loss(which, typenum, y, t, part, shares.step, dy, rows, columns)
    return loss


def mean_squared_error(
        cnp.ndarray Y not None, cnp.ndarray targets not None, cnp.ndarray dY not None, share not None):
    """Σᵢ shareᵢ · mean over j of (yᵢⱼ - tᵢⱼ)², a float; and its gradient by Y, written into dY."""
    return elementwise_loss(IDENTITY, Y, targets, dY, share)


def binary_cross_entropy(
        cnp.ndarray Y not None, cnp.ndarray targets not None, cnp.ndarray dY not None, share not None):
    """Σᵢ shareᵢ · mean over j of the cross-entropy of sigmoid(yᵢⱼ) and tᵢⱼ; and its gradient by Y, written into dY."""
    return elementwise_loss(PASSES["sigmoid"], Y, targets, dY, share)


def hits(cnp.ndarray Y not None, cnp.ndarray labels not None):
    """In how many rows of Y the largest element, or the first of several such, is the label's."""
    cdef int typenum = cnp.PyArray_TYPE(Y)
    cdef Py_ssize_t rows = rows_of(Y), columns = cnp.PyArray_DIM(Y, 1)
    check("Y", Y, typenum, rows * columns)
    check_labels(labels, rows, columns)
    if typenum == cnp.NPY_FLOAT:
        return isa.fused_f32.hits(<const float *> data(Y), <const Py_ssize_t *> data(labels), rows, columns)
    return isa.fused_f64.hits(<const double *> data(Y), <const Py_ssize_t *> data(labels), rows, columns)


def binary_hits(cnp.ndarray Y not None, cnp.ndarray targets not None):
    """How many elements of Y are above 0 where the target is above 1/2, or not above it where it is not."""
    cdef int typenum = cnp.PyArray_TYPE(Y)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(Y)
    check("Y", Y, typenum, n)
    check("targets", targets, typenum, n)
    if typenum == cnp.NPY_FLOAT:
        return isa.fused_f32.binary_hits(<const float *> data(Y), <const float *> data(targets), n)
    return isa.fused_f64.binary_hits(<const double *> data(Y), <const double *> data(targets), n)


def all_finite(cnp.ndarray array not None):
    """Whether no element is NaN or infinite."""
    cdef int typenum = cnp.PyArray_TYPE(array)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(array)
    cdef fastact_fpenv caller
    cdef bint finite
    check("array", array, typenum, n)
    cdef void *a = data(array)
    with nogil:
        caller = fastact_fp_enter()
        if typenum == cnp.NPY_FLOAT:
            finite = isa.fused_f32.all_finite(<const float *> a, n)
        else:
            finite = isa.fused_f64.all_finite(<const double *> a, n)
        fastact_fp_leave(caller)
    return finite


ctypedef fused real:
    float
    double


cdef void mark_columns(const real *Z, cnp.npy_bool *seen, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    """Set seen[j] for every column j with an element above 0, in blocks of columns that the compiler vectorises."""
    cdef real largest[64]
    cdef Py_ssize_t i, j, start, width
    for start in range(0, columns, 64):
        width = min(64, columns - start)
        for j in range(width):
            largest[j] = 0
        for i in range(rows):
            for j in range(width):
                largest[j] = Z[i * columns + start + j] if Z[i * columns + start + j] > largest[j] else largest[j]
        for j in range(width):
            seen[start + j] |= largest[j] > 0


cdef void run_mark_active(
        int typenum, const void *Z, cnp.npy_bool *seen, Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    if typenum == cnp.NPY_FLOAT:
        mark_columns(<const float *> Z, seen, rows, columns)
    else:
        mark_columns(<const double *> Z, seen, rows, columns)
    fastact_fp_leave(caller)


def mark_active(cnp.ndarray Z not None, cnp.ndarray seen not None):
    """Set seen[j], of a boolean array, for every column j of Z with an element above 0."""
    cdef int typenum = cnp.PyArray_TYPE(Z)
    cdef Py_ssize_t rows = rows_of(Z), columns = cnp.PyArray_DIM(Z, 1)
    check("Z", Z, typenum, rows * columns)
    if not is_plain(seen, cnp.NPY_BOOL) or cnp.PyArray_SIZE(seen) != columns or not cnp.PyArray_ISWRITEABLE(seen):
        raise ValueError(f"seen must be a plain boolean array of {columns} elements")
    cdef const void *Z_data = data(Z)
    cdef cnp.npy_bool *seen_data = <cnp.npy_bool *> data(seen)
    if rows * columns < LONG:
        run_mark_active(typenum, Z_data, seen_data, rows, columns)
    else:
        with nogil:
            run_mark_active(typenum, Z_data, seen_data, rows, columns)


cdef void run_update(
        int which, int typenum, const fastact_update_settings *settings, void *w, const void *g, void *slot_1,
        void *slot_2, Py_ssize_t n) noexcept nogil:
    cdef fastact_fpenv caller = fastact_fp_enter()
    if typenum == cnp.NPY_FLOAT:
        isa.fused_f32.update[which](settings, <float *> w, <const float *> g, <float *> slot_1, <float *> slot_2, n)
    else:
        isa.fused_f64.update[which](
            settings, <double *> w, <const double *> g, <double *> slot_1, <double *> slot_2, n)
    fastact_fp_leave(caller)


cdef tuple NAMES = ("w", "g", "slot", "slot")  # of a parameter's arrays, in errors


cdef int update(
        optimizer, int which, const fastact_update_settings *settings, list arrays, int min_slots,
        int max_slots) except -1:
    """Update every parameter, a tuple (w, g, *slots) of arrays, and count the step in ``optimizer.steps``.

    No bytecode runs in between, so that Ctrl-C comes before all of it or after.
    """
    cdef void *pointers[4]
    cdef Py_ssize_t n, i
    cdef int typenum
    cdef tuple parameter
    for parameter in arrays:
        if not min_slots <= len(parameter) - 2 <= max_slots:
            raise ValueError(
                f"arrays must hold w, g and {min_slots} to {max_slots} slots each, got {len(parameter)} arrays")
        typenum, n = cnp.PyArray_TYPE(<cnp.ndarray?> parameter[0]), cnp.PyArray_SIZE(parameter[0])
        for i in range(len(parameter)):
            check(NAMES[i], <cnp.ndarray?> parameter[i], typenum, n, written=i != 1)
    for parameter in arrays:
        typenum, n = cnp.PyArray_TYPE(parameter[0]), cnp.PyArray_SIZE(parameter[0])
        for i in range(4):
            pointers[i] = cnp.PyArray_DATA(parameter[i]) if i < len(parameter) else NULL
        if n < LONG:
            run_update(which, typenum, settings, pointers[0], pointers[1], pointers[2], pointers[3], n)
        else:
            with nogil:
                run_update(which, typenum, settings, pointers[0], pointers[1], pointers[2], pointers[3], n)
    optimizer.steps += 1
    return 0


cdef class Clipping:
    """What an update does to the gradient first: g · scale, then into [-limit, limit]. The default changes nothing."""

    cdef public double scale
    cdef public double limit

    def __init__(self, double scale=1.0, double limit=INFINITY):
        self.scale = scale
        self.limit = limit


def sgd(
        optimizer not None, list arrays not None, Clipping clipping not None, double rate, double momentum=0.0,
        bint nesterov=False, double weight_decay=0.0):
    """A step of `nn.SGD` for parameters (w, g, v), or (w, g) without momentum; counted in ``optimizer.steps``."""
    cdef fastact_update_settings settings
    settings.clip_scale, settings.clip_value, settings.rate = clipping.scale, clipping.limit, rate
    settings.momentum, settings.nesterov, settings.weight_decay = momentum, nesterov, weight_decay
    update(optimizer, FASTACT_UPDATE_sgd, &settings, arrays, 0, 1)


def adagrad(optimizer not None, list arrays not None, Clipping clipping not None, double rate, double epsilon):
    """A step of `nn.AdaGrad` for parameters (w, g, s)."""
    cdef fastact_update_settings settings
    settings.clip_scale, settings.clip_value, settings.rate = clipping.scale, clipping.limit, rate
    settings.epsilon = epsilon
    update(optimizer, FASTACT_UPDATE_adagrad, &settings, arrays, 1, 1)


def rmsprop(
        optimizer not None, list arrays not None, Clipping clipping not None, double rate, double rho, double momentum,
        double epsilon):
    """A step of `nn.RMSProp` for parameters (w, g, s, v), or (w, g, s) without momentum."""
    cdef fastact_update_settings settings
    settings.clip_scale, settings.clip_value, settings.rate = clipping.scale, clipping.limit, rate
    settings.rho, settings.momentum, settings.epsilon = rho, momentum, epsilon
    update(optimizer, FASTACT_UPDATE_rmsprop, &settings, arrays, 1, 2)


def adam(
        optimizer not None, list arrays not None, Clipping clipping not None, double rate, double beta_1, double beta_2,
        double root_correction, double epsilon, double kept=1.0):
    """A step of `nn.Adam` for parameters (w, g, m, v), with rate and root corrected for the means' start at 0; w is
    multiplied by ``kept`` first."""
    cdef fastact_update_settings settings
    settings.clip_scale, settings.clip_value, settings.rate = clipping.scale, clipping.limit, rate
    settings.beta_1, settings.beta_2, settings.epsilon = beta_1, beta_2, epsilon
    settings.root_correction, settings.kept = root_correction, kept
    update(optimizer, FASTACT_UPDATE_adam, &settings, arrays, 2, 2)
