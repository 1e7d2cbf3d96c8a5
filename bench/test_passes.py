"""Each pass beside what its users would otherwise call, in place or with `out=`, on one thread, in one run.

    python -m pytest bench

A peer that is not installed is skipped. Every result is checked against the float64 reference before it is timed.
PyTorch and NumPy are held to a lower instruction set by ATEN_CPU_CAPABILITY and NPY_DISABLE_CPU_FEATURES, fastact by
FASTACT_ISA.
"""

import numpy as np
import pytest

import fastact
from fastact import _reference

SIZE = 65536  # elements; a float32 array of them and its output fit the second-level cache
# of results near 1: a sanity check before timing, loose enough for peers that lose the tails; tests/ measures in ULP
TOLERANCE = {"float32": 16 * 2.0**-24, "float64": 16 * 2.0**-53}

rng = np.random.default_rng(0)
X = rng.normal(0, 3, SIZE)
DY = rng.normal(0, 1, SIZE)


def numpy_sigmoid(x, out):
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    return np.reciprocal(out, out=out)


def numpy_leaky_relu(x, out):
    np.multiply(x, 0.01, out=out)
    return np.maximum(x, out, out=out)


def numpy_sigmoid_backward(dy, y, out):
    np.subtract(1, y, out=out)
    np.multiply(out, y, out=out)
    return np.multiply(out, dy, out=out)


def numpy_tanh_backward(dy, y, out):
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)
    return np.multiply(out, dy, out=out)


def numpy_relu_backward(dy, y, out):
    return np.multiply(dy, y > 0, out=out)


def numpy_leaky_relu_backward(dy, y, out):
    np.copyto(out, dy)
    return np.multiply(out, 0.01, out=out, where=y <= 0)


def scipy_expit(x, out):
    return pytest.importorskip("scipy.special").expit(x, out=out)


def torch_with_out(name):
    def run(x, out):
        torch = pytest.importorskip("torch")
        getattr(torch, name)(torch.from_numpy(x), out=torch.from_numpy(out))
        return out

    return run


def torch_backward(name):
    def run(dy, y, out):
        torch = pytest.importorskip("torch")
        getattr(torch.ops.aten, name).grad_input(
            torch.from_numpy(dy), torch.from_numpy(y), grad_input=torch.from_numpy(out))
        return out

    return run


PEERS = {
    "sigmoid": {"numpy": numpy_sigmoid, "scipy": scipy_expit, "torch": torch_with_out("sigmoid")},
    "tanh": {"numpy": np.tanh, "torch": torch_with_out("tanh")},
    "relu": {"numpy": lambda x, out: np.maximum(x, 0, out=out)},
    "leaky_relu": {"numpy": numpy_leaky_relu},
    "sigmoid_backward": {"numpy": numpy_sigmoid_backward, "torch": torch_backward("sigmoid_backward")},
    "tanh_backward": {"numpy": numpy_tanh_backward, "torch": torch_backward("tanh_backward")},
    "relu_backward": {"numpy": numpy_relu_backward},
    "leaky_relu_backward": {"numpy": numpy_leaky_relu_backward},
    "sigmoid_derivative": {},
    "tanh_derivative": {},
    "relu_derivative": {},
    "leaky_relu_derivative": {},
}

CASES = [(name, who) for name, peers in PEERS.items() for who in ("fastact", *peers)]


@pytest.fixture(autouse=True)
def one_thread():
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
    with fastact.num_threads(1):
        yield


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "who"), CASES)
def test_pass(benchmark, name, who, dtype):
    x = X.astype(dtype)
    arrays = (x,)
    if name.endswith("_backward"):
        arrays = (DY.astype(dtype), getattr(_reference, name.removesuffix("_backward"))(x).astype(dtype))
    out = np.empty_like(x)
    function = getattr(fastact, name) if who == "fastact" else PEERS[name][who]
    benchmark.group = f"{name} {dtype}"
    result = function(*arrays, out=out)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(result, getattr(_reference, name)(*arrays), rtol=tolerance, atol=tolerance)
    benchmark(lambda: function(*arrays, out=out))
    benchmark.extra_info["ns_per_element"] = benchmark.stats.stats.min / SIZE * 1e9


@pytest.mark.parametrize("who", ["fastact", "numpy", "scipy", "torch"])
def test_one_element(benchmark, who):
    """The cost of a call: sigmoid of one float32 (NumPy: tanh, which it has)."""
    x, out = np.ones(1, "f4"), np.empty(1, "f4")
    function = {"fastact": fastact.sigmoid, "numpy": np.tanh, "scipy": scipy_expit}.get(who)
    benchmark.group = "one element"
    if who == "torch":
        torch = pytest.importorskip("torch")
        x, out, function = torch.from_numpy(x), torch.from_numpy(out), torch.sigmoid
    if who == "scipy":
        function = pytest.importorskip("scipy.special").expit
    benchmark(function, x, out=out)
