"""Dense layers and whole training steps: fastact, plain NumPy, PyTorch eager, JAX jit and scikit-learn.

All start from the same weights and take the same step: forward pass, softmax cross-entropy, backward pass, SGD with
momentum, float32, ReLU in the hidden layers.
"""

import functools
import itertools
import warnings

import numpy as np

import fastact
from fastact import _reference, nn
from fastact.benchmarks.timing import Contestant
from fastact.demo import NumPyNetwork

NETWORKS = {  # sizes of the layers -> rows of a batch
    "64-32-32-10": 32,
    "784-256-256-10": 128,
    "784-512-512-10": 256,
    "1024-1024-1024-1024-10": 512,
}
LEARNING_RATE, MOMENTUM = 0.01, 0.9
CHECKED_STEPS = 3
TOLERANCE = 2e-4  # relative, of losses and of a layer's outputs: sums of a thousand float32 products

NUMPY_ACTIVATIONS = {
    "sigmoid": "np.negative(Z, out=Z); np.exp(Z, out=Z); np.add(Z, 1, out=Z); np.reciprocal(Z, out=Z)",
    "tanh": "np.tanh(Z, out=Z)",
    "relu": "np.maximum(Z, 0, out=Z)",
    "leaky_relu": "np.maximum(Z, 0.01 * Z, out=Z)",
}
TORCH_ACTIVATIONS = {
    "sigmoid": ".sigmoid_()",
    "tanh": ".tanh_()",
    "relu": ".relu_()",
    "leaky_relu": "",
}


def dense_forward(in_features, out_features, rows, activation, threads):
    """Return the ways to compute φ(X W + b) for one layer.

    Returns
    -------
    ours : Contestant
    peers : list of Contestant
    wrong : dict of str to str
        Why a library that is installed does not take part.
    """
    fastact.set_num_threads(threads)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, in_features), np.float32)
    layer = nn.Dense(in_features, out_features, activation)
    layer.initialize(rng)
    layer.b = rng.standard_normal(out_features)
    want = getattr(_reference, activation)(X.astype(np.float64) @ layer.W + layer.b)
    arrays = {"X": X, "W": layer.W, "b": layer.b}

    ours = Contestant("fastact", "layer.forward(X)", {"layer": layer, "X": X})
    Z = np.empty((rows, out_features), np.float32)
    statement = f"np.matmul(X, W, out=Z); np.add(Z, b, out=Z); {NUMPY_ACTIVATIONS[activation]}; Z"
    peers = [Contestant("numpy", statement.removesuffix("; Z"), {**arrays, "np": np, "Z": Z})]
    if torch := _imported("torch"):
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        namespace = {"torch": torch, "leaky_relu_": torch.nn.functional.leaky_relu_,
                     **{name: torch.from_numpy(array) for name, array in arrays.items()}}  # fmt: skip
        namespace["linear"] = linear = torch.nn.Linear(in_features, out_features)
        linear.weight.copy_(namespace["W"].T)
        linear.bias.copy_(namespace["b"])
        product = f"linear(X){TORCH_ACTIVATIONS[activation]}"
        statement = f"leaky_relu_({product}, 0.01)" if activation == "leaky_relu" else product
        peers.append(Contestant("torch", statement, namespace))
    if jax := _imported("jax"):
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        phi = {**vars(jax.nn), "tanh": jax.numpy.tanh}[activation]
        dense = jax.jit(lambda X, W, b: phi(X @ W + b))
        namespace = {"dense": dense, **{name: jax.numpy.array(array) for name, array in arrays.items()}}
        peers.append(Contestant("jax", "dense(X, W, b).block_until_ready()", namespace))

    wrong = {}
    for contestant in (ours, *peers):
        value = contestant.run()
        got = np.asarray(Z if value is None else value)
        if not np.allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE):
            wrong[contestant.name] = f"wrong by {np.abs(got - want).max():.1g}"
    return ours, [peer for peer in peers if peer.name not in wrong], wrong


def training_step(network, threads):
    """Return the ways to take one step of training, as `dense_forward` does; each has been seen to take the same steps.

    Parameters
    ----------
    network : str
        A name of `NETWORKS`.
    threads : int
    """
    fastact.set_num_threads(threads)
    model, X, y = _model_and_batch(network)
    optimizer = nn.SGD(LEARNING_RATE, MOMENTUM)
    namespace = {"model": model, "X": X, "y": y, "loss": nn.softmax_cross_entropy, "optimizer": optimizer}
    peers = [make(model, X, y, threads) for make in (_numpy, _torch, _jax, _sklearn)]
    ours = Contestant("fastact", "model.train_on_batch(X, y, loss=loss, optimizer=optimizer)", namespace)

    losses = {contestant.name: _losses(contestant) for contestant in (ours, *filter(None, peers))}
    wrong = {
        name: f"losses {np.round(found, 5)}, not {np.round(losses['fastact'], 5)}"
        for name, found in losses.items()
        if not np.allclose(found, losses["fastact"], rtol=TOLERANCE)
    }
    return ours, [peer for peer in peers if peer and peer.name not in wrong], wrong


def products(network):
    """Return the matrix products of a step alone, in NumPy: what bounds a step from below."""
    model, X, _ = _model_and_batch(network)
    inputs = [X, *(np.ones((len(X), layer.out_features), np.float32) for layer in model.layers)]
    names, statements = {"matmul": np.matmul}, []
    for index, layer in enumerate(model.layers):
        names |= {f"X{index}": inputs[index], f"W{index}": layer.W, f"dW{index}": np.empty_like(layer.W),
                  f"Y{index}": np.empty_like(inputs[index + 1]), f"dY{index}": inputs[index + 1],
                  f"dX{index}": np.empty_like(inputs[index])}  # fmt: skip
        statements += [f"matmul(X{index}, W{index}, out=Y{index})", f"matmul(X{index}.T, dY{index}, out=dW{index})"]
        if index:
            statements.append(f"matmul(dY{index}, W{index}.T, out=dX{index})")
    return Contestant("matrix products", "; ".join(statements), names)


def _model_and_batch(network):
    sizes = [int(size) for size in network.split("-")]
    layers = [nn.Dense(before, after, "relu") for before, after in itertools.pairwise(sizes[:-1])]
    model = nn.Sequential([*layers, nn.Dense(sizes[-2], sizes[-1])], seed=0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((NETWORKS[network], sizes[0]), np.float32)
    return model, X, rng.integers(sizes[-1], size=len(X))


def _losses(contestant):
    return [float(contestant.run()) for _ in range(CHECKED_STEPS)]


@functools.cache
def _imported(name):
    """Return a module, or None where it is not installed."""
    try:
        return __import__(name)
    except ImportError:
        return None


def _numpy(model, X, y, threads):
    twin = NumPyNetwork(model, LEARNING_RATE)
    return Contestant("numpy", "network.step(X, y)", {"network": twin, "X": X, "y": y})


def _torch(model, X, y, threads):
    torch = _imported("torch")
    if torch is None:
        return None
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    layers = []
    for layer in model.layers:
        linear = torch.nn.Linear(layer.in_features, layer.out_features)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.W.T))
            linear.bias.copy_(torch.from_numpy(layer.b))
        layers += [linear, torch.nn.ReLU(inplace=True)]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)
    loss = torch.nn.functional.cross_entropy

    def step(X, y):
        optimizer.zero_grad()
        value = loss(network(X), y)
        value.backward()
        optimizer.step()
        return value.item()

    return Contestant("torch", "step(X, y)", {"step": step, "X": torch.from_numpy(X), "y": torch.from_numpy(y)})


def _jax(model, X, y, threads):
    jax = _imported("jax")
    if jax is None:
        return None
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    weights = [(jax.numpy.array(layer.W), jax.numpy.array(layer.b)) for layer in model.layers]
    state = weights, jax.tree.map(jax.numpy.zeros_like, weights)

    def loss(weights, X, y):
        *hidden, (W, b) = weights
        for V, c in hidden:
            X = jax.nn.relu(X @ V + c)
        Z = X @ W + b
        at_label = jax.numpy.take_along_axis(Z, y[:, None], axis=1)[:, 0]
        return jax.numpy.mean(jax.nn.logsumexp(Z, axis=1) - at_label)

    def update(state, X, y):
        weights, velocities = state
        value, gradients = jax.value_and_grad(loss)(weights, X, y)
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, gradients)
        weights = jax.tree.map(lambda w, v: w - LEARNING_RATE * v, weights, velocities)
        return (weights, velocities), value

    compiled = jax.jit(update, donate_argnums=0)

    def step(X, y):
        nonlocal state
        state, value = compiled(state, X, y)
        return value.item()

    return Contestant("jax", "step(X, y)", {"step": step, "X": jax.numpy.array(X), "y": jax.numpy.array(y)})


def _sklearn(model, X, y, threads):
    if _imported("sklearn") is None:
        return None
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        [layer.out_features for layer in model.layers[:-1]], activation="relu", solver="sgd", alpha=0.0,
        batch_size=len(X), learning_rate_init=LEARNING_RATE, momentum=MOMENTUM, nesterovs_momentum=False, shuffle=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.partial_fit(X, y, classes=np.arange(model.out_features))
    for layer, W, b in zip(model.layers, network.coefs_, network.intercepts_, strict=True):
        W[...], b[...] = layer.W, layer.b
    for velocity in network._optimizer.velocities:
        velocity[...] = 0.0

    def step(X, y):
        network.partial_fit(X, y)
        return network.loss_

    return Contestant("sklearn", "step(X, y)", {"step": step, "X": X, "y": y})
