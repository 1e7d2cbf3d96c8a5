"""python -m fastact train: the saved model takes raw rows and reaches what was printed; one seed one file; errors."""

import re
import sys

import numpy as np
import pytest

from fastact import _datasets, nn
from fastact.cli import main

pytest.importorskip("safetensors", reason="safetensors is not installed")

SETTINGS = ["--layers", "12,8", "--activation", "leaky_relu", "--negative-slope", "0.2", "--init", "orthogonal",
            "--optimizer", "sgd", "--learning-rate", "0.1", "--epochs", "15", "--batch-size", "10",
            "--seed", "5"]  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with a table of classes and one for a regression, whose columns are far from scaled."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    kind = np.arange(120) % 3
    X = np.column_stack([rng.normal(kind, 0.4), rng.normal(kind == 1, 0.3)]) * [2.0, 1e-6] + [1e9, 1e-5]
    rows = [f"{a!r},f{i},{b!r},{['rose', 'tulip', 'lily'][kind[i]]}" for i, (a, b) in enumerate(X.tolist())]
    (tmp_path / "kinds.csv").write_text("\n".join(["a,id,b,kind", *rows]) + "\n")
    np.savez(tmp_path / "prices.npz", X=X, price=1e6 + 1e3 * ((X[:, 0] - 1e9) ** 2 - 1e6 * X[:, 1]))
    return tmp_path


KINDS = ["train", "--data", "kinds.csv", "--target", "kind", "--drop", "id", "--out", "m.safetensors", *SETTINGS]
PRICES = ["train", "--data", "prices.npz", "--target", "price", "--out", "m.safetensors", *SETTINGS]


def trained_by_hand(split, outputs, loss):
    """The model that the command must train, of scaled rows."""
    layers = [nn.Dense(*sizes, "leaky_relu", 0.2, init="orthogonal") for sizes in ((2, 12), (12, 8))]
    model = nn.Sequential([*layers, nn.Dense(8, outputs)], seed=5)
    model.fit(split.X, split.y, loss=loss, optimizer=nn.SGD(0.1), epochs=15, batch_size=10)
    return model


def printed(text):
    """Rows, loss and score of the table's two lines."""
    lines = re.findall(r"^(?:training|validation) +(\d+) +(\S+) +(\S+)", text, flags=re.MULTILINE)
    return [tuple(map(float, line)) for line in lines]


def test_a_classifier_takes_raw_rows(folder, capsys):
    assert main(KINDS) == 0
    data = _datasets.load("kinds.csv", "kind", ["id"])
    split = _datasets.split(data, 5)
    Y = nn.load("m.safetensors").predict(data.X)
    by_hand = trained_by_hand(split, 3, "softmax_cross_entropy")
    np.testing.assert_allclose(Y[split.validation], by_hand.predict(split.X_validation), rtol=0.0, atol=1e-4)

    out = capsys.readouterr().out
    right = Y.argmax(axis=1) == data.y
    losses = np.log(np.exp(Y).sum(axis=1)) - Y[np.arange(120), data.y]
    for rows, (count, loss, accuracy) in zip((split.training, split.validation), printed(out), strict=True):
        assert count == len(rows) and accuracy == pytest.approx(100.0 * right[rows].mean(), abs=0.051)
        assert loss == pytest.approx(losses[rows].mean(), rel=1e-3)
    assert right.mean() > 0.8

    namespace = {"X": data.X}
    exec("\n".join(re.findall(r"^    (?=\S)(.*)", out, flags=re.MULTILINE)), namespace)  # the printed lines
    assert namespace["labels"] == [data.classes[k] for k in Y.argmax(axis=1)]
    assert sorted(set(namespace["labels"])) == ["lily", "rose", "tulip"]


def test_a_regression_predicts_raw_targets(folder, capsys):
    assert main(PRICES) == 0
    data = _datasets.load("prices.npz", "price")
    split = _datasets.split(data, 5)
    Y = nn.load("m.safetensors").predict(data.X)[:, 0]
    by_hand = trained_by_hand(split, 1, "mse").predict(split.X_validation)[:, 0]
    scaled = by_hand * data.y[split.training].std() + data.y[split.training].mean()
    np.testing.assert_allclose(Y[split.validation], scaled, rtol=0.0, atol=1e-4 * data.y.std())
    for rows, (count, loss, score) in zip((split.training, split.validation), printed(capsys.readouterr().out),
                                          strict=True):  # fmt: skip
        error, spread = np.square(Y[rows] - data.y[rows]).sum(), np.square(data.y[rows] - data.y[rows].mean()).sum()
        assert (count, loss) == (len(rows), pytest.approx(error / len(rows), rel=1e-3))
        assert score == pytest.approx(1.0 - error / spread, abs=1e-3)
        assert score > 0.8


def test_a_seed_gives_the_same_file(folder):
    files = []
    for seed in ("3", "3", "4"):
        assert main([*KINDS, "--seed", seed]) == 0
        files.append((folder / "m.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "prices.npz"], "--out must be a file's name that ends in .safetensors, got 'prices.npz'"),
        (["--out", "none/m.safetensors"], "--out: path must lie in a folder that exists"),
        (["--out", "folder.safetensors"], "--out: path must be a file's"),
        (["--data", "none.csv"], "none.csv cannot be read"),
        (["--target", "colour"], "--target: kinds.csv has no column 'colour'"),
        (["--drop", "b"], "line 2, column 'id': 'f0' is not a number"),
        (["--layers", "8,0"], "argument --layers: must be between 1 and 4096, got 0"),
        (["--layers", ""], "argument --layers: must be an integer, got ''"),
        (["--activation", "swish"], "argument --activation: invalid choice: 'swish'"),
        (["--negative-slope", "1e300"], "--negative-slope: must be finite in float32, got 1e300"),
        (["--learning-rate", "0"], "argument --learning-rate: must be above 0, got 0"),
    ],
)
def test_bad_command_lines(folder, capsys, arguments, words):
    (folder / "folder.safetensors").mkdir()
    before = {path.name for path in folder.iterdir()}
    try:
        status = main([*KINDS, *arguments])
    except SystemExit as error:
        status = error.code
    out, error = capsys.readouterr()
    assert (status, out) == (2, "") and words in error and len(error.splitlines()) == 1
    assert {path.name for path in folder.iterdir()} == before


def test_training_that_ends_early_leaves_the_earlier_model(folder, monkeypatch, capsys):
    assert main(KINDS) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    assert main([*PRICES, "--learning-rate", "1e20"]) == 1
    out, error = capsys.readouterr()
    assert out == "" and error.splitlines()[-1].startswith("fastact train: error: training failed: the loss is ")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(nn.SGD, "_update", interrupt)
    assert main(KINDS) == 130
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_without_safetensors_nothing_is_read(folder, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert main([*KINDS, "--data", "none.csv"]) == 1
    assert 'pip install "fastact[save]"' in (error := capsys.readouterr().err) and len(error.splitlines()) == 1
