"""Multi-layer perceptrons as scikit-learn's estimators: its parameters, rules and attributes over `fastact.nn`.

From the same ``random_state`` they start from the weights of scikit-learn's own and see the same batches. With "sgd"
they take the same steps, up to rounding; with "adam" nearly, since scikit-learn adds epsilon at another place; with
"lbfgs" the same as long as scikit-learn clips no probability (`MLPClassifier` says more of both). Where else they
differ on purpose, a comment says why.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
import scipy.optimize
import scipy.special
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import (
    check_random_state,
    column_or_1d,
    compute_class_weight,
    compute_sample_weight,
    gen_batches,
    shuffle,
)
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

import fastact
from fastact import nn
from fastact.nn import _checks
from fastact.nn._buffers import Buffers
from fastact.nn._types import Floats, Integer
from fastact.nn._types import Real as RealNumber

Matrix: TypeAlias = ArrayLike | sparse.spmatrix | sparse.sparray
Estimator = TypeVar("Estimator", bound="_MultilayerPerceptron")
Activation = Literal["identity", "logistic", "tanh", "relu", "leaky_relu"]
Solver = Literal["lbfgs", "sgd", "adam", "adagrad", "rmsprop", "adamw"]

# scikit-learn's name of an activation -> that of nn.Dense
ACTIVATIONS: dict[Activation, nn.layers.Activation | None] = {
    "identity": None,
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
}

# Solver, a name in nn.optimizers.OPTIMIZERS -> arguments of the optimiser and the parameters that they are taken from
SOLVERS = {
    "sgd": {"momentum": "momentum", "nesterov": "nesterovs_momentum"},
    "adam": {"beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon"},
    "adagrad": {"epsilon": "epsilon"},
    "rmsprop": {"epsilon": "epsilon"},
    "adamw": {"beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon"},
}

MIN_LEARNING_RATE = 1e-6  # at which "adaptive" ends training

LOSSES_AND_SCORES = ("loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_")


class _Poisson(nn.Loss):
    """Half the Poisson deviance, from the logarithm of the rate: the mean of exp(Y) - T - T (Y - log T)."""

    name = "poisson"

    def prepare(self, argument: str, y: ArrayLike, rows: int, columns: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        y = nn.mse.prepare(argument, y, rows, columns, dtype)
        if (y < 0).any():
            raise ValueError(f"{argument} must be at least 0 for loss='poisson', got {y.min()}")
        return y

    def value_and_gradient(
        self, Y: Floats, targets: NDArray[Any], dY: Floats, buffers: Buffers, weights: Floats | None = None
    ) -> float:
        rate = np.exp(Y)
        loss = rate - targets + scipy.special.xlogy(targets, targets) - targets * Y
        share = np.full((len(Y), 1), 1 / len(Y), Y.dtype) if weights is None else (weights / weights.sum())[:, None]
        share = share / Y.shape[1]
        np.multiply(rate - targets, share, out=dY)
        return float(np.sum(loss * share))


# Output activation -> the loss from logits, and for k outputs the factors that make its value and its gradient those of
# scikit-learn, which sums over outputs, but for the value of the squared error.
LOSSES = {
    "softmax": (nn.softmax_cross_entropy, lambda k: 1.0, lambda k: 1.0),
    "logistic": (nn.binary_cross_entropy, lambda k: k, lambda k: k),
    "identity": (nn.mse, lambda k: 0.5, lambda k: 0.5 * k),
    "exp": (_Poisson(), lambda k: k, lambda k: k),
}


def _dense(X):
    return X.toarray() if sparse.issparse(X) else X


def _checked_weights(argument, weights):
    """Return weights of rows, which must be numbers of at least 0, not all 0, and have a sum in their type."""
    if not (weights >= 0).all():
        raise ValueError(f"{argument} must be at least 0, got {weights[~(weights >= 0)][0]}")
    if not weights.any():
        raise ValueError(f"{argument} must hold a weight above 0, but all are zero")
    if not np.isfinite(weights.sum()):
        raise ValueError(f"{argument} must have a sum that fits into {weights.dtype}, got up to {weights.max()} a row")
    return weights


def _total(X, weights):
    """Return the sum of the rows' weights."""
    return float(len(X) if weights is None else weights.sum(dtype=np.float64))


class _MultilayerPerceptron(BaseEstimator):
    """What classifier and regressor have in common."""

    network_: nn.Sequential
    n_outputs_: int
    out_activation_: str

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "negative_slope": [Interval(Real, None, None, closed="neither")],
        "solver": [StrOptions({"lbfgs", *SOLVERS})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
    }

    def _store_parameters(self, arguments):
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    @property
    def coefs_(self) -> list[Floats]:
        """W of every layer, shape (fan_in, fan_out): the network's own arrays."""
        return [layer.W for layer in self._fitted().layers]

    @property
    def intercepts_(self) -> list[Floats]:
        """b of every layer, shape (fan_out,): the network's own arrays."""
        return [layer.b for layer in self._fitted().layers]

    @property
    def n_layers_(self) -> int:
        """Layers, the inputs counted as one."""
        return len(self._fitted().layers) + 1

    def _fitted(self):
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"this {type(self).__name__} is not fitted yet, so it has no network")
        return self.network_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")

    def fit(self: Estimator, X: Matrix, y: Matrix, sample_weight: ArrayLike | None = None) -> Estimator:
        """Train on all rows until the stopping rule or ``max_iter`` ends it.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)
        y : array_like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array_like of shape (n_samples,), optional
            At least 0, not all 0.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            An argument or a parameter has a wrong type, shape or value, or the loss has become NaN or infinite.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X, y, sample_weight, incremental):
        first = not hasattr(self, "network_") or not (self.warm_start or incremental)
        if first or not incremental:
            self._validate_params()
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            dtype=(np.float64, np.float32) if first else self.network_.dtype,
            reset=first,
            **self._target_checks,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(_dense(y), warn=True)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        targets, outputs, out_activation = self._encode(y, first, incremental)
        weights = self._row_weights(X, y, sample_weight, incremental)
        sizes = self.hidden_layer_sizes
        sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
        sizes = [_checks.integer(f"hidden_layer_sizes[{i}]", size) for i, size in enumerate(sizes)]
        architecture = ([X.shape[1], *sizes, outputs], self.activation, self.negative_slope, out_activation)
        if not first and architecture != self._architecture:
            raise ValueError(
                "with warm_start=True, and in partial_fit, the network must stay as it is: units, activation, negative "
                f"slope and output activation were {self._architecture}, now they are {architecture}"
            )
        loss = LOSSES[out_activation][0]
        targets = loss.prepare("y", targets, X.shape[0], outputs, X.dtype).astype(loss.target_dtype(X.dtype))
        self._random_state = check_random_state(self.random_state)
        if first:
            self._architecture = architecture
            self.n_outputs_, self.out_activation_ = outputs, out_activation
            self._initialize(X.dtype)
        self._buffers = Buffers()
        try:
            with np.errstate(all="ignore"):
                if self.solver == "lbfgs":
                    self._fit_lbfgs(_dense(X), targets, weights)
                else:
                    self._fit_stochastic(X, targets, weights, incremental)
        finally:
            del self._buffers
            if not incremental:  # let go of the rows and the arrays of the steps
                self.network_ = self._copied_network()
        if not all(np.isfinite(parameter.value).all() for parameter in self.network_.parameters()):
            raise self._diverged("weights are not finite")
        return self

    def _diverged(self, what):
        lower_rate = "" if self.solver == "lbfgs" else "a lower learning_rate_init, or "
        return ValueError(
            f"{what} after iteration {self.n_iter_}: {lower_rate}X and y scaled to a variance of about 1, may help"
        )

    @np.errstate(over="ignore")
    def _row_weights(self, X, y, sample_weight, incremental):
        """Return the weight of each row, None where all are 1."""
        if sample_weight is None:
            return None
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        return _checked_weights("sample_weight", weights)

    def _initialize(self, dtype):
        """Draw new weights, as scikit-learn does, and remove losses and scores of an earlier training."""
        units, activation, negative_slope, _ = self._architecture
        factor = 2.0 if activation == "logistic" else 6.0
        layers = []
        for index, (fan_in, fan_out) in enumerate(pairwise(units)):
            hidden = index < len(units) - 2
            layer = nn.Dense(fan_in, fan_out, ACTIVATIONS[activation] if hidden else None, negative_slope, dtype=dtype)
            limit = math.sqrt(factor / (fan_in + fan_out))
            layer.W = self._random_state.uniform(-limit, limit, (fan_in, fan_out))
            layer.b = self._random_state.uniform(-limit, limit, fan_out)
            layers.append(layer)
        self.network_ = nn.Sequential(layers, seed=0)
        self._optimizer = None
        self._stops_by = None
        self.n_iter_ = self.t_ = 0
        for name in LOSSES_AND_SCORES:
            vars(self).pop(name, None)

    def _reset_losses_and_scores(self):
        by_score = bool(self.early_stopping)
        self._stops_by = "score" if by_score else "loss"
        self._no_improvement = 0
        self.loss_curve_ = []
        self.best_loss_ = None if by_score else math.inf
        self.validation_scores_ = [] if by_score else None
        self.best_validation_score_ = -math.inf if by_score else None

    def _backpropagate(self, X, targets, weights):
        """Write the gradients of data loss and penalty; return both losses, and the data loss that the gradient is of.

        ::

            penalty = alpha / (2 Σ w) · Σ W²        w the weights of the batch's rows, 1 each without sample_weight
        """
        loss, value_factor, gradient_factor = LOSSES[self.out_activation_]
        total = _total(X, weights)
        layers = self.network_.layers
        Y = self.network_.forward(X)
        dY = self._buffers.array("dY", len(X), self.n_outputs_, dtype=Y.dtype)
        value = loss.value_and_gradient(Y, targets, dY, self._buffers, weights)
        dY *= gradient_factor(self.n_outputs_)
        for layer in reversed(layers):
            dY = layer.backward(dY, overwrite=True, input_gradient=layer is not layers[0])
        penalty = 0.0
        for layer in layers:
            penalty += 0.5 * self.alpha / total * float(np.vdot(layer.W, layer.W))
            if self.solver != "adamw":
                layer.dW += self.alpha / total * layer.W
        return value_factor(self.n_outputs_) * value, penalty, gradient_factor(self.n_outputs_) * value

    def _run_epoch(self, X, targets, weights, order, batch_size):
        """Take a step on every batch and return the mean of their losses, each weighted by its rows."""
        parameters = self.network_.parameters()
        total = 0.0
        for batch in gen_batches(len(order), batch_size):
            index = order[batch] if self.shuffle else batch
            part = None if weights is None else weights[index]
            loss = self._step(_dense(X[index]), targets[index], part, parameters)
            total += loss * (batch.stop - batch.start)
        return total / len(order)

    def _step(self, X, targets, weights, parameters):
        """Take one step of the optimiser on a batch and return the loss before it."""
        if weights is not None and not weights.any():
            return 0.0  # there is nothing to learn from
        data_loss, penalty, _ = self._backpropagate(X, targets, weights)
        if self.solver == "adamw":  # what AdamW is about: the decay stays out of the gradient and its running means
            for W in self.coefs_:
                W *= 1.0 - self._optimizer.learning_rate * self.alpha / _total(X, weights)
        self._optimizer.step(parameters)
        return data_loss + penalty

    def _make_optimizer(self):
        settings = {argument: getattr(self, name) for argument, name in SOLVERS[self.solver].items()}
        if not self.momentum:  # without it there is no Nesterov's
            settings.pop("nesterov", None)
        if self.solver == "adamw":
            settings["weight_decay"] = 0.0  # see _step
        return nn.optimizers.OPTIMIZERS[self.solver](self.learning_rate_init, **settings)

    def _fit_stochastic(self, X, targets, weights, incremental):
        if self._optimizer is None or not incremental:
            self._optimizer = self._make_optimizer()
        if self._stops_by != ("score" if self.early_stopping else "loss"):
            self._reset_losses_and_scores()
        validation = best = None
        if self.early_stopping:
            X, targets, weights, validation = self._split(X, targets, weights)
            best = self._copied_weights()
        rows = X.shape[0]
        batch_size = min(200, rows) if self.batch_size == "auto" else min(self.batch_size, rows)
        if self.batch_size != "auto" and self.batch_size > rows:
            warnings.warn(
                f"batch_size={self.batch_size} is larger than the {rows} rows to train on, which make one batch",
                stacklevel=4,
            )
        order = np.arange(rows)
        self.n_iter_ = 0
        try:
            while self.n_iter_ < self.max_iter:
                if self.shuffle:
                    order = shuffle(order, random_state=self._random_state)
                self.loss_ = self._run_epoch(X, targets, weights, order, batch_size)
                self.n_iter_ += 1
                self.t_ += rows
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if not math.isfinite(self.loss_):
                    raise self._diverged(f"the loss is {self.loss_}")
                if self._record_progress(validation):
                    best = self._copied_weights()
                if self.solver == "sgd" and self.learning_rate == "invscaling":
                    self._set_learning_rate(self.learning_rate_init * (self.t_ + 1) ** -self.power_t)
                if self._no_improvement > self.n_iter_no_change and self._should_stop():
                    break
                if incremental:
                    break
                if self.n_iter_ == self.max_iter:
                    warnings.warn(
                        f"the maximum of {self.max_iter} iterations is reached, and the optimization has not "
                        "converged yet: a larger max_iter may help",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            warnings.warn("training was interrupted by the user", stacklevel=4)
        # With warm_start, where no score is above that of the fit before, scikit-learn ends with the last weights:
        # what it keeps as the best weights are the arrays that its steps change. Here they are copies.
        if best is not None:
            for parameter, value in zip(self.network_.parameters(), best, strict=True):
                parameter.value[...] = value

    def _copied_weights(self):
        return [parameter.value.copy() for parameter in self.network_.parameters()]

    def _split(self, X, targets, weights):
        """Set rows aside for early stopping, the same ones as scikit-learn."""
        arrays = [X, targets] if weights is None else [X, targets, weights]
        X, X_validation, targets, targets_validation, *weights_of_both = train_test_split(
            *arrays,
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=targets if is_classifier(self) and self.n_outputs_ == 1 else None,
        )
        if X_validation.shape[0] < 2:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} must leave at least 2 rows for validation, got "
                f"{X_validation.shape[0]} of {X.shape[0] + X_validation.shape[0]}"
            )
        weights, weights_validation = weights_of_both or (None, None)
        if weights is not None and not (weights.any() and weights_validation.any()):
            raise ValueError("sample_weight is zero in all rows for training, or all for validation: take other rows")
        return X, targets, weights, (X_validation, targets_validation, weights_validation)

    def _record_progress(self, validation):
        """Count the iterations without progress; return whether this one has the best validation score so far."""
        if validation is None:
            self._no_improvement = self._no_improvement + 1 if self.loss_ > self.best_loss_ - self.tol else 0
            self.best_loss_ = min(self.best_loss_, self.loss_)
            return False
        X, targets, weights = validation
        score = float(self._validation_score(self._outputs(X), targets, weights))
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        self._no_improvement = self._no_improvement + 1 if score < self.best_validation_score_ + self.tol else 0
        is_best = score > self.best_validation_score_
        self.best_validation_score_ = max(self.best_validation_score_, score)
        return is_best

    def _should_stop(self):
        """Return whether training ends for want of progress; with learning_rate="adaptive" try a lower rate first."""
        message = "Validation score" if self.early_stopping else "Training loss"
        message += f" did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        adaptive = self.solver == "sgd" and self.learning_rate == "adaptive"
        stops = not adaptive or self._optimizer.learning_rate <= MIN_LEARNING_RATE
        if not stops:
            self._set_learning_rate(self._optimizer.learning_rate / 5.0)
            self._no_improvement = 0
            message += f" Setting learning rate to {self._optimizer.learning_rate:f}"
        else:
            message += " Learning rate too small. Stopping." if adaptive else " Stopping."
        if self.verbose:
            print(message)
        return stops

    def _set_learning_rate(self, rate):
        """Change the learning rate. scikit-learn's velocity holds the rates of its steps, so it keeps its length."""
        if rate == 0.0:
            raise ValueError(f"power_t={self.power_t} makes the learning rate 0 after {self.t_} rows")
        before, self._optimizer.learning_rate = self._optimizer.learning_rate, rate
        for velocity in self._optimizer.state.get("velocity", ()):
            velocity *= before / rate

    def _fit_lbfgs(self, X, targets, weights):
        parameters = self.network_.parameters()
        ends = np.cumsum([parameter.value.size for parameter in parameters])[:-1]

        def unpack(vector):
            for parameter, part in zip(parameters, np.split(vector, ends), strict=True):
                parameter.value[...] = part.reshape(parameter.value.shape)

        def objective(vector):
            unpack(vector)
            _, penalty, data_loss = self._backpropagate(X, targets, weights)
            return data_loss + penalty, np.concatenate([p.gradient.ravel() for p in parameters]).astype(np.float64)

        def report(vector):
            self.n_iter_ += 1
            if self.verbose:
                unpack(vector)
                print(f"Iteration {self.n_iter_}, loss = {sum(self._backpropagate(X, targets, weights)[:2]):.8f}")

        self.n_iter_ = 0
        result = scipy.optimize.minimize(
            objective,
            np.concatenate([p.value.ravel() for p in parameters]).astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=report,
            options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
        )
        unpack(result.x)
        self.loss_ = sum(self._backpropagate(X, targets, weights)[:2])
        if not math.isfinite(self.loss_):
            raise self._diverged(f"the loss is {self.loss_}")
        if result.status != 0:
            warnings.warn(
                f"lbfgs has not converged after {self.n_iter_} iterations: {result.message}. A larger max_iter or "
                "max_fun, or X scaled to a variance of about 1, may help",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _predict_outputs(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=self.network_.dtype, reset=False)
        return self._outputs(X)

    def _outputs(self, X):
        """Return the logits, in a new array."""
        network = self._copied_network()
        if not sparse.issparse(X):
            return network.predict(X)
        return np.concatenate([network.predict(X[rows].toarray()) for rows in gen_batches(X.shape[0], 256)])

    def _copied_network(self):
        """Return a network of the same weights and buffers of its own, so that several threads may predict at once."""
        return nn.Sequential([copy.copy(layer) for layer in self.network_.layers], seed=0)

    def _supports_partial_fit(self):
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit needs a solver that trains on batches, got solver='lbfgs'")
        return True

    def __getstate__(self):
        state = super().__getstate__()
        if "network_" in state:  # without the buffers
            state = {**state, "network_": self._copied_network()}
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MLPClassifier(ClassifierMixin, _MultilayerPerceptron):
    """A multi-layer perceptron that learns classes, with scikit-learn's interface.

    Hidden layers ``φ(X W + b)``, then a softmax (two classes and multi-label: a sigmoid an output), trained on the
    cross-entropy plus ``alpha / (2 rows) · Σ W²``. All parameters have the names, defaults and meanings of
    `sklearn.neural_network.MLPClassifier`; new are leaky ReLU, three of the solvers and ``class_weight``. float32 X is
    computed in float32, all else in float64. Sparse X is made dense a batch at a time; for "lbfgs", all at once.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu", "leaky_relu"}
        φ of the hidden layers.
    solver : {"adam", "sgd", "lbfgs", "adagrad", "rmsprop", "adamw"}
        Optimiser of `fastact.nn`, or SciPy's L-BFGS-B on all rows at once. nn.Adam adds epsilon to the root of the
        corrected mean, scikit-learn to that of the other. The loss is exact; scikit-learn clips probabilities to
        [ε, 1 - ε], ε = 2.2e-16 (float32: 1.2e-7), and so its line searches of "lbfgs" may take another way from a trial
        step on that is surer than that.
    negative_slope : float
        Slope of leaky_relu at negative inputs.
    alpha : float
        Strength of the L2 penalty on the W; "adamw" shrinks them by it outside of the gradient.
    batch_size : int or "auto"
        Rows in a step; "auto" is 200, or all where there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}
        Only for "sgd". "invscaling" divides the rate by ``t_ ** power_t`` after every iteration; "adaptive" divides it
        by 5 where training would stop for want of progress, until it is below 1e-6.
    learning_rate_init : float
        The learning rate at the start.
    power_t : float
        See ``learning_rate``.
    max_iter : int
        Most passes over the data ("lbfgs": iterations).
    shuffle : bool
        Take the rows in a new order in every pass.
    random_state : int, numpy.random.RandomState or None
        Draws weights, order of rows, and the rows set aside for early stopping.
    tol : float
        Progress of less than this, ``n_iter_no_change`` times running, ends training ("lbfgs": gradient at the end).
    verbose : bool
        Print the loss of every iteration.
    warm_start : bool
        `fit` goes on from the weights of the `fit` before.
    momentum : float
        In [0, 1). Only for "sgd".
    nesterovs_momentum : bool
        Only for "sgd".
    early_stopping : bool
        Set rows aside and stop for want of progress of the score on them; the weights of the best score stay.
    validation_fraction : float
        Share of the rows that early stopping sets aside.
    beta_1, beta_2 : float
        In [0, 1). Only for "adam" and "adamw".
    epsilon : float
        Above 0. For the solvers that divide by a root of squared gradients.
    n_iter_no_change : int
        See ``tol``.
    max_fun : int
        Most evaluations of the loss by "lbfgs".
    class_weight : dict, list of dicts, "balanced" or None
        Weight of each class in the loss, on top of ``sample_weight``; a class that is not named has 1. "balanced" is
        rows / (classes · rows of the class), for `fit` alone. A list has a dict for each label of the multi-label case.

    Attributes
    ----------
    classes_ : ndarray
    network_ : nn.Sequential
        What was trained; its outputs are logits.
    coefs_, intercepts_ : list of ndarray
        W and b of every layer of ``network_``.
    loss_ : float
        Loss with penalty of the last iteration: the mean over its batches, each taken before the step on it.
    loss_curve_ : list of float
        ``loss_`` of every iteration (not with "lbfgs").
    best_loss_ : float or None
        The least of ``loss_curve_``; None with early stopping.
    validation_scores_, best_validation_score_
        Accuracy on the rows set aside, after each iteration, and the best; None without early stopping.
    n_iter_ : int
        Iterations of the last `fit`.
    t_ : int
        Rows seen in training.
    n_features_in_, n_layers_, n_outputs_ : int
    feature_names_in_ : ndarray of str
        Where the columns of X have names.
    out_activation_ : {"softmax", "logistic"}

    Examples
    --------
    >>> from fastact.sklearn import MLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["no", "yes", "yes", "no"]
    >>> classifier = MLPClassifier((16,), activation="tanh", learning_rate_init=0.05, random_state=0).fit(X, y)
    >>> classifier.predict(X)
    array(['no', 'yes', 'yes', 'no'], dtype='<U3')
    >>> classifier.score(X, y)
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_MultilayerPerceptron._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }
    _target_checks: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        hidden_layer_sizes: Integer | Sequence[Integer] = (100,),
        activation: Activation = "relu",
        *,
        solver: Solver = "adam",
        negative_slope: RealNumber = 0.01,
        alpha: RealNumber = 0.0001,
        batch_size: Integer | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: RealNumber = 0.001,
        power_t: RealNumber = 0.5,
        max_iter: Integer = 200,
        shuffle: bool = True,
        random_state: Integer | np.random.RandomState | None = None,
        tol: RealNumber = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: RealNumber = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: RealNumber = 0.1,
        beta_1: RealNumber = 0.9,
        beta_2: RealNumber = 0.999,
        epsilon: RealNumber = 1e-8,
        n_iter_no_change: Integer | float = 10,
        max_fun: Integer = 15000,
        class_weight: Mapping[Any, RealNumber] | list[Mapping[Any, RealNumber]] | Literal["balanced"] | None = None,
    ) -> None:
        self._store_parameters(locals())

    @np.errstate(over="ignore")
    def _row_weights(self, X, y, sample_weight, incremental):
        weights = super()._row_weights(X, y, sample_weight, incremental)
        if self.class_weight is None:
            return weights
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not possible in partial_fit, which does not see all rows: pass a dict, for "
                "example from sklearn.utils.class_weight.compute_class_weight"
            )
        of_class = self._class_weights(y, weights).astype(X.dtype)
        if weights is None:
            return _checked_weights("class_weight", of_class)
        return _checked_weights("the product of class_weight and sample_weight", weights * of_class)

    def _class_weights(self, y, weights):
        """Return the weight of each row's class. Where they are balanced, a row counts by its own weight."""
        if y.ndim == 2:
            return compute_sample_weight(self.class_weight, y)
        number = np.searchsorted(self.classes_, y)
        if self.class_weight == "balanced":
            counts = np.bincount(number, weights, len(self.classes_))
            of_class = counts.sum() / (np.count_nonzero(counts) * np.where(counts, counts, 1.0))
        else:
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        return of_class[number]

    def _encode(self, y, first, incremental):
        """Return the targets, the number of outputs and their activation."""
        if first and not incremental:
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            found = unique_labels(y)
            new = np.setdiff1d(found, self.classes_)
            gone = [] if incremental else np.setdiff1d(self.classes_, found)
            if len(new) or len(gone):
                raise ValueError(f"y must have the classes of the call before, {self.classes_}, got {found}")
        if self._label_binarizer.y_type_ == "multiclass":
            return np.searchsorted(self.classes_, y), len(self.classes_), "softmax"
        indicators = self._label_binarizer.transform(y)
        return indicators, indicators.shape[1], "logistic"

    def _validation_score(self, Y, targets, weights):
        """Accuracy; in the multi-label case of whole rows."""
        right = Y.argmax(axis=1) == targets if self.out_activation_ == "softmax" else ((Y > 0) == targets).all(axis=1)
        return np.average(right, weights=weights)

    @available_if(_MultilayerPerceptron._supports_partial_fit)
    def partial_fit(
        self, X: Matrix, y: Matrix, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> MLPClassifier:
        """Train for one pass over the rows, going on from where the last call has ended.

        Parameters
        ----------
        X, y, sample_weight
            As `fit` takes them.
        classes : array_like of shape (n_classes,)
            All classes that there will be; the first call needs it.

        Returns
        -------
        self
        """
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Return the likeliest class of each row, in the multi-label case 1 for each label that is likelier than not.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
        """
        Y = self._predict_outputs(X)
        return self._label_binarizer.inverse_transform(Y.ravel() if self.n_outputs_ == 1 else Y, threshold=0.0)

    def predict_proba(self, X: Matrix) -> Floats:
        """Return the probability of each class, in the order of ``classes_``.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
            Rows sum to 1, but in the multi-label case, where each label has a probability of its own.
        """
        Y = self._predict_outputs(X)
        if self.out_activation_ == "softmax":
            return scipy.special.softmax(Y, axis=1)
        return fastact.sigmoid(self._both_classes(Y))

    def predict_log_proba(self, X: Matrix) -> Floats:
        """Return the logarithms of `predict_proba`, exact where that has rounded to 0 or 1."""
        Y = self._predict_outputs(X)
        if self.out_activation_ == "softmax":
            return scipy.special.log_softmax(Y, axis=1)
        return scipy.special.log_expit(self._both_classes(Y))

    def _both_classes(self, Y):
        """Return the logits of the probabilities to show: for two classes of both, for a single class of certainty."""
        if len(self.classes_) == 1:
            return np.full_like(Y, np.inf)
        return np.hstack([-Y, Y]) if self.n_outputs_ == 1 else Y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MultilayerPerceptron):
    """A multi-layer perceptron that learns numbers, with scikit-learn's interface.

    Hidden layers ``φ(X W + b)``, then a layer without activation, trained on half the squared error plus
    ``alpha / (2 rows) · Σ W²``. Several outputs are learnt at once where y has several columns.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}
        "poisson" is half the Poisson deviance; the network then learns the logarithm, and y must be at least 0.
    hidden_layer_sizes, activation, solver, negative_slope, …
        All but ``class_weight`` are those of `MLPClassifier`.

    Attributes
    ----------
    network_, coefs_, …
        Those of `MLPClassifier`, but ``classes_``; ``validation_scores_`` holds R².

    Examples
    --------
    >>> import numpy as np
    >>> from fastact.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 100)[:, np.newaxis]
    >>> regressor = MLPRegressor(activation="tanh", solver="lbfgs", random_state=0).fit(X, np.sin(3 * X[:, 0]))
    >>> regressor.score(X, np.sin(3 * X[:, 0])) > 0.99
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_MultilayerPerceptron._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }
    _target_checks: ClassVar[dict[str, Any]] = {"y_numeric": True}

    def __init__(
        self,
        loss: Literal["squared_error", "poisson"] = "squared_error",
        hidden_layer_sizes: Integer | Sequence[Integer] = (100,),
        activation: Activation = "relu",
        *,
        solver: Solver = "adam",
        negative_slope: RealNumber = 0.01,
        alpha: RealNumber = 0.0001,
        batch_size: Integer | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: RealNumber = 0.001,
        power_t: RealNumber = 0.5,
        max_iter: Integer = 200,
        shuffle: bool = True,
        random_state: Integer | np.random.RandomState | None = None,
        tol: RealNumber = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: RealNumber = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: RealNumber = 0.1,
        beta_1: RealNumber = 0.9,
        beta_2: RealNumber = 0.999,
        epsilon: RealNumber = 1e-8,
        n_iter_no_change: Integer | float = 10,
        max_fun: Integer = 15000,
    ) -> None:
        self._store_parameters(locals())

    def _encode(self, y, first, incremental):
        """Return the targets, the number of outputs and their activation."""
        y = _dense(y).reshape(y.shape[0], -1)
        return y, y.shape[1], "exp" if self.loss == "poisson" else "identity"

    def _validation_score(self, Y, targets, weights):
        """R², as scikit-learn's `score` has it."""
        predictions = self._from_outputs(Y)
        if not np.isfinite(predictions).all():
            raise self._diverged("predictions for the validation rows are not finite")
        return r2_score(targets, predictions, sample_weight=weights)

    def _from_outputs(self, Y):
        return np.exp(Y, out=Y) if self.out_activation_ == "exp" else Y

    @available_if(_MultilayerPerceptron._supports_partial_fit)
    def partial_fit(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MLPRegressor:
        """Train for one pass over the rows, going on from where the last call has ended.

        Parameters
        ----------
        X, y, sample_weight
            As `fit` takes them.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Matrix) -> Floats:
        """Return the prediction for each row.

        Parameters
        ----------
        X : array_like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
        """
        Y = self._from_outputs(self._predict_outputs(X))
        return Y.ravel() if self.n_outputs_ == 1 else Y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
