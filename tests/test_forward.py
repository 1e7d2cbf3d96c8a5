"""Values of the four forward passes: float32 against the float64 reference, float64 against mpmath, in ULP."""

import numpy as np
import pytest
from passes import ACTIVATIONS, F4, F8, LONG, Pass, assert_same_bits, of_kind, points

import fastact
from fastact._ulp import exact_from_mpmath, exact_from_wider, largest, ulp_error

N_F4 = 20_000_000 if LONG else 2_000_000
N_F8 = 60_000 if LONG else 2_400
SLOPES = [0.01, -0.5, 3.0]


@of_kind("forward")
def test_float32(p, rng):
    """About 2.1 million points: N(0, 3), tails, every exponent, every 65,536th bit pattern."""
    (x,) = points(p, F4, N_F4, rng)
    for slope in map(np.float32, SLOPES if p.slope else [0]):
        exact = exact_from_wider(p.reference(x, slope=float(slope)), F4)
        error, where = largest(p(x, slope=float(slope)), exact, x)
        print(f"largest error: {error:.3f} ULP")  # pytest -rP shows it
        assert error < p.bound(F4), where


@of_kind("forward")
def test_float64(p, rng):
    """About 3,500 points against 60 digits."""
    (x,) = points(p, F8, N_F8, rng, finite=True)
    for slope in SLOPES if p.slope else [None]:
        exact = exact_from_mpmath([p.exact(v, slope=slope) for v in x.tolist()], F8)
        error, where = largest(p(x, slope=slope), exact, x)
        print(f"largest error: {error:.3f} ULP")  # pytest -rP shows it
        assert error < p.bound(F8), where


@of_kind("forward")
def test_faithful_with_fma(p, rng):
    """2.1 million float32 points of another seed: where the processor fuses, less than 1 ULP."""
    if fastact.get_isa() not in ("avx2", "avx512", "neon"):
        pytest.skip(f"{fastact.get_isa()} has no fused multiply-add; its bound is in the table")
    (x,) = points(p, F4, N_F4, rng)
    error, where = largest(p(x), exact_from_wider(p.reference(x, slope=float(F4.type(0.01))), F4), x)
    assert error < 1, where


def test_tanh_never_above_numpy(rng):
    """2.1 million points in float32: our largest error is at most that of np.tanh on the same points."""
    tanh = next(Pass(a, "forward") for a in ACTIVATIONS if a.name == "tanh")
    (x,) = points(tanh, F4, N_F4, rng)
    exact = exact_from_wider(tanh.reference(x), F4)
    numpys = ulp_error(np.tanh(x), exact).max()
    if numpys < 0.55:
        pytest.skip(f"np.tanh is all but correctly rounded here ({numpys:.3f} ULP): the C library's, not NumPy's own")
    error, where = largest(tanh(x), exact, x)
    assert error <= numpys, where


@pytest.mark.parametrize("dtype", [F4, F8], ids=["float32", "float64"])
def test_tanh_is_odd(dtype, rng):
    """200,000 points and their negatives, zeros and infinities included: the same bits but for the sign."""
    tanh = next(Pass(a, "forward") for a in ACTIVATIONS if a.name == "tanh")
    (x,) = points(tanh, dtype, 200_000, rng)
    x = x[~np.isnan(x)]
    assert_same_bits(tanh(-x), -tanh(x))


@pytest.mark.parametrize("dtype", [F4, F8], ids=["float32", "float64"])
def test_sigmoid_of_minus_x(dtype, rng):
    """100,000 points: sigmoid(x) + sigmoid(-x) is 1 within the rounding of both."""
    sigmoid = next(Pass(a, "forward") for a in ACTIVATIONS if a.name == "sigmoid")
    x = rng.normal(0, 5, 100_000).astype(dtype)
    total = sigmoid(x).astype(np.longdouble) + sigmoid(-x)
    assert np.abs(total - 1).max() <= 2 * np.finfo(dtype).eps
