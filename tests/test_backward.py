"""Backward passes against the exact dy * phi'(y) for the y that was given."""

import numpy as np
import pytest
from passes import F4, F8, LONG, Pass, of_kind, points

from fastact._ulp import exact_from_mpmath, exact_from_wider, largest

N_F4 = 20_000_000 if LONG else 2_000_000
N_F8 = 60_000 if LONG else 2_400
SLOPES = [0.01, 0.75, 3.0]


@of_kind("backward")
def test_float32(p, rng):
    """About 2.1 million pairs: dy of every exponent, y from the forward pass, even over its range, and near its ends.

    float64 is exact enough for the reference: its exponents hold every product of three float32, its error is 2**-29
    of a float32 ULP or so.
    """
    dy, y = points(p, F4, N_F4, rng)
    for slope in map(np.float32, SLOPES if p.slope else [0]):
        exact = exact_from_wider(p.reference(dy, y, slope=float(slope)), F4)
        error, where = largest(p(dy, y, slope=float(slope)), exact, dy, y)
        print(f"largest error: {error:.3f} ULP")  # pytest -rP shows it
        assert error < p.bound(F4), where


@of_kind("backward")
def test_float64(p, rng):
    """About 3,500 pairs against 60 digits."""
    dy, y = points(p, F8, N_F8, rng, finite=True)
    for slope in SLOPES if p.slope else [None]:
        rows = zip(dy.tolist(), y.tolist(), strict=True)
        exact = exact_from_mpmath([p.exact(*row, slope=slope) for row in rows], F8)
        error, where = largest(p(dy, y, slope=slope), exact, dy, y)
        print(f"largest error: {error:.3f} ULP")  # pytest -rP shows it
        assert error < p.bound(F8), where


@of_kind("backward")
@pytest.mark.parametrize("dtype", [F4, F8], ids=["float32", "float64"])
def test_extreme_products(p, dtype):
    """900 pairs: dy from the smallest subnormal to the largest number, y within a few ULP of 0, +-1/2 and +-1."""
    info = np.finfo(dtype)
    least, most = info.smallest_subnormal, info.max
    dy = np.array([least, 3 * least, info.tiny, 1e-20, 1, 1.9999, 3e20, most / 2, most], dtype)
    dy = np.concatenate([dy, -dy])
    low, high = p.activation.y_range
    anchors = np.array([least, info.tiny, 1e-25, info.eps, 0.5, 1, 1.25], dtype)
    anchors = np.concatenate([anchors, -anchors, [0]]).astype(dtype)
    y = np.concatenate([anchors, *(np.nextafter(anchors, to) for to in np.array([-9, 0, 9], dtype))])
    y = y[(low <= y) & (y <= high)]
    dy, y = (a.ravel() for a in np.meshgrid(dy, y))
    slope = 0.75 if p.slope else None
    rows = zip(dy.tolist(), y.tolist(), strict=True)
    exact = exact_from_mpmath([p.exact(*row, slope=slope) for row in rows], dtype)
    error, where = largest(p(dy, y, slope=slope), exact, dy, y)
    assert error < p.bound(dtype), where


@of_kind("backward")
@pytest.mark.parametrize("dtype", [F4, F8], ids=["float32", "float64"])
def test_agrees_with_the_derivative_from_the_input(p, dtype, rng):
    """100,000 points in [-3, 3]: dy * phi'(x), within what the rounding of y costs (1 / phi'(y), < 102)."""
    x = rng.uniform(-3, 3, 100_000).astype(dtype)
    dy = rng.uniform(1, 2, x.size).astype(dtype)
    slope = 0.25 if p.slope else None
    y = Pass(p.activation, "forward")(x, slope=slope)
    want = dy * Pass(p.activation, "derivative")(x, slope=slope)
    np.testing.assert_allclose(p(dy, y, slope=slope), want, rtol=(102 + 8) * np.finfo(dtype).eps, atol=0)
