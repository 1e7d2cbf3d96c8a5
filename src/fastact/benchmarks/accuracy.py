"""Largest errors of a pass, ours and its peers', against extended precision."""

import numpy as np

from fastact import _reference, _ulp
from fastact.benchmarks.peers import MODES, NEGATIVE_SLOPE, Inputs

# where the float64 passes and their derivatives end: float32's lie inside
LIMITS = {"sigmoid": 750.0, "tanh": 380.0, "relu": 1e3, "leaky_relu": 1e3}


def points(operation, dtype, count):
    """Return the inputs of a search for errors, in two halves: N(0, 3), and the tails.

    Parameters
    ----------
    operation : str
    dtype : numpy.dtype
    count : int
        Elements in each half.

    Returns
    -------
    tuple of ndarray
        x, or dy and y; the first half of each are N(0, 3) and the output for it.
    """
    rng = np.random.default_rng(0)
    activation = operation.removesuffix("_derivative").removesuffix("_backward")
    limit = LIMITS[activation] / (7 if dtype == np.float32 else 1)
    tails = [
        rng.uniform(-limit, limit, count // 2),
        rng.choice([-1, 1], count - count // 2) * limit * np.exp(rng.uniform(-60, 0, count - count // 2)),
    ]
    x = np.concatenate([rng.normal(0, 3, count), *tails]).astype(dtype)
    if not operation.endswith("_backward"):
        return (x,)
    y = getattr(_reference, activation)(x).astype(dtype)
    return rng.standard_normal(2 * count).astype(dtype), y


def exact(operation, arrays):
    """Return exact results as `_ulp` takes them, or None where this machine has no type wide enough.

    The formulas are those of the reference, in NumPy's longdouble (80 bits on x86).
    """
    dtype = arrays[0].dtype
    if np.finfo(np.longdouble).nmant < np.finfo(dtype).nmant + 8:
        return None
    arguments = [array.astype(np.longdouble) for array in arrays]
    if operation.startswith("leaky_relu"):
        arguments.append(np.longdouble(dtype.type(NEGATIVE_SLOPE)))
    with np.errstate(all="ignore"):
        values = getattr(_reference, operation).__wrapped__(*arguments)
    return _ulp.exact_from_wider(values, dtype)


def largest_errors(libraries, operation, dtype, count):
    """Return for each library its largest errors in ULP on N(0, 3) and in the tails.

    Parameters
    ----------
    libraries : list of Library
    operation : str
    dtype : numpy.dtype
    count : int
        Elements of N(0, 3), and again as many in the tails.

    Returns
    -------
    dict of str to (float, float)
        Libraries without the pass are left out; empty where there is no exact value to compare with.
    """
    arrays = points(operation, dtype, count)
    want = exact(operation, arrays)
    if want is None:
        return {}
    errors = {}
    with np.errstate(all="ignore"):
        for library in libraries:
            for mode in MODES:
                inputs = Inputs(operation, *arrays)
                try:
                    contestant = library.contestant(inputs, mode)
                    if contestant is None:
                        continue
                    got = library.result(contestant, inputs, mode)
                except Exception:  # the rows that are timed say what fails
                    break
                error = _ulp.ulp_error(got, want)
                errors[library.name] = (float(error[:count].max()), float(error[count:].max()))
                break
    return errors
