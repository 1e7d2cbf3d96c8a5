"""Optimisers: how a step of training changes the parameters, given their gradients.

An optimiser is a row of `OPTIMIZERS`: the names of the arrays it keeps for each parameter (`slots`), and `_update`,
its formula, in place. `Optimizer` cuts every parameter into blocks that fit into the processor's cache and calls
`_update` block by block, so that the intermediate results of a formula do not travel through main memory.
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from fastact.nn import _checks
from fastact.nn._types import Floats, Real
from fastact.nn.layers import Parameter

OptimizerName = Literal["sgd", "adam"]

# Elements in a block: six float32 arrays of this length (parameter, gradient, two slots, spare) take 320 KiB.
BLOCK = 16384


class Optimizer:
    """What the optimisers have in common.

    An optimiser keeps every argument of its constructor as an attribute of the same name.

    Parameters
    ----------
    learning_rate : float
        Above 0.

    Attributes
    ----------
    name : str
        The name that ``optimizer=`` takes.
    learning_rate : float
        May be changed between steps.
    slots : tuple of str
        Names of the arrays that are kept for each parameter, with its shape and type.
    state : dict of str to list of ndarray
        Those arrays, in the order of the parameters.
    steps : int
        Steps taken on the present parameters.
    """

    name: str
    slots: tuple[str, ...] = ()

    def __init__(self, learning_rate: Real) -> None:
        self.learning_rate: float = _checks.number("learning_rate", learning_rate, positive=True)
        self.state: dict[str, list[Floats]] = {}
        self.steps = 0
        self._parameters: list[Parameter] = []
        self._blocks: list[tuple[Floats, ...]] = []

    def config(self) -> dict[str, Any]:
        """Return the name and the arguments of the constructor, as JSON can hold them; `from_config` reads them.

        Examples
        --------
        >>> from fastact import nn
        >>> nn.SGD(0.1, momentum=0.9).config()
        {'name': 'sgd', 'learning_rate': 0.1, 'momentum': 0.9}
        """
        return {"name": self.name} | {argument: getattr(self, argument) for argument in _arguments(type(self))}

    def step(self, parameters: Sequence[Parameter]) -> None:
        """Change every parameter in place by one step.

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
        self.steps += 1
        self._begin_step()
        for block in self._blocks:
            self._update(*block)

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
            flat = [array.reshape(-1) for array in arrays]
            spare = np.empty(min(BLOCK, flat[0].size), flat[0].dtype)
            for start in range(0, flat[0].size, BLOCK):
                cut = [array[start : start + BLOCK] for array in flat]
                self._blocks.append((*cut, spare[: cut[0].size]))

    def _begin_step(self):
        """Compute what is the same for all blocks of a step."""

    def _update(self, w, g, *slots_and_spare):
        """Change the block ``w``, given its gradient ``g``, its slots and a spare array; all flat, of one length."""
        raise NotImplementedError

    def __repr__(self):
        settings = []
        for argument, default in _arguments(type(self)).items():
            value = getattr(self, argument)
            if value or value != default:  # what is off by default and off need not be said
                settings.append(f"{argument}={format(value, 'g') if type(value) is float else value}")
        return f"{type(self).__name__}({', '.join(settings)})"


def _arguments(optimizer_class):
    """Return the arguments of an optimiser's constructor and their defaults."""
    parameters = inspect.signature(optimizer_class).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    ::

        v ← momentum · v + g
        w ← w - learning_rate · v

    Parameters
    ----------
    learning_rate : float, optional
        Above 0.
    momentum : float, optional
        In [0, 1). With 0 there is no v, and w ← w - learning_rate · g.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range.

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

    def __init__(self, learning_rate: Real = 0.01, momentum: Real = 0.0) -> None:
        super().__init__(learning_rate)
        self.momentum: float = _checks.number("momentum", momentum, below=1.0)
        self.slots = ("velocity",) if self.momentum else ()

    def _update(self, w, g, *slots_and_spare):
        *velocity, spare = slots_and_spare
        direction = g
        if velocity:
            (direction,) = velocity
            direction *= self.momentum
            direction += g
        np.multiply(direction, self.learning_rate, out=spare)
        w -= spare


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ::

        m ← β₁ m + (1 - β₁) g
        v ← β₂ v + (1 - β₂) g²
        w ← w - learning_rate · m̂ / (√v̂ + ε)    with m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) at step t

    Parameters
    ----------
    learning_rate : float, optional
        Above 0.
    beta_1, beta_2 : float, optional
        In [0, 1).
    epsilon : float, optional
        Above 0.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range.

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
        self, learning_rate: Real = 0.001, beta_1: Real = 0.9, beta_2: Real = 0.999, epsilon: Real = 1e-8
    ) -> None:
        super().__init__(learning_rate)
        self.beta_1: float = _checks.number("beta_1", beta_1, below=1.0)
        self.beta_2: float = _checks.number("beta_2", beta_2, below=1.0)
        self.epsilon: float = _checks.number("epsilon", epsilon, positive=True)

    def _begin_step(self):
        self._rate = self.learning_rate / (1.0 - self.beta_1**self.steps)
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


OPTIMIZERS: dict[str, type[SGD] | type[Adam]] = {optimizer.name: optimizer for optimizer in (SGD, Adam)}


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
    return _checks.configured("optimizer", config, OPTIMIZERS)
