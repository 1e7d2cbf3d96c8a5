"""Derive every constant of src/fastact/simd/formulas_f32.h.

    python tools/derive_constants_f32.py           print the constants
    python tools/derive_constants_f32.py --check   compare with those in formulas_f32.h; exit status 1 if any differs

The exponential reduces its argument as the float64 one does. tanh is a polynomial on each of eight intervals.
"""

import sys

import numpy as np
from derive_constants_f64 import HEADER, minimax, print_or_check
from mpmath import mp, mpf

# The numerator C = 2^-64 of C/(C + C*exp(-x)) keeps the denominator finite down to x = -108.
LOG2_NUMERATOR = -64
# Table scales considered, 1 + k*2^-23: beyond, their logarithm would widen the polynomial's interval noticeably.
MOST_SCALE = 2**14

# tanh: the interval's number is read off the bits of a + 1/2, one bit of the mantissa: the width doubles every other.
EDGES = [0, 0.25, 0.5, 1, 1.5, 2.5, 3.5, 5.5, 9.25]
# a polynomial's centre; right of the middle where the base c0 must not be less than r = a - c
CENTRES = [0, 0.375, 0.75, 1.25, 2, 3, 4.625, 8.3125]
DEGREE = 7  # of the polynomial r*Q(r)
EXACTNESS = 0.004  # how near, in ULP, tanh at a centre lies to a float32, so that its low part need not be added
OVERLAP = 2.0**-20  # rounding of a + 1/2 may take an argument to the neighbouring interval


def find_table_scale():
    """Return the k for which the entries 2^(j/4) * (1 + k*2^-23), j = 1..3, lie nearest to float32 numbers."""
    k = np.arange(1, MOST_SCALE, dtype=np.float64)
    distance = np.zeros_like(k)
    for j in range(1, 4):
        entry = float(mpf(2) ** (mpf(j) / 4))
        units = entry * 2**23 + entry * k
        distance = np.maximum(distance, np.abs(units - np.rint(units)))
    best = int(np.argmin(distance))
    return int(k[best]), float(distance[best])


def table_entries(k):
    """Return entries j = 0..7 of 2^(j/4) * C * (1 + k*2^-23), less j << 21: adding 4n << 21 sets exponent and j."""
    entries = []
    for j in range(8):
        entry = np.float32(mpf(2) ** (mpf(j) / 4 + LOG2_NUMERATOR) * (1 + k * mpf(2) ** -23))
        entries.append(float((entry.view(np.uint32) - np.uint32(j << 21)).view(np.float32)))
    return entries


def split(value):
    """Return value as a pair (high, low) of float32; high has 14 bits, so that n * high is exact for |4n| < 2^10."""
    exponent = int(mp.floor(mp.log(value, 2))) + 1
    high = mp.nint(mp.ldexp(value, 14 - exponent)) * mpf(2) ** (exponent - 14)
    return float(high), float(np.float32(value - high))


def nearly_exact_centre(about):
    """Return the float32 nearest to `about` whose tanh lies within EXACTNESS of a float32."""
    about = np.float32(about)
    for distance in range(1 << 16):
        for sign in (1, -1):
            centre = (about.view(np.int32) + np.int32(sign * distance)).view(np.float32)
            units = mp.tanh(mpf(float(centre))) * mpf(2) ** 24
            units *= mpf(2) ** -mp.floor(mp.log(units / mpf(2) ** 23, 2))
            if abs(units - mp.nint(units)) < EXACTNESS:
                return float(centre)
    raise ValueError(f"no centre near {about}")


def tanh_interval(low, high, centre):
    """Return c, c0 and the coefficients of Q, rounded one after the other, the rest fitted again each time."""
    nodes = 0.5 - 0.5 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    r = (low - OVERLAP * (low > 0)) + nodes * (high + OVERLAP - low) - centre
    value = [mp.tanh(mpf(centre) + mpf(v)) for v in r]
    weight = np.array([float(1 / v) for v in value])
    base = float(np.float32(mp.tanh(mpf(centre))))
    first = r if centre == 0 else base  # at 0, the term of degree 1 is exact
    target = np.array([float(v - mpf(f)) for v, f in zip(value, np.broadcast_to(first, r.shape), strict=True)])
    powers = range(3, DEGREE + 1, 2) if centre == 0 else range(1, DEGREE + 1)
    coefficients = dict.fromkeys(range(1, DEGREE + 1), 0.0)
    free = list(powers)
    while free:
        rest = target - sum(coefficients[p] * r**p for p in coefficients)
        fitted = lawson(np.stack([r**p for p in free], axis=1), rest, weight)
        coefficients[free[0]] = float(np.float32(fitted[0]))
        free.pop(0)
    error = np.abs((sum(coefficients[p] * r**p for p in coefficients) - target) * weight).max()
    return base, [coefficients[p] for p in range(1, DEGREE + 1)], error


def lawson(columns, target, weight):
    """Return the c that minimise max |weight * (columns @ c - target)| (Lawson's reweighted least squares)."""
    scale = np.abs(columns).max(axis=0)
    matrix, goal = columns / scale * weight[:, None], target * weight
    importance = np.full(len(goal), 1 / len(goal))
    best, least = None, np.inf
    for _ in range(300):
        root = np.sqrt(importance)
        solution = np.linalg.lstsq(matrix * root[:, None], goal * root, rcond=None)[0]
        error = np.abs(matrix @ solution - goal)
        if error.max() < least:
            best, least = solution / scale, error.max()
        if error.max() == 0:
            break
        importance *= error
        importance /= importance.sum()
    return best


def rotated(values):
    """Return values in the order of the table: the interval's number is 4 too high modulo 8 as the bits give it."""
    return values[4:] + values[:4]


def derive():
    """Return the constants, by name: a float or a list of floats each, and the errors worth knowing."""
    ln2 = mp.log(2)
    k, distance = find_table_scale()
    constants = {"LOG2_E_F32": float(np.float32(1 / ln2))}
    constants["LN_2_HIGH_F32"], constants["LN_2_LOW_F32"] = split(ln2)
    constants["EXP_TABLE_LOG_F32"] = float(np.float32(mp.log(1 + k * mpf(2) ** -23)))
    constants["EXP_TABLE_F32"] = table_entries(k)
    polynomial, error = minimax(
        lambda r: (1 - r - mp.exp(-r)) / r**2, 2, ln2 / 8 + k * mpf(2) ** -23, lambda r: r**2 * mp.exp(r)
    )
    constants["EXP_POLYNOMIAL_F32"] = [float(np.float32(c)) for c in polynomial]
    notes = {
        "table scale": f"1 + {k} * 2^-23, entries within {distance:.4f} ULP",
        "EXP_POLYNOMIAL_F32, relative error of exp(-rho)": f"2^{float(mp.log(error, 2)):.2f}",
    }
    centres, bases, polynomials = [], [], []
    for low, high, about in zip(EDGES[:-1], EDGES[1:], CENTRES, strict=True):
        centre = nearly_exact_centre(about) if about else 0.0
        base, coefficients, error = tanh_interval(low, high, centre)
        centres.append(centre)
        bases.append(base)
        polynomials.append(coefficients)
        notes[f"tanh on [{low}, {high}], relative error"] = f"2^{np.log2(error):.2f}"
    constants["TANH_CENTRE_F32"] = rotated(centres)
    constants["TANH_BASE_F32"] = rotated(bases)
    for degree in range(DEGREE):
        constants[f"TANH_Q{degree}_F32"] = rotated([p[degree] for p in polynomials])
    return constants, notes


if __name__ == "__main__":
    sys.exit(print_or_check(__doc__, HEADER.with_name("formulas_f32.h"), *derive(), "f"))
