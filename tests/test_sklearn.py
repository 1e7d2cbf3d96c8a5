"""fastact.sklearn: estimators that are held to scikit-learn's own, step by step, and the patch of scikit-learn's."""

import copy
import json
import pickle
import threading
import warnings

import numpy as np
import pytest
from fresh import run

pytest.importorskip("sklearn", "1.6", reason="scikit-learn 1.6 or newer is not installed")

import sklearn
from scipy import sparse
from sklearn import datasets
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.neural_network import _base
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastact
import fastact.sklearn
from fastact import nn
from fastact.sklearn import MLPClassifier, MLPRegressor, patch, patched, unpatch

SOLVERS = ["lbfgs", "sgd", "adam", "adagrad", "rmsprop", "adamw"]
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))
WEIGHTED = pytest.mark.skipif(VERSION < (1, 7), reason="scikit-learn's MLPs take sample_weight from 1.7 on")

IRIS = datasets.load_iris(return_X_y=True)
CANCER = tuple(part[:200] for part in datasets.load_breast_cancer(return_X_y=True))
MULTILABEL = datasets.make_multilabel_classification(150, 8, n_classes=4, random_state=0)
CLASSES = {
    "multiclass": IRIS,
    "binary": (scale(CANCER[0]), CANCER[1]),
    "multilabel": (scale(MULTILABEL[0]), MULTILABEL[1]),
}
NAMED = CLASSES["binary"][0], np.array(["bad", "good"])[CANCER[1]]
DIABETES = datasets.load_diabetes(return_X_y=True)
NUMBERS = {
    "one output": (scale(DIABETES[0][:200]), scale(DIABETES[1][:200])),
    "three outputs": datasets.make_regression(120, 6, n_targets=3, noise=1.0, random_state=0),
}
NUMBERS["three outputs"] = (NUMBERS["three outputs"][0], scale(NUMBERS["three outputs"][1]))

# scikit-learn adds epsilon at another place than Adam's authors do: too small to count, both are the same.
SAME = {"hidden_layer_sizes": (9, 5), "max_iter": 12, "batch_size": 32, "random_state": 3, "epsilon": 1e-30}


@pytest.fixture(autouse=True)
def few_iterations():
    """Nothing here is trained to the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def both(ours, theirs, X, y, fit=None, **settings):
    """An estimator of ours and one of scikit-learn's, of the same settings, fitted to the same."""
    settings = {**SAME, **settings}
    return ours(**settings).fit(X, y, **(fit or {})), theirs(**settings).fit(X, y, **(fit or {}))


def assert_same(ours, theirs, X, rtol=1e-7):
    """Weights, course of training and predictions."""
    for name in ("coefs_", "intercepts_"):
        for mine, wanted in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(mine, wanted, rtol=rtol, atol=rtol * np.abs(wanted).max(), err_msg=name)
    for name in ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name
        mine, wanted = getattr(ours, name, None), getattr(theirs, name, None)
        if wanted is None:
            assert mine is None, name
        else:
            np.testing.assert_allclose(mine, wanted, rtol=rtol, err_msg=name)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    predictions = ours.predict(X)
    if hasattr(ours, "classes_"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_array_equal(predictions, theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=rtol, atol=rtol)
    else:
        np.testing.assert_allclose(predictions, theirs.predict(X), rtol=rtol, atol=rtol * np.abs(predictions).max())
    assert predictions.dtype == theirs.predict(X).dtype


CHECKS = parametrize_with_checks([
    MLPClassifier(max_iter=100),
    MLPRegressor(max_iter=100),
    MLPClassifier(solver="lbfgs", alpha=1.0, max_iter=50),
    MLPRegressor(solver="lbfgs", max_iter=50),
    MLPClassifier(activation="leaky_relu", solver="sgd", learning_rate_init=0.1),
    MLPRegressor(activation="leaky_relu", solver="adamw", learning_rate_init=0.02, max_iter=100),
])  # fmt: skip


# a list: scikit-learn 1.7, the last for Python 3.10, gives a generator, of which pytest 9 warns
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_checks_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_names_of_classes():
    X, y = NAMED
    ours, theirs = both(MLPClassifier, TheirClassifier, X, y)
    assert_same(ours, theirs, X)
    assert ours.predict(X).dtype == y.dtype and ours.score(X, y) > 0.9


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_classifier_takes_the_same_steps(kind, activation, solver):
    X, y = CLASSES[kind]
    assert_same(*both(MLPClassifier, TheirClassifier, X, y, activation=activation, solver=solver, alpha=0.3), X)


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_regressor_takes_the_same_steps(kind, activation, solver):
    X, y = NUMBERS[kind]
    assert_same(*both(MLPRegressor, TheirRegressor, X, y, activation=activation, solver=solver, alpha=0.3), X)


@pytest.mark.parametrize("settings", [
    {"learning_rate": "invscaling", "learning_rate_init": 0.1},
    {"learning_rate": "invscaling", "power_t": 0.2, "momentum": 0.5, "nesterovs_momentum": False},
    {"learning_rate": "adaptive", "learning_rate_init": 0.2, "tol": 0.01, "n_iter_no_change": 2, "max_iter": 100},
    {"learning_rate": "adaptive", "early_stopping": True, "n_iter_no_change": 1, "max_iter": 60},
    {"momentum": 0.0},
    {"nesterovs_momentum": False},
    {"shuffle": False},
    {"batch_size": "auto"},
    {"batch_size": 7, "hidden_layer_sizes": 4},
    {"hidden_layer_sizes": []},
    {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 3, "max_iter": 60},
    {"solver": "adam", "early_stopping": True, "max_iter": 60, "learning_rate_init": 0.05},
    {"solver": "adam", "tol": 0.01, "n_iter_no_change": 3, "max_iter": 200, "learning_rate_init": 0.02},
    {"solver": "adam", "beta_1": 0.7, "beta_2": 0.99},
    {"n_iter_no_change": np.inf, "tol": 10.0},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("kind", ["multiclass", "binary", "one output"])
def test_settings_mean_the_same(settings, kind):
    X, y = (CLASSES | NUMBERS)[kind]
    pair = (MLPClassifier, TheirClassifier) if kind in CLASSES else (MLPRegressor, TheirRegressor)
    settings = {"solver": "sgd", "activation": "tanh", "learning_rate_init": 0.01, **settings}
    assert_same(*both(*pair, X, y, **settings), X, rtol=1e-6)


@WEIGHTED
@pytest.mark.parametrize("kind", [*CLASSES, "one output", "three outputs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_sample_weight_means_the_same(kind, early_stopping, rng):
    X, y = (CLASSES | NUMBERS)[kind]
    pair = (MLPClassifier, TheirClassifier) if kind in CLASSES else (MLPRegressor, TheirRegressor)
    weights = rng.exponential(size=len(X))
    ours, theirs = both(*pair, X, y, fit={"sample_weight": weights}, activation="tanh", early_stopping=early_stopping)
    assert_same(ours, theirs, X)


@WEIGHTED
@pytest.mark.parametrize("activation", ["logistic", "tanh"])
def test_poisson_loss_means_the_same(activation, rng):
    X = scale(DIABETES[0][:150])
    y = rng.poisson(np.exp(X[:, 0]))
    settings = {"loss": "poisson", "activation": activation}
    assert_same(*both(MLPRegressor, TheirRegressor, X, y, **settings), X)
    weights = rng.exponential(size=len(X))
    assert_same(*both(MLPRegressor, TheirRegressor, X, y, fit={"sample_weight": weights}, **settings), X)
    with pytest.raises(ValueError, match=r"y must be at least 0 for loss='poisson', got -1"):
        MLPRegressor("poisson").fit(X, -np.ones(len(X)))


@pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")  # scikit-learn 1.6 with SciPy 1.16
@pytest.mark.parametrize("kind", [*CLASSES, "one output"])
@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_lbfgs_takes_the_same_steps(kind, activation):
    X, y = (CLASSES | NUMBERS)[kind]
    pair = (MLPClassifier, TheirClassifier) if kind in CLASSES else (MLPRegressor, TheirRegressor)
    assert_same(*both(*pair, X, y, solver="lbfgs", activation=activation, max_iter=8), X, rtol=1e-5)


def test_lbfgs_reaches_the_minimum_of_several_outputs():
    """Ridge regression, without hidden layers. (The value and gradient of scikit-learn's MLP do not agree here.)"""
    X, y = NUMBERS["three outputs"]
    regressor = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=20.0, tol=1e-9, random_state=0).fit(X, y)
    centred = X - X.mean(axis=0)
    wanted = np.linalg.solve(centred.T @ centred + 20.0 * np.eye(X.shape[1]), centred.T @ (y - y.mean(axis=0)))
    np.testing.assert_allclose(regressor.coefs_[0], wanted, rtol=1e-3, atol=1e-4)  # L-BFGS-B ends that far from it


@pytest.mark.parametrize("kind", ["multiclass", "binary", "one output"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_takes_the_same_steps(kind, solver):
    X, y = (CLASSES | NUMBERS)[kind]
    pair = (MLPClassifier, TheirClassifier) if kind in CLASSES else (MLPRegressor, TheirRegressor)
    first = {"classes": np.unique(y)} if kind in CLASSES else {}
    ours, theirs = (estimator(**SAME, solver=solver, activation="tanh") for estimator in pair)
    for start in (0, 60, 30):
        rows = slice(start, start + 60)
        for estimator in (ours, theirs):
            estimator.partial_fit(X[rows], y[rows], **first)
        first = {}
    assert_same(ours, theirs, X)


def test_warm_start_takes_the_same_steps():
    X, y = IRIS
    ours, theirs = both(MLPClassifier, TheirClassifier, X, y, warm_start=True)
    for _ in range(2):
        ours.fit(X, y)
        theirs.fit(X, y)
    assert_same(ours, theirs, X)
    assert len(ours.loss_curve_) > ours.n_iter_


def test_warm_start_keeps_the_best_weights():
    """Those of the fit before, if none is better. (scikit-learn keeps the last ones here.)"""
    X, y = NAMED
    classifier = MLPClassifier(**{**SAME, "max_iter": 60}, warm_start=True, early_stopping=True).fit(X, y)
    before = classifier.coefs_[0].copy()
    random = np.where(np.arange(len(X)) % 2, "bad", "good")  # no score will be better than the one on true labels
    classifier.fit(X, random)
    assert classifier.best_validation_score_ == max(classifier.validation_scores_[: -classifier.n_iter_])
    np.testing.assert_array_equal(classifier.coefs_[0], before)


def optimizer_in_torch(torch, solver, parameters):
    made = {"adagrad": torch.optim.Adagrad, "rmsprop": torch.optim.RMSprop, "adamw": torch.optim.AdamW}[solver]
    decay = {"weight_decay": 0.0} if solver == "adamw" else {"alpha": 0.9} if solver == "rmsprop" else {}
    return made(parameters, lr=0.02, eps=1e-8, **decay)


@pytest.mark.parametrize("solver", ["adagrad", "rmsprop", "adamw"])
def test_other_solvers_take_torch_s_steps(solver):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    X, y = IRIS
    alpha, slope, steps = 0.6, 0.2, 30
    settings = {"activation": "leaky_relu", "negative_slope": slope, "hidden_layer_sizes": (6,), "random_state": 1}
    start = MLPClassifier(**settings, max_iter=1, learning_rate_init=1e-300).fit(X, y)
    ours = MLPClassifier(**settings, solver=solver, alpha=alpha, learning_rate_init=0.02, max_iter=steps, tol=0)
    ours.fit(X, y)

    W, b = ([torch.tensor(array.copy(), requires_grad=True) for array in arrays]
            for arrays in (start.coefs_, start.intercepts_))  # fmt: skip
    optimizer = optimizer_in_torch(torch, solver, W + b)
    inputs, labels = torch.tensor(X), torch.tensor(y)
    for _ in range(steps):
        optimizer.zero_grad()
        hidden = torch.nn.functional.leaky_relu(inputs @ W[0] + b[0], slope)
        loss = torch.nn.functional.cross_entropy(hidden @ W[1] + b[1], labels)
        penalty = alpha / 2 / len(X) * sum((w**2).sum() for w in W)
        (loss if solver == "adamw" else loss + penalty).backward()
        value = float(loss.detach() + penalty.detach())
        if solver == "adamw":
            with torch.no_grad():
                for w in W:
                    w *= 1 - 0.02 * alpha / len(X)
        optimizer.step()
    for mine, wanted in zip(ours.coefs_ + ours.intercepts_, W + b, strict=True):
        np.testing.assert_allclose(mine, wanted.detach().numpy(), rtol=1e-7, atol=1e-9)
    assert ours.loss_ == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "leaky_relu"])
def test_every_solver_learns_with_every_activation(solver, activation):
    X, y = scale(IRIS[0]), IRIS[1]
    rate = 0.1 if solver in ("sgd", "adagrad") else 0.02
    classifier = MLPClassifier((20,), activation, solver=solver, learning_rate_init=rate, random_state=0).fit(X, y)
    assert classifier.score(X, y) > 0.95


def test_xor():
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    for activation in ("logistic", "tanh", "relu", "leaky_relu"):
        settings = {"hidden_layer_sizes": (32,), "activation": activation, "random_state": 0}
        settings |= {"learning_rate_init": 0.02, "max_iter": 1000, "n_iter_no_change": 1000}
        assert MLPClassifier(**settings).fit(X, y).score(X, y) == 1.0
        assert MLPRegressor(**settings).fit(X, y).score(X, y) > 0.99


# Data -> our estimator and theirs; rows are scaled first. One share of the rows, or one R², is the noise of seeds.
CLASSIFICATION = {"learning_rate_init": 0.01, "max_iter": 60, "random_state": 0}
MARGIN = 0.01


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine"])
def test_accuracy_is_that_of_scikit_learn(name):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    ours, theirs = (
        cross_val_score(make_pipeline(StandardScaler(), estimator(**CLASSIFICATION)), X, y, cv=folds).mean()
        for estimator in (MLPClassifier, TheirClassifier)
    )
    assert ours >= theirs - MARGIN
    assert ours > 0.95


def test_r2_is_that_of_scikit_learn():
    X, y = DIABETES
    settings = {"hidden_layer_sizes": (20,), "alpha": 10.0, "learning_rate_init": 0.01, "random_state": 0}
    pipelines = (make_pipeline(StandardScaler(), estimator(**settings)) for estimator in (MLPRegressor, TheirRegressor))
    models = (TransformedTargetRegressor(pipeline, transformer=StandardScaler()) for pipeline in pipelines)
    ours, theirs = (cross_val_score(model, X, y).mean() for model in models)
    assert ours >= theirs - MARGIN
    assert ours > 0.4


@pytest.mark.parametrize("weight", ["balanced", {"bad": 3.0, "good": 0.5}, {"bad": 4.0}])
def test_class_weight_is_a_sample_weight(weight):
    X, y = NAMED
    bad = y == "bad"
    rows = {"bad": len(y) / (2 * bad.sum()), "good": len(y) / (2 * (~bad).sum())} if weight == "balanced" else weight
    by_row = np.where(bad, rows["bad"], rows.get("good", 1.0))
    by_class = MLPClassifier(**SAME, class_weight=weight).fit(X, y)
    np.testing.assert_allclose(by_class.coefs_[0], MLPClassifier(**SAME).fit(X, y, by_row).coefs_[0], rtol=1e-9)
    if weight != "balanced":
        weights = np.arange(1.0, len(X) + 1)
        product = MLPClassifier(**SAME, class_weight=weight).fit(X, y, weights)
        wanted = MLPClassifier(**SAME).fit(X, y, by_row * weights)
        np.testing.assert_allclose(product.coefs_[0], wanted.coefs_[0], rtol=1e-9)


def test_balanced_classes_count_rows_by_their_weight(rng):
    """A row of weight 2 is two rows, one of weight 0 none."""
    X, y = IRIS
    weights = rng.integers(0, 4, len(X))
    settings = {**SAME, "batch_size": 500, "class_weight": "balanced"}
    with pytest.warns(UserWarning, match="batch_size=500"):
        repeated = MLPClassifier(**settings).fit(X.repeat(weights, axis=0), y.repeat(weights))
        weighted = MLPClassifier(**settings).fit(X, y, weights)
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-7, atol=1e-9)
    without = np.where(y == 2, 0.0, 1.0)
    assert np.isfinite(MLPClassifier(**settings | {"batch_size": 50}).fit(X, y, without).loss_)


def test_class_weight_of_labels():
    """One dict a label: a row has the product."""
    X, y = CLASSES["multilabel"]
    given = [{1: 2.0}, {0: 1.0, 1: 1.0}, {0: 0.5}, {0: 1.0, 1: 3.0}]
    by_row = np.where(y[:, 0] == 1, 2.0, 1.0) * np.where(y[:, 2] == 0, 0.5, 1.0) * np.where(y[:, 3] == 1, 3.0, 1.0)
    by_class = MLPClassifier(**SAME, class_weight=given).fit(X, y)
    np.testing.assert_allclose(by_class.coefs_[0], MLPClassifier(**SAME).fit(X, y, by_row).coefs_[0], rtol=1e-9)


def test_class_weight_in_partial_fit():
    X, y = NAMED
    weights = {"bad": 3.0}
    once = MLPClassifier(**SAME, class_weight=weights).partial_fit(X, y, classes=["bad", "good"])
    wanted = MLPClassifier(**SAME).partial_fit(X, y, np.where(y == "bad", 3.0, 1.0), classes=["bad", "good"])
    np.testing.assert_allclose(once.coefs_[0], wanted.coefs_[0], rtol=1e-9)
    once.partial_fit(X[y == "good"], y[y == "good"])  # a class of the dict that is not in the rows
    with pytest.raises(ValueError, match="class_weight='balanced' is not possible in partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=["bad", "good"])


def test_batches_without_weight_are_passed_over():
    X, y = IRIS
    weights = np.zeros(len(X))
    weights[40:60] = 1.0
    trained = MLPClassifier(**SAME, shuffle=False).fit(X, y, weights)
    assert np.isfinite(trained.loss_) and all(np.isfinite(W).all() for W in trained.coefs_)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix, sparse.coo_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_input_gives_what_dense_input_gives(container, solver, rng):
    X = rng.standard_normal((300, 20)) * (rng.random((300, 20)) < 0.2)
    y = X[:, :3].argmax(axis=1)
    dense = MLPClassifier(**SAME, solver=solver, activation="tanh").fit(X, y)
    other = MLPClassifier(**SAME, solver=solver, activation="tanh").fit(container(X), y)
    np.testing.assert_allclose(other.coefs_[0], dense.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(other.predict_proba(container(X)), dense.predict_proba(X), rtol=1e-9)


def test_sparse_targets():
    X, y = CLASSES["multilabel"]
    dense, other = (MLPClassifier(**SAME).fit(X, labels) for labels in (y, sparse.csr_array(y)))
    np.testing.assert_array_equal(other.coefs_[0], dense.coefs_[0])
    assert sparse.issparse(other.predict(X))
    np.testing.assert_array_equal(other.predict(X).toarray(), dense.predict(X))
    dense, other = (MLPRegressor(**SAME).fit(X, numbers) for numbers in (y, sparse.csr_array(y)))
    np.testing.assert_array_equal(other.coefs_[0], dense.coefs_[0])


@pytest.mark.parametrize(("given", "kept"), [("f4", "f4"), ("f8", "f8"), ("i4", "f8"), ("f2", "f8"), (">f4", "f8")])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_dtype(given, kept, solver):
    X, y = IRIS[0].astype(given), IRIS[1]
    classifier = MLPClassifier(**SAME, solver=solver).fit(X, y)
    regressor = MLPRegressor(**SAME, solver=solver).fit(X, y)
    for array in (*classifier.coefs_, *regressor.intercepts_, classifier.predict_proba(X), regressor.predict(X)):
        assert array.dtype == kept
    assert classifier.network_.dtype == kept


def test_log_probabilities_keep_what_rounds_away():
    X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    classifier = MLPClassifier((4,), solver="lbfgs", alpha=0.0, random_state=0).fit(X, y)
    log = classifier.predict_log_proba(np.array([[100.0], [-100.0]]))
    assert np.isfinite(log).all() and log.min() < -1000
    X, y = IRIS
    classifier.fit(X, y)
    np.testing.assert_allclose(np.exp(classifier.predict_log_proba(X)), classifier.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_copies_predict_and_go_on_alike(copied, solver):
    X, y = IRIS
    estimator = MLPClassifier(**SAME, solver=solver, verbose=False)
    for _ in range(3):
        estimator.partial_fit(X, y, classes=[0, 1, 2])
    twin = copied(estimator)
    np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))
    for _ in range(3):
        estimator.partial_fit(X, y)
    assert not np.array_equal(twin.coefs_[0], estimator.coefs_[0])
    for _ in range(3):
        twin.partial_fit(X, y)
    for mine, wanted in zip(twin.coefs_, estimator.coefs_, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_pickle_holds_no_rows_of_the_data():
    X = np.random.default_rng(0).standard_normal((5000, 20))
    estimator = MLPRegressor(hidden_layer_sizes=(5,), max_iter=2, batch_size=5000).fit(X, X[:, 0])
    assert len(pickle.dumps(estimator)) < X.nbytes / 10


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_fitted_estimator_lets_go_of_the_rows(solver):
    X = np.random.default_rng(0).standard_normal((500, 3))
    estimator = MLPRegressor(hidden_layer_sizes=(5,), solver=solver, max_iter=2, shuffle=False).fit(X, X[:, 0])
    assert all(layer.input is None and layer.output is None for layer in estimator.network_.layers)


def test_clone_is_unfitted():
    estimator = MLPClassifier((3,), "leaky_relu", negative_slope=0.3, class_weight={0: 2.0}, max_iter=2).fit(*IRIS)
    twin = clone(estimator)
    assert twin.get_params() == estimator.get_params()
    assert not hasattr(twin, "coefs_") and not hasattr(twin, "n_layers_")
    with pytest.raises(NotFittedError):
        twin.predict(IRIS[0])
    with pytest.raises(ValueError, match="Unknown label type"):
        twin.fit(IRIS[0], IRIS[0][:, 0])
    with pytest.raises(NotFittedError):
        twin.predict(IRIS[0])


def test_pipeline_grid_search_and_frames():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, y = datasets.load_iris(return_X_y=True, as_frame=True)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=30, random_state=0, solver="lbfgs"))
    pipeline.set_output(transform="pandas")
    grid = {"mlpclassifier__activation": ["tanh", "leaky_relu"], "mlpclassifier__alpha": [0.01, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.9
    best = search.best_estimator_[-1]
    assert list(best.feature_names_in_) == list(X.columns)
    assert isinstance(best._repr_html_(), str) and "leaky_relu" in repr(MLPClassifier(activation="leaky_relu"))
    with pytest.raises(ValueError, match="feature names"):
        best.predict(pandas.DataFrame(IRIS[0], columns=list("abcd")))


def test_network_is_the_model():
    """`network_` gives what the estimator does, and its arrays are coefs_ and intercepts_."""
    X, y = IRIS
    classifier = MLPClassifier(**SAME).fit(X, y)
    assert isinstance(classifier.network_, nn.Sequential)
    np.testing.assert_array_equal(classifier.network_.predict(X).argmax(axis=1), classifier.predict(X))
    classifier.coefs_[-1][...] = 0.0
    classifier.intercepts_[-1][...] = [0.0, 1.0, 0.0]
    assert (classifier.predict(X) == 1).all()


def test_threads_predict_at_once():
    X, y = IRIS
    classifier = MLPClassifier(**SAME).fit(X, y)
    halves = [np.ascontiguousarray(X[::2]), np.ascontiguousarray(X[1::2])]
    wanted = [classifier.predict_proba(half) for half in halves]
    wrong = []

    def work(half, right):
        for _ in range(200):
            if not np.array_equal(classifier.predict_proba(half), right):
                wrong.append(1)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(halves, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_interrupted_fit_leaves_a_model(monkeypatch):
    X, y = IRIS
    step, steps = nn.Adam.step, []

    def interrupted(self, parameters):
        step(self, parameters)
        steps.append(1)
        if len(steps) == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(nn.Adam, "step", interrupted)
    classifier = MLPClassifier(**SAME)
    with pytest.warns(UserWarning, match="interrupted"):
        classifier.fit(X, y)
    assert len(steps) == 7 and classifier.n_iter_ == 1
    assert classifier.predict(X).shape == y.shape


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_too_few_iterations_warn(solver):
    with pytest.warns(ConvergenceWarning, match=r"converged"):
        MLPClassifier(solver=solver, max_iter=2).fit(*IRIS)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_verbose_tells_the_loss(solver, capsys):
    classifier = MLPClassifier(**{**SAME, "max_iter": 3}, solver=solver, verbose=True).fit(*IRIS)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[:3]] == ["Iteration 1", "Iteration 2", "Iteration 3"]
    assert float(lines[2].rpartition("= ")[2]) == pytest.approx(classifier.loss_, abs=1e-7)


@pytest.mark.parametrize(("settings", "message"), [
    ({"activation": "swish"}, "The 'activation' parameter of MLPClassifier must be a str among .*'leaky_relu'"),
    ({"solver": "nadam"}, "The 'solver' parameter of MLPClassifier must be a str among .*'rmsprop'"),
    ({"negative_slope": np.nan}, "negative_slope"),
    ({"hidden_layer_sizes": (5, 0)}, r"hidden_layer_sizes\[1\] must be at least 1, got 0"),
    ({"class_weight": "even"}, "The 'class_weight' parameter of MLPClassifier must be a str among {'balanced'}"),
    ({"momentum": 1.0}, "momentum"),
    ({"learning_rate_init": 0}, "learning_rate_init"),
    ({"early_stopping": True, "validation_fraction": 0.001}, "at least 2 rows for validation, got 1 of 150"),
    ({"solver": "sgd", "learning_rate": "invscaling", "power_t": 300.0}, r"power_t=300\.0 makes the learning rate 0"),
    ({"solver": "sgd", "learning_rate_init": 1e200}, "the loss is nan after iteration 2: a lower learning_rate_init"),
])  # fmt: skip
def test_wrong_parameters(settings, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(**settings).fit(*IRIS)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_rate_that_is_too_high_is_named(loss, early_stopping):
    regressor = MLPRegressor(loss, activation="identity", solver="sgd", learning_rate_init=0.1, max_iter=20,
                             early_stopping=early_stopping, random_state=0)  # fmt: skip
    what = "predictions for the validation rows are not finite" if early_stopping else "the loss is inf"
    with pytest.raises(ValueError, match=rf"{what} after iteration \d: a lower learning_rate_init"):
        regressor.fit(*IRIS)


def test_wrong_data():
    X, y = IRIS
    with pytest.raises(ValueError, match=r"sample_weight must be at least 0, got -1\.0"):
        MLPClassifier().fit(X, y, -np.ones(len(X)))
    with pytest.raises(ValueError, match=r"weight.*zero"):
        MLPClassifier().fit(X, y, np.zeros(len(X)))
    with pytest.raises(ValueError, match="Unknown label type"):
        MLPClassifier().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        MLPClassifier().fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="contains NaN"):
        MLPRegressor().fit(X, np.full(len(X), np.nan))
    with pytest.raises(ValueError, match="4 features"):
        MLPClassifier(max_iter=1).fit(X, y).predict(X[:, :3])


@pytest.mark.parametrize(("given", "weights", "message"), [
    ({1: -1.0}, None, r"class_weight must be at least 0, got -1\.0"),
    ({1: np.nan}, None, r"class_weight must be at least 0, got nan"),
    (dict.fromkeys(range(3), 0), None, r"class_weight must hold a weight above 0, but all are zero"),
    (None, np.full(150, 1e308), r"sample_weight must have a sum that fits into float64, got up to 1e\+308 a row"),
    ({1: 1e200}, np.full(150, 1e200), r"the product of class_weight and sample_weight must have a sum that fits"),
    ({"a": 1.0}, None, "not in class_weight"),
])  # fmt: skip
def test_wrong_weights(given, weights, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(class_weight=given).fit(*IRIS, weights)


def test_single_class_is_certain():
    classifier = MLPClassifier(max_iter=2).fit(IRIS[0], np.full(len(IRIS[0]), "only"))
    assert set(classifier.predict(IRIS[0])) == {"only"}
    np.testing.assert_array_equal(classifier.predict_proba(IRIS[0]), np.ones((len(IRIS[0]), 1)))
    np.testing.assert_array_equal(classifier.predict_log_proba(IRIS[0]), np.zeros((len(IRIS[0]), 1)))


def test_lbfgs_refuses_a_loss_that_is_not_finite():
    with pytest.raises(ValueError, match=r"the loss is inf after iteration 0: X and y scaled"):
        MLPRegressor(solver="lbfgs").fit(IRIS[0] * 1e200, IRIS[1])


def test_partial_fit_and_warm_start_refuse_another_problem():
    X, y = IRIS
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        MLPRegressor(early_stopping=True).partial_fit(X, y)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y must have the classes of the call before, \[0 1\], got \[0 1 2\]"):
        MLPClassifier().partial_fit(X[:100], y[:100], classes=[0, 1]).partial_fit(X, y)
    warm = MLPClassifier((4,), warm_start=True, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=r"y must have the classes of the call before, \[0 1 2\], got \[0 1\]"):
        warm.fit(X[:100], y[:100])
    with pytest.raises(ValueError, match=r"network must stay as it is.*\[4, 4, 3\].*\[4, 5, 3\]"):
        warm.set_params(hidden_layer_sizes=(5,)).fit(X, y)


def test_solvers_can_change_under_warm_start():
    """Also to and from one that measures something else."""
    X, y = IRIS
    classifier = MLPClassifier(**SAME, warm_start=True)
    for settings in ({"solver": "lbfgs"}, {"solver": "adam"}, {"early_stopping": True}, {"early_stopping": False}):
        classifier.set_params(**settings).fit(X, y)
    assert classifier.validation_scores_ is None and np.isfinite(classifier.best_loss_)


def tables():
    return dict(_base.ACTIVATIONS), dict(_base.DERIVATIVES)


def test_patch_and_unpatch():
    before = tables()
    with patched():
        inside = tables()
        patch()
        patch()
        with patched():
            assert tables() == inside
        unpatch()
        assert tables() == inside  # until the block's end
    assert tables() == before
    assert {name for name in before[0] if inside[0][name] is not before[0][name]} == {"logistic", "tanh", "relu"}
    assert {name for name in before[1] if inside[1][name] is not before[1][name]} == {"logistic", "tanh", "relu"}
    patch()
    with patched():
        pass
    assert tables() == inside
    unpatch()
    unpatch()
    assert tables() == before
    with pytest.raises(ZeroDivisionError), patched():
        raise ZeroDivisionError
    assert tables() == before


def test_patched_in_threads():
    """The patch stays until the last block ends."""
    before, entered, leave = tables(), threading.Barrier(2), threading.Event()

    def work():
        with patched():
            entered.wait(10)
            leave.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(10)
    with patched():
        leave.set()
        thread.join()
        assert tables() != before
    assert tables() == before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu"])
def test_patched_mlps_compute_the_same(activation, dtype):
    X, y = IRIS[0].astype(dtype), IRIS[1]
    settings = {**SAME, "activation": activation}
    plain = TheirClassifier(**settings).fit(X, y), TheirRegressor(**settings).fit(X, y)
    with patched():
        ours = TheirClassifier(**settings).fit(X, y), TheirRegressor(**settings).fit(X, y)
        np.testing.assert_allclose(ours[0].predict_proba(X), plain[0].predict_proba(X), rtol=2e-3, atol=1e-6)
    rtol = 1e-9 if dtype == np.float64 else 2e-3
    for mine, wanted in zip(ours, plain, strict=True):
        np.testing.assert_allclose(mine.coefs_[0], wanted.coefs_[0], rtol=rtol, atol=rtol / 10)


def test_another_scikit_learn_is_refused(monkeypatch):
    before = tables()
    monkeypatch.setattr(_base, "ACTIVATIONS", {"relu": _base.ACTIVATIONS["relu"]})
    for enter in (patch, patched().__enter__):
        with pytest.raises(RuntimeError, match=rf"scikit-learn {sklearn.__version__} cannot be patched.*ACTIVATIONS"):
            enter()
    monkeypatch.undo()
    assert tables() == before
    with patched():
        assert tables() != before
    assert tables() == before


SCIKIT_LEARNS_TESTS = """
import collections, json, os, sys, tempfile
import fastact, fastact.sklearn, pytest

calls = collections.Counter()

def counted(name):
    function = getattr(fastact, name)
    def call(*arguments, **keywords):
        calls[name] += 1
        return function(*arguments, **keywords)
    return call

for name in ("sigmoid", "tanh", "relu"):
    for name in (name, f"{name}_backward"):
        setattr(fastact, name, counted(name))
os.chdir(tempfile.mkdtemp())
with fastact.sklearn.patched():
    status = pytest.main(["-q", "-p", "no:cacheprovider", "--pyargs", "sklearn.neural_network.tests.test_mlp"])
print(json.dumps([int(status), calls]))
"""


def test_scikit_learn_s_own_tests_pass_when_patched():
    """Its whole file on MLPs, and every kernel was called in it."""
    pytest.importorskip("sklearn.neural_network.tests", reason="scikit-learn is installed without its tests")
    out = run(SCIKIT_LEARNS_TESTS, timeout=600)
    status, calls = json.loads(out.splitlines()[-1])
    assert status == 0, out
    assert set(calls) == {name + tail for name in ("sigmoid", "tanh", "relu") for tail in ("", "_backward")}
    assert min(calls.values()) > 100


def test_missing_scikit_learn_is_named():
    script = """
import sys
sys.modules["sklearn"] = None
try:
    import fastact.sklearn
except ImportError as error:
    print(error)
"""
    assert 'pip install "fastact[sklearn]"' in run(script)
    assert fastact.sklearn.__all__ == ["MLPClassifier", "MLPRegressor", "patch", "patched", "unpatch"]
