"""fastact.nn: callbacks, early stopping, and the history that plots and turns into a table."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from fastact import nn

CROSS_ENTROPY = {"loss": "softmax_cross_entropy"}


def network(seed=0):
    return nn.Sequential([nn.Dense(4, 16, "tanh"), nn.Dense(16, 2)], seed=seed)


def data(rows=60, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 4))
    return X, (X[:, 0] + rng.standard_normal(rows) > 0).astype(int)


def weights(model):
    return np.concatenate([parameter.value.ravel() for parameter in model.parameters()])


class Recorder(nn.Callback):
    def __init__(self, calls):
        self.calls = calls

    def on_fit_begin(self, model):
        self.calls.append("begin")

    def on_epoch_end(self, model, epoch, history):
        assert history is model.history and history.epochs == epoch
        self.calls.append((epoch, history["loss"][-1], weights(model)))
        if epoch == 3:
            model.stop_training = True

    def on_fit_end(self, model):
        self.calls.append("end")


def test_callbacks_are_called_and_stop_the_training():
    X, y = data()
    model, short, calls = network(), network(), []
    history = model.fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=10, callbacks=[Recorder(calls)])
    assert calls[0] == "begin" and calls[-1] == "end" and len(calls) == 5
    reference = short.fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=3)
    assert history == reference and [call[1] for call in calls[1:-1]] == history["loss"]
    np.testing.assert_array_equal(weights(model), weights(short))
    np.testing.assert_array_equal(calls[3][2], weights(short))
    assert model.fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=4).epochs == 4  # the wish to stop is over


@pytest.mark.parametrize(
    ("callbacks", "error", "words"),
    [
        (nn.EarlyStopping("loss"), TypeError, r"callbacks must be a list of nn.Callback, got EarlyStopping.* write \["),
        (None, TypeError, "callbacks must be a list of nn.Callback, got None"),
        ([nn.EarlyStopping], TypeError, r"callbacks\[0\] must be an nn.Callback, got <class"),
        ([nn.EarlyStopping()], ValueError,
         r"callbacks\[0\] must monitor one of 'loss', 'accuracy', got EarlyStopping\(.*; give validation_data"),
        ([nn.EarlyStopping("losses")], ValueError, "must monitor one of 'loss', 'accuracy', got"),
    ],
)
def test_wrong_callbacks(callbacks, error, words):
    X, y = data()
    model = network()
    before = weights(model)
    with pytest.raises(error, match=words):
        model.fit(X, y, **CROSS_ENTROPY, optimizer="adam", callbacks=callbacks)
    np.testing.assert_array_equal(weights(model), before)


# Early stopping

def stop_at(values, **settings):
    """The epoch that early stopping ends at for these values, None if it does not, and its best epoch."""
    model, history = network(), nn.History()
    stopping = nn.EarlyStopping(**settings)
    stopping.on_fit_begin(model)
    for epoch, value in enumerate(values, start=1):
        history.record({"loss": 0.0, stopping.monitor: value})
        stopping.on_epoch_end(model, epoch, history)
        if model.stop_training:
            return epoch, stopping.best_epoch
    return None, stopping.best_epoch


@pytest.mark.parametrize(
    ("values", "settings", "want"),
    [
        ([3, 2, 1, 1, 1, 0], {"patience": 2}, (5, 3)),
        ([3, 2, 1, 1, 0, 1, 1], {"patience": 2}, (7, 5)),
        ([3, 2, 1], {"patience": 1}, (None, 3)),
        ([3, 2.95, 2.91, 2.85], {"patience": 2, "min_delta": 0.1}, (3, 1)),
        ([3, 2.95, 2.85, 2.8], {"patience": 2, "min_delta": 0.1}, (None, 3)),
        ([0.5, 0.6, 0.6, 0.5], {"patience": 2, "monitor": "val_accuracy"}, (4, 2)),
        ([np.nan, 2, np.nan, 1], {"patience": 3}, (None, 4)),
        ([np.nan, np.nan], {"patience": 2}, (2, 0)),
    ],
)
def test_early_stopping_ends_after_patience(values, settings, want):
    assert stop_at(values, **settings) == want


@pytest.mark.parametrize("restore_best", [True, False])
def test_early_stopping_gives_back_the_best_weights(restore_best):
    """Also the second fit with the same callback, and a fit whose epochs run out."""
    X, y = data()
    stopping, kept = nn.EarlyStopping(patience=4, restore_best=restore_best), []

    class Keep(nn.Callback):
        def on_epoch_end(self, model, epoch, history):
            kept.append(weights(model))

    options = {**CROSS_ENTROPY, "validation_data": (X[40:], y[40:]), "callbacks": [Keep(), stopping]}
    for epochs in (300, 300, 3):
        kept.clear()
        model = network()
        history = model.fit(X[:40], y[:40], **options, optimizer=nn.Adam(0.03), epochs=epochs)
        best = int(np.argmin(history["val_loss"]))
        assert history.epochs == min(epochs, best + 1 + 4) and stopping.best_epoch == best + 1
        np.testing.assert_array_equal(weights(model), kept[best if restore_best else -1])
        if restore_best:
            assert model.evaluate(X[40:], y[40:])["loss"] == history["val_loss"][best] == stopping.best


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"patience": 2.5}, TypeError, "patience must be an integer"),
        ({"min_delta": -1}, ValueError, "min_delta must be at least 0"),
        ({"monitor": 3}, TypeError, "monitor must be a name in the history, such as 'val_loss', got 3"),
    ],
)
def test_wrong_early_stopping(settings, error, words):
    with pytest.raises(error, match=words):
        nn.EarlyStopping(**settings)


def test_reprs():
    assert repr(nn.EarlyStopping(patience=3)) == (
        "EarlyStopping(monitor='val_loss', patience=3, min_delta=0, restore_best=True)"
    )


# History

def test_history_becomes_a_table():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = data()
    history = network().fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=3, validation_data=(X, y))
    table = history.to_dataframe()
    assert list(table) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert table.index.tolist() == [1, 2, 3] and table.index.name == "epoch"
    np.testing.assert_array_equal(table["val_loss"], history["val_loss"])
    assert pandas.DataFrame(history).shape == (3, 4)
    assert len(nn.History().to_dataframe()) == 0


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_history_plots(pyplot, tmp_path):
    history = nn.History(loss=[2.0, 0.5, 0.1], accuracy=[0.2, 0.5, 0.9], val_loss=[2.1, 0.7, 0.3],
                         val_accuracy=[0.1, 0.4, 0.8])
    panels = history.plot()
    assert [panel.get_ylabel() for panel in panels] == ["loss", "accuracy"]
    for panel, scale in zip(panels, ["log", "linear"], strict=True):
        training, validation = panel.get_lines()
        name = panel.get_ylabel()
        assert training.get_xdata().tolist() == validation.get_xdata().tolist() == [1, 2, 3]
        assert training.get_ydata().tolist() == history[name]
        assert validation.get_ydata().tolist() == history[f"val_{name}"]
        assert [text.get_text() for text in panel.get_legend().get_texts()] == ["training", "validation"]
        assert panel.get_xlabel() == "epoch" and panel.get_yscale() == scale
        assert all(tick == int(tick) for tick in panel.get_xticks()) and panel.get_xlim() == (0.5, 3.5)
    panels[0].figure.savefig(tmp_path / "history.png")


def test_history_plots_on_given_axes(pyplot):
    history = nn.History(loss=[0.0, 0.0])  # no logarithm
    _, ax = pyplot.subplots()
    assert history.plot(ax) == [ax] and ax.get_yscale() == "linear"
    _, axes = pyplot.subplots(1, 2)
    assert nn.History(loss=[1.0], accuracy=[1.0]).plot(axes) == list(axes)
    with pytest.raises(ValueError, match="ax must hold one axes for each of loss, got 2"):
        history.plot(axes)
    with pytest.raises(ValueError, match="there is nothing to plot"):
        nn.History().plot()


class Batches(nn.Callback):
    """Notes what it is called with."""

    def __init__(self):
        self.calls, self.gradients = [], []

    def on_batch_begin(self, model, epoch, batch):
        self.calls.append(("begin", epoch, batch, model.layers[0].W.copy()))
        return self.see if batch == 2 else None

    def see(self, layer, dY):
        self.gradients.append((layer, dY.copy()))

    def on_batch_end(self, model, epoch, batch):
        self.calls.append(("end", epoch, batch, model.layers[0].W.copy()))


def test_calls_for_every_batch():
    """Around each step; the gradients are those of a backward pass by hand."""
    model = nn.Sequential([nn.Dense(3, 4, "tanh", dtype=np.float64), nn.Dense(4, 2, dtype=np.float64)], seed=0)
    X, T = np.random.default_rng(0).standard_normal((2, 10, 3))
    T = T[:, :2]
    callback = Batches()
    model.fit(X, T, loss="mse", optimizer=nn.SGD(0.1), epochs=2, batch_size=5, shuffle=False, callbacks=[callback])
    assert [call[:3] for call in callback.calls] == [
        (when, epoch, batch) for epoch in (1, 2) for batch in (1, 2) for when in ("begin", "end")]  # fmt: skip
    weights = [call[3] for call in callback.calls]
    for begin, end, after in zip(weights[::2], weights[1::2], weights[2::2], strict=False):
        assert not np.array_equal(begin, end) and np.array_equal(end, after)

    twin = nn.Sequential([nn.Dense(3, 4, "tanh", dtype=np.float64), nn.Dense(4, 2, dtype=np.float64)], seed=0)
    twin.train_on_batch(X[:5], T[:5], loss="mse", optimizer=nn.SGD(0.1))
    _, dY = nn.mse(twin.forward(X[5:]), T[5:])
    seen = callback.gradients[:2]
    assert [layer for layer, _ in seen] == model.layers[::-1]
    np.testing.assert_allclose(seen[0][1], dY, rtol=1e-12)
    np.testing.assert_allclose(seen[1][1], dY @ twin.layers[1].W.T, rtol=1e-12)


def test_an_error_in_a_step_leaves_no_watcher():
    model = nn.Sequential([nn.Dense(3, 2)], seed=0)
    callback = Batches()
    with pytest.raises(FloatingPointError):
        model.fit(np.full((4, 3), 1e30), np.zeros((4, 2)), loss="mse", optimizer=nn.SGD(1e30), epochs=3, batch_size=2,
                  callbacks=[callback])  # fmt: skip
    seen = len(callback.gradients)
    model.layers[0].W = np.ones((3, 2))
    model.layers[0].b = np.zeros(2)
    model.fit(np.ones((4, 3)), np.zeros((4, 2)), loss="mse", optimizer="sgd", batch_size=2)
    assert len(callback.gradients) == seen


CHECKPOINTED = """
import sys, time
import numpy as np
from fastact import nn

class Wait(nn.Callback):
    def on_epoch_end(self, model, epoch, history):
        print(epoch, flush=True)
        sys.stdin.readline()

X, y = np.eye(4), np.array([0, 1, 1, 0])
model = nn.Sequential([nn.Dense(4, 2)], seed=0)
callbacks = [nn.Checkpoint(sys.argv[1]), Wait()]
model.fit(X, y, loss="softmax_cross_entropy", optimizer="adam", epochs=2, callbacks=callbacks)
"""


@pytest.mark.skipif(importlib.util.find_spec("fcntl") is None, reason="this system has no locks of files")
def test_two_trainings_do_not_write_one_checkpoint(tmp_path):
    """The second one is refused before its first step, in this process or another, with the other one's number; a
    process that was killed holds nothing, and another file in the folder is another matter."""
    pytest.importorskip("safetensors", reason="checkpoints need safetensors")
    path, other = tmp_path / "run", tmp_path / "other"

    def fit(path, *callbacks):
        callbacks = [*callbacks, nn.Checkpoint(path)]
        return nn.Sequential([nn.Dense(4, 2)], seed=0).fit(
            np.eye(4), [0, 1, 1, 0], **CROSS_ENTROPY, optimizer="adam", epochs=2, callbacks=callbacks)  # fmt: skip

    command = [sys.executable, "-c", CHECKPOINTED, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "1\n"
            with pytest.raises(BlockingIOError, match=f"process {process.pid} on .* writes this checkpoint: .*'.*run'"):
                fit(path)
            assert fit(other).epochs == 2
        finally:
            process.kill()
    assert fit(path).epochs == 2 and sorted(os.listdir(tmp_path)) == ["other", "run"]

    class Nested(nn.Callback):
        def on_epoch_end(self, model, epoch, history):
            fit(path)

    with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"):
        fit(path, Nested())
    assert sorted(os.listdir(tmp_path)) == ["other", "run"]
