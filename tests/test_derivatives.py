"""Derivatives from the input: values in ULP far into the tails, and against differences of the forward pass."""

import numpy as np
import pytest
from passes import ACTIVATIONS, F4, F8, LONG, Pass, of_kind, points

from fastact._ulp import exact_from_mpmath, exact_from_wider, largest

N_F4 = 20_000_000 if LONG else 2_000_000
N_F8 = 60_000 if LONG else 2_400
SLOPES = [0.01, -0.5, 3.0]
H = 2.0**-10  # step of the differences


@of_kind("derivative")
def test_float32(p, rng):
    """About 2.1 million points: N(0, 3), tails down to the subnormals and 0, every exponent, a comb of all bits."""
    (x,) = points(p, F4, N_F4, rng)
    for slope in map(np.float32, SLOPES if p.slope else [0]):
        exact = exact_from_wider(p.reference(x, slope=float(slope)), F4)
        error, where = largest(p(x, slope=float(slope)), exact, x)
        print(f"largest error: {error:.3f} ULP")  # pytest -rP shows it
        assert error < p.bound(F4), where


@of_kind("derivative")
def test_float64(p, rng):
    """About 3,500 points against 60 digits."""
    (x,) = points(p, F8, N_F8, rng, finite=True)
    for slope in SLOPES if p.slope else [None]:
        exact = exact_from_mpmath([p.exact(v, slope=slope) for v in x.tolist()], F8)
        error, where = largest(p(x, slope=slope), exact, x)
        print(f"largest error: {error:.3f} ULP")  # pytest -rP shows it
        assert error < p.bound(F8), where


@of_kind("derivative")
def test_against_fourth_order_differences(p, rng):
    """20,000 points in [-30, 8], float64: (8(f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h of the reference forward.

    Allowed is what that formula itself gets wrong: rounding of f over h, and h**4 / 30 times the fifth derivative,
    which for sigmoid and tanh is at most 32 times the first.
    """
    forward = Pass(p.activation, "forward")
    x = rng.uniform(-30, 8, 20_000)
    if p.activation.name in ("relu", "leaky_relu"):
        x = x[np.abs(x) > 3 * H]  # away from the kink
    slope = 0.25 if p.slope else None

    def f(steps):
        return forward.reference(x + steps * H, slope=slope)

    differences = (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * H)
    got = p(x, slope=slope)
    # rounding x + h moves f by its slope, rounding f by its size
    rounding = np.finfo(F8).eps / H * 3 * (np.abs(f(0)) + np.abs(x * got))
    allowed = rounding + 32 * H**4 / 30 * np.abs(got) + 4 * np.spacing(got)
    wrong = np.abs(got - differences) > allowed
    assert not wrong.any(), (x[wrong][:3], got[wrong][:3], differences[wrong][:3])


@pytest.mark.parametrize("name, x_f4, x_f8", [("sigmoid", 95.0, 730.0), ("tanh", 47.0, 365.0)])
def test_not_zero_in_the_tails(name, x_f4, x_f8):
    """4 points, both signs, where y * (1 - y) and 1 - y * y of the rounded output are 0 and the derivative is not."""
    p = next(Pass(a, "derivative") for a in ACTIVATIONS if a.name == name)
    for dtype, x in ((F4, x_f4), (F8, x_f8)):
        both = p(np.array([x, -x], dtype))
        assert (both > 0).all() and (both < np.finfo(dtype).tiny).all() and both[0] == both[1]
