"""Optimisers: how a step of training changes the parameters, given their gradients.

An optimiser is a row of `OPTIMIZERS`: the names of the arrays it keeps for each parameter (`slots`), and `_update`,
its formula, in place. `Optimizer` cuts every parameter into blocks that fit into the processor's cache and calls
`_update` block by block, so that the intermediate results of a formula do not travel through main memory.

The formulas are PyTorch's. Where Keras differs, the optimiser's notes say so.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fastact.nn import _checks, _config, schedules
from fastact.nn._types import Floats, Real
from fastact.nn.layers import Parameter

OptimizerName = Literal["sgd", "adagrad", "rmsprop", "adam", "adamw"]
LearningRate = Real | Callable[[int], float]

# Elements in a block: six float32 arrays of this length (w, gradient, clipped one, two slots, spare) take 384 KiB.
BLOCK = 16384


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
        self._blocks: list[tuple[Floats, ...]] = []

    @property
    def learning_rate(self) -> Any:  # with the union of the two, learning_rate *= 0.5 would be an error of types
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        self._learning_rate: float | Callable[[int], float] = schedules.checked_rate(learning_rate)

    @property
    def rate(self) -> float:
        return schedules.rate_at(self._learning_rate, self.steps)

    @np.errstate(all="ignore")
    def step(self, parameters: Sequence[Parameter]) -> None:
        """Change every parameter in place by one step; the gradients stay as they are.

        The first call makes the arrays of `state` at 0. They stay with the parameters: a call with those of another
        model starts anew.

        Parameters
        ----------
        parameters : list of nn.Parameter
            ``model.parameters()``, with the gradients of the last backward pass.
        """
        if not self._knows(parameters):
            self._start(parameters)
        elif not self._blocks:  # of a copied optimiser
            self._cut_blocks(parameters)
        rate = self.rate
        self.steps += 1
        self._begin_step(rate)
        scale = self._clip_scale()
        for w, g, clipped, *slots_and_spare in self._blocks:
            self._update(w, self._clipped(g, scale, clipped), *slots_and_spare)

    def restore(self, parameters: Sequence[Parameter], state: Mapping[str, Sequence[Floats]], steps: int) -> None:
        """Go on with these parameters after ``steps`` steps, with a copy of what `state` was then."""
        if state.keys() != set(self.slots):
            wanted, found = (", ".join(sorted(names)) or "nothing" for names in (self.slots, state))
            raise ValueError(f"state must hold {wanted}, got {found}")
        self._start(parameters)
        for slot, arrays in state.items():
            for mine, saved in zip(self.state[slot], arrays, strict=True):
                mine[...] = saved
        self.steps = steps

    def __getstate__(self):
        """Leave out the blocks: copies of views would be arrays of their own."""
        return vars(self) | {"_blocks": []}

    def _knows(self, parameters):
        return len(parameters) == len(self._parameters) and all(
            new.value is old.value and new.gradient is old.gradient
            for new, old in zip(parameters, self._parameters, strict=True)
        )

    def _start(self, parameters):
        self._parameters = []  # until all is there: memory may run out
        self.steps = 0
        self.state = {slot: [np.zeros_like(p.value) for p in parameters] for slot in self.slots}
        self._cut_blocks(parameters)
        self._parameters = list(parameters)

    def _cut_blocks(self, parameters):
        self._blocks = []
        for index, parameter in enumerate(parameters):
            arrays = [parameter.value, parameter.gradient, *(self.state[slot][index] for slot in self.slots)]
            w, g, *slots = (array.reshape(-1) for array in arrays)
            clipped, spare = np.empty((2, min(BLOCK, w.size)), w.dtype)
            for start in range(0, w.size, BLOCK):
                block = slice(start, min(start + BLOCK, w.size))
                length = slice(0, block.stop - start)
                cut = (w[block], g[block], clipped[length], *(slot[block] for slot in slots), spare[length])
                self._blocks.append(cut)

    def _clip_scale(self):
        """Return what `clip_norm` multiplies the gradients by."""
        if self.clip_norm is None:
            return 1.0
        gradients = [block[1] for block in self._blocks]
        squares = sum(float(np.dot(g, g)) for g in gradients)
        if squares == math.inf:  # of float32, perhaps not of float64
            squares = sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients)
        coefficient = self.clip_norm / (math.sqrt(squares) + 1e-6)
        return 1.0 if coefficient >= 1.0 else coefficient  # of a norm that is NaN it is NaN

    def _clipped(self, g, scale, clipped):
        """Return the gradient ``g`` itself where there is nothing to clip, else in the array ``clipped``."""
        if scale != 1.0:
            g = np.multiply(g, scale, out=clipped)
        if self.clip_value is not None:
            g = np.clip(g, -self.clip_value, self.clip_value, out=clipped)
        return g

    def _begin_step(self, rate):
        """Compute what is the same for all blocks of a step, from its learning rate."""
        self._rate = rate

    def _update(self, w, g, *slots_and_spare):
        """Change the block ``w``, given its gradient ``g``, its slots and a spare array; all flat, of one length."""
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
        At least 0. The gradient of weight_decay · |w|² / 2 is added to that of the loss, for every parameter.
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
        self.momentum: float = _checks.number("momentum", momentum, below=1.0)
        self.nesterov = _checks.boolean("nesterov", nesterov)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0")
        self.weight_decay: float = _checks.number("weight_decay", weight_decay)
        self.slots = ("velocity",) if self.momentum else ()

    def _update(self, w, g, *slots_and_spare):
        *velocity, spare = slots_and_spare
        if self.weight_decay:
            np.multiply(w, self.weight_decay, out=spare)
            g = np.add(spare, g, out=spare)
        direction = g
        if velocity:
            (v,) = velocity
            v *= self.momentum
            v += g
            if not self.nesterov:
                direction = v
        np.multiply(direction, self._rate, out=spare)
        w -= spare
        if self.nesterov:
            np.multiply(v, self._rate * self.momentum, out=spare)
            w -= spare


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
        self.epsilon: float = _checks.number("epsilon", epsilon, positive=True)

    def _update(self, w, g, s, spare):
        np.multiply(g, g, out=spare)
        s += spare
        np.sqrt(s, out=spare)
        spare += self.epsilon
        np.divide(g, spare, out=spare)
        spare *= self._rate
        w -= spare


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
        self.rho: float = _checks.number("rho", rho, below=1.0)
        self.momentum: float = _checks.number("momentum", momentum, below=1.0)
        self.epsilon: float = _checks.number("epsilon", epsilon, positive=True)
        self.slots = ("square", "velocity") if self.momentum else ("square",)

    def _update(self, w, g, s, *velocity_and_spare):
        *velocity, spare = velocity_and_spare
        np.multiply(g, g, out=spare)
        spare *= 1.0 - self.rho
        s *= self.rho
        s += spare
        np.sqrt(s, out=spare)
        spare += self.epsilon
        direction = np.divide(g, spare, out=spare)
        if velocity:
            (direction,) = velocity
            direction *= self.momentum
            direction += spare
        np.multiply(direction, self._rate, out=spare)
        w -= spare


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
        self.beta_1: float = _checks.number("beta_1", beta_1, below=1.0)
        self.beta_2: float = _checks.number("beta_2", beta_2, below=1.0)
        self.epsilon: float = _checks.number("epsilon", epsilon, positive=True)

    def _begin_step(self, rate):
        self._rate = rate / (1.0 - self.beta_1**self.steps)
        self._root_correction = 1.0 / math.sqrt(1.0 - self.beta_2**self.steps)

    def _update(self, w, g, m, v, spare):
        np.multiply(g, 1.0 - self.beta_1, out=spare)
        m *= self.beta_1
        m += spare
        np.multiply(g, g, out=spare)
        spare *= 1.0 - self.beta_2
        v *= self.beta_2
        v += spare
        np.sqrt(v, out=spare)
        spare *= self._root_correction
        spare += self.epsilon
        np.divide(m, spare, out=spare)
        spare *= self._rate
        w -= spare


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
        self.weight_decay: float = _checks.number("weight_decay", weight_decay)

    def _begin_step(self, rate):
        super()._begin_step(rate)
        self._kept = 1.0 - rate * self.weight_decay

    def _update(self, w, g, m, v, spare):
        w *= self._kept
        super()._update(w, g, m, v, spare)


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
    optimizer: Optimizer = _config.from_config("optimizer", config, OPTIMIZERS, schedules.from_config)
    return optimizer
