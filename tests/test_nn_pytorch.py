"""fastact.nn beside PyTorch, from a shared set of weights: outputs, gradients, and 50 steps of every optimiser."""

import numpy as np
import pytest

from fastact import nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

ACTIVATIONS = {
    None: lambda Z: Z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": lambda Z: torch.nn.functional.leaky_relu(Z, 0.2),
}
LOSSES = {
    "softmax_cross_entropy": torch.nn.functional.cross_entropy,
    "binary_cross_entropy": torch.nn.functional.binary_cross_entropy_with_logits,
    "mse": torch.nn.functional.mse_loss,
}
OPTIMIZERS = {
    "SGD": (lambda: nn.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "SGD with momentum": (
        lambda: nn.SGD(0.05, 0.9, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.01),
    ),
    "SGD with Nesterov's momentum": (
        lambda: nn.SGD(0.05, 0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    ),
    "AdaGrad": (lambda: nn.AdaGrad(0.05), lambda p: torch.optim.Adagrad(p, 0.05)),
    "RMSProp": (
        lambda: nn.RMSProp(0.005, momentum=0.5),
        lambda p: torch.optim.RMSprop(p, 0.005, alpha=0.9, momentum=0.5),
    ),
    "Adam": (lambda: nn.Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    "AdamW": (lambda: nn.AdamW(0.01, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1)),
}


def networks(activation, dtype):
    """A model of ours, and PyTorch's tensors of the same weights with the function that they are for."""
    sizes = (6, 9), (9, 8)
    layers = [nn.Dense(*size, activation, 0.2, dtype=dtype) for size in sizes]
    model = nn.Sequential([*layers, nn.Dense(8, 4, dtype=dtype)], seed=1)
    rng = np.random.default_rng(2)
    for layer in model.layers:
        layer.b = rng.standard_normal(layer.out_features)
    tensors = [torch.tensor(parameter.value.copy(), requires_grad=True) for parameter in model.parameters()]

    def forward(X):
        A = torch.tensor(X)
        for layer, W, b in zip(model.layers, tensors[::2], tensors[1::2], strict=True):
            A = ACTIVATIONS[layer.activation](A @ W + b)
        return A

    return model, tensors, forward


def data(loss, dtype, rows=12, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 6)).astype(dtype)
    y = rng.integers(0, 4, rows) if loss == "softmax_cross_entropy" else rng.random((rows, 4)).astype(dtype)
    return X, y


def close(got, tensor, tolerance):
    wanted = tensor.detach().numpy()
    assert got.dtype == wanted.dtype
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * np.finfo(got.dtype).eps * np.abs(wanted).max())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_output_loss_and_gradients(activation, loss, dtype, weighted):
    model, tensors, forward = networks(activation, dtype)
    X, y = data(loss, dtype)
    weights = np.random.default_rng(4).random(len(X)).astype(dtype) if weighted else None
    Y = forward(X)
    if weighted:
        each = LOSSES[loss](Y, torch.tensor(y), reduction="none").reshape(len(X), -1).mean(axis=1)
        theirs = (each * torch.tensor(weights)).sum() / float(weights.sum(dtype=np.float64))
    else:
        theirs = LOSSES[loss](Y, torch.tensor(y))
    theirs.backward()
    close(model.forward(X), Y, 16)
    value, dY = nn.losses.get(loss)(model.forward(X), y, weights)
    assert value == pytest.approx(theirs.item(), rel=16 * float(np.finfo(dtype).eps))
    model.backward(dY)
    for parameter, tensor in zip(model.parameters(), tensors, strict=True):
        close(parameter.gradient, tensor.grad, 32)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fifty_steps(activation, loss, optimizer):
    model, tensors, forward = networks(activation, np.float64)
    ours, theirs = OPTIMIZERS[optimizer][0](), OPTIMIZERS[optimizer][1](tensors)
    start = [parameter.value.copy() for parameter in model.parameters()]
    for step in range(50):
        X, y = data(loss, np.float64, seed=step)
        theirs.zero_grad()
        value = LOSSES[loss](forward(X), torch.tensor(y))
        value.backward()
        theirs.step()
        assert model.train_on_batch(X, y, loss=loss, optimizer=ours) == pytest.approx(value.item(), rel=1e-11)
    for parameter, tensor, before in zip(model.parameters(), tensors, start, strict=True):
        assert np.abs(parameter.value - before).max() > 1e-3
        close(parameter.value, tensor, 2e4)  # 4e-12: rounding errors grow in 50 steps
