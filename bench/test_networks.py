"""Dense layers and whole training steps beside NumPy, PyTorch, JAX and scikit-learn."""

import pytest

from fastact.benchmarks import networks

briefly = pytest.mark.benchmark(max_time=0.5, min_rounds=5, warmup=False)


def time(benchmark, offered, library, group):
    """Time one library's way of the work that was offered."""
    ours, others, wrong = offered
    found = {contestant.name: contestant for contestant in (ours, *others)}
    if library not in found:
        pytest.skip(f"{library} is not installed" if library not in wrong else f"{library}: {wrong[library]}")
    benchmark.group = group
    benchmark(found[library].function())


@briefly
@pytest.mark.parametrize("library", ["fastact", "numpy", "torch", "jax"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu"])
@pytest.mark.parametrize("layer", [pytest.param((64, 32, 32), marks=pytest.mark.smoke), (256, 256, 128)], ids=str)
def test_dense_forward(benchmark, libraries, threads, layer, activation, library):
    """φ(X W + b): features of the input, features of the output, rows of the batch."""
    offered = networks.dense_forward(*layer, activation, threads)
    time(benchmark, offered, library, f"dense {layer}, {activation}")


@briefly
@pytest.mark.parametrize("library", ["fastact", "numpy", "torch", "jax", "sklearn"])
@pytest.mark.parametrize(
    "network", [pytest.param(name, marks=[pytest.mark.smoke] * (name == "64-32-32-10")) for name in networks.NETWORKS]
)
def test_training_step(benchmark, libraries, threads, network, library):
    """Forward pass, loss, backward pass and SGD with momentum."""
    time(benchmark, networks.training_step(network, threads), library, f"training step {network}")
