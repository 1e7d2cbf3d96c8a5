"""Training on a cluster of Dask: workers in processes and threads, lost, joining and slow ones."""

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest

import fastact
from fastact import diagnostics, distributed, nn
from fastact.distributed import dask as module

dask = pytest.importorskip("dask", reason="Dask is not installed")
da = pytest.importorskip("dask.array", reason="Dask is not installed")
dask_distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((240, 6)), RNG.integers(0, 3, 240)
WEIGHT = RNG.random(240)


@pytest.fixture(scope="module")
def cluster():
    """Two processes."""
    with dask_distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    cluster.scale(2)
    with dask_distributed.Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def network(**options):
    return nn.Sequential([nn.Dense(6, 16, "tanh", **options), nn.Dense(16, 3)], seed=0)


def arrays(*numpy_arrays, rows=60):
    return [da.from_array(array, chunks=(rows, 4)[: array.ndim]) for array in numpy_arrays]


def fit(model, client=None, **options):
    options = {"loss": "softmax_cross_entropy", "optimizer": nn.Adam(0.01), "epochs": 3, "batch_size": 80} | options
    return distributed.fit(model, *arrays(X, Y), client=client, **options)


def weights(model):
    return np.concatenate([parameter.value.ravel() for parameter in model.parameters()])


@pytest.fixture(scope="module")
def whole():
    """The weights and history after training without a fault, on threads."""
    model = network()
    history = fit(model)
    return weights(model), history


def test_processes_give_the_bits_of_threads(client, whole):
    model = network()
    assert fit(model, client) == whole[1] and (weights(model) == whole[0]).all()


def test_steps_over_all_rows_are_those_of_one_process():
    """To rounding, weights and validation data and all; the columns' chunks and those of y play no part."""
    ours, one = (nn.Sequential([nn.Dense(6, 16, "tanh", dtype=float), nn.Dense(16, 3, dtype=float)], seed=0)
                 for _ in range(2))  # fmt: skip
    options = {"loss": "softmax_cross_entropy", "epochs": 4, "batch_size": 240}
    dask_weight, dask_Y = da.from_array(WEIGHT, chunks=100), da.from_array(Y, chunks=7)
    dask_X = arrays(X)[0]
    for validation in ((dask_X, dask_Y, dask_weight), (X, Y, WEIGHT)):
        history = distributed.fit(ours, dask_X, dask_Y, optimizer=nn.SGD(0.1, momentum=0.9), sample_weight=dask_weight,
                                  validation_data=validation, **options)  # fmt: skip
        expected = one.fit(X, Y, optimizer=nn.SGD(0.1, momentum=0.9), sample_weight=WEIGHT,
                           validation_data=(X, Y, WEIGHT), **options)  # fmt: skip
        assert np.abs(weights(ours) - weights(one)).max() < 1e-12
        assert history.keys() == expected.keys()
        for name, values in history.items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-12)


def test_every_row_counts_once_an_epoch():
    """Shuffled or not, whatever the chunks: with no step to speak of, the epoch's loss is that of all rows."""
    expected = network().evaluate(X, Y, "softmax_cross_entropy")
    for rows, shuffle in ((60, True), (77, True), (77, False), (1000, True)):
        history = distributed.fit(
            network(), *arrays(X, Y, rows=rows), loss="softmax_cross_entropy", optimizer=nn.SGD(1e-30), batch_size=50,
            shuffle=shuffle,
        )  # fmt: skip
        assert history["loss"][0] == pytest.approx(expected["loss"], rel=1e-6)
        assert history["accuracy"][0] == pytest.approx(expected["accuracy"])


@pytest.mark.parametrize("rows", [(25,) * 4, (1,) * 100, (5,) * 20, (70, 0, 29, 1)])
@pytest.mark.parametrize("batch_size", [1, 9, 10, 64, 100, 1000])
def test_a_step_has_a_batch_and_every_chunk_its_share(rows, batch_size):
    """Whatever the chunks: as many rows in every step, to one, and to one the share of each chunk."""
    cluster = module.Cluster.__new__(module.Cluster)
    cluster._steps = -(-100 // batch_size)
    cluster._seed, cluster._starts = None, np.cumsum([0, *rows]).tolist()
    parts = [[cluster._part(chunk, step) for step in range(cluster._steps)] for chunk in range(len(rows))]
    counts = np.array([[part.stop - part.start for part in chunk] for chunk in parts])
    assert all(a.stop == b.start for chunk in parts for a, b in itertools.pairwise(chunk))
    assert counts.sum(axis=1).tolist() == list(rows) and counts.min() >= 0
    assert counts.sum(axis=0).max() <= batch_size
    assert np.ptp(counts.sum(axis=0)) <= 1 and np.ptp(counts, axis=1).max() <= 1


def test_a_large_network_does_not_warn():
    """Of 12 MB of weights, which travel with each step."""
    model = nn.Sequential([nn.Dense(6, 400_000), nn.Dense(400_000, 1)], seed=0)
    target = da.from_array(RNG.standard_normal(240), chunks=240)
    history = distributed.fit(model, *arrays(X[:9]), target[:9], loss="mse", optimizer=nn.SGD(1e-9), batch_size=9)
    assert history.epochs == 1


def test_layers_that_wait_for_a_batch_get_it():
    for rows in (6, 1):  # of the second, most steps take none
        model = network(init="unit_gain")
        before = weights(model)
        options = {"loss": "softmax_cross_entropy", "optimizer": nn.SGD(1e-30), "batch_size": 8}
        assert distributed.fit(model, *arrays(X[:24], Y[:24], rows=rows), **options).epochs == 1
        assert not model.layers[0].needs_batch and (weights(model) != before).any()


def test_checkpoints_and_early_stopping(tmp_path, whole):
    path = tmp_path / "run.safetensors"
    fit(network(), epochs=2, callbacks=[nn.Checkpoint(path)])
    model = network()
    assert fit(model, resume_from=path, callbacks=[nn.Checkpoint(path)]) == whole[1]
    assert (weights(model) == whole[0]).all()
    stopping = nn.EarlyStopping("val_loss", patience=2)
    noise = RNG.integers(0, 3, 240)
    history = fit(network(), epochs=50, validation_data=(X, noise), callbacks=[stopping])
    assert history.epochs == stopping.best_epoch + 2 < 50


class At(nn.Callback):
    """Calls a function once, after the second step of the second epoch."""

    def __init__(self, function):
        self.function = function

    def on_batch_end(self, model, epoch, batch):
        if (epoch, batch) == (2, 2):
            self.function()


@pytest.mark.parametrize("fault", ["a worker is killed", "all workers are killed", "a worker joins"])
def test_workers_come_and_go(fault, client, cluster, whole):
    """In the middle of an epoch; the result has the bits of a training in which nothing happened."""

    def act():
        if fault == "a worker joins":
            cluster.scale(3)
            return
        processes = list(client.run(os.getpid).values())
        for process in processes if fault == "all workers are killed" else processes[:1]:
            os.kill(process, signal.SIGKILL)

    model = network()
    assert fit(model, client, callbacks=[At(act)]) == whole[1] and (weights(model) == whole[0]).all()


def test_a_cluster_without_workers_is_told(client, cluster, whole, monkeypatch):
    """Training waits, says so, and goes on with one that joins."""
    monkeypatch.setattr(module, "PATIENCE", 0.5)

    def lose():
        cluster.scale(0)
        while client.nthreads():
            time.sleep(0.01)
        threading.Timer(1, cluster.scale, [1]).start()

    model = network()
    with pytest.warns(UserWarning, match=r"no worker of Dask is left.*resume_from"):
        assert fit(model, client, callbacks=[At(lose)]) == whole[1]
    assert (weights(model) == whole[0]).all()


def slow_down(seconds):
    def slower(*arguments, with_weights=module._with_weights):
        time.sleep(seconds)
        return with_weights(*arguments)

    module._with_weights = slower


def test_what_dask_gives_up_on_says_how_to_go_on(client, cluster, monkeypatch):
    """A task whose workers were lost more often than the scheduler allows: here once."""
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)

    def kill():
        client.run(slow_down, 0.5)
        for process in client.run(os.getpid).values():
            threading.Timer(0.2, os.kill, (process, signal.SIGKILL)).start()

    with pytest.raises(RuntimeError, match=r"Dask has given up on the training \(KilledWorker\).*resume_from"):
        fit(network(), client, callbacks=[At(kill)])


def test_a_slow_worker_slows_the_others_and_no_more(client, whole):
    """One that takes 50 ms longer for each task, which is ten times as long or so."""
    one = next(iter(client.scheduler_info()["workers"]))
    client.run(slow_down, 0.05, workers=[one])
    model = network()
    assert fit(model, client) == whole[1] and (weights(model) == whole[0]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"X": X}, TypeError, "X must be a dask.array.Array, got ndarray; dask.array.from_array makes one"),
        ({"X": arrays(X[:, :5])[0]}, ValueError, r"X must have shape \(rows, 6\), got \(240, 5\)"),
        ({"y": arrays(Y[:9])[0]}, ValueError, "y must have one entry for each of the 240 rows of X, got 9"),
        ({"y": arrays(Y)[0][arrays(Y)[0] > 1]}, ValueError, r"y must have a known number of rows, got \(nan,\)"),
        ({"y": arrays(Y + 1)[0]}, ValueError, r"chunk 0 of y must hold labels .*, but chunk 0 of y\[\d\] is 3"),
        ({"X": arrays(np.where(X > 3, np.nan, X))[0]}, ValueError, r"chunk \d of X must be finite, but"),
        ({"client": 5}, TypeError, "client must be a distributed.Client that is not asynchronous, got 5"),
        ({"callbacks": [diagnostics.Monitor()]}, ValueError, "callbacks must not watch the backward pass"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"sample_weight": arrays(-WEIGHT)[0]}, ValueError, r"chunk 0 of sample_weight must be at least 0"),
    ],
)  # fmt: skip
def test_errors_name_the_argument_and_the_chunk(arguments, error, words):
    dask_X, dask_Y = arrays(X, Y)
    options = {"X": dask_X, "y": dask_Y, "loss": "softmax_cross_entropy", "optimizer": "adam"} | arguments
    with pytest.raises(error, match=words):
        distributed.fit(network(), **options)


def test_a_loss_that_is_not_finite_is_named():
    layers = [nn.Dense(6, 16, "relu"), nn.Dense(16, 3)]
    with pytest.raises(FloatingPointError, match=r"the loss of chunk \d is nan at epoch 1, batch 1: layers\[\d\]"):
        distributed.fit(
            nn.Sequential(layers, seed=0), *arrays(X * 8e37, Y), loss="softmax_cross_entropy", optimizer="adam"
        )


# ----------------------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "distributed"])
def test_arrays_have_the_bits_of_one_machine(scheduler, request):
    """Chain and reduction, lazy, under each scheduler, in chunks of odd sizes."""
    client = request.getfixturevalue("client") if scheduler == "distributed" else None
    x = RNG.normal(0, 3, (301, 77)).astype(np.float32)
    dask_x = da.from_array(x, chunks=(50, 20))
    for function in (fastact.sigmoid, fastact.tanh_derivative, fastact.relu):
        lazy = function(2 * dask_x - 1)
        assert isinstance(lazy, da.Array) and lazy.dtype == np.float32 and lazy.chunks == dask_x.chunks
        result = client.compute(lazy).result() if client else lazy.compute(scheduler=scheduler)
        assert result.tobytes() == function(2 * x - 1).tobytes()


def test_a_chain_of_arrays_is_one_task_a_chunk():
    """The pass is fused with what stands before and after it."""
    x = da.ones((400, 100), chunks=(100, 100), dtype="f4")
    (y,) = dask.optimize(fastact.tanh(2 * x + 1) * 3)
    tasks = [task for task in dict(y.__dask_graph__()).values() if type(task).__name__ != "Alias"]
    assert len(tasks) == 4
