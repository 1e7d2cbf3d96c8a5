"""Derive every constant of src/fastact/simd/formulas_f64.h.

    python tools/derive_constants_f64.py           print the constants
    python tools/derive_constants_f64.py --check   compare them with formulas_f64.h; exit status 1 if any differs

Both exponentials reduce their argument to 2^n * exp(-rho), n a multiple of 1/4, |rho| <= ln(2)/8, and look 2^(j/4),
j = 4n mod 4, up.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
from mpmath import mp, mpf

mp.prec = 300
HEADER = Path(__file__).resolve().parent.parent / "src" / "fastact" / "simd" / "formulas_f64.h"

# The numerator C = 2^-100 of C/(C + C*exp(-x)) keeps the denominator finite down to x = -748.
LOG2_NUMERATOR = -100
# How far a table entry may lie from a float64, in ULP.
TABLE_ERROR = mpf(2) ** -9


def find_table_scale():
    """Return the least k such that 2^(j/4) * (1 + k*2^-52), j = 0..3, all lie within TABLE_ERROR of a float64.

    The entries then need no second table for what their rounding lost: one constant, log(1 + k*2^-52), is taken off
    rho instead. The distances are searched as 64-bit fractions, whose wrap-around is the arithmetic modulo 1 wanted.
    """
    steps = np.arange(1, 1 << 23, dtype=np.uint64)
    near = np.ones(len(steps), dtype=bool)
    for j in range(1, 4):
        entry = mpf(2) ** (mpf(j) / 4)
        at_zero, per_step = (np.uint64(int(mp.floor(mp.frac(v) * 2**64))) for v in (entry * 2**52, entry))
        distance = np.abs((at_zero + steps * per_step).astype(np.int64))
        near &= distance < int(TABLE_ERROR * 2**64)
    return int(steps[near][0])


def minimax(f, degree, radius, weight):
    """Return the coefficients of the polynomial p that minimises max |(p - f) * weight| on [-radius, radius] (Remez).

    The exchange runs on a grid. Its spacing limits the result, but by far less than rounding the coefficients does.
    """
    grid = [radius * mp.cos(mp.pi * (i + mpf("0.5")) / 600) for i in range(600)]
    values = [f(v) for v in grid]
    weights = [weight(v) for v in grid]
    n = degree + 2
    extremes = [round((2 * i + 1) * 600 / (2 * n)) for i in range(n)]
    for _ in range(30):
        matrix = mp.matrix(n, n)
        for row, i in enumerate(extremes):
            for column in range(degree + 1):
                matrix[row, column] = grid[i] ** column
            matrix[row, degree + 1] = (-1) ** row / weights[i]
        solution = mp.lu_solve(matrix, mp.matrix([values[i] for i in extremes]))
        coefficients = [solution[i] for i in range(degree + 1)]
        errors = [
            (mp.polyval(coefficients[::-1], v) - f_v) * w for v, f_v, w in zip(grid, values, weights, strict=True)
        ]
        new = alternating_extremes(errors, n)
        if new == extremes:
            break
        extremes = new
    return [float(c) for c in coefficients], max(abs(e) for e in errors)


def alternating_extremes(errors, n):
    """Return the indices of n extremes of alternating sign: the largest of each run, the ends trimmed to n."""
    runs = []
    for i, error in enumerate(errors):
        if runs and (error > 0) == (errors[runs[-1]] > 0):
            if abs(error) > abs(errors[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > n:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    return runs


def split(value):
    """Return value as a pair (high, low); high has 40 bits, so that n * high is exact for |4n| < 2^13."""
    exponent = int(mp.floor(mp.log(value, 2))) + 1
    high = mp.nint(mp.ldexp(value, 40 - exponent)) * mpf(2) ** (exponent - 40)
    return float(high), float(value - high)


def table_entries(k, log2_scale):
    """Return the table as the formulas want it: entry j less j << 50, so that adding 4n << 50 sets exponent and j."""
    entries = []
    for j in range(4):
        entry = np.float64(mpf(2) ** (mpf(j) / 4) * (1 + k * mpf(2) ** -52)) * 2.0**log2_scale
        entries.append(float((entry.view(np.uint64) - np.uint64(j << 50)).view(np.float64)))
    return entries


def derive():
    """Return the constants, by name: a float or a list of floats each, and the errors worth knowing."""
    k = find_table_scale()
    log_scale = mp.log(1 + k * mpf(2) ** -52)
    ln2 = mp.log(2)
    constants, notes = {}, {}
    notes["table scale"] = f"1 + {k} * 2^-52"

    # exp(-x) = 2^n * exp(-rho), rho = x + n*ln(2); 1 - exp(-rho) = rho + rho^2 * Q(rho)
    radius = ln2 / 8
    constants["LOG2_E"] = float(1 / ln2)
    constants["LN_2_HIGH"], constants["LN_2_LOW"] = split(ln2)
    constants["EXP_TABLE_LOG"] = float(log_scale)
    constants["EXP_TABLE"] = table_entries(k, LOG2_NUMERATOR)
    constants["EXP_POLYNOMIAL"], error = minimax(
        lambda r: (1 - r - mp.exp(-r)) / r**2, 6, radius, lambda r: r**2 * mp.exp(r)
    )
    notes["EXP_POLYNOMIAL, relative error of exp(-rho)"] = f"2^{float(mp.log(error, 2)):.2f}"

    # exp(-2a) = 2^n * exp(-2*rho), rho = a + n*ln(2)/2; (1 - exp(-2*rho))/2 = rho + rho^2 * Q(rho)
    radius = ln2 / 16
    constants["TWICE_LOG2_E"] = float(2 / ln2)
    constants["HALF_LN_2_HIGH"], constants["HALF_LN_2_LOW"] = split(ln2 / 2)
    constants["EXP2_TABLE"] = [1.0, *table_entries(k, 0)[1:]]
    constants["EXP2_TABLE_LOG"] = [0.0] + 3 * [float(log_scale / 2)]
    constants["EXP2_POLYNOMIAL"], error = minimax(
        lambda r: ((1 - mp.exp(-2 * r)) / 2 - r) / r**2, 7, radius, lambda r: abs(r)
    )
    notes["EXP2_POLYNOMIAL, relative error of 1 - exp(-2*rho)"] = f"2^{float(mp.log(error, 2)):.2f}"
    return constants, notes


def c_literal(value, suffix=""):
    """Return a number as a C hexadecimal literal without trailing zeros."""
    return re.sub(r"\.?0*p", "p", value.hex()) + suffix if value else "0"


def c_lines(constants, suffix=""):
    """Return a #define for each constant; a list becomes comma-separated, from the lowest degree or index."""
    lines = []
    for name, value in constants.items():
        literals = [c_literal(v, suffix) for v in (value if isinstance(value, list) else [value])]
        lines.append(f"#define {name} {', '.join(literals)}")
    return lines


def defined_in(text):
    """Return the #define lines of the header, continuation lines joined, white space normalised."""
    joined = text.replace("\\\n", " ")
    return {" ".join(line.split()) for line in joined.splitlines() if line.startswith("#define ")}


def print_or_check(description, header, constants, notes, suffix=""):
    """Print the constants, or with --check compare them with the header; return the exit status."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--check", action="store_true", help=f"compare with {header.name}")
    arguments = parser.parse_args()
    lines = c_lines(constants, suffix)
    if not arguments.check:
        for name, note in notes.items():
            print(f"/* {name}: {note} */")
        print("\n".join(lines))
        return 0
    found = defined_in(header.read_text())
    missing = [line for line in lines if line not in found]
    for line in missing:
        print(f"not in {header.name}: {line}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(print_or_check(__doc__, HEADER, *derive()))
