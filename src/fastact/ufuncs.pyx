"""The twelve passes as NumPy ufuncs, for tools that want one: ``ufuncs.sigmoid(x)``, ``ufuncs.tanh_backward(dy, y)``;
and the four of `fastact.exact`, without loops for float64: ``ufuncs.exact_sigmoid(x)``.

They give the values of the functions of the same names in `fastact`, and have what NumPy's own ufuncs have: `at`,
`outer`, `reduce`, `nin`, `types`, pickling. They differ from the functions in this:

- all inputs go by position, ``negative_slope`` last and without a default: ``ufuncs.leaky_relu(x, 0.01)``;
- the slope is not checked: one that is not finite, or negative in `leaky_relu_backward`, is computed with;
- a call runs on one thread;
- a Python number for a slope takes part in choosing the type beside integers and bool, as for every ufunc;
- `out` is a NumPy array, or of a library that has ``__array_ufunc__``: no DLPack, no buffers;
- errors are in NumPy's words;
- an `out` of float16 or bfloat16 takes float32 results rounded once more, of the exact ones too;
- where ml_dtypes is imported after fastact, they know its bfloat16 once `meet_bfloat16` has been called (the functions
  call it by themselves).

Examples
--------
>>> import numpy as np
>>> from fastact import ufuncs
>>> isinstance(ufuncs.sigmoid, np.ufunc)
True
>>> ufuncs.leaky_relu.outer([-1.0, 2.0], [0.0, 0.5])
array([[ 0. , -0.5],
       [ 2. ,  2. ]])
"""

# The loops below run the tile functions that the kernels run. NumPy hands them aligned operands in native byte order
# that are either disjoint, the same elements, or (an input that strides ahead of the output) safe to read block by
# block; only in `reduce` and `accumulate` is an output the next element's input.

import sys

import numpy as np

from libc.stdint cimport uint16_t
from libc.stdlib cimport calloc, free

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange

from fastact.kernels cimport (
    FASTACT_N_PASSES,
    apply,
    begin_team,
    end_team,
    fastact_fp_enter,
    fastact_fp_leave,
    fastact_fpenv,
    fastact_pass_info,
    fastact_tile_half,
    is_exact,
    isa,
    pass_table,
    threads_for,
    tile,
)

cnp.import_array()
cnp.import_ufunc()


cdef extern from "simd/strided.h" nogil:
    void fastact_gather_float32(const char *source, Py_ssize_t step, float *block, Py_ssize_t n)
    void fastact_gather_float64(const char *source, Py_ssize_t step, double *block, Py_ssize_t n)
    void fastact_gather_float16(const char *source, Py_ssize_t step, float *block, Py_ssize_t n)
    void fastact_gather_bfloat16(const char *source, Py_ssize_t step, float *block, Py_ssize_t n)
    void fastact_scatter_float32(const float *block, char *target, Py_ssize_t step, Py_ssize_t n)
    void fastact_scatter_float64(const double *block, char *target, Py_ssize_t step, Py_ssize_t n)
    void fastact_scatter_float16(const float *block, char *target, Py_ssize_t step, Py_ssize_t n)
    void fastact_scatter_bfloat16(const float *block, char *target, Py_ssize_t step, Py_ssize_t n)


cdef enum:
    BLOCK = 1024  # elements gathered at a time from strided or half-precision operands
    MOST_INPUTS = 3  # dy, y, slope
    TYPES = 3  # float16, float32 and, but for the exact passes, float64; bfloat16 comes later

cdef enum Storage:  # what the operands hold; the halves are computed in float32
    NATIVE, FLOAT16, BFLOAT16


cdef inline void gather(
        const char *source, Py_ssize_t step, floating *block, Py_ssize_t n, Storage storage) noexcept nogil:
    if floating is double:
        fastact_gather_float64(source, step, block, n)
    elif storage == NATIVE:
        fastact_gather_float32(source, step, block, n)
    elif storage == FLOAT16:
        if step == sizeof(uint16_t):
            isa.from_float16(<const uint16_t *> source, block, n)
        else:
            fastact_gather_float16(source, step, block, n)
    elif step == sizeof(uint16_t):
        isa.from_bfloat16(<const uint16_t *> source, block, n)
    else:
        fastact_gather_bfloat16(source, step, block, n)


cdef inline void scatter(
        const floating *block, char *target, Py_ssize_t step, Py_ssize_t n, Storage storage) noexcept nogil:
    if floating is double:
        fastact_scatter_float64(block, target, step, n)
    elif storage == NATIVE:
        fastact_scatter_float32(block, target, step, n)
    elif storage == FLOAT16:
        if step == sizeof(uint16_t):
            isa.to_float16(block, <uint16_t *> target, n)
        else:
            fastact_scatter_float16(block, target, step, n)
    elif step == sizeof(uint16_t):
        isa.to_bfloat16(block, <uint16_t *> target, n)
    else:
        fastact_scatter_bfloat16(block, target, step, n)


cdef void inner_loop(
        int which, char **operands, const cnp.npy_intp *steps, Py_ssize_t n, Storage storage,
        floating *block) noexcept nogil:
    """One inner loop of a ufunc, or one row of `by_rows`. `block` has room for BLOCK elements of each operand; its type
    is the type computed in."""
    cdef const fastact_pass_info *info = &pass_table[which]
    cdef int inputs = info.arrays + info.slope
    cdef int second = info.arrays - 1  # y; of one array x again
    cdef Py_ssize_t slope_step = 1 if info.slope and steps[inputs - 1] != 0 else 0
    cdef const floating *source[MOST_INPUTS]
    cdef bint as_it_is[MOST_INPUTS]
    cdef bint out_as_it_is = storage == NATIVE and steps[inputs] == sizeof(floating)
    cdef bint one_slope = info.slope and slope_step == 0
    cdef bint sequential = False
    cdef floating *target
    cdef Py_ssize_t start, size
    cdef Py_ssize_t longest = n
    cdef int k
    cdef fastact_tile_half half_tile = NULL
    cdef fastact_fpenv caller = fastact_fp_enter()  # for the conversions of halves, too
    if storage != NATIVE and steps[inputs] == sizeof(uint16_t):
        half_tile = isa.float16[which] if storage == FLOAT16 else isa.bfloat16[which]
    for k in range(inputs):
        if steps[k] != sizeof(uint16_t) and not (one_slope and k == inputs - 1):
            half_tile = NULL
        as_it_is[k] = storage == NATIVE and (steps[k] == sizeof(floating) or (one_slope and k == inputs - 1))
        if not as_it_is[k]:
            longest = BLOCK
        # an output is the next element's input: accumulate; reduce, too, whose steps are 0
        sequential |= steps[k] == steps[inputs] and operands[k] + steps[k] == operands[inputs]
    if not out_as_it_is:
        longest = BLOCK
    if sequential:
        longest = 1
    elif half_tile != NULL:
        half_tile(<const uint16_t *> operands[0], <const uint16_t *> operands[second],
                  <const uint16_t *> operands[inputs - 1], slope_step, <uint16_t *> operands[inputs], n)
        n = 0
    start = 0
    while start < n:
        size = min(longest, n - start)
        for k in range(inputs):
            if as_it_is[k]:
                source[k] = <const floating *> (operands[k] + start * steps[k])
            else:
                gather(operands[k] + start * steps[k], steps[k], block + k * BLOCK,
                       1 if one_slope and k == inputs - 1 else size, storage)
                source[k] = block + k * BLOCK
        target = <floating *> (operands[inputs] + start * steps[inputs]) if out_as_it_is else block + inputs * BLOCK
        if floating is float and storage != NATIVE:
            isa.of_halves[which](source[0], source[second], source[inputs - 1], slope_step, target, size)
        else:
            tile(which, source[0], source[second], source[inputs - 1], slope_step, target, size)
        if not out_as_it_is:
            scatter(target, operands[inputs] + start * steps[inputs], steps[inputs], size, storage)
        start += size
    fastact_fp_leave(caller)


cdef void loop_float16(char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef float block[(MOST_INPUTS + 1) * BLOCK]
    inner_loop(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], FLOAT16, block)


cdef void loop_bfloat16(
        char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef float block[(MOST_INPUTS + 1) * BLOCK]
    inner_loop(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], BFLOAT16, block)


cdef void loop_float32(char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef float block[(MOST_INPUTS + 1) * BLOCK]
    inner_loop(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], NATIVE, block)


cdef void loop_float64(char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef double block[(MOST_INPUTS + 1) * BLOCK]
    inner_loop(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], NATIVE, block)


# ------------------------------------------------------------------ strided and broadcast arrays, without NumPy's loops

cdef extern from "numpy/arrayobject.h":
    ctypedef struct NpyIter:
        pass
    ctypedef int (*NpyIter_IterNextFunc "NpyIter_IterNextFunc *")(NpyIter *) noexcept nogil
    ctypedef struct PyArrayObject:
        pass
    cdef enum:
        NPY_ITER_EXTERNAL_LOOP, NPY_ITER_READONLY, NPY_ITER_WRITEONLY, NPY_ITER_ALLOCATE, NPY_ITER_NO_BROADCAST
    NpyIter *NpyIter_MultiNew(
        int count, PyArrayObject **operands, cnp.npy_uint32 flags, cnp.NPY_ORDER order, cnp.NPY_CASTING casting,
        cnp.npy_uint32 *operand_flags, cnp.PyArray_Descr **types) except NULL
    PyArrayObject **NpyIter_GetOperandArray(NpyIter *)
    NpyIter_IterNextFunc NpyIter_GetIterNext(NpyIter *, char **error) except NULL
    char **NpyIter_GetDataPtrArray(NpyIter *) nogil
    cnp.npy_intp *NpyIter_GetInnerStrideArray(NpyIter *) nogil
    cnp.npy_intp *NpyIter_GetInnerLoopSizePtr(NpyIter *) nogil
    int NpyIter_Deallocate(NpyIter *) except 0


ctypedef struct Part:  # what one thread walks over
    NpyIter *iterator
    NpyIter_IterNextFunc advance


cdef int make_iterator(Part *part, tuple operands) except -1:
    """An iterator over the operands, inputs first; an output of None is made by it."""
    cdef PyArrayObject *pointers[MOST_INPUTS + 1]
    cdef cnp.npy_uint32 flags[MOST_INPUTS + 1]
    cdef int k
    cdef int last = <int> len(operands) - 1
    for k in range(last + 1):
        pointers[k] = NULL if operands[k] is None else <PyArrayObject *> operands[k]
        flags[k] = NPY_ITER_READONLY
    flags[last] = NPY_ITER_WRITEONLY | NPY_ITER_ALLOCATE | NPY_ITER_NO_BROADCAST
    part.iterator = NpyIter_MultiNew(
        last + 1, pointers, NPY_ITER_EXTERNAL_LOOP, cnp.NPY_KEEPORDER, cnp.NPY_NO_CASTING, flags, NULL)
    part.advance = NpyIter_GetIterNext(part.iterator, NULL)
    return 0


cdef void walk_rows(int which, Part *part, Storage storage, floating *block) noexcept nogil:
    cdef char **operands = NpyIter_GetDataPtrArray(part.iterator)
    cdef const cnp.npy_intp *steps = NpyIter_GetInnerStrideArray(part.iterator)
    cdef const cnp.npy_intp *size = NpyIter_GetInnerLoopSizePtr(part.iterator)
    cdef const fastact_pass_info *info = &pass_table[which]
    cdef int inputs = info.arrays + info.slope
    cdef Py_ssize_t slope_step = 1 if info.slope and steps[inputs - 1] != 0 else 0
    cdef bint contiguous = storage == NATIVE and steps[inputs] == sizeof(floating)
    cdef int k
    for k in range(inputs):
        if steps[k] != sizeof(floating) and not (info.slope and k == inputs - 1 and steps[k] == 0):
            contiguous = False
    while True:
        if contiguous:  # `inner_loop` would prepare each row anew, which takes as long as a short one
            apply(which, <const floating *> operands[0], <const floating *> operands[info.arrays - 1],
                  <const floating *> operands[inputs - 1], slope_step, <floating *> operands[inputs], size[0])
        else:
            inner_loop(which, operands, steps, size[0], storage, block)
        if not part.advance(part.iterator):
            return


cdef void walk(int which, Part *part, Storage storage, bint is_double) noexcept nogil:
    cdef double block[(MOST_INPUTS + 1) * BLOCK]
    if is_double:
        walk_rows(which, part, storage, block)
    else:
        walk_rows(which, part, storage, <float *> block)


cdef void walk_parts(int which, Part *part, int parts, Storage storage, bint is_double) noexcept nogil:
    """Each thread its part; prange releases the GIL."""
    cdef Py_ssize_t t
    cdef int granted = begin_team(parts)
    for t in prange(parts, num_threads=granted, schedule="static"):
        walk(which, &part[t], storage, is_double)
    end_team()


cdef bint storage_of(int which, int kind, Storage *storage) noexcept:
    """How elements of a type are stored; False for a type for which the pass has no loop."""
    storage[0] = NATIVE
    if kind == cnp.NPY_FLOAT16:
        storage[0] = FLOAT16
    elif kind == bfloat16_number:
        storage[0] = BFLOAT16
    else:
        return kind == cnp.NPY_FLOAT32 or (kind == cnp.NPY_FLOAT64 and not is_exact(which))
    return True


cdef bint lies_apart(cnp.ndarray out, tuple inputs):
    """Whether no two elements of `out` share memory, nor an element with one of an input but its own."""
    cdef char *out_low
    cdef char *out_high
    cdef char *low
    cdef char *high
    cdef Py_ssize_t span
    cdef int d, e
    for d in range(out.ndim):
        if out.shape[d] > 1:
            span = cnp.PyArray_ITEMSIZE(out)  # what one place along this axis takes up in memory
            for e in range(out.ndim):
                if e != d and out.shape[e] > 1 and abs(out.strides[e]) <= abs(out.strides[d]):
                    span += (out.shape[e] - 1) * abs(out.strides[e])
            if abs(out.strides[d]) < span:
                return False
    bounds(out, &out_low, &out_high)
    for array in inputs:
        bounds(<cnp.ndarray> array, &low, &high)
        if low < out_high and out_low < high and not same_elements(<cnp.ndarray> array, out):
            return False
    return True


cdef void bounds(cnp.ndarray array, char **low, char **high) noexcept:
    cdef int d
    cdef Py_ssize_t reach
    low[0] = <char *> cnp.PyArray_DATA(array)
    high[0] = low[0] + cnp.PyArray_ITEMSIZE(array)
    for d in range(array.ndim):
        reach = (array.shape[d] - 1) * array.strides[d]
        if reach < 0:
            low[0] += reach
        else:
            high[0] += reach


cdef bint same_elements(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef int d
    if cnp.PyArray_DATA(a) != cnp.PyArray_DATA(b) or a.ndim != b.ndim:
        return False
    for d in range(a.ndim):
        if a.shape[d] != b.shape[d] or a.strides[d] != b.strides[d]:
            return False
    return True


def by_rows(int which, tuple inputs, out):
    """The result for plain arrays of one type, whatever their strides, each thread an equal part of the longest axis.

    None, and nothing touched, where NumPy's own machinery is to do it: another type, operands that are scalars, empty,
    unaligned, that lie over each other or do not fit together.
    """
    cdef Storage storage = NATIVE
    cdef Part whole
    cdef cnp.ndarray array
    cdef int most_axes = 0
    cdef int threads
    cdef int kind = -1
    cdef tuple operands = (*inputs, out)
    for operand in inputs if out is None else operands:
        if not cnp.PyArray_CheckExact(operand):
            return None
        array = <cnp.ndarray> operand
        if kind >= 0 and cnp.PyArray_TYPE(array) != kind:
            return None
        kind = cnp.PyArray_TYPE(array)
        if not (cnp.PyArray_ISALIGNED(array) and cnp.PyArray_ISNOTSWAPPED(array)):
            return None
        most_axes = max(most_axes, array.ndim)
    if most_axes == 0 or not storage_of(which, kind, &storage):
        return None
    if out is not None and not (cnp.PyArray_ISWRITEABLE(<cnp.ndarray> out) and lies_apart(<cnp.ndarray> out, inputs)):
        return None
    try:
        make_iterator(&whole, operands)
    except ValueError:  # they do not broadcast together; NumPy's machinery, or `explain`, says so
        return None
    try:
        result = <object> NpyIter_GetOperandArray(whole.iterator)[len(inputs)]
        threads = threads_for(which, kind == cnp.NPY_FLOAT64, cnp.PyArray_SIZE(<cnp.ndarray> result))
        if threads > 1:
            by_rows_parallel(which, inputs, result, threads, storage)
        else:
            with nogil:
                walk(which, &whole, storage, kind == cnp.NPY_FLOAT64)
    finally:
        NpyIter_Deallocate(whole.iterator)
    return result


cdef int by_rows_parallel(int which, tuple inputs, result, int threads, Storage storage) except -1:
    """`by_rows` on several threads: each has an equal part of the longest axis, and an iterator of its own."""
    cdef Py_ssize_t longest = max(result.shape)
    cdef int parts = <int> min(<Py_ssize_t> threads, longest)
    cdef int t
    cdef bint is_double = cnp.PyArray_TYPE(<cnp.ndarray> result) == cnp.NPY_FLOAT64
    cdef Part *part = <Part *> calloc(parts, sizeof(Part))
    if part == NULL:
        raise MemoryError
    axis = (slice(None),) * result.shape.index(longest)
    arrays = [*[np.broadcast_to(array, result.shape) for array in inputs], result]
    try:
        for t in range(parts):
            piece = (*axis, slice(longest * t // parts, longest * (t + 1) // parts))
            make_iterator(&part[t], tuple([array[piece] for array in arrays]))
        walk_parts(which, part, parts, storage, is_double)
    finally:
        for t in range(parts):
            if part[t].iterator != NULL:
                NpyIter_Deallocate(part[t].iterator)
        free(part)
    return 0


def rounded_to_odd(int which, x):
    """float32 results of an exact pass, a new array: rounded once more, to float16 or bfloat16, they are what the exact
    values would be."""
    cdef cnp.ndarray array = np.array(x, np.float32, order="C")
    cdef float *data = <float *> cnp.PyArray_DATA(array)
    cdef Py_ssize_t n = cnp.PyArray_SIZE(array)
    cdef fastact_fpenv caller
    with nogil:
        caller = fastact_fp_enter()
        isa.of_halves[which](data, data, data, 0, data, n)
        fastact_fp_leave(caller)
    return array


cdef dict SUMMARIES = {  # the first lines of the functions' docstrings
    "sigmoid": "Logistic sigmoid, 1 / (1 + exp(-x)), element by element.",
    "sigmoid_derivative": "Derivative of the sigmoid at its input, s(x) * (1 - s(x)).",
    "sigmoid_backward": "Gradient through a sigmoid from its output, dy * y * (1 - y).",
    "tanh": "Hyperbolic tangent, element by element.",
    "tanh_derivative": "Derivative of tanh at its input, 1 - tanh(x)**2.",
    "tanh_backward": "Gradient through tanh from its output, dy * (1 - y * y).",
    "relu": "Rectified linear unit: 0 for x < 0, else x.",
    "relu_derivative": "Derivative of ReLU at its input: 1 for x > 0, 0 for x <= 0, NaN for NaN.",
    "relu_backward": "Gradient through ReLU from its output: 0 where y <= 0, else dy.",
    "leaky_relu": "Leaky ReLU: x for x > 0, else negative_slope * x.",
    "leaky_relu_derivative":
        "Derivative of leaky ReLU at its input: 1 for x > 0, negative_slope for x <= 0, NaN for NaN.",
    "leaky_relu_backward": "Gradient through leaky ReLU from its output: dy where y > 0, else negative_slope * dy.",
    "exact_sigmoid": "Logistic sigmoid, 1 / (1 + exp(-x)), correctly rounded.",
    "exact_sigmoid_derivative": "Derivative of the sigmoid at its input, s(x) * (1 - s(x)), correctly rounded.",
    "exact_tanh": "Hyperbolic tangent, correctly rounded.",
    "exact_tanh_derivative": "Derivative of tanh at its input, 1 - tanh(x)**2, correctly rounded.",
}
cdef dict ARGUMENTS = {
    "x": "The input.",
    "dy": "Gradient of the loss with respect to the forward pass's output.",
    "y": "The forward pass's output.",
    "negative_slope": "Slope for negative inputs; not checked.",
}


cdef bytes docstring(const fastact_pass_info *info):
    """What stands below the signature that NumPy writes."""
    name = info.name.decode()
    names = (["x"] if info.arrays == 1 else ["dy", "y"]) + (["negative_slope"] if info.slope else [])
    lines = [SUMMARIES[name], "", "Parameters", "----------"]
    for number, argument in enumerate(names, start=1):
        place = argument if len(names) == 1 else f"x{number}"  # NumPy's names
        meaning = ARGUMENTS[argument] if place == argument else f"{argument}. {ARGUMENTS[argument]}"
        lines += [f"{place} : array_like", f"    {meaning}"]
    lines += [
        "out : ndarray, None, or tuple of ndarray and None, optional", "    Where the result goes; may be an input.",
        "where, dtype, casting, order, subok", "    As for every NumPy ufunc.", "",
        "Returns", "-------", "ndarray, or scalar where all inputs are scalars", "",
        "See Also", "--------",
        f"fastact.{name.replace('exact_', 'exact.')} : the same with checks, threads and special values described.",
    ]
    return "\n".join(lines).encode()


# NumPy keeps pointers to these for as long as the ufuncs live.
cdef cnp.PyUFuncGenericFunction loops[TYPES]
cdef void *rows[FASTACT_N_PASSES][TYPES]
cdef char signatures[MOST_INPUTS][TYPES * (MOST_INPUTS + 1)]
cdef list docstrings = []
loops[0] = <cnp.PyUFuncGenericFunction> loop_float16
loops[1] = <cnp.PyUFuncGenericFunction> loop_float32
loops[2] = <cnp.PyUFuncGenericFunction> loop_float64


cdef object make_ufunc(int which):
    cdef const fastact_pass_info *info = &pass_table[which]
    cdef int inputs = info.arrays + info.slope
    cdef int t, k
    cdef int[TYPES] types = [cnp.NPY_FLOAT16, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64]
    cdef bytes doc = docstring(info)
    docstrings.append(doc)
    for t in range(TYPES):
        rows[which][t] = <void *> info
        for k in range(inputs + 1):
            signatures[inputs - 1][t * (inputs + 1) + k] = <char> types[t]
    ufunc = cnp.PyUFunc_FromFuncAndData(
        loops, rows[which], signatures[inputs - 1], TYPES - is_exact(which), inputs, 1, cnp.PyUFunc_None,
        info.name, doc, 0)
    try:
        ufunc.__module__ = __name__  # or pickle takes the first module in which it finds the ufunc, perhaps the user's
    except AttributeError:  # an older NumPy: its ufuncs have no attributes of their own
        pass
    return ufunc


cdef int pass_number
for pass_number in range(FASTACT_N_PASSES):
    globals()[pass_table[pass_number].name.decode()] = make_ufunc(pass_number)

__all__ = [pass_table[pass_number].name.decode() for pass_number in range(FASTACT_N_PASSES)] + ["meet_bfloat16"]


cdef bint bfloat16_is_known = False
cdef int bfloat16_number = -1


def meet_bfloat16():
    """Give the ufuncs loops for bfloat16, which NumPy knows only once ml_dtypes has been imported.

    Before that, and after the first time, it does nothing.
    """
    global bfloat16_is_known, bfloat16_number
    cdef int which, k
    cdef int[MOST_INPUTS + 1] types
    if bfloat16_is_known or "ml_dtypes" not in sys.modules:
        return
    scalar_type = getattr(sys.modules["ml_dtypes"], "bfloat16", None)
    if scalar_type is None:  # its import is under way, or forbidden
        return
    dtype = np.dtype(scalar_type)
    for k in range(MOST_INPUTS + 1):
        types[k] = dtype.num
    for which in range(FASTACT_N_PASSES):
        cnp.PyUFunc_RegisterLoopForType(
            globals()[pass_table[which].name.decode()], dtype.num,
            <cnp.PyUFuncGenericFunction> loop_bfloat16, types, <void *> &pass_table[which])
    bfloat16_is_known = True
    bfloat16_number = dtype.num


meet_bfloat16()
