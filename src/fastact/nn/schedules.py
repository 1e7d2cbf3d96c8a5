"""Schedules: a learning rate that changes from step to step.

A schedule is a function of the number of steps taken so far, 0 for the first one, and stands where an optimiser takes
its ``learning_rate``. Any function ``step -> rate`` will do; those here can also be saved.

Examples
--------
>>> from fastact import nn
>>> optimizer = nn.SGD(nn.schedules.Warmup(nn.schedules.CosineDecay(0.1, decay_steps=900), warmup_steps=100))
>>> optimizer.rate  # of the next step
0.001
>>> [round(optimizer.learning_rate(step), 4) for step in (0, 50, 99, 100, 550, 1000)]
[0.001, 0.051, 0.1, 0.1, 0.05, 0.0]
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from fastact.nn import _checks, _config
from fastact.nn._types import Integer, Real


class Schedule(_config.Configured):
    """What the schedules have in common: they are functions of the steps taken, and have a `config`."""

    def __call__(self, step: int) -> float:
        """Return the rate of the step after ``step`` steps."""
        raise NotImplementedError


class _Decay(Schedule):
    """A schedule that falls from ``learning_rate`` as fast as ``decay_steps`` says."""

    def __init__(self, learning_rate: Real, decay_steps: Integer) -> None:
        self.learning_rate = _checks.number("learning_rate", learning_rate, positive=True)
        self.decay_steps = _checks.integer("decay_steps", decay_steps)


def _power(base, exponent):
    """Return base^exponent, infinity where Python raises an error: `rate_at` refuses that, and names the step."""
    try:
        return base**exponent
    except OverflowError:
        return math.inf


class ExponentialDecay(_Decay):
    """learning_rate · decay_rate^(step / decay_steps).

    With ``decay_steps=1`` PyTorch's ExponentialLR; Keras' schedule of the same name.

    Parameters
    ----------
    learning_rate : float
        Rate of the first step, above 0.
    decay_steps : int
        Steps in which the rate is multiplied by decay_rate.
    decay_rate : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        An argument is not a number or out of its range; so for all schedules.

    Examples
    --------
    >>> from fastact import nn
    >>> nn.schedules.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.25)(50)
    0.05
    """

    name = "exponential_decay"

    def __init__(self, learning_rate: Real, decay_steps: Integer, decay_rate: Real) -> None:
        super().__init__(learning_rate, decay_steps)
        self.decay_rate = _checks.number("decay_rate", decay_rate, positive=True)

    def __call__(self, step: int) -> float:
        return self.learning_rate * _power(self.decay_rate, step / self.decay_steps)


class StepDecay(_Decay):
    """learning_rate · decay_rate^⌊step / decay_steps⌋: a new rate every ``decay_steps`` steps.

    PyTorch's StepLR.

    Parameters
    ----------
    learning_rate : float
        Rate of the first step, above 0.
    decay_steps : int
    decay_rate : float, optional
        Above 0.

    Examples
    --------
    >>> from fastact import nn
    >>> schedule = nn.schedules.StepDecay(0.1, decay_steps=100, decay_rate=0.5)
    >>> schedule(99), schedule(100), schedule(200)
    (0.1, 0.05, 0.025)
    """

    name = "step_decay"

    def __init__(self, learning_rate: Real, decay_steps: Integer, decay_rate: Real = 0.1) -> None:
        super().__init__(learning_rate, decay_steps)
        self.decay_rate = _checks.number("decay_rate", decay_rate, positive=True)

    def __call__(self, step: int) -> float:
        return self.learning_rate * _power(self.decay_rate, step // self.decay_steps)


class InverseTimeDecay(_Decay):
    """learning_rate / (1 + decay_rate · step / decay_steps).

    Keras' schedule of the same name.

    Parameters
    ----------
    learning_rate : float
        Rate of the first step, above 0.
    decay_steps : int
    decay_rate : float, optional
        At least 0. With 1, the rate is halved after ``decay_steps`` steps.

    Examples
    --------
    >>> from fastact import nn
    >>> schedule = nn.schedules.InverseTimeDecay(0.1, decay_steps=100)
    >>> schedule(0), schedule(100), schedule(300)
    (0.1, 0.05, 0.025)
    """

    name = "inverse_time_decay"

    def __init__(self, learning_rate: Real, decay_steps: Integer, decay_rate: Real = 1.0) -> None:
        super().__init__(learning_rate, decay_steps)
        self.decay_rate = _checks.number("decay_rate", decay_rate)

    def __call__(self, step: int) -> float:
        return self.learning_rate / (1.0 + self.decay_rate * step / self.decay_steps)


class CosineDecay(_Decay):
    """Half a cosine from learning_rate down to final_rate, which is reached after ``decay_steps`` steps and kept.

    ::

        final_rate + (learning_rate - final_rate) (1 + cos(π step / decay_steps)) / 2

    PyTorch's CosineAnnealingLR up to ``decay_steps``.

    Parameters
    ----------
    learning_rate : float
        Rate of the first step, above 0.
    decay_steps : int
    final_rate : float, optional
        At least 0.

    References
    ----------
    I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5.

    Examples
    --------
    >>> from fastact import nn
    >>> schedule = nn.schedules.CosineDecay(0.1, decay_steps=100, final_rate=0.01)
    >>> [round(schedule(step), 3) for step in (0, 50, 100, 101)]
    [0.1, 0.055, 0.01, 0.01]
    """

    name = "cosine_decay"

    def __init__(self, learning_rate: Real, decay_steps: Integer, final_rate: Real = 0.0) -> None:
        super().__init__(learning_rate, decay_steps)
        self.final_rate = _checks.number("final_rate", final_rate)

    def __call__(self, step: int) -> float:
        fraction = (1.0 + math.cos(math.pi * min(step / self.decay_steps, 1.0))) / 2.0
        return self.final_rate + (self.learning_rate - self.final_rate) * fraction


class Warmup(Schedule):
    """Rates that grow in equal steps, and from then on those of another schedule, which starts with step 0.

    The step after s < warmup_steps steps has the rate (s + 1) / warmup_steps of the other's first.

    Parameters
    ----------
    learning_rate : float or schedule
        What comes after the warm-up; a number is a constant rate.
    warmup_steps : int

    References
    ----------
    P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 2.2.

    Examples
    --------
    >>> from fastact import nn
    >>> schedule = nn.schedules.Warmup(0.5, warmup_steps=2)
    >>> schedule(0), schedule(1), schedule(2)
    (0.25, 0.5, 0.5)
    """

    name = "warmup"

    def __init__(self, learning_rate: Real | Callable[[int], float], warmup_steps: Integer) -> None:
        self.learning_rate = checked_rate(learning_rate)
        self.warmup_steps = _checks.integer("warmup_steps", warmup_steps)

    def __call__(self, step: int) -> float:
        fraction = min((step + 1) / self.warmup_steps, 1.0)
        return fraction * rate_at(self.learning_rate, max(step - self.warmup_steps, 0))


def checked_rate(learning_rate: object) -> float | Callable[[int], float]:
    """Return a learning rate, a number above 0 or a schedule, as a float or as the schedule that it is."""
    if isinstance(learning_rate, type):
        raise TypeError(f"learning_rate must be a number or a schedule, got the class {learning_rate.__name__}")
    if callable(learning_rate):
        return learning_rate
    return _checks.number("learning_rate", learning_rate, positive=True)


def rate_at(learning_rate: float | Callable[[int], float], step: int) -> float:
    """Return the rate of the step after ``step`` steps."""
    if not callable(learning_rate):
        return learning_rate
    return _checks.number(f"learning_rate({step})", learning_rate(step))


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule for schedule in (ExponentialDecay, StepDecay, InverseTimeDecay, CosineDecay, Warmup)
}


def from_config(config: Mapping[str, Any]) -> Schedule:
    """Return the schedule that `Schedule.config` describes.

    Raises
    ------
    TypeError, ValueError
        Not a mapping; the name is unknown; a key is missing or no argument of this schedule; a value is wrong.

    Examples
    --------
    >>> from fastact import nn
    >>> nn.schedules.from_config({"name": "step_decay", "learning_rate": 0.1, "decay_steps": 100})
    StepDecay(learning_rate=0.1, decay_steps=100, decay_rate=0.1)
    """
    return _config.from_config("schedule", config, SCHEDULES, from_config)
