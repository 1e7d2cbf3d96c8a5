"""The twelve passes as NumPy ufuncs, for tools that want one: ``ufuncs.sigmoid(x)``, ``ufuncs.tanh_backward(dy, y)``.

They give the values of the functions of the same names in `fastact`, and have what NumPy's own ufuncs have: `at`,
`outer`, `reduce`, `nin`, `types`, pickling. They differ from the functions in this:

- all inputs go by position, ``negative_slope`` last and without a default: ``ufuncs.leaky_relu(x, 0.01)``;
- the slope is not checked: one that is not finite, or negative in `leaky_relu_backward`, is computed with;
- a call runs on one thread;
- `out` is a NumPy array, or of a library that has ``__array_ufunc__``: no DLPack, no buffers;
- errors are in NumPy's words;
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

# The loops below run the same tile functions as the direct path. NumPy hands them aligned operands in native byte order
# that are either disjoint, the same elements, or (an input that strides ahead of the output) safe to read block by
# block; only in `reduce` and `accumulate` is an output the next element's input.

import sys

import numpy as np

from libc.stdint cimport uint16_t

cimport numpy as cnp
from cython cimport floating

from fastact.kernels cimport (
    FASTACT_N_PASSES,
    apply,
    fastact_fp_enter,
    fastact_fp_leave,
    fastact_fpenv,
    fastact_pass_info,
    pass_table,
)

cnp.import_array()
cnp.import_ufunc()


cdef extern from "half.h" nogil:
    float fastact_half_to_float(uint16_t half)
    uint16_t fastact_float_to_half(float value)
    float fastact_bfloat_to_float(uint16_t bfloat)
    uint16_t fastact_float_to_bfloat(float value)


cdef enum:
    BLOCK = 512  # elements gathered at a time from strided or half-precision operands
    MOST_INPUTS = 3  # dy, y, slope
    TYPES = 3  # float16, float32, float64; bfloat16 comes later

cdef enum Storage:  # what the operands hold; the halves are computed in float32
    NATIVE, FLOAT16, BFLOAT16


cdef inline void gather(
        const char *source, Py_ssize_t step, floating *block, Py_ssize_t n, Storage storage) noexcept nogil:
    cdef Py_ssize_t i
    if storage == FLOAT16:
        for i in range(n):
            block[i] = fastact_half_to_float((<const uint16_t *> (source + i * step))[0])
    elif storage == BFLOAT16:
        for i in range(n):
            block[i] = fastact_bfloat_to_float((<const uint16_t *> (source + i * step))[0])
    else:
        for i in range(n):
            block[i] = (<const floating *> (source + i * step))[0]


cdef inline void scatter(
        const floating *block, char *target, Py_ssize_t step, Py_ssize_t n, Storage storage) noexcept nogil:
    cdef Py_ssize_t i
    if storage == FLOAT16:
        for i in range(n):
            (<uint16_t *> (target + i * step))[0] = fastact_float_to_half(<float> block[i])
    elif storage == BFLOAT16:
        for i in range(n):
            (<uint16_t *> (target + i * step))[0] = fastact_float_to_bfloat(<float> block[i])
    else:
        for i in range(n):
            (<floating *> (target + i * step))[0] = block[i]


cdef void run(
        int which, char **operands, const cnp.npy_intp *steps, Py_ssize_t n, Storage storage,
        floating *block) noexcept nogil:
    """One inner loop. `block` has room for BLOCK elements of each operand; its type is the type computed in."""
    cdef const fastact_pass_info *info = &pass_table[which]
    cdef int inputs = info.arrays + info.slope
    cdef int backward = info.arrays - 1
    cdef Py_ssize_t slope_step = 1 if info.slope and steps[inputs - 1] != 0 else 0
    cdef const floating *source[MOST_INPUTS]
    cdef bint direct[MOST_INPUTS]
    cdef bint direct_out = storage == NATIVE and steps[inputs] == sizeof(floating)
    cdef bint one_slope
    cdef bint sequential = False
    cdef floating *target
    cdef Py_ssize_t start, size
    cdef Py_ssize_t longest = n
    cdef int k
    cdef fastact_fpenv caller = fastact_fp_enter()  # for the conversions of halves; `apply` has its own
    for k in range(inputs):
        one_slope = info.slope and k == inputs - 1 and steps[k] == 0
        direct[k] = storage == NATIVE and (steps[k] == sizeof(floating) or one_slope)
        if not direct[k]:
            longest = BLOCK
        # an output is the next element's input: accumulate; reduce, too, whose steps are 0
        sequential |= steps[k] == steps[inputs] and operands[k] + steps[k] == operands[inputs]
    if not direct_out:
        longest = BLOCK
    if sequential:
        longest = 1
    start = 0
    while start < n:
        size = min(longest, n - start)
        for k in range(inputs):
            if direct[k]:
                source[k] = <const floating *> (operands[k] + start * steps[k])
            else:
                gather(operands[k] + start * steps[k], steps[k], block + k * BLOCK, size, storage)
                source[k] = block + k * BLOCK
        target = <floating *> (operands[inputs] + start * steps[inputs]) if direct_out else block + inputs * BLOCK
        apply(which, source[0], source[backward], source[inputs - 1], slope_step, target, size)
        if not direct_out:
            scatter(target, operands[inputs] + start * steps[inputs], steps[inputs], size, storage)
        start += size
    fastact_fp_leave(caller)


cdef void loop_float16(char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef float block[(MOST_INPUTS + 1) * BLOCK]
    run(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], FLOAT16, block)


cdef void loop_bfloat16(
        char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef float block[(MOST_INPUTS + 1) * BLOCK]
    run(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], BFLOAT16, block)


cdef void loop_float32(char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef float block[(MOST_INPUTS + 1) * BLOCK]
    run(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], NATIVE, block)


cdef void loop_float64(char **operands, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *row) noexcept nogil:
    cdef double block[(MOST_INPUTS + 1) * BLOCK]
    run(<int> (<const fastact_pass_info *> row - pass_table), operands, steps, dims[0], NATIVE, block)


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
        "See Also", "--------", f"fastact.{name} : the same with checks, threads and special values described.",
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
        loops, rows[which], signatures[inputs - 1], TYPES, inputs, 1, cnp.PyUFunc_None, info.name, doc, 0)
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


def meet_bfloat16():
    """Give the ufuncs loops for bfloat16, which NumPy knows only once ml_dtypes has been imported.

    Before that, and after the first time, it does nothing.
    """
    global bfloat16_is_known
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


meet_bfloat16()
