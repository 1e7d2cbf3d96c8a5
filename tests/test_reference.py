"""The readable float64 reference against mpmath: what the other tests compare with must itself be right."""

import inspect
import warnings

import numpy as np
import pytest
from passes import F4, F8, PASSES, each_pass, points

import fastact
from fastact import _reference
from fastact._ulp import exact_from_mpmath, largest


@each_pass
def test_against_mpmath(p, rng):
    """About 1,500 points a pass (tails, every exponent, special values) within 4 ULP of 60 digits."""
    arrays = points(p, F8, 1000, rng, finite=True)
    slope = 0.01 if p.slope else None
    exact = exact_from_mpmath([p.exact(*map(float, row), slope=slope) for row in zip(*arrays, strict=True)], F8)
    error, where = largest(p.reference(*arrays, slope=slope), exact, *arrays)
    assert error < 4, where


@each_pass
def test_silent_and_does_as_its_signature_says(p, rng):
    """All points, infinities and NaNs too: no warning; `out` by position and keyword, rounded once to its type."""
    arrays = points(p, F4, 4000, rng)
    slope = (0.01,) if p.slope else ()
    function = getattr(_reference, p.name)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        result = function(*arrays, *slope)
        assert result.dtype == F8
        out = np.empty(result.shape, F4)
        assert function(*arrays, *slope, out) is out
        assert function(*arrays, *slope, out=out) is out
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, result.astype(F4))


@each_pass
def test_same_leading_arguments_as_the_compiled_pass(p):
    """12 signatures: the reference's arguments are the first of the compiled pass, names and defaults."""
    ours = inspect.signature(getattr(_reference, p.name)).parameters
    compiled = inspect.signature(getattr(fastact, p.name)).parameters
    assert [(a.name, a.default) for a in ours.values()] == [
        (a.name, a.default) for a in list(compiled.values())[: len(ours)]
    ]


def test_names():
    """The reference has the twelve passes and nothing else."""
    assert sorted(_reference.__all__) == sorted(p.name for p in PASSES)
    assert len(PASSES) == 12


@pytest.mark.parametrize("slope", [np.inf, -np.inf, np.nan])
def test_refuses_slopes_that_are_not_finite(slope):
    """3 slopes, 3 passes."""
    for call in (
        lambda: _reference.leaky_relu(1.0, slope),
        lambda: _reference.leaky_relu_derivative(1.0, slope),
        lambda: _reference.leaky_relu_backward(1.0, 1.0, slope),
    ):
        with pytest.raises(ValueError, match="finite"):
            call()
