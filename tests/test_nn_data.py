"""What fastact.nn trains on: weights of rows and classes, data larger than memory, batches from iterables."""

import itertools
import tracemalloc

import numpy as np
import pytest

from fastact import nn

LOSSES = ["softmax_cross_entropy", "binary_cross_entropy", "mse"]
CROSS_ENTROPY = {"loss": "softmax_cross_entropy"}


def network(seed=0, outputs=3, dtype=np.float64):
    return nn.Sequential([nn.Dense(4, 8, "tanh", dtype=dtype), nn.Dense(8, outputs, dtype=dtype)], seed=seed)


def data(loss="softmax_cross_entropy", rows=50, outputs=3):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((rows, 4))
    return X, {
        "softmax_cross_entropy": rng.integers(0, outputs, rows),
        "binary_cross_entropy": rng.integers(0, 2, (rows, outputs)),
        "mse": rng.standard_normal((rows, outputs)),
    }[loss]


def row_losses(loss, Y, targets):
    """The formulas of the losses in float64, a number a row."""
    if loss == "softmax_cross_entropy":
        return np.log(np.exp(Y).sum(axis=1)) - Y[np.arange(len(Y)), targets]
    if loss == "binary_cross_entropy":
        p = 1 / (1 + np.exp(-Y))
        return (-targets * np.log(p) - (1 - targets) * np.log(1 - p)).mean(axis=1)
    return ((Y - targets) ** 2).mean(axis=1)


def weights(model):
    return np.concatenate([parameter.value.ravel() for parameter in model.parameters()])


# Weights of rows

@pytest.mark.parametrize("loss", LOSSES)
def test_a_row_of_weight_two_counts_as_two(loss):
    X, y = data(loss)
    counts = np.arange(50) % 4  # some 0
    rows = np.repeat(np.arange(50), counts)
    weighted, repeated = network(), network()
    options = {"loss": loss, "optimizer": nn.Adam(0.01), "batch_size": 200, "epochs": 5, "shuffle": False}
    a = weighted.fit(X, y, sample_weight=counts, **options)
    b = repeated.fit(X[rows], y[rows], **(options | {"optimizer": nn.Adam(0.01)}))
    np.testing.assert_allclose(weights(weighted), weights(repeated), rtol=1e-9, atol=1e-12)
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-10)


@pytest.mark.parametrize("loss", LOSSES)
def test_means_are_weighted_over_all_rows(loss):
    """By hand, in batches of 7: fit with steps of no size, evaluate, validation data and train_on_batch."""
    X, y = data(loss)
    w = np.random.default_rng(2).random(50)
    model = network()
    rows = row_losses(loss, model.predict(X), y)
    want = pytest.approx(np.sum(w * rows) / np.sum(w), rel=1e-12)
    options = {"loss": loss, "optimizer": nn.SGD(1e-300)}
    history = model.fit(X, y, sample_weight=w, batch_size=7, validation_data=(X, y, w), **options)
    assert history["loss"] == [want] and history["val_loss"] == [want]
    assert model.evaluate(X, y, sample_weight=w, batch_size=7)["loss"] == want
    assert model.train_on_batch(X, y, sample_weight=w, **options) == want
    assert model.evaluate(X, y)["loss"] == pytest.approx(rows.mean(), rel=1e-12)


def test_weights_follow_their_rows_through_the_shuffle():
    X, y = data()
    w = np.random.default_rng(2).random(50)
    model, by_hand = network(seed=5), network(seed=5)
    model.fit(X, y, **CROSS_ENTROPY, optimizer=nn.SGD(0.1, 0.9), epochs=2, batch_size=16, sample_weight=w)
    rng = np.random.default_rng(np.random.SeedSequence(5).spawn(3)[0])
    optimizer = nn.SGD(0.1, 0.9)
    for _ in range(2):
        order = np.arange(50)
        rng.shuffle(order)
        for start in range(0, 50, 16):
            rows = order[start : start + 16]
            _, dY = nn.softmax_cross_entropy(by_hand.forward(X[rows]), y[rows], w[rows])
            by_hand.backward(dY)
            optimizer.step(by_hand.parameters())
    np.testing.assert_array_equal(weights(model), weights(by_hand))


def test_a_batch_without_weight_makes_no_step():
    X, y = data()
    w = np.repeat([1.0, 0.0, 2.0, 0.0, 0.0], 10)
    model, short = network(), network()
    options = {**CROSS_ENTROPY, "batch_size": 10, "shuffle": False, "epochs": 3}
    optimizer = nn.SGD(0.1, momentum=0.9)
    history = model.fit(X, y, sample_weight=w, optimizer=optimizer, **options)
    rows = np.r_[0:10, 20:30]
    reference = short.fit(X[rows], y[rows], sample_weight=w[rows], optimizer=nn.SGD(0.1, momentum=0.9), **options)
    assert optimizer.steps == 6 and history == reference
    np.testing.assert_array_equal(weights(model), weights(short))


# Weights of classes

@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0, 2: 0.5}, {np.int64(1): 2}])
@pytest.mark.parametrize("targets", ["labels", "one-hot", "binary"])
def test_class_weights_are_those_of_scikit_learn(targets, class_weight):
    class_weights = pytest.importorskip("sklearn.utils.class_weight", reason="scikit-learn is not installed")
    X, y = data()
    y[y == 1] = np.where(np.arange(np.sum(y == 1)) % 3, 0, 1)  # few of class 1
    w = np.random.default_rng(2).random(50)
    options = {"optimizer": "adam", "epochs": 2, **CROSS_ENTROPY}
    outputs = 3
    if targets == "binary":
        y = np.minimum(y, 1)
        outputs, options["loss"] = 1, "binary_cross_entropy"
        class_weight = {0: 3.0, 1: 0.5} if isinstance(class_weight, dict) else class_weight
    named = {0: 1.0, 1: 1.0, 2: 1.0} | class_weight if isinstance(class_weight, dict) else class_weight
    named = {label: named[label] for label in np.unique(y)} if isinstance(named, dict) else named
    of_rows = class_weights.compute_sample_weight(named, y)
    given = np.eye(3)[y] if targets == "one-hot" else y
    for sample_weight in (None, w):
        by_class, by_row = network(outputs=outputs), network(outputs=outputs)
        a = by_class.fit(X, given, class_weight=class_weight, sample_weight=sample_weight, **options)
        b = by_row.fit(X, y, sample_weight=of_rows if sample_weight is None else of_rows * w, **options)
        np.testing.assert_allclose(weights(by_class), weights(by_row), rtol=1e-12)
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"sample_weight": np.ones(49)}, ValueError, r"sample_weight must have shape \(50,\), .* got \(49,\)"),
        ({"sample_weight": np.ones((50, 1))}, ValueError, r"sample_weight must have shape \(50,\)"),
        ({"sample_weight": np.zeros(50)}, ValueError, "sample_weight must have a sum above 0"),
        ({"sample_weight": -np.ones(50)}, ValueError, r"sample_weight must be at least 0, but .*\[0\] is -1"),
        ({"sample_weight": np.full(50, np.nan)}, ValueError, r"sample_weight must be finite"),
        ({"sample_weight": ["a"] * 50}, TypeError, "sample_weight must hold real numbers"),
        ({"class_weight": [1, 2, 3]}, TypeError, "class_weight must be a dict of label to weight, 'balanced' or None"),
        ({"class_weight": "balance"}, TypeError, "class_weight must be a dict .* got 'balance'"),
        ({"class_weight": {3: 1.0}}, ValueError, "class_weight must have labels from 0 to 2, got 3"),
        ({"class_weight": {"a": 1.0}}, TypeError, "a label of class_weight must be an integer, got 'a'"),
        ({"class_weight": {1: -1.0}}, ValueError, r"class_weight\[1\] must be at least 0"),
        ({"class_weight": {1: np.nan}}, ValueError, r"class_weight\[1\] must be at least 0 and finite"),
        ({"class_weight": {0: 1e200, 1: 1e200, 2: 1e200}, "sample_weight": np.full(50, 1e200)}, ValueError,
         r"class_weight times sample_weight must be finite, but class_weight times sample_weight\[0\] is inf"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, ValueError, "class_weight must have a sum above 0 and finite, got 0"),
        ({"class_weight": "balanced", "loss": "mse", "y": np.ones((50, 3))}, ValueError,
         "class_weight needs the loss 'softmax_cross_entropy', .* got the loss 'mse' and 3 outputs"),
        ({"validation_data": (np.ones((2, 4)), [0, 1], [1.0])}, ValueError,
         r"validation_data\[2\] must have shape \(2,\)"),
        ({"shuffle": "no"}, TypeError, "shuffle must be True or False, got 'no'"),
        ({"steps_per_epoch": 3}, ValueError, "steps_per_epoch is for an iterable of batches"),
    ],
)
def test_wrong_weights(changes, error, words):
    X, y = data()
    model = network()
    before = weights(model)
    arguments = {"y": y, **CROSS_ENTROPY, "optimizer": "adam"} | changes
    with pytest.raises(error, match=words):
        model.fit(X, **arguments)
    np.testing.assert_array_equal(weights(model), before)


def test_class_weight_of_probabilities_is_refused():
    X, _ = data()
    with pytest.raises(ValueError, match="class_weight needs classes, but y holds numbers between 0 and 1"):
        network(outputs=1).fit(X, np.full(50, 0.5), loss="binary_cross_entropy", optimizer="sgd",
                               class_weight="balanced")


# Data larger than memory

def test_memory_for_mapped_files_does_not_grow_with_them(tmp_path):
    """64 MiB of X on disk, weighted and shuffled: in memory are the order of the rows and a few batches."""
    rows = 2**18
    X = np.memmap(tmp_path / "X", np.float32, "w+", shape=(rows, 64))  # a file with holes
    X[::1000] = 1
    y = np.memmap(tmp_path / "y", np.uint8, "w+", shape=(rows,))
    w = np.memmap(tmp_path / "w", np.float32, "w+", shape=(rows,))
    w[:] = 1
    model = nn.Sequential([nn.Dense(64, 2)], seed=0)
    tracemalloc.start()
    try:
        model.fit(X, y, **CROSS_ENTROPY, optimizer="sgd", batch_size=2**11, validation_data=(X, y))
        plain = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        model.fit(X, y, **CROSS_ENTROPY, optimizer="sgd", batch_size=2**11, sample_weight=w)
        weighted = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    order, batch = 8 * rows, 2**11 * 64 * 4
    assert plain < order + 8 * batch
    assert weighted < 3 * order + 8 * batch


# Batches from an iterable

class Reopened:
    """A dataset that is read anew for each epoch, of unknown length."""

    def __init__(self, batches):
        self.batches = batches
        self.opened = 0

    def __iter__(self):
        self.opened += 1
        yield from self.batches


def in_batches(*arrays, size=16):
    return [tuple(array[start : start + size] for array in arrays) for start in range(0, len(arrays[0]), size)]


@pytest.mark.parametrize("kind", [list, tuple, Reopened])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_batches_of_an_iterable_are_those_of_arrays(loss, weighted, kind):
    X, y = data(loss)
    w = np.random.default_rng(2).random(50) if weighted else None
    batches = kind(in_batches(X, y, w) if weighted else in_batches(X, y))
    options = {"loss": loss, "optimizer": "adam", "epochs": 3}
    of_arrays, of_batches = network(dtype=np.float32), network(dtype=np.float32)
    a = of_arrays.fit(X, y, **options, batch_size=16, shuffle=False, sample_weight=w, validation_data=(X, y))
    b = of_batches.fit(batches, **options, validation_data=in_batches(X, y))
    np.testing.assert_array_equal(weights(of_arrays), weights(of_batches))
    assert a["loss"] == b["loss"]
    assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-6)
    assert of_batches.evaluate(batches)["loss"] == of_arrays.evaluate(X, y, sample_weight=w, batch_size=16)["loss"]
    if kind is Reopened:
        assert batches.opened == 4  # three epochs and evaluate


@pytest.mark.parametrize("as_batches", [False, True])
def test_class_weights_play_no_part_in_validation(as_batches):
    X, y = data()
    model, validation_data = network(), in_batches(X, y) if as_batches else (X, y)
    history = model.fit(X, y, **CROSS_ENTROPY, optimizer="sgd", class_weight={0: 2.0, 1: 0.0},
                        validation_data=validation_data)
    wanted = row_losses("softmax_cross_entropy", model.predict(X), y).mean()
    assert history["val_loss"] == [pytest.approx(wanted, rel=1e-10)]


def test_class_weights_with_batches():
    X, y = data()
    class_weight = {0: 2.0, 1: 0.0}
    of_arrays, of_batches = network(), network()
    options = {**CROSS_ENTROPY, "epochs": 2, "class_weight": class_weight}
    of_arrays.fit(X, y, **options, optimizer="sgd", batch_size=16, shuffle=False)
    none_counts = (X[y == 1], y[y == 1])
    of_batches.fit([*in_batches(X, y), none_counts], **options, optimizer="sgd")
    np.testing.assert_array_equal(weights(of_arrays), weights(of_batches))


def test_a_generator_serves_one_epoch():
    X, y = data()
    once, arrays = network(), network()
    once.fit((batch for batch in in_batches(X, y)), **CROSS_ENTROPY, optimizer="sgd")
    arrays.fit(X, y, **CROSS_ENTROPY, optimizer="sgd", batch_size=16, shuffle=False)
    np.testing.assert_array_equal(weights(once), weights(arrays))
    with pytest.raises(ValueError, match=r"X must be iterable once an epoch, but <generator .* one of the 2 epochs"):
        once.fit((batch for batch in in_batches(X, y)), **CROSS_ENTROPY, optimizer="sgd", epochs=2)
    with pytest.raises(ValueError, match="validation_data must be iterable once an epoch, but"):
        once.fit(X, y, **CROSS_ENTROPY, optimizer="sgd", epochs=2, validation_data=iter(in_batches(X, y)))
    np.testing.assert_array_equal(weights(once), weights(arrays))


def test_a_tensor_that_numpy_cannot_read_is_named():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    _, y = data()
    for X in (torch.ones((50, 4), requires_grad=True), torch.ones((50, 4), dtype=torch.bfloat16)):
        with pytest.raises(TypeError, match=r"X must be what NumPy can make an array of: .*(grad|BFloat16)"):
            network().fit(X, y, **CROSS_ENTROPY, optimizer="sgd")


def test_steps_per_epoch_take_the_next_batches_of_a_generator():
    X, y = data()
    batches = in_batches(X, y, size=10)
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield batches[number % 5]

    generated, by_hand = network(), network()
    history = generated.fit(endless(), **CROSS_ENTROPY, optimizer="sgd", epochs=3, steps_per_epoch=4)
    assert history.epochs == 3 and taken == list(range(12))  # none is taken and lost
    optimizer = nn.SGD()
    for number in range(12):
        by_hand.train_on_batch(*batches[number % 5], **CROSS_ENTROPY, optimizer=optimizer)
    np.testing.assert_array_equal(weights(generated), weights(by_hand))


@pytest.mark.parametrize(
    ("X", "options", "error", "words"),
    [
        ([], {}, ValueError, "X must give 1 or more batches, but it ended after 0"),
        (iter([(np.ones((2, 4)), [0, 1])] * 3), {"steps_per_epoch": 2, "epochs": 2}, ValueError,
         r"X must give 2 or more batches \(steps_per_epoch\), but it ended after 1 in pass 2 over the data"),
        ([(np.ones((2, 4)), [0, 1]), (np.ones((2, 3)), [0, 1])], {}, ValueError,
         r"X of batch 2 must have shape \(rows, 4\), got \(2, 3\)"),
        ([(np.ones((2, 4)), [0, 3])], {}, ValueError, r"y of batch 1 must hold labels from 0 to 2"),
        ([(np.ones((2, 4)), [0, 1], [1.0])], {}, ValueError, r"sample_weight of batch 1 must have shape \(2,\)"),
        ([(np.full((2, 4), np.nan), [0, 1])], {}, ValueError, "X of batch 1 must be finite"),
        ([(np.ones((0, 4)), [])], {}, ValueError, "X of batch 1 must have at least one row"),
        ([np.ones((2, 4))], {}, ValueError, r"X must give tuples \(X, y\) .* but item 1 is a ndarray"),
        ([(np.ones((2, 4)),)], {}, ValueError, r"X must give tuples \(X, y\) .* but item 1 is a tuple of 1"),
        (np.ones((2, 4)), {}, ValueError, "X must be an iterable of batches where .* got ndarray, and y is None"),
        ([[0, 0, 0, 0], [1, 1, 1, 1]], {}, ValueError, r"X must give tuples \(X, y\) .* but item 1 is a list of 4"),
        ([[0, 0], [1, 1]], {}, ValueError, r"X must give tuples \(X, y\) .* but item 1 is a list of 2"),
        (3, {}, ValueError, "X must be an iterable of batches where .* got int, and y is None"),
        ([(np.ones((2, 4)), [0, 1])], {"sample_weight": [1, 1]}, ValueError, "sample_weight must be None with an"),
        ([(np.ones((2, 4)), [0, 1])], {"class_weight": "balanced"}, ValueError, "class_weight must be a dict with an"),
        ([(np.ones((2, 4)), [0, 1])], {"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be at least 1, got 0"),
        ([(np.ones((2, 4)), [0, 1])], {"validation_data": [np.ones((2, 4)), [0, 1]]}, ValueError,
         r"validation_data must give tuples \(X, y\) .* but item 1 is a ndarray"),
        ([(np.ones((2, 4)), [0, 1])], {"validation_data": [(np.ones((2, 4)), [0, 7])]}, ValueError,
         "y of validation batch 1 must hold labels"),
    ],
)
def test_wrong_batches(X, options, error, words):
    with pytest.raises(error, match=words):
        network().fit(X, **CROSS_ENTROPY, optimizer="sgd", **options)


def test_progress_of_unknown_length(capsys, monkeypatch):
    monkeypatch.setattr(nn.progress, "SECONDS_BETWEEN_LINES", -1)
    X, y = data()
    network().fit(Reopened(in_batches(X, y)), **CROSS_ENTROPY, optimizer="sgd", epochs=2, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"fit: {number}" for number in range(1, 9)]
    assert "epoch 1/2: loss" in lines[-1]


def test_a_callback_that_uses_the_model_leaves_the_batch_alone():
    """A batch of an iterable is converted before the callbacks get their turn."""
    class Looks(nn.Callback):
        def on_batch_begin(self, model, epoch, batch):
            model.forward(np.full((10, 4), 1e3))
            model.train_on_batch(np.full((10, 4), 1e3), [0] * 10, **CROSS_ENTROPY, optimizer=nn.SGD(1e-30))

    X, y = data()
    plain, watched = network(dtype=np.float32), network(dtype=np.float32)
    for model, callbacks in ((plain, []), (watched, [Looks()])):
        model.fit(in_batches(X, y, size=10), **CROSS_ENTROPY, optimizer="sgd", callbacks=callbacks)
    np.testing.assert_array_equal(weights(watched), weights(plain))
