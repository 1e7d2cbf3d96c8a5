"""scikit-learn on fastact: multi-layer perceptrons of its interface, and its own MLPs on fastact's kernels.

`MLPClassifier` and `MLPRegressor` take the parameters of scikit-learn's own and go where its estimators go: pipelines,
grid searches, cross-validation, pickles. `patched`, or `patch` and `unpatch`, leave scikit-learn's classes as they are
and only let them compute their activations with fastact.

Needs scikit-learn 1.6 or newer: ``pip install "fastact[sklearn]"``.

Examples
--------
>>> from sklearn.datasets import load_wine
>>> from sklearn.model_selection import cross_val_score
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from fastact.sklearn import MLPClassifier
>>> X, y = load_wine(return_X_y=True)
>>> classifier = MLPClassifier((32,), activation="leaky_relu", learning_rate_init=0.02, max_iter=500, random_state=0)
>>> bool(cross_val_score(make_pipeline(StandardScaler(), classifier), X, y).mean() > 0.95)
True
"""

try:
    from fastact.sklearn.estimators import MLPClassifier, MLPRegressor
    from fastact.sklearn.patching import patch, patched, unpatch
except ImportError as error:
    if (error.name or "").split(".")[0] not in ("sklearn", "scipy"):
        raise
    wanted = 'scikit-learn 1.6 or newer: pip install "fastact[sklearn]"'
    raise ImportError(f"fastact.sklearn needs {wanted} ({error})") from error

__all__ = ["MLPClassifier", "MLPRegressor", "patch", "patched", "unpatch"]
