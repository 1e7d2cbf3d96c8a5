"""The twelve passes as users call them, each by the first of three routes that can take the call:

1. `by_kernel`: plain arrays (ndarray itself, float32 or float64, contiguous, aligned, native byte order) whose `out` is
   absent, the same memory or apart from it. One call of a kernel.
2. `ufuncs.by_rows`: arrays of one type, strided, broadcast, float16 or bfloat16. A kernel for each row.
3. `by_ufunc`: everything else (`where=`, casts, lists, scalars, overlaps, other libraries' arrays), and what is wrong.
   The NumPy ufunc of the same name.
"""

import math

import numpy as np

cimport numpy as cnp
from cython cimport floating

from fastact import ufuncs

from fastact.kernels cimport (
    FASTACT_N_PASSES,
    FASTACT_exact_sigmoid,
    FASTACT_exact_sigmoid_derivative,
    FASTACT_exact_tanh,
    FASTACT_exact_tanh_derivative,
    FASTACT_leaky_relu,
    FASTACT_leaky_relu_backward,
    FASTACT_leaky_relu_derivative,
    FASTACT_relu,
    FASTACT_relu_backward,
    FASTACT_relu_derivative,
    FASTACT_sigmoid,
    FASTACT_sigmoid_backward,
    FASTACT_sigmoid_derivative,
    FASTACT_tanh,
    FASTACT_tanh_backward,
    FASTACT_tanh_derivative,
    apply,
    apply_parallel,
    fastact_fp_enter,
    fastact_fp_leave,
    fastact_fpenv,
    fastact_nearest_float,
    is_exact,
    pass_table,
    streams,
    threads_for,
)

cnp.import_array()


cdef extern from "numpy/arrayobject.h":
    int NPY_USERDEF
    object PyArray_NewLikeArray(cnp.ndarray prototype, cnp.NPY_ORDER order, cnp.dtype dtype, int subok)


# The options' defaults: literals of the same text are the same object, so identity tells that none was given.
cdef str KEEP = "K"
cdef str SAME_KIND = "same_kind"

cdef enum:
    RELEASE_GIL = 4096  # elements from which a call on one thread is long enough to let other Python threads run


# ------------------------------------------------------------------------------------ 1. plain arrays: one kernel call

cdef inline bint is_plain(object candidate) noexcept:
    if not cnp.PyArray_CheckExact(candidate):
        return False
    cdef cnp.ndarray a = <cnp.ndarray> candidate
    cdef int kind = cnp.PyArray_TYPE(a)
    return ((kind == cnp.NPY_FLOAT or kind == cnp.NPY_DOUBLE) and cnp.PyArray_ISALIGNED(a)
            and cnp.PyArray_ISNOTSWAPPED(a) and (cnp.PyArray_IS_C_CONTIGUOUS(a) or cnp.PyArray_IS_F_CONTIGUOUS(a)))


cdef inline bint same_layout(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether element i in memory of one is element i in memory of the other (both are plain)."""
    cdef int d
    if a is b:
        return True
    if cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(b) or a.ndim != b.ndim:
        return False
    for d in range(a.ndim):
        if a.shape[d] != b.shape[d]:
            return False
    return ((cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_IS_C_CONTIGUOUS(b))
            or (cnp.PyArray_IS_F_CONTIGUOUS(a) and cnp.PyArray_IS_F_CONTIGUOUS(b)))


cdef inline bint same_or_apart(cnp.ndarray a, cnp.ndarray b) noexcept:
    cdef Py_ssize_t distance = <char *> cnp.PyArray_DATA(a) - <char *> cnp.PyArray_DATA(b)
    return distance == 0 or abs(distance) >= cnp.PyArray_NBYTES(a)


cdef object flat(cnp.ndarray a):
    """The elements of a plain array in memory order: a view, never a copy."""
    return cnp.PyArray_Ravel(a, cnp.NPY_KEEPORDER)


cdef int launch_parallel(
        int which, cnp.ndarray a, cnp.ndarray b, floating slope, cnp.ndarray out, int threads) except -1:
    cdef const floating[::1] a_view = flat(a)
    cdef const floating[::1] b_view = flat(b)
    cdef floating[::1] out_view = flat(out)
    # prange releases the GIL; if it were done here, prange would take it for held in a subinterpreter (Python < 3.12)
    apply_parallel(which, a_view, b_view, slope, out_view, threads)
    return 0


cdef int launch(int which, cnp.ndarray a, cnp.ndarray b, floating slope, cnp.ndarray out) except -1:
    # memoryviews where there is work to share, bare pointers for a handful of elements: a view costs 80 ns
    cdef Py_ssize_t n = cnp.PyArray_SIZE(out)
    cdef int threads = threads_for(which, floating is double, n)
    cdef const floating *a_data = <const floating *> cnp.PyArray_DATA(a)
    cdef const floating *b_data = <const floating *> cnp.PyArray_DATA(b)
    cdef floating *out_data = <floating *> cnp.PyArray_DATA(out)
    if threads > 1 or streams(a_data, b_data, out_data, cnp.PyArray_NBYTES(out)):
        return launch_parallel(which, a, b, slope, out, threads)
    if n >= RELEASE_GIL:
        with nogil:
            apply(which, a_data, b_data, &slope, 0, out_data, n)
    else:
        apply(which, a_data, b_data, &slope, 0, out_data, n)
    return 0


cdef object by_kernel(int which, object a_given, object b_given, double slope, object out_given):
    """The result where all arrays are plain and match, else None: nothing has been touched."""
    cdef cnp.ndarray a
    cdef cnp.ndarray b
    cdef cnp.ndarray out
    if not is_plain(a_given):
        return None
    a = <cnp.ndarray> a_given
    if is_exact(which) and cnp.PyArray_TYPE(a) != cnp.NPY_FLOAT:
        return None
    b = a
    if b_given is not a_given:
        if not is_plain(b_given):
            return None
        b = <cnp.ndarray> b_given
        if not same_layout(a, b):
            return None
    if out_given is None:
        if a.ndim == 0:
            return None  # a scalar is wanted
        out = PyArray_NewLikeArray(a, cnp.NPY_KEEPORDER, <cnp.dtype> NULL, 0)
    else:
        if not is_plain(out_given):
            return None
        out = <cnp.ndarray> out_given
        if not (cnp.PyArray_ISWRITEABLE(out) and same_layout(a, out) and same_or_apart(a, out)
                and same_or_apart(b, out)):
            return None
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        launch[float](which, a, b, fastact_nearest_float(slope), out)
    else:
        launch[double](which, a, b, slope, out)
    return out


# -------------------------------------------------------------------------------- 3. everything else: the NumPy ufunc

cdef str public_name(int which):
    """A pass by the name that users call it."""
    name = pass_table[which].name.decode()
    return f"fastact.exact.{name.removeprefix('exact_')}" if is_exact(which) else name


cdef object as_array(int which, str name, value):
    """An input as an array, but for arrays, numbers, and what other libraries compute with in their own way."""
    if isinstance(value, (np.ndarray, np.generic, bool, int, float, complex, str, bytes)) or is_foreign(value):
        return value
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (TypeError, ValueError, BufferError, RuntimeError) as error:  # ragged lists; or the other library's words
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{public_name(which)}: {name} cannot be made an array, got {type(value).__name__}; "
                   f"wanted numbers in a regular shape: {error}") from error


cdef tuple arrays_of(int which, a, b):
    """The arrays of a pass, without the slope: one, or dy and y."""
    names = argument_names(which)
    if pass_table[which].arrays == 1:
        return (as_array(which, names[0], a),)
    return as_array(which, names[0], a), as_array(which, names[1], b)


cdef object memory_of(int which, out):
    """The memory of an `out` that is no NumPy array, as an ndarray, never a copy: by DLPack or the buffer protocol."""
    try:
        if hasattr(out, "is_neg") and out.is_neg():  # a PyTorch tensor that stands for the negative of its memory
            raise TypeError("its negative bit is set; use tensor.resolve_neg()")
        return np.from_dlpack(out) if hasattr(out, "__dlpack__") else np.asarray(memoryview(out))
    except (TypeError, ValueError, BufferError, RuntimeError) as error:
        raise TypeError(
            f"{public_name(which)}: out must be a NumPy array, or share its memory by DLPack or the "
            f"buffer protocol, got {type(out).__name__}: {error}") from error


cdef object by_ufunc(int which, tuple inputs, out, where, dtype, casting, order, subok):
    ufuncs.meet_bfloat16()
    ufunc = UFUNCS[which]
    cdef bint weak = False
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    for value in inputs:
        weak |= dtype is None and (type(value) is float or type(value) is int)
        if is_refused(value):
            raise TypeError(f"{public_name(which)}: {explain(which, inputs, None, None, None, True)}")
    if not (out is None or out is Ellipsis or isinstance(out, (np.ndarray, tuple)) or is_foreign(out)):
        by_ufunc(which, inputs, memory_of(which, out), where, dtype, casting, order, subok)
        return out  # the caller's own object, its memory written
    if is_exact(which) and written_to_half(which, inputs, out, where, dtype, casting):
        return out
    if dtype is None and isinstance(out, np.ndarray) and is_bfloat16(out.dtype):
        # NumPy would let an `out` of bfloat16 choose the loop for all later calls on bool and integers
        dtype = common_dtype(inputs, None)
    if where is not True and isinstance(out, np.ndarray):
        # NumPy would work in a temporary `out` and, where it casts too, write its other elements back with it
        inputs = tuple([apart_from(out, value) for value in inputs])
        where = apart_from(out, where)
    # options at their default are left out: another library's __array_ufunc__ may know none of them
    given = dict(out=out, where=where, dtype=dtype, casting=casting, order=order, subok=subok)
    options = {name: value for name, value in given.items() if value is not DEFAULTS[name]}
    if where is not True:
        options["out"] = out  # said aloud: NumPy warns of a `where` without it
    try:
        if weak:
            with np.errstate(all="ignore"):
                inputs = weak_beside_bfloat16(inputs)
        if out is None and dtype is None and of_one_type(inputs):
            return ufunc(*inputs, **options)
        with np.errstate(all="ignore"):  # NumPy's casts overflow, underflow, and find signalling NaNs invalid
            return ufunc(*inputs, **options)
    except (TypeError, ValueError, OverflowError) as error:
        if any(is_foreign(value) for value in (*inputs, out)):
            raise  # the other library's own words
        problem = explain(which, inputs, out, dtype, casting, where)
        if problem is None:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{public_name(which)}: {problem}") from error


cdef bint written_to_half(int which, tuple inputs, out, where, dtype, casting) except -1:
    """Whether the results of an exact pass have been written, rounded once, to an `out` of float16 or bfloat16 that is
    not the type computed in: NumPy would round to that first. If not, nothing has been touched."""
    cdef object x = inputs[0]
    cdef object computed
    if not (cnp.PyArray_CheckExact(out) and (out.dtype.num == cnp.NPY_FLOAT16 or is_bfloat16(out.dtype))):
        return False
    if is_foreign(where) or is_foreign(x) or (isinstance(x, np.ndarray) and not cnp.PyArray_CheckExact(x)):
        return False
    computed = common_dtype(inputs, dtype)
    if computed is None or computed == out.dtype:
        return False
    if explain(which, inputs, out, dtype, casting, where) is not None:
        return False
    x = np.asarray(x)
    if not np.can_cast(x.dtype, computed, casting):
        return False
    with np.errstate(all="ignore"):  # NumPy's casts underflow, and find signalling NaNs invalid
        result = ufuncs.rounded_to_odd(which, x.astype(computed, copy=False))
        np.copyto(out, result, casting=casting, where=apart_from(out, np.asarray(where, bool)))
    return True


cdef tuple weak_beside_bfloat16(tuple inputs):
    """The inputs, Python numbers in the others' type where bfloat16 is one: NumPy takes them for float32 there."""
    if not any([is_bfloat16(getattr(value, "dtype", None)) for value in inputs]):
        return inputs
    common = common_dtype(inputs, None)
    if common is None:
        return inputs
    return tuple([common.type(float(value)) if type(value) in (int, float) else value for value in inputs])


cdef object apart_from(out, value):
    """An array, copied if memory of it may be that of `out` and it is not `out` itself."""
    if isinstance(value, np.ndarray) and value is not out and np.may_share_memory(value, out):
        return value.copy(order="K")
    return value


cdef dict DEFAULTS = dict(out=None, where=True, dtype=None, casting=SAME_KIND, order=KEEP, subok=True)


cdef bint is_bfloat16(dtype):
    """Whether this is ml_dtypes.bfloat16, a type of which NumPy has only the name."""
    return isinstance(dtype, np.dtype) and dtype.name == "bfloat16"


cdef bint is_float(dtype):
    """Whether the ufuncs have loops for this type."""
    return dtype.num in (cnp.NPY_FLOAT16, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64) or is_bfloat16(dtype)


cdef bint is_refused(value):
    """Whether this holds no real numbers (`casting="unsafe"` would have NumPy cast them), or numbers of a type that
    NumPy has been taught, but for bfloat16: it would take an ml_dtypes.float8_e5m2 for a float16."""
    if isinstance(value, (complex, str, bytes)):
        return True
    if is_foreign(value):
        return False
    return (isinstance(value, (np.ndarray, np.generic))
            and (value.dtype.num >= NPY_USERDEF or value.dtype.kind not in "fiub") and not is_bfloat16(value.dtype))


cdef bint of_one_type(tuple inputs) noexcept:
    """Whether NumPy will cast no input but integers, whose casts raise no flag."""
    if len(inputs) == 1:
        return True
    for value in inputs:
        if not (cnp.PyArray_Check(value) and cnp.PyArray_Check(inputs[0])):
            return False
        if cnp.PyArray_TYPE(<cnp.ndarray> value) != cnp.PyArray_TYPE(<cnp.ndarray> inputs[0]):
            return False
    return True


cdef bint is_foreign(value):
    """Whether another library's __array_ufunc__ has the say."""
    if isinstance(value, np.ndarray):
        return not (cnp.PyArray_CheckExact(value) or isinstance(value, np.ma.MaskedArray)
                    or type(value).__array_ufunc__ is np.ndarray.__array_ufunc__)
    return hasattr(value, "__array_ufunc__") and not isinstance(value, np.generic)


cdef tuple argument_names(int which):
    names = ("x",) if pass_table[which].arrays == 1 else ("dy", "y")
    return names + ("negative_slope",) if pass_table[which].slope else names


cdef str computed_types(int which):
    """The types that a pass computes."""
    return "float16, float32 or bfloat16" if is_exact(which) else "float16, float32, float64 or bfloat16"


cdef object explain_dtype(int which, dtype):
    """What is wrong with the `dtype` of a call, or None."""
    try:
        dtype = as_dtype(dtype)
    except TypeError:
        return f"dtype is {dtype!r}; wanted {computed_types(which)}"
    return None if is_float(dtype) else f"dtype is {dtype}; wanted {computed_types(which)}"


cdef object explain(int which, tuple inputs, out, dtype, casting, where):
    """What is wrong with the arguments of a call that NumPy refused, or None where its own words are best."""
    wanted = f"{computed_types(which)}, an integer type{' of 8 or 16 bits' if is_exact(which) else ''} or bool"
    arrays = []
    for name, value in zip(argument_names(which), inputs):
        array = np.asarray(value)
        if array.dtype == object and type(value) is int:
            return f"{name} is an integer of {value.bit_length()} bits; wanted {wanted}"
        if not (array.dtype.num <= cnp.NPY_ULONGLONG or is_float(array.dtype)):  # bool, integers, floats
            return f"{name} has dtype {array.dtype}; wanted {wanted}"
        arrays.append(array)
    if dtype is not None:
        problem = explain_dtype(which, dtype)
        if problem is not None:
            return problem
        dtype = as_dtype(dtype)
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError as error:
        if "mismatch" not in str(error):  # they do, but to more elements than there can be
            return None
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(argument_names(which), arrays))
        return f"shapes do not broadcast together: {shapes}"
    if where is not True:
        mask = np.asarray(where)
        if isinstance(where, (np.ndarray, np.generic)) and mask.dtype != bool:  # NumPy makes bool of lists
            return f"where has dtype {mask.dtype}; wanted bool"
        try:
            shape = np.broadcast_shapes(shape, mask.shape)
        except ValueError:
            return f"where has shape {mask.shape}, which does not broadcast with {shape}"
    if isinstance(out, tuple):
        return f"out must be one array, got a tuple of {len(out)}"
    if out is None or (out is Ellipsis and np.lib.NumpyVersion(np.__version__) >= "2.3.0"):
        return None
    if not isinstance(out, np.ndarray):
        return f"out must be a NumPy array, got {type(out).__name__}"
    if not out.flags.writeable:
        return "out is read-only; wanted a writable array"
    try:
        fits = np.broadcast_shapes(shape, out.shape) == out.shape
    except ValueError:
        fits = False
    if not fits:
        return f"out has shape {out.shape}; wanted {shape}"
    try:
        result = np.result_type(*arrays) if dtype is None else dtype
    except TypeError:  # float16 with bfloat16
        return None
    if result.kind in "iub":
        result = np.result_type(result, np.float16)
    if not np.can_cast(result, out.dtype, casting):
        return f"out has dtype {out.dtype}, which cannot hold {result} under casting={casting!r}"
    return None


# ------------------------------------------------------------------------------------------------- the negative slope

cdef object as_dtype(dtype):
    """What NumPy's functions take for `dtype`: whatever makes one, or a class of them."""
    return dtype() if isinstance(dtype, type) and issubclass(dtype, np.dtype) else np.dtype(dtype)


cdef object common_dtype(arrays, dtype):
    """The type computed in, which a plain Python number takes no part in choosing; None where only NumPy can tell."""
    if dtype is not None:
        return as_dtype(dtype)
    known = []
    for array in arrays:
        if type(array) in (bool, int, float):
            known.append(array)
        elif isinstance(getattr(array, "dtype", None), np.dtype):
            known.append(array.dtype)
        elif hasattr(getattr(array, "dtypes", None), "tolist"):  # a pandas DataFrame, a type a column
            columns = array.dtypes.tolist()
            if not columns or any([column != columns[0] or not isinstance(column, np.dtype) for column in columns]):
                return None
            known.append(columns[0])
        else:
            return None
    if any([is_bfloat16(one) for one in known]):  # beside which NumPy takes Python numbers for float64
        known = [one for one in known if isinstance(one, np.dtype)]
    try:
        common = np.result_type(*known)
    except TypeError:  # no common type: the ufunc refuses them, too
        return None
    if common.kind == "f" or is_bfloat16(common):
        return common
    if common.kind not in "iub":
        return None
    # a float for each, as ufuncs do: for int8 and uint8 that of int8, not that of their common int16
    integers = [one for one in known if isinstance(one, np.dtype) and one.kind in "iu"] or [common]
    return np.result_type(*[ufuncs.tanh.resolve_dtypes((one, None))[1] for one in integers])


cdef object checked_slope(int which, arrays, slope, dtype):
    """negative_slope in the type computed in, or as it came; ValueError where it is not finite there."""
    name = public_name(which)
    if isinstance(slope, (str, bytes)) or slope is None or isinstance(slope, complex):
        raise TypeError(f"{name}: negative_slope must be a number or an array of numbers, got {slope!r}")
    slope = as_array(which, "negative_slope", slope)
    weak = type(slope) in (bool, int, float)
    common = dtype if dtype is None else as_dtype(dtype)
    if weak:
        common = common_dtype(arrays, dtype)
    try:
        if is_foreign(slope):
            if is_lazy(slope):
                return slope
            values = np.asarray(slope)
            if values.dtype == object:  # the other library's to judge
                return slope
        elif isinstance(slope, np.ma.MaskedArray):
            values = slope.compressed()
        else:
            values = np.asarray(slope, dtype=common if weak else None)
    except OverflowError:  # an integer past every float
        values, slope = np.asarray(math.inf), "an integer beyond every float"
    if values.dtype.kind not in "fiub" and not is_bfloat16(values.dtype):
        raise TypeError(f"{name}: negative_slope has dtype {values.dtype}; wanted real numbers")
    if common is not None:
        values = values.astype(common, copy=False)
    if values.size == 0:
        return slope
    least, largest = values.min(), values.max()  # of a NaN or an infinity, one of them is one
    got = slope if not values.ndim else "an array with NaN" if np.isnan(least) else f"from {least} to {largest}"
    if not (np.isfinite(least) and np.isfinite(largest)):
        raise ValueError(f"{name}: negative_slope must be finite in {values.dtype}, got {got}")
    if which == FASTACT_leaky_relu_backward and least < 0:
        raise ValueError(
            f"{name}: negative_slope must not be negative, got {got}: the output no longer tells the input's sign; "
            "use dy * leaky_relu_derivative(x, negative_slope), from the input")
    return values if weak and common is not None else slope


cdef bint is_lazy(value):
    """Whether Dask is yet to compute this, or what it wraps."""
    graph = getattr(value, "__dask_graph__", None)
    return graph is not None and graph() is not None


# ---------------------------------------------------------------------------------------------------- the two callers

cdef inline bint is_default(where, dtype, casting, order, subok) noexcept:
    return (where is True and dtype is None and casting is SAME_KIND and order is KEEP
            and (subok is True or subok is False))


cdef object call(int which, a, b, out, where, dtype, casting, order, subok):
    if is_default(where, dtype, casting, order, subok):
        result = by_kernel(which, a, b, 0.0, out)
        if result is None:
            result = ufuncs.by_rows(which, (a,) if pass_table[which].arrays == 1 else (a, b), out)
        if result is not None:
            return result
    arrays = arrays_of(which, a, b)
    if is_exact(which):
        refuse_float64(which, arrays, dtype)
    return by_ufunc(which, arrays, out, where, dtype, casting, order, subok)


cdef int refuse_float64(int which, tuple arrays, dtype) except -1:
    """TypeError where a pass of fastact.exact would have to compute in float64."""
    if dtype is not None and explain_dtype(which, dtype) is not None:
        return 0  # another mistake, which `by_ufunc` tells
    if common_dtype(arrays, dtype) == np.float64:
        got = f"dtype is {dtype!r}" if dtype is not None else f"x has dtype {np.asarray(arrays[0]).dtype}"
        raise TypeError(
            f"{public_name(which)}: {got}, whose result would be a float64; wanted {computed_types(which)}: only there "
            f"all inputs can be tried, to prove every result correctly rounded. Use np.asarray(x, np.float32), or the "
            f"plain {public_name(which).replace('exact.', '')}, which computes in float64")
    return 0


cdef object call_with_slope(int which, a, b, slope, out, where, dtype, casting, order, subok):
    cdef double number
    cdef fastact_fpenv caller
    if type(slope) is int and -2**53 < slope < 2**53:
        slope = float(slope)
    if type(slope) is float and is_default(where, dtype, casting, order, subok):
        number = slope
        # within float32's range, so finite in either type
        if -3e38 < number < 3e38 and not (which == FASTACT_leaky_relu_backward and number < 0):
            result = by_kernel(which, a, b, number, out)
            # a normal number in every type: rounding it needs no care
            if (result is None and cnp.PyArray_CheckExact(a) and (number == 0 or 1e-4 < abs(number) < 6e4)
                    and ((<cnp.ndarray> a).dtype.kind == "f" or is_bfloat16((<cnp.ndarray> a).dtype))):
                caller = fastact_fp_enter()
                try:
                    rounded = np.array(number, (<cnp.ndarray> a).dtype)
                finally:
                    fastact_fp_leave(caller)
                inputs = (a, rounded) if pass_table[which].arrays == 1 else (a, b, rounded)
                result = ufuncs.by_rows(which, inputs, out)
            if result is not None:
                return result
    arrays = arrays_of(which, a, b)
    if dtype is not None and not any([is_foreign(array) for array in arrays]):
        problem = explain_dtype(which, dtype)
        if problem is not None:
            raise TypeError(f"{public_name(which)}: {problem}")
    caller = fastact_fp_enter()  # NumPy rounds the slope
    try:
        with np.errstate(all="ignore"):  # the slope may overflow, or be a signalling NaN
            slope = checked_slope(which, arrays, slope, dtype)
    finally:
        fastact_fp_leave(caller)
    if is_default(where, dtype, casting, order, subok):
        result = ufuncs.by_rows(which, (*arrays, slope), out)
        if result is not None:
            return result
    return by_ufunc(which, (*arrays, slope), out, where, dtype, casting, order, subok)


cdef list UFUNCS = [getattr(ufuncs, pass_table[which].name.decode()) for which in range(FASTACT_N_PASSES)]


# ------------------------------------------------------------------------------------------------- the twelve passes

def sigmoid(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Logistic sigmoid, 1 / (1 + exp(-x)), element by element.

    Parameters
    ----------
    x : array_like
        The input, of any shape. float32 and float64 are computed as they are, float16 and bfloat16 in float32,
        rounded once; integers and bool become floats as for `numpy.tanh`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    NaN stays NaN; -inf gives 0, inf gives 1; results underflow gradually (float32 to about -104, float64 to -745).
    No input warns. Largest errors, measured: ``docs/accuracy.md``.

    References
    ----------
    Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", Nature 323, 1986.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([-1.0, 0.0, 1.0])
    >>> fastact.sigmoid(x, out=x) is x
    True
    >>> x.round(4)
    array([0.2689, 0.5   , 0.7311])
    """
    return call(FASTACT_sigmoid, x, x, out, where, dtype, casting, order, subok)


def sigmoid_derivative(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Derivative of the sigmoid at its input, s(x) * (1 - s(x)).

    Parameters
    ----------
    x : array_like
        The pre-activation, the forward pass's input, of any shape; types as for `sigmoid`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    Keeps its relative accuracy in the tails, where ``y * (1 - y)`` of a rounded ``y`` is 0. At most 0.25, at 0.

    References
    ----------
    LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.sigmoid_derivative(np.array([0.0, 40.0]))
    array([2.50000000e-01, 4.24835426e-18])
    >>> y = fastact.sigmoid(40.0)
    >>> float(y * (1 - y))
    0.0
    """
    return call(FASTACT_sigmoid_derivative, x, x, out, where, dtype, casting, order, subok)


def sigmoid_backward(dy, y, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Gradient through a sigmoid from its output, dy * y * (1 - y).

    Parameters
    ----------
    dy : array_like
        Gradient of the loss with respect to the forward pass's output.
    y : array_like
        The forward pass's output, `sigmoid`'s result, of `dy`'s shape or one that broadcasts with it.
    out : ndarray, optional
        Where the result goes; may be `dy` or `y` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `dy` or `y` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or
        `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    One pass, no temporaries: what backpropagation needs, since the forward pass's output is at hand.

    References
    ----------
    Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", Nature 323, 1986.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> dy, y = np.array([1.0, 2.0]), np.array([0.5, 0.25])
    >>> fastact.sigmoid_backward(dy, y, out=dy)
    array([0.25 , 0.375])
    """
    return call(FASTACT_sigmoid_backward, dy, y, out, where, dtype, casting, order, subok)


def tanh(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Hyperbolic tangent, element by element.

    Parameters
    ----------
    x : array_like
        The input, of any shape. float32 and float64 are computed as they are, float16 and bfloat16 in float32,
        rounded once; integers and bool become floats as for `numpy.tanh`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    Odd to the bit; -0.0 gives -0.0, the infinities ±1; NaN stays NaN; no input warns. Largest errors, measured:
    ``docs/accuracy.md``.

    References
    ----------
    LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([-1.0, 0.0, 1.0], dtype=np.float32)
    >>> fastact.tanh(x, out=x) is x
    True
    >>> x.round(4)
    array([-0.7616,  0.    ,  0.7616], dtype=float32)
    """
    return call(FASTACT_tanh, x, x, out, where, dtype, casting, order, subok)


def tanh_derivative(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Derivative of tanh at its input, 1 - tanh(x)**2.

    Parameters
    ----------
    x : array_like
        The pre-activation, the forward pass's input, of any shape; types as for `tanh`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    Keeps its relative accuracy in the tails, where ``1 - y * y`` of a rounded ``y`` is 0. At most 1, at 0.

    References
    ----------
    LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.tanh_derivative(np.array([0.0, 20.0]))
    array([1.0000000e+00, 1.6993417e-17])
    >>> y = np.tanh(20.0)
    >>> float(1 - y * y)
    0.0
    """
    return call(FASTACT_tanh_derivative, x, x, out, where, dtype, casting, order, subok)


def tanh_backward(dy, y, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Gradient through tanh from its output, dy * (1 - y * y).

    Parameters
    ----------
    dy : array_like
        Gradient of the loss with respect to the forward pass's output.
    y : array_like
        The forward pass's output, `tanh`'s result, of `dy`'s shape or one that broadcasts with it.
    out : ndarray, optional
        Where the result goes; may be `dy` or `y` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `dy` or `y` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or
        `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    One pass, no temporaries: what backpropagation needs, since the forward pass's output is at hand.

    References
    ----------
    Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", Nature 323, 1986.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> dy, y = np.array([1.0, 2.0]), np.array([0.5, 0.0])
    >>> fastact.tanh_backward(dy, y, out=y)
    array([0.75, 2.  ])
    """
    return call(FASTACT_tanh_backward, dy, y, out, where, dtype, casting, order, subok)


def relu(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Rectified linear unit: 0 for x < 0, else x.

    Parameters
    ----------
    x : array_like
        The input, of any shape. float32 and float64 are computed as they are, float16 and bfloat16 in float32,
        rounded once; integers and bool become floats as for `numpy.tanh`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    NaN stays NaN and -0.0 stays -0.0; negative inputs give +0.

    References
    ----------
    Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> x = np.array([-1.5, 0.0, 2.0])
    >>> fastact.relu(x, out=x)
    array([0., 0., 2.])
    """
    return call(FASTACT_relu, x, x, out, where, dtype, casting, order, subok)


def relu_derivative(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Derivative of ReLU at its input: 1 for x > 0, 0 for x <= 0, NaN for NaN.

    Parameters
    ----------
    x : array_like
        The pre-activation, the forward pass's input, of any shape; types as for `relu`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    At 0, where ReLU has no derivative, the value is 0.

    References
    ----------
    Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.relu_derivative(np.array([-1.5, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return call(FASTACT_relu_derivative, x, x, out, where, dtype, casting, order, subok)


def relu_backward(dy, y, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Gradient through ReLU from its output: 0 where y <= 0, else dy.

    Parameters
    ----------
    dy : array_like
        Gradient of the loss with respect to the forward pass's output.
    y : array_like
        The forward pass's output, `relu`'s result, of `dy`'s shape or one that broadcasts with it.
    out : ndarray, optional
        Where the result goes; may be `dy` or `y` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `dy` or `y` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or
        `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    A selection, not a product: an infinite `dy` gives 0, not NaN, where the unit is off, and a NaN `y` passes `dy`.

    References
    ----------
    Nair, Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.relu_backward(np.array([3.0, 3.0]), np.array([0.0, 2.0]))
    array([0., 3.])
    """
    return call(FASTACT_relu_backward, dy, y, out, where, dtype, casting, order, subok)


def leaky_relu(x, negative_slope=0.01, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Leaky ReLU: x for x > 0, else negative_slope * x.

    Parameters
    ----------
    x : array_like
        The input, of any shape. float32 and float64 are computed as they are, float16 and bfloat16 in float32,
        rounded once; integers and bool become floats as for `numpy.tanh`.
    negative_slope : float or array_like, default 0.01
        Slope for negative inputs; an array broadcasts (one slope a channel). A Python number takes no part in the
        choice of the result's type. A slope of 0 is exactly `relu`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.
        `negative_slope` is not finite in the type computed in.

    Notes
    -----
    Any finite slope will do, also negative and above 1.

    References
    ----------
    Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.leaky_relu(np.array([-2.0, 2.0]), 0.1)
    array([-0.2,  2. ])
    >>> fastact.leaky_relu(np.array([[-2.0, -2.0]]), np.array([0.1, 0.5]))  # one slope a column
    array([[-0.2, -1. ]])
    """
    return call_with_slope(FASTACT_leaky_relu, x, x, negative_slope, out, where, dtype, casting, order, subok)


def leaky_relu_derivative(
        x, negative_slope=0.01, out=None, *, where=True, dtype=None, casting="same_kind", order="K",
        subok=True):
    """Derivative of leaky ReLU at its input: 1 for x > 0, negative_slope for x <= 0, NaN for NaN.

    Parameters
    ----------
    x : array_like
        The pre-activation, the forward pass's input, of any shape; types as for `leaky_relu`.
    negative_slope : float or array_like, default 0.01
        Slope for negative inputs; an array broadcasts (one slope a channel). A Python number takes no part in the
        choice of the result's type. A slope of 0 is exactly `relu_derivative`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `x` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or `out`
        cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.
        `negative_slope` is not finite in the type computed in.

    Notes
    -----
    At 0, where leaky ReLU has no derivative, the value is the slope.

    References
    ----------
    Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.leaky_relu_derivative(np.array([-2.0, 2.0]), 0.1)
    array([0.1, 1. ])
    """
    return call_with_slope(
        FASTACT_leaky_relu_derivative, x, x, negative_slope, out, where, dtype, casting, order, subok)


def leaky_relu_backward(
        dy, y, negative_slope=0.01, out=None, *, where=True, dtype=None, casting="same_kind", order="K",
        subok=True):
    """Gradient through leaky ReLU from its output: dy where y > 0, else negative_slope * dy.

    Parameters
    ----------
    dy : array_like
        Gradient of the loss with respect to the forward pass's output.
    y : array_like
        The forward pass's output, `leaky_relu`'s result, of `dy`'s shape or one that broadcasts with it.
    negative_slope : float or array_like, default 0.01
        Slope for negative inputs; an array broadcasts (one slope a channel). A Python number takes no part in the
        choice of the result's type. A slope of 0 is exactly `relu_backward`.
    out : ndarray, optional
        Where the result goes; may be `dy` or `y` itself. The same array is returned.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        `dy` or `y` does not hold real numbers (complex, object, string; longdouble unless `dtype` is given), or
        `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.
        `negative_slope` is not finite in the type computed in, or negative: the output of a negative slope does not
        tell the input's sign; use ``dy * leaky_relu_derivative(x, negative_slope)``.

    Notes
    -----
    The output has the input's sign as long as the slope is not negative.

    References
    ----------
    Maas, Hannun, Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.

    Examples
    --------
    >>> import numpy as np, fastact
    >>> fastact.leaky_relu_backward(np.array([3.0, 3.0]), np.array([-0.2, 2.0]), 0.1)
    array([0.3, 3. ])
    """
    return call_with_slope(FASTACT_leaky_relu_backward, dy, y, negative_slope, out, where, dtype, casting, order, subok)


# ------------------------------------------------------------------------------------------ correctly rounded passes


def exact_sigmoid(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Logistic sigmoid, 1 / (1 + exp(-x)), correctly rounded: `fastact.exact.sigmoid`.

    Parameters
    ----------
    x : array_like
        The input, of any shape: float32, float16 or bfloat16, or integers of 8 and 16 bits and bool, which become
        float16 and float32 as for `numpy.tanh`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned. One of float16 or bfloat16 for a float32
        input is rounded once, from the exact value.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        The result would be a float64 (`x` is one, a Python number, or an integer of 32 or 64 bits), `x` does not hold
        real numbers, or `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    The number of `x`'s type that is nearest to the exact value, for every input there is; the same on every machine.
    NaN stays NaN; -inf gives 0, inf gives 1.

    References
    ----------
    Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17, 1991.

    Examples
    --------
    >>> import numpy as np, fastact.exact
    >>> fastact.exact.sigmoid(np.float32([0.1]))
    array([0.5249792], dtype=float32)
    """
    return call(FASTACT_exact_sigmoid, x, x, out, where, dtype, casting, order, subok)


def exact_sigmoid_derivative(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Derivative of the sigmoid at its input, s(x) * (1 - s(x)), correctly rounded: `fastact.exact.sigmoid_derivative`.

    Parameters
    ----------
    x : array_like
        The pre-activation, the forward pass's input, of any shape; types as for `fastact.exact.sigmoid`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned. One of float16 or bfloat16 for a float32
        input is rounded once, from the exact value.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        The result would be a float64 (`x` is one, a Python number, or an integer of 32 or 64 bits), `x` does not hold
        real numbers, or `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    The number of `x`'s type that is nearest to the exact value, for every input there is, subnormal values too.

    References
    ----------
    Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17, 1991.

    Examples
    --------
    >>> import numpy as np, fastact.exact
    >>> fastact.exact.sigmoid_derivative(np.float32([0, -100]))
    array([2.5e-01, 3.8e-44], dtype=float32)
    """
    return call(FASTACT_exact_sigmoid_derivative, x, x, out, where, dtype, casting, order, subok)


def exact_tanh(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Hyperbolic tangent, correctly rounded: `fastact.exact.tanh`.

    Parameters
    ----------
    x : array_like
        The input, of any shape: float32, float16 or bfloat16, or integers of 8 and 16 bits and bool, which become
        float16 and float32 as for `numpy.tanh`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned. One of float16 or bfloat16 for a float32
        input is rounded once, from the exact value.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        The result would be a float64 (`x` is one, a Python number, or an integer of 32 or 64 bits), `x` does not hold
        real numbers, or `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    The number of `x`'s type that is nearest to the exact value, for every input there is; the same on every machine.
    NaN stays NaN, -0.0 stays -0.0; infinities give -1 and 1.

    References
    ----------
    Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17, 1991.

    Examples
    --------
    >>> import numpy as np, fastact.exact
    >>> fastact.exact.tanh(np.float32([0.1]))
    array([0.099668], dtype=float32)
    """
    return call(FASTACT_exact_tanh, x, x, out, where, dtype, casting, order, subok)


def exact_tanh_derivative(x, out=None, *, where=True, dtype=None, casting="same_kind", order="K", subok=True):
    """Derivative of tanh at its input, 1 - tanh(x)**2, correctly rounded: `fastact.exact.tanh_derivative`.

    Parameters
    ----------
    x : array_like
        The pre-activation, the forward pass's input, of any shape; types as for `fastact.exact.tanh`.
    out : ndarray, optional
        Where the result goes; may be `x` itself. The same array is returned. One of float16 or bfloat16 for a float32
        input is rounded once, from the exact value.
    where, dtype, casting, order, subok
        As for every NumPy ufunc.

    Returns
    -------
    ndarray, or scalar where all inputs are scalars

    Raises
    ------
    TypeError
        The result would be a float64 (`x` is one, a Python number, or an integer of 32 or 64 bits), `x` does not hold
        real numbers, or `out` cannot hold the result.
    ValueError
        `out` is read-only or of the wrong shape. Not one byte of it has been written.

    Notes
    -----
    The number of `x`'s type that is nearest to the exact value, for every input there is, subnormal values too.

    References
    ----------
    Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17, 1991.

    Examples
    --------
    >>> import numpy as np, fastact.exact
    >>> fastact.exact.tanh_derivative(np.float32([0, 50]))
    array([1.00e+00, 1.49e-43], dtype=float32)
    """
    return call(FASTACT_exact_tanh_derivative, x, x, out, where, dtype, casting, order, subok)
