"""Optimisers: how a step of training changes the parameters, given their gradients.

An optimiser is a row of `OPTIMIZERS`: the names of the arrays it keeps for each parameter (`slots`), and `_update`,
its formula, which a compiled function computes in one pass over each parameter, its gradient and those arrays.

The formulas are PyTorch's. Where Keras differs, the optimiser's notes say so.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fastact.nn import _checks, _config, _fused, schedules
from fastact.nn._types import Floats, Real
from fastact.nn.layers import Parameter

OptimizerName = Literal["sgd", "adagrad", "rmsprop", "adam", "adamw"]
LearningRate = Real | Callable[[int], float]


class Optimizer(_config.Configured):
    """What the optimisers have in common.

    An optimiser keeps every argument of its constructor as an attribute of the same name.

    Parameters
    ----------
    learning_rate : float or schedule
        A number above 0, or a function of the steps taken so far, such as those of `nn.schedules`.
    clip_norm : float, optional
        Largest norm of the gradient, taken over all parameters together: where it is longer, all of it is multiplied
        by clip_norm / (norm + 1e-6).
    clip_value : float, optional
        Every element of the gradient is brought into [-clip_value, clip_value], after ``clip_norm``.

    Attributes
    ----------
    name : str
        The name that ``optimizer=`` takes.
    learning_rate : float or schedule
        May be changed between steps.
    rate : float
        The learning rate of the next step, whichever of the two it comes from.
    slots : tuple of str
        Names of the arrays that are kept for each parameter, with its shape and type.
    state : dict of str to list of ndarray
        Those arrays, in the order of the parameters.
    steps : int
        Steps taken on the present parameters.

    References
    ----------
    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    algorithm 1 (clipping by the norm).
    """

    slots: tuple[str, ...] = ()

    def __init__(
        self, learning_rate: LearningRate, clip_norm: Real | None = None, clip_value: Real | None = None
    ) -> None:
        self.learning_rate = learning_rate
        self.clip_norm = None if clip_norm is None else _checks.number("clip_norm", clip_norm, positive=True)
        self.clip_value = None if clip_value is None else _checks.number("clip_value", clip_value, positive=True)
        self.state: dict[str, list[Floats]] = {}
        self.steps = 0
        self._parameters: list[Parameter] = []
        self._arrays: list[tuple[Floats, ...]] = []  # w, g and the slots of each

    @property
    def learning_rate(self) -> Any:  # with the union of the two, learning_rate *= 0.5 would be an error of types
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        self._learning_rate = schedules.checked_rate(learning_rate)

    @property
    def rate(self) -> float:
        return schedules.rate_at(self._learning_rate, self.steps)

    def step(self, parameters: Sequence[Parameter]) -> None:
        """Change every parameter in place by one step; the gradients stay as they are.

        The first call makes the arrays of `state` at 0. They stay with the parameters: a call with those of another
        model starts anew.

        Parameters
        ----------
        parameters : list of nn.Parameter
            ``model.parameters()``, with the gradients of the last backward pass: C-contiguous arrays, a value and its
            gradient of one shape, float32 or float64.

        Raises
        ------
        TypeError, ValueError
            A parameter's arrays have another type, shape or layout.
        """
        if not (len(parameters) == len(self._parameters) and all(map(operator.is_, parameters, self._parameters))):
            if self._knows(parameters):
                self._bind(parameters)
            else:
                self._start(parameters)
        self._update(self._arrays, self._clipping(parameters), self.rate)

    def restore(self, parameters: Sequence[Parameter], state: Mapping[str, Sequence[Floats]], steps: int) -> None:
        """Go on with these parameters after ``steps`` steps, with a copy of what `state` was then."""
        if state.keys() != set(self.slots):
            wanted, found = (", ".join(sorted(names)) or "nothing" for names in (self.slots, state))
            raise ValueError(f"state must hold {wanted}, got {found}")
        self._start(parameters)
        for slot, arrays in state.items():
            for own, saved in zip(self.state[slot], arrays, strict=True):
                own[...] = saved
        self.steps = steps

    def _knows(self, parameters):
        """Return whether the state is of these parameters, wherever their gradients lie."""
        return len(parameters) == len(self._parameters) and all(
            new.value is old.value for new, old in zip(parameters, self._parameters, strict=True)
        )

    def _start(self, parameters):
        """Make the state at 0 for these parameters."""
        for parameter in parameters:
            self._check(parameter)
        self._parameters = []  # until all is there: memory may run out
        self.steps = 0
        self.state = {slot: [np.zeros_like(p.value) for p in parameters] for slot in self.slots}
        self._bind(parameters)

    def _bind(self, parameters):
        """Take the next steps on these parameters, which the state is of."""
        for parameter in parameters:
            self._check(parameter)
        self._arrays = [
            (parameter.value, parameter.gradient, *slots)
            for parameter, *slots in zip(parameters, *self.state.values(), strict=True)
        ]
        self._parameters = list(parameters)

    @staticmethod
    def _check(parameter):
        """Refuse what the compiled functions could not change in place, before anything is changed."""
        w, g = parameter.value, parameter.gradient
        if w.dtype not in (np.float32, np.float64):
            raise TypeError(f"{parameter.name} must have dtype float32 or float64, got {w.dtype}")
        if g.dtype != w.dtype or g.shape != w.shape:
            raise ValueError(
                f"{parameter.name}: the gradient must have shape {w.shape} and dtype {w.dtype}, as the value has, "
                f"got {g.shape} and {g.dtype}"
            )
        if not (w.flags.carray and g.flags.c_contiguous and g.flags.aligned):
            raise ValueError(f"{parameter.name}: value and gradient must be C-contiguous, and the value writeable")

    def _clipping(self, parameters):
        """Return what an update does to the gradients first: times the factor of `clip_norm`, then `clip_value`."""
        clipping = _fused.Clipping()
        if self.clip_value is not None:
            clipping.limit = self.clip_value
        if self.clip_norm is not None:
            coefficient = self.clip_norm / (self._norm(parameters) + 1e-6)
            clipping.scale = 1.0 if coefficient >= 1.0 else coefficient  # of a norm that is NaN it is NaN
        return clipping

    @staticmethod
    @np.errstate(all="ignore")
    def _norm(parameters):
        """Return the norm of all gradients together."""
        gradients = [parameter.gradient.reshape(-1) for parameter in parameters]
        squares = sum(float(np.dot(g, g)) for g in gradients)
        if squares == math.inf:  # of float32, perhaps not of float64
            squares = sum(float(np.einsum("i,i", g, g, dtype=np.float64)) for g in gradients)
        return math.sqrt(squares)

    def _update(self, arrays, clipping, rate):
        """Update every parameter, a tuple (w, g, *slots) of ``arrays``, and count the step; Ctrl-C finds both done or
        neither. ``rate`` is the learning rate."""
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and weight decay if asked for.

    ::

        g ← g + weight_decay · w
        v ← momentum · v + g
        w ← w - learning_rate · v                      or, with nesterov,
        w ← w - learning_rate · (g + momentum · v)

    Parameters
    ----------
    learning_rate : float or schedule, optional
    momentum : float, optional
        In [0, 1). With 0 there is no v, and w ← w - learning_rate · g.
    nesterov : bool, optional
        Nesterov's momentum, which looks one step ahead; needs a momentum above 0.
    weight_decay : float, optional
        At least 0. The gradient of ``weight_decay · |w|² / 2`` is added to that of the loss, for every parameter.
    clip_norm, clip_value : float, optional
        See `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range.

    Notes
    -----
    Keras has v ← momentum · v - learning_rate · g and w ← w + v: the same as long as the learning rate does not change.

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; in the form of
    I. Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> w, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
    >>> optimizer = nn.SGD(0.1, momentum=0.9)
    >>> optimizer.step([nn.Parameter("w", w, g)])
    >>> w
    array([0.95, 2.05])
    >>> optimizer.step([nn.Parameter("w", w, g)])
    >>> w
    array([0.855, 2.145])
    """

    name = "sgd"

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: Real = 0.0,
        nesterov: bool = False,
        weight_decay: Real = 0.0,
        *,
        clip_norm: Real | None = None,
        clip_value: Real | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.momentum = _checks.number("momentum", momentum, below=1.0)
        self.nesterov = _checks.boolean("nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0")
        self.weight_decay = _checks.number("weight_decay", weight_decay)
        self.slots = ("velocity",) if self.momentum else ()

    def _update(self, arrays, clipping, rate):
        _fused.sgd(self, arrays, clipping, rate, self.momentum, self.nesterov, self.weight_decay)


class AdaGrad(Optimizer):
    """AdaGrad: steps scaled by the root of the sum of all squared gradients so far.

    ::

        s ← s + g²
        w ← w - learning_rate · g / (√s + ε)

    Parameters
    ----------
    learning_rate : float or schedule, optional
    epsilon : float, optional
        ε, above 0.
    clip_norm, clip_value : float, optional
        See `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range.

    Notes
    -----
    Keras starts s at 0.1 and divides by √(s + ε).

    References
    ----------
    J. Duchi, E. Hazan and Y. Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    JMLR 12, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> w, g = np.array([1.0, 2.0]), np.array([0.5, -0.001])
    >>> optimizer = nn.AdaGrad(0.1)
    >>> for _ in range(2):
    ...     optimizer.step([nn.Parameter("w", w, g)])
    >>> w.round(4)
    array([0.8293, 2.1707])
    """

    name = "adagrad"
    slots = ("square_sum",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        epsilon: Real = 1e-10,
        *,
        clip_norm: Real | None = None,
        clip_value: Real | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.epsilon = _checks.number("epsilon", epsilon, positive=True)

    def _update(self, arrays, clipping, rate):
        _fused.adagrad(self, arrays, clipping, rate, self.epsilon)


class RMSProp(Optimizer):
    """RMSProp: steps scaled by the root of a running mean of the squared gradient, with momentum if asked for.

    ::

        s ← ρ s + (1 - ρ) g²
        v ← momentum · v + g / (√s + ε)
        w ← w - learning_rate · v

    Parameters
    ----------
    learning_rate : float or schedule, optional
    rho : float, optional
        ρ, in [0, 1); "alpha" in PyTorch.
    momentum : float, optional
        In [0, 1). With 0 there is no v, and w ← w - learning_rate · g / (√s + ε).
    epsilon : float, optional
        ε, above 0.
    clip_norm, clip_value : float, optional
        See `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range.

    Notes
    -----
    Keras divides by √(s + ε), and has the learning rate in v.

    References
    ----------
    T. Tieleman and G. Hinton, "Lecture 6.5 - rmsprop", Coursera: Neural Networks for Machine Learning, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> w, g = np.array([1.0, 2.0]), np.array([0.5, -0.001])
    >>> nn.RMSProp(0.01, rho=0.75).step([nn.Parameter("w", w, g)])
    >>> w.round(4)
    array([0.98, 2.02])
    """

    name = "rmsprop"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: Real = 0.9,
        momentum: Real = 0.0,
        epsilon: Real = 1e-8,
        *,
        clip_norm: Real | None = None,
        clip_value: Real | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.rho = _checks.number("rho", rho, below=1.0)
        self.momentum = _checks.number("momentum", momentum, below=1.0)
        self.epsilon = _checks.number("epsilon", epsilon, positive=True)
        self.slots = ("square", "velocity") if self.momentum else ("square",)

    def _update(self, arrays, clipping, rate):
        _fused.rmsprop(self, arrays, clipping, rate, self.rho, self.momentum, self.epsilon)


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ::

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        w ← w - learning_rate · m̂ / (√v̂ + ε)    with m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) at step t

    Parameters
    ----------
    learning_rate : float or schedule, optional
    beta_1, beta_2 : float, optional
        In [0, 1).
    epsilon : float, optional
        ε, above 0.
    clip_norm, clip_value : float, optional
        See `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range.

    Notes
    -----
    Keras, and scikit-learn, add ε to √v instead of √v̂.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> w, g = np.array([1.0, 2.0]), np.array([0.5, -0.001])
    >>> nn.Adam(0.1).step([nn.Parameter("w", w, g)])
    >>> w.round(4)
    array([0.9, 2.1])
    """

    name = "adam"
    slots = ("mean", "square")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: Real = 0.9,
        beta_2: Real = 0.999,
        epsilon: Real = 1e-8,
        *,
        clip_norm: Real | None = None,
        clip_value: Real | None = None,
    ) -> None:
        super().__init__(learning_rate, clip_norm, clip_value)
        self.beta_1 = _checks.number("beta_1", beta_1, below=1.0)
        self.beta_2 = _checks.number("beta_2", beta_2, below=1.0)
        self.epsilon = _checks.number("epsilon", epsilon, positive=True)

    def _update(self, arrays, clipping, rate, kept=1.0):
        step = self.steps + 1
        corrected_rate = rate / (1.0 - self.beta_1**step)
        root_correction = 1.0 / math.sqrt(1.0 - self.beta_2**step)
        _fused.adam(
            self, arrays, clipping, corrected_rate, self.beta_1, self.beta_2, root_correction, self.epsilon, kept
        )


class AdamW(Adam):
    """Adam with weight decay that does not pass through its running means.

    ::

        w ← w - learning_rate · weight_decay · w
        w ← Adam's step, with the gradient of the loss alone

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : optional
        See `Adam`.
    weight_decay : float, optional
        At least 0. Works on every parameter, the biases too.
    clip_norm, clip_value : float, optional
        See `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range.

    Notes
    -----
    Keras' weight_decay is 0.004 by default.

    References
    ----------
    I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastact import nn
    >>> w, g = np.array([1.0, 2.0]), np.array([0.5, -0.001])
    >>> nn.AdamW(0.1, weight_decay=0.5).step([nn.Parameter("w", w, g)])
    >>> w.round(4)
    array([0.85, 2.  ])
    """

    name = "adamw"

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: Real = 0.9,
        beta_2: Real = 0.999,
        epsilon: Real = 1e-8,
        weight_decay: Real = 0.01,
        *,
        clip_norm: Real | None = None,
        clip_value: Real | None = None,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, clip_norm=clip_norm, clip_value=clip_value)
        self.weight_decay = _checks.number("weight_decay", weight_decay)

    def _update(self, arrays, clipping, rate):
        super()._update(arrays, clipping, rate, kept=1.0 - rate * self.weight_decay)


OPTIMIZERS: dict[str, type[SGD | AdaGrad | RMSProp | Adam]] = {
    optimizer.name: optimizer for optimizer in (SGD, AdaGrad, RMSProp, Adam, AdamW)
}


def get(optimizer: OptimizerName | Optimizer) -> Optimizer:
    """Return a new optimiser with its default settings by name; an `Optimizer` is returned as it is."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, type) and issubclass(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer, got the class: write nn.{optimizer.__name__}()")
    return _checks.choose("optimizer", optimizer, OPTIMIZERS)()


def from_config(config: Mapping[str, Any]) -> Optimizer:
    """Return the optimiser that `Optimizer.config` describes, new: it has no state.

    Parameters
    ----------
    config : mapping
        "name", and any of the arguments of the constructor; the others take their defaults.

    Raises
    ------
    TypeError, ValueError
        Not a mapping; the name is unknown; a key is no argument of this optimiser; a value is wrong.

    Examples
    --------
    >>> from fastact import nn
    >>> nn.optimizers.from_config({"name": "sgd", "learning_rate": 0.1, "momentum": 0.9})
    SGD(learning_rate=0.1, momentum=0.9)
    """
    return _config.from_config("optimizer", config, OPTIMIZERS, schedules.from_config)
