"""fastact.nn in files: saved models, checkpoints and runs that resume from them, to the bit."""

import contextlib
import copy
import errno
import gc
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from fastact import nn

safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
numpy_format = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")

CROSS_ENTROPY = {"loss": "softmax_cross_entropy"}
OPTIMIZERS = [
    lambda: nn.SGD(0.1), lambda: nn.SGD(0.1, momentum=0.9, nesterov=True), lambda: nn.Adam(0.01),
    lambda: nn.AdamW(nn.schedules.CosineDecay(0.01, 60), clip_norm=1.0), lambda: nn.RMSProp(0.01, momentum=0.5),
    lambda: nn.AdaGrad(0.1),
]  # fmt: skip


def network(seed=0, dtype=np.float32):
    slopes = np.linspace(0.0, 0.4, 7)
    return nn.Sequential(
        [nn.Dense(4, 8, "tanh", dtype=dtype), nn.Dense(8, 7, "leaky_relu", slopes, dtype=dtype),
         nn.Dense(7, 6, "leaky_relu", 0.2, "he_normal", dtype), nn.Dense(6, 3, "sigmoid", dtype=dtype),
         nn.Dense(3, 3, "relu", dtype=dtype), nn.Dense(3, 3, dtype=dtype)], seed=seed)  # fmt: skip


def data(rows=50):
    rng = np.random.default_rng(1)
    return rng.standard_normal((rows, 4)), rng.integers(0, 3, rows)


def state(model):
    """All that a training has come to: weights, optimiser, history, generator."""
    optimizer = model.optimizer
    return {
        "weights": [parameter.value.tobytes() for parameter in model.parameters()],
        "slots": {slot: [array.tobytes() for array in arrays] for slot, arrays in optimizer.state.items()},
        "steps": optimizer.steps,
        "config": optimizer.config(),
        "history": dict(model.history),
        "generator": model._rng.bit_generator.state,
    }


# Save and load

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", OPTIMIZERS, ids=lambda make: repr(make()))
def test_a_loaded_model_goes_on_as_the_saved_one(make, dtype, tmp_path):
    X, y = data()
    model = network(dtype=dtype)
    options = {**CROSS_ENTROPY, "batch_size": 16, "validation_data": (X, y)}
    model.fit(X, y, **options, optimizer=make(), epochs=2)
    model.save(tmp_path / "model.safetensors")
    twin = nn.load(str(tmp_path / "model.safetensors"))
    assert repr(twin) == repr(model) and twin.loss is model.loss and state(twin) == state(model)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert twin.evaluate(X, y) == model.evaluate(X, y)
    for each in (model, twin):
        each.fit(X, y, **options, optimizer=each.optimizer, epochs=2)
    assert state(twin) == state(model)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("make", OPTIMIZERS, ids=lambda make: repr(make()))
def test_a_copy_goes_on_as_the_model(make, copied):
    X, y = data()
    model = network()
    model.fit(X, y, **CROSS_ENTROPY, optimizer=make())
    twin = copied(model)
    before = state(model)
    twin.fit(X, y, **CROSS_ENTROPY, optimizer=twin.optimizer)
    assert state(model) == before
    model.fit(X, y, **CROSS_ENTROPY, optimizer=model.optimizer)
    assert state(twin) == state(model)


@pytest.mark.parametrize("init", [None, "unit_gain"])
def test_an_untrained_model(init, tmp_path):
    model = nn.Sequential([nn.Dense(4, 8, "sigmoid", init=init), nn.Dense(8, 3, init=init)], seed=0)
    model.save(tmp_path / "model")
    twin = nn.load(tmp_path / "model")
    assert (twin.optimizer, twin.loss, twin.history) == (None, None, None)
    X, y = data()
    for each in (model, twin):
        each.fit(X, y, **CROSS_ENTROPY, optimizer="adam", epochs=2)
    assert state(twin) == state(model)


def test_an_optimizer_that_went_on_to_another_model(tmp_path):
    """Its state is the other model's: the file has its settings only."""
    X, y = data()
    model, optimizer = network(), nn.Adam(0.5)
    for each in (model, network()):
        each.fit(X, y, **CROSS_ENTROPY, optimizer=optimizer)
    model.save(tmp_path / "model")
    twin = nn.load(tmp_path / "model")
    assert twin.optimizer.config() == optimizer.config() and twin.optimizer.steps == 0 and twin.optimizer.state == {}


def test_what_is_the_users_own_is_left_out_or_refused(tmp_path):
    class Own(nn.SGD):
        pass

    X, y = data()
    model = nn.Sequential([nn.Dense(4, 3, init=lambda rng, shape, slope: rng.random(shape))], seed=0)
    model.fit(X, y, **CROSS_ENTROPY, optimizer=Own())
    with pytest.raises(TypeError, match=r"optimizer must be one of fastact's to be saved, got Own; .*= None"):
        model.save(tmp_path / "model")
    assert os.listdir(tmp_path) == []
    with pytest.raises(TypeError, match="optimizer must be one of fastact's"):  # before the first epoch
        model.fit(X, y, **CROSS_ENTROPY, optimizer=Own(), callbacks=[nn.Checkpoint(tmp_path / "model")])
    model.optimizer = None
    model.save(tmp_path / "model")
    twin = nn.load(tmp_path / "model")
    assert repr(twin.layers[0]) == "Dense(4, 3)"
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))


def test_the_file_is_plain_safetensors(tmp_path):
    """Other programs can read the weights."""
    model = network()
    model.save(tmp_path / "model")
    arrays = numpy_format.load_file(tmp_path / "model")
    assert sorted(arrays) == sorted([*(f"layers.{i}.{n}" for i in range(6) for n in "Wb"), "layers.1.negative_slope"])
    np.testing.assert_array_equal(arrays["layers.0.W"], model.layers[0].W)
    assert stat.S_IMODE(os.stat(tmp_path / "model").st_mode) == 0o666 & ~current_umask()


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def saved(tmp_path, name="model"):
    X, y = data()
    model = network()
    model.fit(X, y, **CROSS_ENTROPY, optimizer="adam")
    path = tmp_path / name
    model.save(path)
    return model, path


def test_every_damage_is_found(tmp_path):
    """A file cut short anywhere, and one with a bit turned anywhere."""
    _, path = saved(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = tmp_path / "damaged"
    for end in [0, 1, 7, 8, 9, *rng.integers(10, len(whole), 20), len(whole) - 1]:
        damaged.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"damaged is no safetensors file, or is cut short: "):
            nn.load(damaged)
    reference = state(nn.load(path))
    for place in rng.integers(0, len(whole), 300):
        changed = bytearray(whole)
        changed[place] ^= 1 << rng.integers(8)
        damaged.write_bytes(changed)
        try:
            found = state(nn.load(damaged))
        except ValueError as error:
            assert str(damaged) in str(error)
        else:
            assert found == reference  # white space that fills up the header
    damaged.write_bytes(whole + b"more")
    with pytest.raises(ValueError, match="damaged is no safetensors file"):
        nn.load(damaged)


def rewritten(path, change, checksum=True):
    """Write the file anew with other arrays or another description."""
    with safetensors.safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        document = json.loads(file.metadata()["fastact.nn"].partition(" ")[2])
    change(arrays, document)
    text = json.dumps(document)
    crc = nn.storage._checksum(text, arrays) if checksum else "00000000"
    numpy_format.save_file(arrays, path, {"fastact.nn": f"{crc} {text}"})


@pytest.mark.filterwarnings("ignore:NumPy will stop allowing conversion:DeprecationWarning")  # 1.26, of state=-1
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a, d: a.pop("layers.2.W"), r"array 'layers.2.W' must be float32 \(7, 6\), got none"),
        (lambda a, d: a.update({"layers.2.W": a["layers.2.W"].T.copy()}), r"'layers.2.W' .* got float32 \(6, 7\)"),
        (lambda a, d: a.update({"layers.0.b": np.zeros(8)}), r"'layers.0.b' .* float32 \(8,\), got float64 \(8,\)"),
        (lambda a, d: a.pop("optimizer.mean.3"), r"array 'optimizer.mean.3' must be float32 \(7,\), got none"),
        (lambda a, d: a.update({"layers.6.W": np.zeros(3)}), "arrays that belong to nothing: layers.6.W"),
        (lambda a, d: d["layers"][1].update(in_features=9), r"'layers.1.W' .* \(9, 7\), got float32 \(8, 7\)"),
        (lambda a, d: d["layers"][1].update(activation="swish"), "activation must be one of"),
        (lambda a, d: d["layers"][1].update(colour="red"), "colour"),
        (lambda a, d: d["optimizer"]["config"].update(name="lion"), "optimizer name must be one of .* got 'lion'"),
        (lambda a, d: d["optimizer"]["config"].update(beta_1=7), "beta_1 must be"),
        (lambda a, d: d["optimizer"].update(slots=[]), "state must hold mean, square, got nothing"),
        (lambda a, d: d.update(loss="hinge"), "loss must be one of"),
        (lambda a, d: d.update(dtype="int8"), "dtype must be float32 or float64"),
        (lambda a, d: d.update(generator={}), "can build"),
        (lambda a, d: d["generator"]["state"].update(state=-1), "out of (range|bound)"),
        (lambda a, d: d.update(history=3), "can build"),
        (lambda a, d: d["history"].update(loss=3), r"history\['loss'\] must be a list of real numbers"),
        (lambda a, d: d["optimizer"].update(steps="x"), "steps of the optimizer must be an integer, got 'x'"),
        (lambda a, d: d["optimizer"].update(steps=-1), "steps of the optimizer must be at least 0, got -1"),
        (lambda a, d: d["optimizer"].update(steps=1.5), "steps of the optimizer must be an integer, got 1.5"),
        (lambda a, d: d.update(stopped="no"), "stopped must be True or False, got 'no'"),
        (lambda a, d: d["layers"][1].update(needs_batch=3), "needs_batch must be True or False, got 3"),
        (lambda a, d: d.pop("layers"), "can build: 'layers'"),
        (lambda a, d: d.update(layers=[]), "layers must hold at least one layer"),
    ],
)
def test_a_file_that_does_not_fit_itself(change, words, tmp_path):
    _, path = saved(tmp_path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=f"{path} does not describe a model that fastact can build: .*") as caught:
        nn.load(path)
    assert caught.match(words)


def test_foreign_files(tmp_path):
    path = tmp_path / "file"
    numpy_format.save_file({"weight": np.ones(3)}, path)
    with pytest.raises(ValueError, match="file is a safetensors file of another program: it has no metadata, wanted"):
        nn.load(path)
    numpy_format.save_file({"weight": np.ones(3)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"another program: it has metadata \['format'\], wanted 'fastact.nn'"):
        nn.load(path)
    path.write_bytes(b"PK\x03\x04 an archive of another program " * 20)
    with pytest.raises(ValueError, match="file is no safetensors file, or is cut short"):
        nn.load(path)
    with pytest.raises(FileNotFoundError, match="missing"):
        nn.load(tmp_path / "missing")
    with pytest.raises(IsADirectoryError, match=r"path must be a file's, but .* is a folder"):
        nn.load(tmp_path)
    with pytest.raises(TypeError, match=r"path must be a str or path-like, got 3 \(int\)"):
        nn.load(3)
    deep = "[" * 100_000
    numpy_format.save_file({}, path, {"fastact.nn": f"00000000 {deep}"})
    with pytest.raises(ValueError, match="file is damaged: its description of the model cannot be read"):
        nn.load(path)


def test_newer_version_and_wrong_checksum(tmp_path):
    _, path = saved(tmp_path)
    rewritten(path, lambda a, d: None, checksum=False)
    with pytest.raises(ValueError, match=r"model is damaged: its checksum is .*, wanted 00000000"):
        nn.load(path)
    rewritten(path, lambda a, d: d.update(version=2, fastact="9.1"), checksum=False)
    with pytest.raises(ValueError, match=r"has version 2 of the format, but fastact .* reads 1; .* fastact 9\.1"):
        nn.load(path)


# Written whole or not at all

def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    model, path = saved(tmp_path)
    before = path.read_bytes()
    write = numpy_format.save_file

    def full_disk(arrays, name, metadata):
        write(arrays, name, metadata)
        with open(name, "rb+") as file:
            file.truncate(100)
        raise OSError(errno.ENOSPC, "No space left on device")

    def interrupted(*paths):
        raise KeyboardInterrupt

    model.layers[0].b = np.ones(8)
    for module, name, fault, error in (
        (numpy_format, "save_file", full_disk, OSError), (os, "replace", interrupted, KeyboardInterrupt),
        (os, "fsync", interrupted, KeyboardInterrupt),
    ):  # fmt: skip
        with monkeypatch.context() as patch, pytest.raises(error):
            patch.setattr(module, name, fault)
            model.save(path)
        assert path.read_bytes() == before and os.listdir(tmp_path) == ["model"]
    model.save(path)
    assert nn.load(path).layers[0].b.tolist() == [1.0] * 8 and os.listdir(tmp_path) == ["model"]


def test_a_file_that_cannot_grow_is_an_os_error(tmp_path):
    resource = pytest.importorskip("resource", reason="there are no limits on this system")
    model, path = saved(tmp_path)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=f"{path} cannot be written: .*File too large"):
            model.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["model"]


def test_a_link_is_followed(tmp_path):
    model, path = saved(tmp_path)
    (tmp_path / "link").symlink_to(path)
    model.layers[0].b = np.ones(8)
    model.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and nn.load(path).layers[0].b.tolist() == [1.0] * 8


def test_wrong_places(tmp_path):
    model = network()
    for use in (model.save, nn.Checkpoint):
        with pytest.raises(IsADirectoryError, match=r"path must be a file's, but .* is a folder"):
            use(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"path must lie in a folder that exists, got .*/missing/model"):
            use(tmp_path / "missing" / "model")
        with pytest.raises(TypeError, match=r"path must be a str or path-like, got None \(NoneType\)"):
            use(None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_what_is_no_regular_file_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for use in (network().save, nn.Checkpoint, nn.load):
        with pytest.raises(OSError, match=r"path must be a regular file's, but .*/pipe is a device, a pipe or"):
            use(tmp_path / "pipe")
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode) and os.listdir(tmp_path) == ["pipe"]


def test_the_longest_name(tmp_path):
    network().save(tmp_path / ("m" * 255))
    assert os.listdir(tmp_path) == ["m" * 255]


@contextlib.contextmanager
def forbidden_file():
    """Yield the path of a file that may not be read, in a folder that may not be written; root becomes nobody."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(os.path.realpath(folder), "model")
        network().save(path)
        os.chmod(path, 0)
        os.chmod(folder, 0o555)
        if root:
            os.seteuid(65534)
        try:
            yield path
        finally:
            if root:
                os.seteuid(0)
            os.chmod(folder, 0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are another matter there")
def test_missing_permissions_name_the_path():
    model = network()
    with forbidden_file() as path:
        for use in (model.save, nn.load):
            with pytest.raises(PermissionError) as caught:
                use(path)
            assert caught.value.filename == path


def test_without_safetensors(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for use in (network().save, nn.Checkpoint, nn.load):
        with pytest.raises(ImportError, match=r'safetensors.*pip install "fastact\[save\]"'):
            use(tmp_path / "model")
    assert os.listdir(tmp_path) == []


# Checkpoints

def train(path, epochs, make, seed=0, **options):
    X, y = data()
    model = network(seed)
    stopping = nn.EarlyStopping(patience=4)
    model.fit(X[:40], y[:40], **CROSS_ENTROPY, optimizer=make(), epochs=epochs, batch_size=16,
              validation_data=(X[40:], y[40:]), callbacks=[nn.Checkpoint(path), stopping], **options)
    return model, stopping


@pytest.mark.parametrize("make", OPTIMIZERS, ids=lambda make: repr(make()))
def test_a_resumed_run_is_the_uninterrupted_one(make, tmp_path):
    """After each number of epochs; weights, optimiser, history, generator and early stopping, to the bit; also when
    the model that resumes was made with another seed."""
    whole, stopping = train(tmp_path / "whole", 12, make)
    for epochs in range(1, whole.history.epochs + 1):
        path = tmp_path / f"{epochs}"
        train(path, epochs, make)
        resumed, its_stopping = train(path, 12, make, seed=epochs, resume_from=path)
        assert state(resumed) == state(whole)
        assert vars(its_stopping).keys() == vars(stopping).keys()
        assert (its_stopping.best, its_stopping.best_epoch) == (stopping.best, stopping.best_epoch)
        assert path.read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_run_that_was_stopped_early_stays_stopped(tmp_path):
    make = lambda: nn.Adam(0.05)  # noqa: E731
    whole, _ = train(tmp_path / "model", 500, make)
    assert whole.history.epochs < 500
    resumed, _ = train(tmp_path / "model", 500, make, resume_from=tmp_path / "model")
    assert state(resumed) == state(whole)


TRAINING = """
import os, signal, sys
import numpy as np
from fastact import nn

path, mode, name = sys.argv[1:]
die = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
optimizer = {"momentum": nn.SGD(0.1, momentum=0.9), "adam": nn.Adam(0.01)}[name]
step, replace = optimizer.step, os.replace
if mode == "killed in an epoch":
    optimizer.step = lambda parameters: die() if optimizer.steps == 17 else step(parameters)
if mode == "killed in a checkpoint":
    os.replace = lambda *paths: die() if optimizer.steps == 20 else replace(*paths)
rng = np.random.default_rng(1)
X, y = rng.standard_normal((80, 4)), rng.integers(0, 3, 80)
model = nn.Sequential([nn.Dense(4, 64, "tanh"), nn.Dense(64, 3)], seed=7 if mode == "resumed" else 0)
model.fit(X, y, loss="softmax_cross_entropy", optimizer=optimizer, epochs=8, batch_size=16,
          callbacks=[nn.Checkpoint(path)], resume_from=path if mode == "resumed" else None)
"""


@pytest.mark.parametrize("when", ["killed in an epoch", "killed in a checkpoint"])
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_killed_run_resumes(optimizer, when, tmp_path):
    """kill -9 in the third batch of epoch 4, and while the checkpoint of epoch 4 is written."""
    def run(name, mode):
        command = [sys.executable, "-c", TRAINING, str(tmp_path / name), mode, optimizer]
        return subprocess.run(command, timeout=60, check=False).returncode

    assert run("whole", "whole") == 0
    assert run("killed", when) == -signal.SIGKILL
    assert nn.load(tmp_path / "killed").history.epochs == 3
    assert run("killed", "resumed") == 0
    assert (tmp_path / "killed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_what_is_resumed_is_let_go(tmp_path):
    """The model that was read, with its optimiser's arrays, is in memory no more once the training goes on."""
    X, y = data()
    alive = []

    class Count(nn.Callback):
        def on_epoch_end(self, model, epoch, history):
            gc.collect()
            alive.append(sum(type(thing) is nn.storage.SavedTraining for thing in gc.get_objects()))

    for epochs, options in ((1, {}), (3, {"resume_from": tmp_path / "model"})):
        network().fit(X, y, optimizer="adam", epochs=epochs, **CROSS_ENTROPY, **options,
                      callbacks=[nn.Checkpoint(tmp_path / "model"), Count()])
    assert alive == [0, 0, 0]


def test_when_a_checkpoint_is_written(tmp_path):
    X, y = data()
    path, written = tmp_path / "model", []

    class Note(nn.Callback):
        """Comes before the checkpoint of its epoch."""

        def __init__(self, stop):
            self.stop = stop

        def on_epoch_end(self, model, epoch, history):
            written.append(nn.load(path).history.epochs if path.exists() else 0)
            model.stop_training = epoch == self.stop

    options = {**CROSS_ENTROPY, "optimizer": "adam", "epochs": 9}
    for stop, last in ((8, 8), (None, 10)):  # stopped, and at the end of the epochs
        network().fit(X, y, **options | {"epochs": 10}, callbacks=[nn.Checkpoint(path, every_epochs=3), Note(stop)])
        assert written == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9][:last] and nn.load(path).history.epochs == last
        path.unlink()
        written.clear()

    losses = [5.0, 4.0, 3.0, 4.0, 2.0, 3.0]

    class Scripted(Note):
        def on_epoch_end(self, model, epoch, history):
            history["loss"][-1] = losses[epoch - 1]
            super().on_epoch_end(model, epoch, history)

    best = nn.Checkpoint(path, save_best_only=True, monitor="loss")
    network().fit(X, y, **options, callbacks=[best, Scripted(6)])
    assert written == [0, 1, 2, 3, 3, 5] and nn.load(path).history.epochs == 5 and best.best == 2.0


class Scripted(nn.Callback):
    """Both the best in epoch 3, and then worse, but not worse than before."""

    losses, accuracies = [5.0, 4.0, 3.0, 3.5, 3.2], [0.1, 0.5, 0.6, 0.55, 0.58]

    def on_epoch_end(self, model, epoch, history):
        history["loss"][-1], history["accuracy"][-1] = self.losses[epoch - 1], self.accuracies[epoch - 1]


def train_with_three_checkpoints(folder, order, epochs=5, resumed=None):
    """One of every epoch and two of the best; return the files as they are then."""
    folder.mkdir(exist_ok=True)
    checkpoints = [nn.Checkpoint(folder / "last")]
    checkpoints += [nn.Checkpoint(folder / name, save_best_only=True, monitor=name) for name in ("loss", "accuracy")]
    network().fit(*data(), **CROSS_ENTROPY, optimizer="adam", epochs=epochs, resume_from=resumed and folder / resumed,
                  callbacks=[Scripted(), *(checkpoints[index] for index in order)])
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)], ids=str)
def test_a_run_resumes_from_any_of_its_checkpoints(order, tmp_path, monkeypatch):
    """Whatever their order, the files are those of the uninterrupted run; also if it died between two of them."""
    whole = train_with_three_checkpoints(tmp_path / "whole", order)
    assert nn.load(tmp_path / "whole" / "accuracy").history.epochs == 3
    for resumed in whole:
        train_with_three_checkpoints(tmp_path / resumed, order, epochs=3)
        assert train_with_three_checkpoints(tmp_path / resumed, order, resumed=resumed) == whole

    save = nn.storage.save
    for last in (7, 8):  # the first and the second in epoch 3
        written = []

        def save_some(model, path, callbacks, last=last, written=written):
            if len(written) == last:
                raise KeyboardInterrupt
            save(model, path, callbacks)
            written.append(path)

        folder = tmp_path / f"died after {last}"
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(nn.storage, "save", save_some)
            train_with_three_checkpoints(folder, order)
        assert train_with_three_checkpoints(folder, order, resumed="last") == whole


def test_a_run_whose_callback_changes_the_rate_resumes(tmp_path):
    X, y = data()
    path = tmp_path / "model"

    class Half(nn.Callback):
        def on_epoch_end(self, model, epoch, history):
            model.optimizer.learning_rate *= 0.5

    def train(epochs, optimizer, **options):
        model = network()
        model.fit(X, y, **CROSS_ENTROPY, optimizer=optimizer, epochs=epochs, **options,
                  callbacks=[Half(), nn.Checkpoint(path)])
        return state(model)

    whole = train(5, nn.SGD(0.1, momentum=0.9))
    train(2, nn.SGD(0.1, momentum=0.9))
    with pytest.raises(ValueError, match=r"optimizer is SGD\(learning_rate=0\.025.*give nn\.load\(path\)\.optimizer"):
        train(5, nn.SGD(0.1, momentum=0.9), resume_from=path)
    assert train(5, nn.load(path).optimizer, resume_from=path) == whole


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("state", 3, r"Own\.state\(\) must return a dict of arrays, got 3 \(int\)"),
        ("state", {"rate": "fast"}, r"Own\.state\(\)\['rate'\] must hold real numbers, got dtype <U4 \(str\)"),
        pytest.param("state", {"rate": np.ones(2, np.longdouble)}, r"\['rate'\] must be float64 or smaller to be saved",
                     marks=pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="it is float64 here")),
        ("state", {3: 1.0}, r"Own\.state\(\) must return names that are str, got 3"),
        ("history", {"rate": ["fast"]}, r"history\['rate'\] must be a list of real numbers .* got \['fast'\]"),
        ("history", {"rate": 0.1}, r"history\['rate'\] must be a list of real numbers to be saved, got 0"),
        ("history", {3: [1.0]}, "names in the history must be str to be saved, got 3"),
    ],
)
def test_what_a_checkpoint_cannot_hold_is_named(name, value, words, tmp_path):
    class Own(nn.Callback):
        def on_epoch_end(self, model, epoch, history):
            if name == "history":
                history.update(value)

        def state(self):
            return value if name == "state" else {}

    X, y = data()
    with pytest.raises(TypeError, match=words):
        network().fit(X, y, **CROSS_ENTROPY, optimizer="sgd", callbacks=[nn.Checkpoint(tmp_path / "model"), Own()])
    assert os.listdir(tmp_path) == []


def test_a_callback_s_numbers_of_any_type(tmp_path):
    """Also those of the other byte order, and NumPy's in the history."""
    class Own(nn.Callback):
        def on_epoch_end(self, model, epoch, history):
            history.record({"rate": np.float32(0.5)})

        def state(self):
            return {"big": np.arange(3, dtype=">f4"), "int": 3, "strided": np.arange(6.0)[::2]}

        def restore(self, state):
            self.restored = {name: array.tolist() for name, array in state.items()}

    X, y = data()
    path, own = tmp_path / "model", Own()
    options = {**CROSS_ENTROPY, "optimizer": "sgd", "callbacks": [nn.Checkpoint(path), own]}
    network().fit(X, y, **options)
    history = network().fit(X, y, **options, epochs=2, resume_from=path)
    assert own.restored == {"big": [0, 1, 2], "int": 3, "strided": [0, 2, 4]} and history["rate"] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": lambda: nn.Sequential([nn.Dense(4, 3)], seed=0)}, r"layers\[0\] is Dense.* Dense\(4, 3\) here"),
        ({"model": lambda: network(dtype=np.float64)}, r"layers\[0\] is Dense\(4, 8, .* dtype=float64\) here"),
        ({"optimizer": "sgd"}, r"optimizer is Adam\(.* and SGD\(.* here"),
        ({"optimizer": nn.Adam(0.5)}, r"optimizer is Adam\(.* and Adam\(learning_rate=0.5"),
        ({"loss": "mse", "y": np.ones((50, 3))}, "loss is <loss softmax_cross_entropy> .* and <loss mse> here"),
    ],
)
def test_a_checkpoint_of_another_training(changes, words, tmp_path):
    _, path = saved(tmp_path)
    X, y = data()
    make = changes.pop("model", network)
    model = make()
    before = [parameter.value.tobytes() for parameter in model.parameters()]
    arguments = {"y": y, **CROSS_ENTROPY, "optimizer": "adam", "resume_from": path} | changes
    with pytest.raises(ValueError, match=rf"resume_from must hold the same training, but {words}"):
        model.fit(X, **arguments)
    assert [parameter.value.tobytes() for parameter in model.parameters()] == before


def test_validation_data_and_epochs_must_fit_the_checkpoint(tmp_path):
    X, y = data()
    options = {**CROSS_ENTROPY, "optimizer": "adam", "epochs": 3}
    for validated, plain in ((False, "without"), (True, "with")):
        path, validation = tmp_path / plain, {"validation_data": (X, y)}
        wanted, other = (validation, {}) if validated else ({}, validation)
        network().fit(X, y, **options, **wanted, callbacks=[nn.Checkpoint(path)])
        now = "with" if other else "without"
        with pytest.raises(ValueError, match=rf"{path} is of one {plain} validation_data, and this is one {now}$"):
            network().fit(X, y, **options, **other, resume_from=path)
        with pytest.raises(ValueError, match=rf"epochs counts .* of which {path} has 3: .* got 2"):
            network().fit(X, y, **options | {"epochs": 2}, **wanted, resume_from=path)
        assert network().fit(X, y, **options, **wanted, resume_from=path).epochs == 3  # there is nothing left to do


def test_a_generator_serves_the_one_epoch_that_is_left(tmp_path):
    X, y = data()
    options = {**CROSS_ENTROPY, "optimizer": "adam", "callbacks": [nn.Checkpoint(tmp_path / "model")]}
    whole = network().fit([(X, y)], **options, epochs=2)
    network().fit([(X, y)], **options, epochs=1)
    assert network().fit(iter([(X, y)]), **options, epochs=2, resume_from=tmp_path / "model") == whole


def test_wrong_files_to_resume_from(tmp_path):
    X, y = data()
    model = network()
    model.save(tmp_path / "model")
    options = {**CROSS_ENTROPY, "optimizer": "adam"}
    with pytest.raises(ValueError, match=r"resume_from must be a file of a training; .*model holds an untrained model"):
        model.fit(X, y, **options, resume_from=tmp_path / "model")
    with pytest.raises(FileNotFoundError, match="missing"):
        model.fit(X, y, **options, resume_from=tmp_path / "missing")
    with pytest.raises(TypeError, match=r"resume_from must be a str or path-like, got 5 \(int\)"):
        model.fit(X, y, **options, resume_from=5)
    (tmp_path / "file").write_bytes(b"no")
    with pytest.raises(ValueError, match="file is no safetensors file"):
        model.fit(X, y, **options, resume_from=tmp_path / "file")
    for settings, words in (({"every_epochs": 0}, "every_epochs must be at least 1"),):
        with pytest.raises(ValueError, match=words):
            nn.Checkpoint(tmp_path / "model", **settings)
    with pytest.raises(ValueError, match=r"callbacks\[0\] must monitor one of 'loss', 'accuracy', got Checkpoint"):
        model.fit(X, y, **options, callbacks=[nn.Checkpoint(tmp_path / "model", save_best_only=True)])


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    path = tmp_path / "model.safetensors"
    model = nn.Sequential([nn.Dense(2, 2), nn.Dense(2, 1)], seed=0)
    model.save(path)
    before = path.read_bytes()
    model.layers[1].W[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"layers\[1\]\.W must be finite"):
        model.save(path)
    assert path.read_bytes() == before
