"""A Dense layer and whole training steps, as fastact and the libraries that its users would otherwise call do them.

All is float32. A step is forward pass, softmax cross-entropy, backward pass and SGD with momentum, on one fixed batch
of random numbers. Learning rate and momentum are those of the demo, whose plain NumPy network is one of the peers.
"""

import itertools

import numpy as np

import fastact
from fastact import _reference, nn
from fastact.benchmarks import peers
from fastact.benchmarks.peers import import_jax, import_torch
from fastact.benchmarks.timing import Contestant
from fastact.demo import LEARNING_RATE, MOMENTUM, NumPyNetwork

# Features of the input and of each layer's output -> rows of a batch.
NETWORKS = {"64-32-32-10": 32, "784-256-256-10": 128, "784-512-512-10": 256, "1024-1024-1024-1024-10": 512}


def dense_forward(in_features, out_features, batch, activation, threads):
    """Return the contestants for the forward pass of one layer with bias and activation.

    Parameters
    ----------
    in_features, out_features, batch : int
    activation : {"sigmoid", "tanh", "relu", "leaky_relu"}
    threads : int
        Of fastact, PyTorch and JAX; those of NumPy's BLAS are settled before NumPy is imported.

    Returns
    -------
    ours : Contestant
    peers : list of Contestant
        Of the libraries that are installed.
    wrong : dict of str to str
        What is wrong with the result of a library that is left out for it.
    """
    rng = np.random.default_rng(0)
    layer = nn.Dense(in_features, out_features, activation)
    layer.initialize(rng)
    layer.b = rng.standard_normal(out_features)
    X = rng.standard_normal((batch, in_features), dtype=np.float32)

    fastact.set_num_threads(threads)
    ours = Contestant("fastact", "layer.forward(X)", {"layer": layer, "X": X})
    others, wrong = _contestants(
        {"numpy": _numpy_dense, "numpy (other)": _numpy_other_dense, "torch": _torch_dense, "jax": _jax_dense},
        threads, layer, X)  # fmt: skip

    X, W, b = (array.astype(np.float64) for array in (X, layer.W, layer.b))
    expected = getattr(_reference, activation)(X @ W + b)
    for contestant in (ours, *others):
        result = np.asarray(_result(contestant, "out"))
        if not np.allclose(result, expected, rtol=1e-5, atol=2e-5):
            wrong[contestant.name] = f"wrong by up to {np.abs(result - expected).max():.1g}"
    return ours, [other for other in others if other.name not in wrong], wrong


def training_step(network_name, threads):
    """Return the contestants for a whole training step of a network.

    All start from the same weights, and each has taken three steps when they are returned. A step changes the weights
    but not the work, so it may be repeated at will.

    Parameters
    ----------
    network_name : str
        One of `NETWORKS`.
    threads : int

    Returns
    -------
    ours : Contestant
    peers : list of Contestant
    wrong : dict of str to str
        Losses that are not ours.
    """
    model, X, y = _problem(network_name)
    fastact.set_num_threads(threads)
    optimizer = nn.SGD(LEARNING_RATE, MOMENTUM)
    names = {"model": model, "X": X, "y": y, "loss": nn.softmax_cross_entropy, "optimizer": optimizer}
    ours = Contestant("fastact", "model.train_on_batch(X, y, loss=loss, optimizer=optimizer)", names)
    makers = {"numpy": _numpy_step, "torch": _torch_step, "jax": _jax_step, "sklearn": _sklearn_step}
    others, wrong = _contestants(makers, threads, model, X, y)  # they copy the weights, so before our first step

    our_losses = _first_losses(ours)
    for other in others:
        losses = _first_losses(other)
        if not np.allclose(losses, our_losses, rtol=1e-4, atol=0.0):
            wrong[other.name] = f"losses {np.round(losses, 5)}, not {np.round(our_losses, 5)}"
    return ours, [other for other in others if other.name not in wrong], wrong


def matrix_products(network_name):
    """Return the matrix products of a training step and nothing else, by NumPy into arrays made before.

    No step that makes its products with the same BLAS can take less time.

    Parameters
    ----------
    network_name : str
        One of `NETWORKS`.

    Returns
    -------
    Contestant
    """
    model, X, _ = _problem(network_name)
    triples, backward, dX = [], [], None
    for layer in model.layers:
        Y = np.empty((len(X), layer.out_features), np.float32)
        dY = np.ones_like(Y)
        triples.append((X, layer.W, Y))
        if dX is not None:  # the gradient of the network's input is not wanted
            backward.append((dY, layer.W.T, dX))
        backward.append((X.T, dY, np.empty_like(layer.W)))
        X, dX = Y, dY  # the next layer's
    triples += reversed(backward)
    names = {"np": np, "triples": triples}
    return Contestant("matrix products", "for A, B, C in triples: np.matmul(A, B, out=C)", names)


def _problem(network_name):
    """Return a model, X and y."""
    rng = np.random.default_rng(0)
    *hidden, output = itertools.pairwise(int(features) for features in network_name.split("-"))
    model = nn.Sequential([*(nn.Dense(*sizes, "relu") for sizes in hidden), nn.Dense(*output)], seed=0)
    X = rng.standard_normal((NETWORKS[network_name], model.in_features), dtype=np.float32)
    return model, X, rng.integers(model.out_features, size=len(X))


def _contestants(makers, *arguments):
    """Return the contestants of the libraries that are installed and have a way to do it, and why others failed."""
    contestants, wrong = [], {}
    for name, make in makers.items():
        try:
            contestant = make(*arguments)
        except ImportError:  # `peers.load` gives the reason
            continue
        except Exception as error:
            wrong[name] = f"fails: {peers.describe(error)}"
            continue
        if contestant is not None:
            contestants.append(contestant)
    return contestants, wrong


def _result(contestant, name):
    """Run a contestant and return the value of its statement, or what it leaves under a name."""
    value = contestant.run()
    return contestant.namespace[name] if value is None else value


def _first_losses(contestant):
    """Take three steps and return their losses as floats: a library gives a float, a tensor or an array."""
    losses = [_result(contestant, "loss") for _ in range(3)]
    return [loss.item() if hasattr(loss, "item") else loss for loss in losses]


def _numpy_dense(threads, layer, X, library=peers.NumPy):
    """The product goes into ``out``, which is also the activation's ``x``, to work in place."""
    inputs = peers.Inputs(layer.activation, np.zeros((len(X), layer.out_features), np.float32))
    activation = library(threads).contestant(inputs, "inplace")
    if activation is None:
        return None
    statement = f"np.matmul(X, W, out=out); np.add(out, b, out=out); {activation.statement}"
    return Contestant(library.name, statement, {**activation.namespace, "X": X, "W": layer.W, "b": layer.b})


def _numpy_other_dense(threads, layer, X):
    return _numpy_dense(threads, layer, X, peers.NumPyOther)


def _numpy_step(threads, model, X, y):
    return Contestant("numpy", "network.step(X, y)", {"network": NumPyNetwork(model), "X": X, "y": y})


def _torch_dense(threads, layer, X):
    """A product into an array made before takes less time than `linear`, which makes a new one, also where that runs
    under `inference_mode`. Nothing is recorded in either case, because no tensor requires a gradient."""
    torch = import_torch(threads)
    in_place = f"{layer.activation}_"
    function = getattr(torch, in_place, None) or getattr(torch.nn.functional, in_place)
    names = {"torch": torch, in_place: function, "Z": torch.empty(len(X), layer.out_features)}
    names |= {name: torch.tensor(array) for name, array in (("X", X), ("W", layer.W), ("b", layer.b))}
    return Contestant("torch", f"{in_place}(torch.addmm(b, X, W, out=Z))", names)


def _torch_step(threads, model, X, y):
    torch = import_torch(threads)
    modules = []
    for layer in model.layers:
        linear = torch.nn.Linear(layer.in_features, layer.out_features)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(layer.W.T))
            linear.bias.copy_(torch.tensor(layer.b))
        modules += [linear, torch.nn.ReLU(inplace=True)]
    network = torch.nn.Sequential(*modules[:-1])
    # fused is the fastest of the three ways to run this optimiser for small networks; for large ones they are equal
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)
    names = {"F": torch.nn.functional, "model": network, "optimizer": optimizer}
    names |= {"X": torch.tensor(X), "y": torch.tensor(y)}
    statement = "optimizer.zero_grad(); loss = F.cross_entropy(model(X), y); loss.backward(); optimizer.step()"
    return Contestant("torch", statement, names)


def _jax_dense(threads, layer, X):
    jax = import_jax(threads)
    activate = getattr(jax.nn, layer.activation)
    forward = jax.jit(lambda X, W, b: activate(X @ W + b))
    names = {name: jax.numpy.array(array) for name, array in (("X", X), ("W", layer.W), ("b", layer.b))}
    return Contestant("jax", "forward(X, W, b).block_until_ready()", {"forward": forward, **names})


def _jax_step(threads, model, X, y):
    jax = import_jax(threads)
    jnp = jax.numpy

    def loss_of(parameters, X, y):
        *hidden, (W, b) = parameters
        for hidden_W, hidden_b in hidden:
            X = jax.nn.relu(X @ hidden_W + hidden_b)
        Z = X @ W + b
        at_label = jnp.take_along_axis(Z, y[:, jnp.newaxis], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(Z, axis=1) - at_label)

    def step(state, X, y):
        parameters, velocities = state
        loss, gradients = jax.value_and_grad(loss_of)(parameters, X, y)
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, gradients)
        parameters = jax.tree.map(lambda w, v: w - LEARNING_RATE * v, parameters, velocities)
        return (parameters, velocities), loss

    compiled = jax.jit(step, donate_argnums=0)
    parameters = [(jnp.array(layer.W), jnp.array(layer.b)) for layer in model.layers]
    state = (parameters, jax.tree.map(jnp.zeros_like, parameters))

    def train(X, y):
        nonlocal state  # donated: the old one is gone after the step
        state, loss = jax.block_until_ready(compiled(state, X, y))
        return loss

    return Contestant("jax", "train(X, y)", {"train": train, "X": jnp.array(X), "y": jnp.array(y, jnp.int32)})


def _sklearn_step(threads, model, X, y):
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(
        [layer.out_features for layer in model.layers[:-1]],
        activation="relu",
        solver="sgd",
        learning_rate_init=LEARNING_RATE,
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=len(X),
        shuffle=False,
    )
    classifier.partial_fit(X, y, classes=np.arange(model.out_features))  # makes the arrays
    for layer, W, b in zip(model.layers, classifier.coefs_, classifier.intercepts_, strict=True):
        W[...], b[...] = layer.W, layer.b
    for velocity in classifier._optimizer.velocities:
        velocity[...] = 0.0
    return Contestant("sklearn", "classifier.partial_fit(X, y).loss_", {"classifier": classifier, "X": X, "y": y})
