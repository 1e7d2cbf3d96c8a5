"""Derive every constant of src/fastact/simd/constants_exact.h.

    python tools/derive_constants_exact.py           print the constants
    python tools/derive_constants_exact.py --check   compare with constants_exact.h; exit status 1 if any differs

The exponential: 2^(j/16) and 2^(j/8) as float32 numbers, what they lack, and a polynomial. tanh: a polynomial on each
of 32 intervals, c chosen so that tanh(c), tanh'(c) and tanh''(c)/2 all lie next to float32 numbers.
"""

import sys

import numpy as np
from derive_constants_f32 import lawson
from derive_constants_f64 import HEADER, print_or_check
from mpmath import mp, mpf

# Entries of the table of powers -> degree of q in exp(r) = 1 + r + r^2*q(r), and where j's own bits are taken off, for
# that the number of entries shifted to the exponent brings them.
POWERS = {8: (3, 20), 16: (2, None)}

# The number of an interval is read off the bits of a + 5/8, three of the mantissa: the width doubles after 6, 8, 8, 8.
EDGES = [edge - 0.625 for edge in ((8 + k % 8) * 2.0 ** (k // 8 - 4) for k in range(2, 34))]
HIGHEST = 9.25  # tanh is 1 to within half an ULP from 9.011 on
NEAR_0 = 0.125  # up to here, tanh by exponential is not accurate enough
DEGREE = 6  # of tanh(c + r), whose terms from the third on are looked up
EXACTNESS = 2.0**-32  # what rounding the first three terms may cost, relatively
OVERLAP = 2.0**-20  # rounding of a + 1/2 may take an argument to the neighbouring interval


def nearest(value):
    return float(np.float32(value))


def powers(entries, shift):
    """Return the table of 2^(j/entries), less j << shift where there is one, and the relative rests that it lacks."""
    table, rests = [], []
    for j in range(entries):
        power = mpf(2) ** (mpf(j) / entries)
        rounded = np.float32(power)
        table.append(float((rounded.view(np.uint32) - np.uint32(j << shift if shift else 0)).view(np.float32)))
        rests.append(nearest(power / mpf(float(rounded)) - 1))
    return table, rests


def exponential(entries, degree):
    """Return the coefficients of q but the first, 1/2, each rounded before the rest is fitted, and the error."""
    radius = float(mp.log(2) / (2 * entries)) * (1 + 2.0**-10)
    r = radius * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    rest = np.array([float((mp.exp(v) - 1 - v) / v**2 - mpf(0.5)) for v in map(mpf, r)])
    coefficients = []
    for power in range(1, degree + 1):
        fitted = lawson(np.stack([r**p for p in range(power, degree + 1)], axis=1), rest, r**2)
        coefficients.append(nearest(fitted[0]))
        rest = rest - coefficients[-1] * r**power
    return coefficients, float(np.abs(rest * r**2).max())


def centre_between(low, high):
    """Return the float32 nearest to the middle at which rounding the first three terms costs less than EXACTNESS."""
    middle = np.float32((low + high) / 2)
    allowed = EXACTNESS * float(mp.tanh(low))
    for distance in range(1 << 18):
        for sign in (1, -1):
            c = float((middle.view(np.int32) + np.int32(sign * distance)).view(np.float32))
            quick = float(np.tanh(c))  # float64 first: a hundred times as fast
            if abs(quick - nearest(quick)) > allowed + 2.0**-52:
                continue
            value, radius = mp.tanh(mpf(c)), (high - low) / 2
            c0, c1, c2 = terms(value)
            error = abs(value - c0) + abs(1 - value**2 - c1) * radius
            if error + abs(value - value**3 + c2) * radius**2 < allowed:
                return c
    raise ValueError(f"no centre between {low} and {high}")


def terms(value):
    """Return the first three coefficients of tanh(c + r), tanh(c) being `value`, as the kernel has them."""
    c0 = nearest(value)
    c1 = nearest(1 - mpf(c0) ** 2)
    return c0, c1, nearest(-mpf(c0) * mpf(c1))


def tanh_interval(low, high):
    """Return c, c0 and the coefficients from the third on, each rounded before the rest is fitted; and the error."""
    c = centre_between(low, min(high, low + 0.5)) if low else 0.0
    c0, c1, c2 = terms(mp.tanh(mpf(c)))
    nodes = 0.5 - 0.5 * np.cos(np.pi * (np.arange(200) + 0.5) / 200)
    r = (low - OVERLAP * (low > 0)) + nodes * (high + OVERLAP - low) - c
    value = [mp.tanh(mpf(c) + mpf(v)) for v in r]
    weight = np.array([float(1 / v) for v in value])
    rest = np.array([float(t - c0 - c1 * v - c2 * v**2) for t, v in zip(value, map(mpf, r), strict=True)])
    coefficients = []
    for power in range(3, DEGREE + 1):
        fitted = lawson(np.stack([r**p for p in range(power, DEGREE + 1)], axis=1), rest, weight)
        coefficients.append(nearest(fitted[0]))
        rest = rest - coefficients[-1] * r**power
    return c, c0, coefficients, float(np.abs(rest * weight).max())


def tanh_near_0():
    """Return the coefficients of x^3, x^5, ... in tanh(x) for |x| up to NEAR_0, rounded as above, and the error."""
    x = NEAR_0 * (1 + OVERLAP) * (np.arange(400) + 0.5) / 400
    rest = np.array([float(mp.tanh(v) - v) for v in map(mpf, x)])
    coefficients = []
    for power in range(3, 10, 2):
        fitted = lawson(np.stack([x**p for p in range(power, 10, 2)], axis=1), rest, 1 / x)
        coefficients.append(nearest(fitted[0]))
        rest = rest - coefficients[-1] * x**power
    return coefficients, float(np.abs(rest / x).max())


def rotated(values):
    """Return values in the order of the table: the interval's number is 18 too high modulo 32 as the bits give it."""
    return values[14:] + values[:14]


def derive():
    """Return the constants, by name: a float or a list of floats each, and the errors worth knowing."""
    constants, notes = {}, {}
    ln2 = mp.log(2)
    constants["LOG2_E_EXACT"] = nearest(1 / ln2)
    constants["LN_2_EXACT"] = nearest(ln2)
    constants["LN_2_REST"] = nearest(ln2 - mpf(constants["LN_2_EXACT"]))
    for entries, (degree, shift) in POWERS.items():
        table, rests = powers(entries, shift)
        coefficients, error = exponential(entries, degree)
        constants[f"POWERS_{entries}"] = table
        constants[f"POWERS_{entries}_REST"] = rests
        constants[f"EXP_{entries}"] = coefficients
        notes[f"EXP_{entries}, relative error of exp(r)"] = f"2^{np.log2(error):.2f}"
    constants["TANH_NEAR_0"], error = tanh_near_0()
    notes["TANH_NEAR_0, relative error"] = f"2^{np.log2(error):.2f}"
    intervals = [tanh_interval(*edges) for edges in zip(EDGES, [*EDGES[1:], HIGHEST], strict=True)]
    centres, bases, polynomials, errors = map(list, zip(*intervals, strict=True))
    constants["TANH_32_CENTRE"] = rotated(centres)
    constants["TANH_32_BASE"] = rotated(bases)
    for power in range(3, DEGREE + 1):
        constants[f"TANH_32_C{power}"] = rotated([p[power - 3] for p in polynomials])
    notes["TANH_32, relative error"] = f"2^{np.log2(max(errors)):.2f}"
    for low, error in zip(EDGES, errors, strict=True):
        notes[f"TANH_32 from {low}"] = f"2^{np.log2(error):.2f}"
    return constants, notes


if __name__ == "__main__":
    sys.exit(print_or_check(__doc__, HEADER.with_name("constants_exact.h"), *derive(), "f"))
