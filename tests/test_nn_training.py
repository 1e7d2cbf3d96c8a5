"""fastact.nn: fit, evaluate and their errors; no array is allocated in a step; the gradient check."""

import concurrent.futures
import copy
import itertools
import pickle
import tracemalloc

import numpy as np
import pytest

from fastact import nn
from fastact.nn import _fused
from fastact.nn._buffers import Buffers
from fastact.nn.batches import Batches
from fastact.nn.data import DataReader
from fastact.nn.losses import Means

ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu"]
CROSS_ENTROPY = {"loss": "softmax_cross_entropy"}


def classifier(activation="relu", seed=0, dtype=np.float32):
    return nn.Sequential([nn.Dense(4, 16, activation, dtype=dtype), nn.Dense(16, 3, dtype=dtype)], seed=seed)


def data(rows=50, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 4))
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def weights(model):
    return [parameter.value.copy() for parameter in model.parameters()]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# Learning


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_xor(activation):
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    model = nn.Sequential([nn.Dense(2, 16, activation), nn.Dense(16, 2)], seed=0)
    history = model.fit(X, y, **CROSS_ENTROPY, optimizer=nn.Adam(0.05), epochs=300, batch_size=4)
    assert model.predict(X).argmax(axis=1).tolist() == y
    assert history["accuracy"][-1] == 1.0 and history["loss"][-1] < 0.05


@pytest.mark.parametrize("optimizer", [nn.Adam(0.003), nn.SGD(0.1, momentum=0.9)], ids=repr)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_digits(activation, optimizer):
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    images, labels = datasets.load_digits(return_X_y=True)
    images = images / 16.0
    model = nn.Sequential([nn.Dense(64, 64, activation), nn.Dense(64, 10)], seed=0)
    history = model.fit(
        images[:1400],
        labels[:1400],
        **CROSS_ENTROPY,
        optimizer=optimizer,
        epochs=25,
        batch_size=32,
        validation_data=(images[1400:], labels[1400:]),
    )
    assert history["val_accuracy"][-1] > 0.89  # rows in their order: the last 397 are of other writers
    assert history["accuracy"][-1] > 0.99
    assert model.evaluate(images[1400:], labels[1400:])["accuracy"] == history["val_accuracy"][-1]


def test_regression():
    X = np.linspace(-1, 1, 100)[:, np.newaxis]
    model = nn.Sequential([nn.Dense(1, 32, "tanh"), nn.Dense(32, 1)], seed=0)
    history = model.fit(X, np.sin(3 * X[:, 0]), loss="mse", optimizer=nn.Adam(0.01), epochs=300)
    assert list(history) == ["loss"]
    assert model.evaluate(X, np.sin(3 * X)) == {"loss": pytest.approx(np.mean((model.predict(X) - np.sin(3 * X)) ** 2))}
    assert history["loss"][-1] < 0.01


# What a fit does


@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_is_the_steps_by_hand(shuffle):
    X, y = data()
    fitted, by_hand = classifier(seed=5), classifier(seed=5)
    history = fitted.fit(X, y, **CROSS_ENTROPY, optimizer=nn.SGD(0.1, 0.9), epochs=2, batch_size=16, shuffle=shuffle)
    rng = np.random.default_rng(np.random.SeedSequence(5).spawn(3)[0])
    optimizer, means = nn.SGD(0.1, 0.9), []
    for _ in range(2):
        order = np.arange(50)
        if shuffle:
            rng.shuffle(order)
        losses = []
        for start in range(0, 50, 16):
            rows = order[start : start + 16]
            value, dY = nn.softmax_cross_entropy(by_hand.forward(X[rows]), y[rows])
            by_hand.backward(dY)
            optimizer.step(by_hand.parameters())
            losses += [value] * len(rows)
        means.append(np.mean(losses))  # a batch of 2 counts for 2 of 50
    assert same(weights(fitted), weights(by_hand))
    assert history["loss"] == pytest.approx(means, rel=1e-12)


def test_seed_decides_the_training():
    X, y = data()
    runs = []
    for seed in (1, 1, 2):
        model = classifier(seed=seed)
        runs.append((model.fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=3), weights(model)))
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])
    assert not same(runs[0][1], runs[2][1])


def test_every_row_once_an_epoch_and_a_new_order_each():
    X = np.arange(10.0)[:, np.newaxis]
    batches = Batches(X, np.float32, np.arange(10), np.intp, 4, np.random.default_rng(0), np.arange(10))
    assert len(batches) == 3
    epochs = []
    for _ in range(3):
        triples = [[array.ravel().tolist() for array in batch] for batch in batches]
        assert all(labels == weights for _, labels, weights in triples)
        pairs = [(rows, labels) for rows, labels, _ in triples]
        assert [len(rows) for rows, _ in pairs] == [4, 4, 2]
        assert all(rows == labels for rows, labels in pairs)
        epochs.append([row for rows, _ in pairs for row in rows])
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != list(range(10))


def test_a_second_fit_goes_on():
    X, y = data()
    once, twice = classifier(), classifier()
    once.fit(X, y, **CROSS_ENTROPY, optimizer=nn.Adam(), epochs=4)
    optimizer = nn.Adam()
    for _ in range(2):
        twice.fit(X, y, **CROSS_ENTROPY, optimizer=optimizer, epochs=2)
    assert same(weights(once), weights(twice))


def test_train_on_batch_is_a_fit_of_one_batch():
    X, y = data()
    fitted, stepped = classifier(), classifier()
    history = fitted.fit(X, y, **CROSS_ENTROPY, optimizer=nn.SGD(0.1), batch_size=50, shuffle=False)
    assert stepped.train_on_batch(X, y, **CROSS_ENTROPY, optimizer=nn.SGD(0.1)) == pytest.approx(history["loss"][0])
    assert same(weights(fitted), weights(stepped))
    with pytest.raises(TypeError, match="optimizer must be an Optimizer"):
        stepped.train_on_batch(X, y, **CROSS_ENTROPY, optimizer="sgd")
    with pytest.raises(TypeError, match=r"got the class: write nn.Adam\(\)"):
        stepped.train_on_batch(X, y, **CROSS_ENTROPY, optimizer=nn.Adam)


@pytest.mark.parametrize(
    "make",
    [
        lambda X: X.astype(np.float32),
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.astype(">f8"),
        lambda X: X.tolist(),
    ],
    ids=["float32", "Fortran order", "strided", "byte-swapped", "list"],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_layout_and_type_make_no_difference(make, shuffle):
    X, y = data()
    X = X.astype(np.float32).astype(np.float64)
    plain, other = classifier(), classifier()
    settings = {**CROSS_ENTROPY, "optimizer": "sgd", "epochs": 2, "batch_size": 16, "shuffle": shuffle}
    plain.fit(X, y, **settings)
    given = make(X)
    before = np.array(given)
    other.fit(given, np.eye(3)[y], **settings)
    assert same(weights(plain), weights(other))
    np.testing.assert_array_equal(given, before)


def test_read_only_and_mapped_input(tmp_path):
    X, y = data()
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[...] = X
    mapped.flush()
    X = np.memmap(tmp_path / "X", np.float32, "r", shape=X.shape)
    y.flags.writeable = False
    assert classifier().fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=2).epochs == 2


def test_evaluate():
    X, y = data()
    model = classifier()
    with pytest.raises(ValueError, match="loss must be given"):
        model.evaluate(X, y)
    result = model.evaluate(X, y, "softmax_cross_entropy", batch_size=7)
    Y = model.predict(X).astype(np.float64)
    assert result == {
        "loss": pytest.approx(nn.softmax_cross_entropy(Y, y)[0], rel=1e-6),
        "accuracy": np.mean(Y.argmax(axis=1) == y),
    }


def test_history():
    X, y = data()
    history = classifier().fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=3, validation_data=(X, y))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.epochs == 3 and all(len(values) == 3 for values in history.values())
    assert repr(history).startswith("History(3 epochs: loss ")
    assert repr(nn.History()) == "History(0 epochs)"


def test_progress_is_lines_in_a_log(capsys):
    X, y = data()
    classifier().fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=20, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "\r" not in err
    assert 2 <= len(err.splitlines()) <= 10
    assert err.splitlines()[-1].startswith("fit: 40/40")
    classifier().fit(X, y, **CROSS_ENTROPY, optimizer="adam")
    assert capsys.readouterr() == ("", "")


# No allocation


LOSSES = ["softmax_cross_entropy", "mse"]
NETWORKS = itertools.product([*ACTIVATIONS, "leaky_relu of negative slope"], ["sgd", "adam"], LOSSES)
DATA = itertools.product(["float32", "float64", "int16", "fortran", "weighted"], [True, False], LOSSES)


@pytest.mark.parametrize(
    ("activation", "optimizer", "loss", "shuffle", "layout"),
    [(*network, True, "float32") for network in NETWORKS]
    + [("tanh", "adam", loss, shuffle, layout) for layout, shuffle, loss in DATA],
)
def test_a_step_allocates_no_array(activation, optimizer, loss, shuffle, layout):
    activation, _, negative = activation.partition(" ")
    rng = np.random.default_rng(0)
    X = (100 * rng.standard_normal((300, 320))).astype(layout if layout in ("float64", "int16") else "float32")
    X = np.asfortranarray(X) if layout == "fortran" else X
    y = rng.integers(0, 10, 300) if loss == "softmax_cross_entropy" else rng.standard_normal((300, 10))
    sample_weight = rng.random(300) if layout == "weighted" else None
    slope = -0.1 if negative else 0.01
    hidden = [nn.Dense(320, 320, activation, slope) for _ in range(2)]
    model = nn.Sequential([*hidden, nn.Dense(320, 10)], seed=0)
    loss, optimizer = nn.losses.get(loss), nn.optimizers.get(optimizer)
    optimizer.learning_rate = 1e-6
    rng = np.random.default_rng(0) if shuffle else None
    batches = DataReader(model, loss).batches(X, y, sample_weight, 128, rng)
    parameters, means = model.parameters(), Means(loss.metric)

    def epoch():
        for X_batch, y_batch, weights in batches:  # the last has 44 rows
            value, right = model._train_step(X_batch, y_batch, loss, optimizer, parameters, weights)
            means.add(value, right, len(X_batch), weights)

    epoch()
    kept, peak = allocated(epoch)
    assert kept == []
    # Views, tuples and floats are Python's own; for a sum that broadcasts NumPy's iterator takes 32 KiB and gives them
    # back. The arrays of this network have 164 KB and more (128 x 320 float32).
    assert peak < 100_000


@pytest.mark.parametrize("types", [("float32", "intp"), ("float64", "uint8")], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("way", ["train_on_batch", "list", "generator"])
def test_a_step_on_a_users_batch_allocates_no_array(way, weighted, types):
    rng = np.random.default_rng(0)
    rows = 2**17  # of which an array takes 128 KB at the least; NumPy's iterators take 64 and give them back
    batch = [rng.standard_normal((rows, 4)).astype(types[0]), rng.integers(0, 3, rows).astype(types[1])]
    batch += [rng.random(rows).astype(np.float32)] if weighted else []
    model = nn.Sequential([nn.Dense(4, 3)], seed=0)
    arguments = {"loss": nn.softmax_cross_entropy, "optimizer": nn.SGD(1e-3)}

    def step():
        if way == "train_on_batch":
            return model.train_on_batch(*batch[:2], **arguments, sample_weight=batch[2] if weighted else None)
        batches = [batch] * 2 if way == "list" else (batch for _ in range(2))
        return model.fit(batches, **arguments)

    kept, peak = allocated(step)
    assert kept == [] and peak < 100_000


@pytest.mark.parametrize(
    ("optimizer", "slots"), [(nn.SGD(0.01), 0), (nn.SGD(0.01, momentum=0.9), 1), (nn.Adam(), 2)], ids=repr
)
@pytest.mark.parametrize(("sizes", "batch_size"), [((784, 512, 512, 10), 256), ((1024, 1024, 1024, 1024, 10), 512)])
def test_peak_memory(sizes, batch_size, optimizer, slots):
    """Parameters with gradients and the optimiser's arrays, the layers' outputs and one batch, within 10 %: NumPy's
    arrays from before the network is made to the end of its training. (BLAS has buffers of its own.)"""
    rng = np.random.default_rng(0)
    X, y = (
        rng.standard_normal((2 * batch_size + 1, sizes[0]), dtype=np.float32),
        rng.integers(0, 10, 2 * batch_size + 1),
    )
    parameters = sum(fan_in * fan_out + fan_out for fan_in, fan_out in itertools.pairwise(sizes))
    wanted = 4 * (parameters * (2 + slots) + batch_size * sum(sizes[1:]) + batch_size * sizes[0])

    def train():
        *hidden, output = itertools.pairwise(sizes)
        model = nn.Sequential([*(nn.Dense(*pair, "relu") for pair in hidden), nn.Dense(*output)], seed=0)
        model.fit(X, y, **CROSS_ENTROPY, optimizer=optimizer, batch_size=batch_size, epochs=2)
        return model

    _, peak = allocated(train)
    assert wanted < peak < 1.1 * wanted


@pytest.mark.parametrize("clipping", [{}, {"clip_norm": 1e-3, "clip_value": 1e-5}], ids=["plain", "clipped"])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda **clipping: nn.SGD(0.01, 0.9, nesterov=True, weight_decay=0.1, **clipping),
        lambda **clipping: nn.AdaGrad(**clipping),
        lambda **clipping: nn.RMSProp(momentum=0.9, **clipping),
        lambda **clipping: nn.AdamW(nn.schedules.Warmup(nn.schedules.CosineDecay(0.01, 5), 5), **clipping),
    ],
    ids=["SGD", "AdaGrad", "RMSProp", "AdamW"],
)
def test_no_optimizer_allocates_an_array(optimizer, clipping):
    rng = np.random.default_rng(0)
    shapes = (320, 320), (320,)
    parameters = [nn.Parameter("w", *rng.standard_normal((2, *shape)).astype(np.float32)) for shape in shapes]
    optimizer = optimizer(**clipping)
    optimizer.step(parameters)
    kept, peak = allocated(lambda: optimizer.step(parameters))
    assert kept == [] and peak < 30_000  # a block has 64 KB


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [nn.softmax_cross_entropy, nn.binary_cross_entropy, nn.mse], ids=repr)
def test_no_loss_allocates_an_array(loss, weighted):
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((300, 300)).astype(np.float32)
    targets = rng.integers(0, 300, 300) if loss is nn.softmax_cross_entropy else rng.random(Y.shape, np.float32)
    weights = rng.random(300, np.float32) if weighted else None
    dY, buffers = np.empty_like(Y), Buffers()
    loss.value_and_gradient(Y, targets, dY, buffers, weights)
    kept, peak = allocated(lambda: loss.value_and_gradient(Y, targets, dY, buffers, weights))
    assert kept == [] and peak < 100_000  # Y has 360 KB


def allocated(function):
    """Sizes of the arrays that a call leaves behind, and the most memory that it takes while it runs."""
    numpy_only = [tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)]
    tracemalloc.start()
    try:
        function()
        tracemalloc.clear_traces()
        tracemalloc.reset_peak()
        function()
        peak = tracemalloc.get_traced_memory()[1]
        arrays = tracemalloc.take_snapshot().filter_traces(numpy_only).traces
    finally:
        tracemalloc.stop()
    return [trace.size for trace in arrays], peak


def test_allocations_would_be_seen():
    assert allocated(lambda: np.ones((128, 320), np.float32).sum())[1] > 160_000
    kept = []
    assert allocated(lambda: kept.append(np.ones(3)))[0] == [24]


# Errors

@pytest.mark.parametrize("rate", [1e30, 1e20])
def test_train_on_batch_that_diverges(rate):
    model, optimizer = nn.Sequential([nn.Dense(1, 1), nn.Dense(1, 1)], seed=0), nn.SGD(rate)
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf): layers\[\d\], Dense\(1, 1\), is the first"):
        for _ in range(4):
            steps = optimizer.steps
            model.train_on_batch([[1e10]], [1.0], loss="mse", optimizer=optimizer)
    assert optimizer.steps == steps


def test_a_validation_loss_that_is_not_finite():
    model = nn.Sequential([nn.Dense(1, 1)], seed=0)
    model.layers[0].W = [[10.0]]
    with pytest.raises(FloatingPointError, match=r"the validation loss is inf after epoch 1: layers\[0\]"):
        model.fit([[0.0]], [0.0], loss="mse", optimizer=nn.SGD(1e-3), validation_data=([[3e38]], [-3e38]))


def test_class_weights_beyond_the_type():
    model = nn.Sequential([nn.Dense(1, 2)], seed=0)
    arguments = {**CROSS_ENTROPY, "optimizer": nn.SGD()}
    state = model._rng.bit_generator.state
    for weight, words in ((1e39, r"class_weight must fit into float32, but class_weight\[0\] is 1e\+39"),
                          (0, "class_weight must have a sum above 0 and finite, got 0")):
        with pytest.raises(ValueError, match=words):
            model.fit([[1.0], [2.0]], [0, 0], class_weight={0: weight}, **arguments)
    assert model.history is None and model.optimizer is None and model._rng.bit_generator.state == state


def test_a_batch_of_an_iterable_whose_weights_are_all_0_is_left_out():
    """As one of arrays is; but not all of them."""
    arguments = {**CROSS_ENTROPY, "optimizer": nn.SGD(0.1)}
    X, y = np.ones((2, 1)), [0, 1]
    models = [nn.Sequential([nn.Dense(1, 2)], seed=0) for _ in range(2)]
    models[0].fit([(X, y, [1, 2]), (X, y, [0, 0]), (X, y, [3, 1])], **arguments)
    models[1].fit([(X, y, [1, 2]), (X, y, [3, 1])], **{**arguments, "optimizer": nn.SGD(0.1)})
    np.testing.assert_array_equal(models[0].layers[0].W, models[1].layers[0].W)
    with pytest.raises(ValueError, match="must not make the weights of all rows 0"):
        models[0].fit([(X, y, [0, 0])], **arguments)


def test_a_seed_sequence_is_not_changed():
    seed = np.random.SeedSequence(3)
    first, second = (nn.Sequential([nn.Dense(3, 2)], seed=seed).layers[0].W for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_copies_take_no_arrays_of_a_step_along():
    model = nn.Sequential([nn.Dense(4, 3)], seed=0)
    before = len(pickle.dumps(model))
    model.fit(np.ones((10_000, 4)), np.ones((10_000, 3)), loss="mse", optimizer="adam", batch_size=10_000)
    assert len(pickle.dumps(model)) < before + 2_000


def test_a_copy_made_in_a_callback_trains_in_another_thread():
    class Copy(nn.Callback):
        def on_epoch_end(self, model, epoch, history):
            self.model = copy.deepcopy(model)

    callback = Copy()
    arguments = {"loss": "mse", "optimizer": "sgd"}
    nn.Sequential([nn.Dense(1, 1)], seed=0).fit([[1.0]], [1.0], callbacks=[callback], **arguments)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert pool.submit(callback.model.fit, [[1.0]], [1.0], **arguments).result().epochs == 1



@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"loss": "hinge"}, ValueError, "loss must be one of 'softmax_cross_entropy', .*'mse'; got 'hinge'"),
        ({"optimizer": "lion"}, ValueError, "optimizer must be one of 'sgd', .*; got 'lion'"),
        ({"optimizer": nn.SGD}, TypeError, r"optimizer must be an Optimizer, got the class: write nn.SGD\(\)"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer, got 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": "32"}, TypeError, "batch_size must be an integer"),
        ({"X": np.ones((50, 3))}, ValueError, r"X must have shape \(rows, 4\), got \(50, 3\)"),
        ({"X": np.ones((0, 4)), "y": []}, ValueError, "X must have at least one row"),
        ({"X": np.ones((49, 4))}, ValueError, "y must have one entry for each of the 49 rows of X, got 50"),
        ({"X": np.full((50, 4), 1e300)}, ValueError, r"X must fit into float32, but X\[0, 0\] is 1e\+300"),
        ({"X": np.full((50, 4), np.inf)}, ValueError, "X must be finite"),
        ({"y": np.zeros(50)}, TypeError, "y must hold integer labels, got dtype float64"),
        ({"y": np.arange(50)}, ValueError, r"y must hold labels from 0 to 2 .* y\[3\] is 3"),
        ({"validation_data": 3}, ValueError, r"validation_data must be an iterable of batches .*, got int"),
        ({"validation_data": ([], [], [], [])}, ValueError, r"validation_data must be \(X, y\), .* got a tuple of 4"),
        ({"validation_data": (np.ones((2, 3)), [0, 1])}, ValueError, r"validation_data\[0\] must have shape"),
        ({"validation_data": (np.ones((2, 4)), [0, 7])}, ValueError, r"validation_data\[1\] must hold labels"),
    ],
)
def test_wrong_fit(changes, error, words):
    model = classifier()
    before = weights(model)
    arguments = dict(zip("Xy", data(), strict=True), **CROSS_ENTROPY, optimizer="adam") | changes
    with pytest.raises(error, match=words):
        model.fit(arguments.pop("X"), arguments.pop("y"), **arguments)
    assert same(weights(model), before)


def test_nan_in_the_input_is_named():
    X, y = data()
    X[17, 2] = np.nan
    model = classifier()
    for call in (
        lambda: model.fit(X, y, **CROSS_ENTROPY, optimizer="sgd"),
        lambda: model.predict(X),
        lambda: model.evaluate(X, y, "softmax_cross_entropy"),
    ):
        with pytest.raises(ValueError, match=r"X must be finite, but X\[17, 2\] is nan"):
            call()
    signalling = np.zeros((2, 4), np.uint16)
    signalling[1, 2] = 0x7C01
    with np.errstate(all="raise"), pytest.raises(ValueError, match=r"X\[1, 2\] is nan"):
        model.predict(signalling.view(np.float16))
    many = np.zeros((600_000, 4), np.float32)
    many[599_999, 3] = np.nan
    with pytest.raises(ValueError, match=r"X\[599999, 3\] is nan"):
        model.predict(many)


def test_divergence_names_epoch_batch_and_layer():
    X, y = data()
    model = classifier()
    model.fit(X, y, **CROSS_ENTROPY, optimizer="sgd")
    model.layers[1].W[3, 1] = np.nan
    with pytest.raises(FloatingPointError, match=r"loss is nan at epoch 1, batch 1: layers\[1\], Dense\(16, 3\)"):
        model.fit(X, y, **CROSS_ENTROPY, optimizer="sgd")
    model = nn.Sequential([nn.Dense(4, 16), nn.Dense(16, 1)], seed=0)
    with pytest.raises(FloatingPointError, match=r"at epoch \d+, batch \d+: layers\[\d\]"):
        model.fit(X, X[:, 0], loss="mse", optimizer=nn.SGD(1e6), epochs=100)
    model = nn.Sequential([nn.Dense(4, 1)], seed=0)
    with pytest.raises(FloatingPointError, match=r"layers\[0\].W is not finite after the last batch of epoch 1"):
        model.fit(X, 1e30 * X[:, 0], loss="mse", optimizer=nn.SGD(1e9), batch_size=50)


# The gradient check


def check(activation, loss="softmax_cross_entropy", slope=0.01, depth=3, seed=0, weighted=False):
    rng = np.random.default_rng(seed)
    features = [6, *[8] * depth]
    layers = [nn.Dense(*sizes, activation, slope) for sizes in itertools.pairwise(features)]
    model = nn.Sequential([*layers, nn.Dense(8, 4)], seed=seed)
    before = weights(model)
    X = rng.standard_normal((10, 6))
    y = rng.integers(0, 4, 10) if loss == "softmax_cross_entropy" else rng.random((10, 4))
    sample_weight = [0.0, *rng.random(9)] if weighted else None
    error = nn.check_gradients(model, X, y, loss, sample_weight=sample_weight)
    assert type(error) is float and same(weights(model), before) and model.dtype == np.float32
    return error


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy", "mse"])
@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
def test_gradients_pass_the_check(activation, loss, weighted):
    assert max(check(activation, loss, seed=seed, weighted=weighted) for seed in range(2)) < 1e-8


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.7, -0.4])
def test_gradients_of_every_slope_pass_the_check(slope):
    assert check("leaky_relu", slope=slope) < 1e-8


def test_gradients_of_a_deep_network_pass_the_check():
    for activation in ACTIVATIONS:
        assert check(activation, depth=10) < 1e-7


def test_units_at_their_kink_give_no_false_alarm():
    model = nn.Sequential([nn.Dense(2, 6, "relu"), nn.Dense(6, 2)], seed=0)
    X = [[0.0, 0.0], [1.0, -0.5], [2e-5, 1e-5]]  # zero input: the pre-activations are exactly 0
    assert nn.check_gradients(model, X, [0, 1, 0], "softmax_cross_entropy") < 1e-6
    with pytest.raises(ValueError, match="no gradient could be checked"):
        flat = nn.Sequential([nn.Dense(2, 6, "relu")], seed=0)
        flat.layers[0].W = np.zeros((2, 6))
        nn.check_gradients(flat, np.ones((1, 2)), np.ones((1, 6)), "mse")


def test_wrong_sample_weight_for_the_check():
    model = nn.Sequential([nn.Dense(2, 2)], seed=0)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(3,\), a weight for each row, got \(2,\)"):
        nn.check_gradients(model, np.ones((3, 2)), [0, 1, 0], "softmax_cross_entropy", sample_weight=[1, 1])


FAULTS = {
    "sigmoid": lambda y: y,
    "tanh": lambda y: 1 - y,
    "relu": lambda y: y >= 0,
    "leaky_relu": lambda y: np.where(y > 0, 1, 0.02),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_wrong_backward_pass_fails_the_check(activation, monkeypatch):
    right = _fused.backward_bias

    def wrong(backward, dY, Y, dZ, db, slope):
        if backward is not None:
            np.multiply(dY, FAULTS[activation](Y), out=dZ)
            dY, backward = dZ, None
        right(backward, dY, Y, dZ, db)

    monkeypatch.setattr(_fused, "backward_bias", wrong)
    assert check(activation) > 1e-4


def test_a_wrong_bias_gradient_fails_the_check(monkeypatch):
    right = nn.Dense.backward

    def wrong(self, *arguments):
        dX = right(self, *arguments)
        self.db *= 1 + 1e-5
        return dX

    monkeypatch.setattr(nn.Dense, "backward", wrong)
    assert 5e-6 < check("tanh") < 2e-5


def test_a_gradient_that_is_not_a_number_fails_the_check(monkeypatch):
    """One NaN in one gradient: no other entry's agreement may hide it."""
    right = nn.Dense.backward

    def wrong(self, *arguments):
        dX = right(self, *arguments)
        self.dW[0, 0] = np.nan
        return dX

    monkeypatch.setattr(nn.Dense, "backward", wrong)
    assert check("tanh") == np.inf
