"""What fastact.sklearn's MLPs learn beside scikit-learn's own: the table in docs/howto/scikit-learn.md.

    python bench/accuracies.py

Takes about two minutes. All have the same settings. X, and diabetes' y, are scaled to mean 0 and variance 1 by the
training rows.
"""

import warnings

import numpy as np
from sklearn import datasets, neural_network
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastact.sklearn
from fastact import nn

SEEDS = range(5)
# All else is scikit-learn's default; diabetes has 442 rows and much noise.
CLASSIFICATION = {"learning_rate_init": 0.01, "max_iter": 300}
REGRESSION = {**CLASSIFICATION, "hidden_layer_sizes": (20,), "alpha": 10.0}
DATA = {
    "digits": ("accuracy, %", "MLPClassifier", CLASSIFICATION, datasets.load_digits),
    "breast cancer": ("accuracy, %", "MLPClassifier", CLASSIFICATION, datasets.load_breast_cancer),
    "wine": ("accuracy, %", "MLPClassifier", CLASSIFICATION, datasets.load_wine),
    "diabetes": ("R², %", "MLPRegressor", REGRESSION, datasets.load_diabetes),
}
COLUMNS = [(fastact.sklearn, "relu"), (neural_network, "relu"), (fastact.sklearn, "leaky_relu")]


def cross_validated(estimator, X, y, seed):
    """The mean score of five folds."""
    model = make_pipeline(StandardScaler(), estimator.set_params(random_state=seed))
    if is_classifier(estimator):
        return cross_val_score(model, X, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed)).mean()
    model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return cross_val_score(model, X, y, cv=KFold(5, shuffle=True, random_state=seed)).mean()


def xor(activation, seed):
    """The share of the four rows that a network of fastact.nn gets right."""
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    model = nn.Sequential([nn.Dense(2, 16, activation=activation), nn.Dense(16, 2)], seed=seed)
    model.fit(X, y, loss="softmax_cross_entropy", optimizer=nn.Adam(0.05), epochs=300)
    return model.evaluate(X, y)["accuracy"]


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    print("| data | mean of 5 seeds ± their spread | fastact | scikit-learn | fastact, leaky ReLU |")
    print("| --- | --- | --- | --- | --- |")
    for name, (measure, estimator, settings, load) in DATA.items():
        X, y = load(return_X_y=True)
        cells = []
        for module, activation in COLUMNS:
            made = getattr(module, estimator)(activation=activation, **settings)
            scores = [100 * cross_validated(made, X, y, seed) for seed in SEEDS]
            cells.append(f"{np.mean(scores):.2f} ± {np.std(scores, ddof=1):.2f}")
        print(f"| {name} | {measure} | {' | '.join(cells)} |", flush=True)
    activations = ("sigmoid", "tanh", "relu", "leaky_relu")
    solved = {activation: sum(xor(activation, seed) == 1.0 for seed in range(20)) for activation in activations}
    print("XOR with fastact.nn, seeds of 20 that get all four rows:", ", ".join(f"{k} {v}" for k, v in solved.items()))


if __name__ == "__main__":
    main()
