"""Errors in units in the last place (ULP), measured against the exact value, not against its rounding.

The unit is the distance from the correctly rounded result to the next number away from zero, so it is the smallest
subnormal for every subnormal result. A result that overflows may be the infinity or, one ULP off, the largest number.
"""

import numpy as np


def unit(near):
    """The last place of `near`, as float64: of the largest number too, past which there is no other to measure to."""
    below = np.nextafter(np.finfo(near.dtype).max, near.dtype.type(0))
    return np.spacing(np.minimum(np.abs(near), below)).astype(np.float64)


def exact_from_wider(values, dtype):
    """Exact values, given in a type wide enough for results in `dtype`: a rounded value and the rest in ULP."""
    values = np.asarray(values)
    limit = np.finfo(dtype).max
    with np.errstate(all="ignore"):
        near = np.where(np.isinf(values), values, np.clip(values, -limit, limit)).astype(dtype)
        rest = (values - near) / unit(near)
    return near, np.where(np.isinf(near), 0.0, np.clip(rest, -1, 1)).astype(np.float64)


def exact_from_mpmath(values, dtype):
    """Exact values given as mpmath numbers, rounded as in `exact_from_wider`."""
    limit = float(np.finfo(dtype).max)
    near, rest = np.empty(len(values), dtype), np.empty(len(values))
    for i, value in enumerate(values):
        near[i] = max(-limit, min(limit, value))
        rest[i] = max(-1, min(1, (value - float(near[i])) / unit(near[i])))
    return near, rest


def ulp_error(got, exact):
    """The error of every element in ULP; infinite where a NaN or an infinity is missed or made up."""
    near, rest = exact
    assert got.dtype == near.dtype and got.shape == near.shape
    with np.errstate(all="ignore"):
        error = np.abs((got.astype(np.float64) - near) / unit(near) - rest)
        overflown = np.isinf(got) & (np.abs(near) == np.finfo(near.dtype).max) & (np.signbit(got) == np.signbit(near))
        error = np.where(overflown, 1 - np.abs(rest), error)
    error = np.where(got == near, np.abs(rest), error)
    error = np.where(np.isinf(near) & (got != near), np.inf, error)
    return np.where(np.isnan(near) | np.isnan(got), np.where(np.isnan(near) & np.isnan(got), 0.0, np.inf), error)


def largest(got, exact, *inputs):
    """The largest error in ULP and where it is, as text for a failing test."""
    error = ulp_error(got, exact)
    i = int(np.argmax(error))
    where = ", ".join(repr(float(a[i])) for a in inputs)
    exactly = f"{exact[0][i]!r} {exact[1][i]:+.3f} ULP"
    return float(error[i]), f"{error[i]:.4f} ULP at ({where}): got {got[i]!r}, exact {exactly}"
