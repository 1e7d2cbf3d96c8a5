"""fastact.nn as ONNX: ONNX Runtime computes what predict does."""

import os
import sys

import numpy as np
import pytest

from fastact import nn

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

SLOPES = {"0.2": 0.2, "0": 0.0, "-0.3": -0.3, "one a unit": np.linspace(-0.5, 1.5, 9)}


def run(path, X):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (Y,) = session.run(["Y"], {"X": X})
    return Y


def check(model, path, tolerance):
    model.to_onnx(path)
    onnx.checker.check_model(os.fspath(path), full_check=True)
    for rows in (1, 17):
        X = np.random.default_rng(0).standard_normal((rows, model.in_features)).astype(model.dtype)
        Y = run(path, X)
        assert Y.dtype == model.dtype and Y.shape == (rows, model.out_features)
        np.testing.assert_allclose(Y, model.predict(X), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize(
    ("activation", "slope"),
    [(None, 0.01), ("sigmoid", 0.01), ("tanh", 0.01), ("relu", 0.01), *(("leaky_relu", slope) for slope in SLOPES)],
)
@pytest.mark.parametrize("last", [True, False])
def test_results_are_those_of_predict(last, activation, slope, dtype, tolerance, tmp_path):
    layers = [nn.Dense(5, 9, activation, SLOPES.get(slope, slope), dtype=dtype)]
    layers += [] if last else [nn.Dense(9, 3, dtype=dtype)]
    model = nn.Sequential(layers, seed=0)
    layers[0].b = np.linspace(-1, 1, 9)
    check(model, tmp_path / "model.onnx", tolerance)


def test_a_deep_network_of_all_activations(tmp_path):
    activations = ["sigmoid", "tanh", "relu", "leaky_relu", None] * 2
    layers = [nn.Dense(64, 64, activation, dtype=np.float64) for activation in activations]
    model = nn.Sequential(layers, seed=0)
    check(model, tmp_path / "model.onnx", 1e-12)
    check(model.astype(np.float32), tmp_path / "model.onnx", 1e-6)


def test_labels_of_a_trained_classifier(tmp_path):
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    X, y = datasets.load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    model = nn.Sequential([nn.Dense(64, 64, "relu"), nn.Dense(64, 10)], seed=0)
    model.fit(X, y, loss="softmax_cross_entropy", optimizer="adam", epochs=5)
    model.to_onnx(tmp_path / "model.onnx")
    np.testing.assert_array_equal(run(tmp_path / "model.onnx", X).argmax(axis=1), model.predict(X).argmax(axis=1))


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    model = nn.Sequential([nn.Dense(2, 1)], seed=0)
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("full")))
        model.to_onnx(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["model.onnx"]
    with pytest.raises(IsADirectoryError, match=r"path must be a file's, but .* is a folder"):
        model.to_onnx(tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'needs onnx.*pip install "fastact\[onnx\]"'):
        model.to_onnx(path)
