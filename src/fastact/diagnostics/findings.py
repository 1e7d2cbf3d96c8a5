"""What the numbers of a diagnosis say, in words: each finding with the number it rests on and what would help.

The limits are named here. They are set so that networks that learn well give no finding; they tell a factor of a
hundred from a factor of one, not good from better.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import fastact

if TYPE_CHECKING:
    import fastact.diagnostics  # of which this module is a part

# A gradient at a layer's output below this share of the one at the last layer's has vanished; above the inverse it has
# exploded. Training lives with a factor of ten between layers; one of a hundred no learning rate suits at both ends.
VANISHED = 1e-2

# Half of all (row, unit) saturated: the layer passes on what the other half has left.
SATURATED = 0.5

# Half of a ReLU's units dead. A tenth or a quarter is common in networks that learn, much of it from the start.
DEAD = 0.5
ROWS_FOR_DEAD = 50  # on fewer rows a unit may be off by chance

# ‖ΔW‖ / ‖W‖ of a step. About 1e-3 is the rule of thumb (Bottou; Bengio 2012, section 3.1.1, of the learning rate). The
# limits leave room for small steps at the end of a training and Adam's large ones at its start.
SMALL_UPDATE, LARGE_UPDATE = 1e-6, 0.2

# Activation -> what to put in its place where it makes the gradient vanish or its units die
ALTERNATIVES = {
    "sigmoid": "relu, leaky_relu or tanh (whose derivative reaches 1, not 0.25)",
    "tanh": "relu or leaky_relu (whose derivative is 1 wherever the unit is active)",
    "relu": "leaky_relu (whose derivative is never 0)",
}

# Activation at a network's end -> least and largest output
OUTPUT_RANGES = {"sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1)}

# Type -> its smallest normal number, below which gradients lose digits, and its smallest one, below which they are 0
SMALLEST_NUMBERS = {
    name: (float(np.finfo(name).smallest_normal), float(np.finfo(name).smallest_subnormal))
    for name in ("float16", "float32", "float64")
} | {"bfloat16": (2.0**-126, 2.0**-133)}


@dataclass(frozen=True)
class Finding:
    """One thing that the numbers say.

    Attributes
    ----------
    layer : int or None
        The layer that it is about, the worst of them where there are several; None for the whole network.
    kind : str
        "vanishing", "exploding", "saturated", "dead", "small_update", "large_update", "logits", "not_finite" or
        "healthy".
    text : str
        A sentence or two: what is the case, the number, why, and what would help.
    value : float
        The number that it rests on.
    """

    layer: int | None
    kind: str
    text: str
    value: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary; infinity and NaN, which JSON lacks, are None."""
        return dataclasses.asdict(self) | {"value": self.value if math.isfinite(self.value) else None}


def find(diagnosis: fastact.diagnostics.Diagnosis) -> list[Finding]:
    """Return what the numbers say, the most serious first; a single finding "healthy" where that is nothing."""
    rules = (_not_finite, _dead, _vanishing, _exploding, _logits, _saturated, _small_update, _large_update)
    findings = [finding for rule in rules if (finding := rule(diagnosis)) is not None]
    return findings or [_healthy(diagnosis)]


def loss_finding(activation: str | None, loss_name: str | None, outputs: int) -> Finding | None:
    """Return what is wrong with a loss that takes logits after a last activation; None where nothing is."""
    least, largest = OUTPUT_RANGES.get(activation or "", (-math.inf, math.inf))
    if loss_name == "softmax_cross_entropy" and least > -math.inf:
        applied, rows = "softmax", "a row"
        floor = math.log1p((outputs - 1) * math.exp(least - largest))
    elif loss_name == "binary_cross_entropy" and least > -math.inf:
        applied, rows = "sigmoid", "a target of 0"
        floor = math.log1p(math.exp(least))
    else:
        return None
    return Finding(
        None,
        "logits",
        f"The loss takes outputs for logits and applies a {applied}, but the network ends in a {activation}. As the"
        f" outputs lie between {least} and {largest}, the loss of {rows} cannot fall below {floor:.2g}. Leave the "
        f"network's {activation} out: its last layer should have no activation.",
        floor,
    )


def _logits(diagnosis):
    return diagnosis.loss_finding


def _gradient_shares(diagnosis):
    """Return each layer with its gradient's norm over the last layer's: what is left of the gradient there."""
    known = [layer for layer in diagnosis.layers if math.isfinite(layer.activation_gradient_norm)]
    if not known or known[-1].activation_gradient_norm == 0.0:
        return []
    last = known[-1].activation_gradient_norm
    return [(layer, layer.activation_gradient_norm / last) for layer in known]


def _not_finite(diagnosis):
    loss_is_finite = diagnosis.loss is None or math.isfinite(diagnosis.loss)
    bad = [
        layer
        for layer in diagnosis.layers
        if math.isinf(layer.weight_gradient_norm)
        or math.isinf(layer.activation_gradient_norm)
        or (math.isnan(layer.activation_gradient_norm) and not loss_is_finite)  # else it has merely not been measured
    ]
    if not bad and loss_is_finite:
        return None
    gradients = f" and the gradients of {_names(bad)} are not finite" if bad else ""
    return Finding(
        bad[-1].index if bad else None,
        "not_finite",
        f"The loss is {diagnosis.loss}{gradients}: the numbers have left the range of the floats. A lower "
        "learning rate, gradient clipping, scaled inputs or smaller initial weights (init='unit_gain') would help.",
        math.nan if diagnosis.loss is None else diagnosis.loss,
    )


def _dead(diagnosis):
    """Units of a ReLU that are off for every row. Those of a leaky ReLU still learn, and are no finding."""
    if diagnosis.rows < ROWS_FOR_DEAD:
        return None
    bad = [layer for layer in diagnosis.layers if layer.activation == "relu" and layer.dead >= DEAD]
    if not bad:
        return None
    worst = max(bad, key=lambda layer: layer.dead)
    count = round(worst.dead * worst.units)
    every = "" if worst.dead < 1.0 else " No gradient passes: the layers below do not learn either."
    return Finding(
        worst.index,
        "dead",
        f"{_names(bad)} {_agree(bad, 'has', 'have')} dead units: in {worst.name} {count} of {worst.units} "
        f"({worst.dead:.0%}) are off for each of the {diagnosis.rows:,} rows, so that their weights get no gradient."
        f"{every} A lower learning rate, init='he_uniform' with biases of 0, inputs of mean 0, or "
        f"{ALTERNATIVES['relu']} would help.",
        worst.dead,
    )


def _vanishing(diagnosis):
    shares = _gradient_shares(diagnosis)
    bad = [(layer, share) for layer, share in shares if share < VANISHED]
    if not bad:
        return None
    worst, share = min(bad, key=lambda pair: pair[1])
    starved = [layer for layer, _ in bad]
    above = _layers_above(diagnosis, worst)
    product = math.prod(layer.gradient_factor for layer in above)
    normal, smallest = SMALLEST_NUMBERS.get(diagnosis.dtype, (0.0, 0.0))
    exact = [layer for layer in above if layer.activation_gradient_norm > 1000.0 * normal]
    left = f"Of the gradient at {shares[-1][0].name}, {share:.1e} is left at {worst.name}."
    if share == 0.0 and above[0].activation_gradient_norm < normal:
        gone = max((layer for layer, share in bad if share == 0.0), key=lambda layer: layer.index)
        least = f"{smallest:.1e}, {diagnosis.dtype}'s smallest number"
        left = f"From {gone.name} down it is 0: it underflows, below {least}."
        why = _cause_in_many(exact)
    elif product < max(VANISHED, 2.0 * share):
        why = _cause(exact or above)
    else:
        why = _cause_elsewhere(above, product)
    return Finding(
        worst.index,
        "vanishing",
        f"The gradient vanishes: {_names(starved)} {_agree(starved, 'starves', 'starve')}. {left} {why}",
        share,
    )


def _layers_above(diagnosis, lowest):
    """Return the layers that pass the gradient on to the output of ``lowest``.

    A layer that gets no gradient itself, because one above it is dead, say, has no factor and is not among them.
    """
    return [layer for layer in diagnosis.layers[lowest.index + 1 :] if layer.activation_gradient_norm > 0.0]


def _cause_elsewhere(layers, product):
    """Return why no layer is to blame: factors are not known, or they do not multiply to what was measured."""
    if math.isnan(product):
        unknown = [layer for layer in layers if math.isnan(layer.gradient_factor)]
        factors = _agree(unknown, "the factor of {} is", "the factors of {} are").format(_names(unknown))
        return f"Which layer causes it cannot be told, for {factors} not known: see |dL/dY| from layer to layer."
    return (
        f"The factors of the layers on the way multiply to {product:.2g}: the rest comes from what lies between "
        "the layers. A mean or a sum over the places of an image changes the norm so, and is no fault."
    )


def _cause(layers):
    """Return why the gradient shrinks in these layers, and what would help."""
    layers = [layer for layer in layers if layer.gradient_factor < 1.0] or layers
    least = min(layers, key=lambda layer: layer.gradient_factor)
    return f"{least.name} passes on a factor of {least.gradient_factor:.2g}{_reason(least)}"


def _cause_in_many(layers):
    """Return why the gradient shrinks to nothing in many layers, none of which is to blame alone; "" where unknown."""
    layers = sorted((layer for layer in layers if layer.gradient_factor > 0.0), key=lambda layer: layer.gradient_factor)
    if not layers:
        return ""
    mean = math.exp(sum(math.log(layer.gradient_factor) for layer in layers) / len(layers))
    middle = layers[len(layers) // 2]
    return f"It is no single layer: {len(layers)} layers above pass on a factor of {mean:.2g} each{_reason(middle)}"


def _reason(layer):
    """Return why a layer passes on so little, and what would help, to follow its factor."""
    if layer.dead == 1.0 and layer.activation == "relu":
        return f", because all its units are dead. It needs its units back: {ALTERNATIVES['relu']} would help."
    if layer.saturated >= SATURATED:
        return (
            f": {layer.saturated:.0%} of its units' values are saturated. "
            "Smaller weights (init='glorot_uniform', weight decay), inputs of mean 0 and variance 1, or "
            f"{ALTERNATIVES[layer.activation]} would help."
        )
    if layer.derivative_mean < 0.5 and layer.activation in ALTERNATIVES:
        return (
            f": {layer.activation}'s derivative is {layer.derivative_mean:.2g} there in the mean, and the "
            "weights do not make up for it. init='unit_gain' (weights that do) or "
            f"{ALTERNATIVES[layer.activation]} would help."
        )
    derivative = (
        f" for {layer.activation}"
        if math.isnan(layer.derivative_mean)
        else f", for the derivative is {layer.derivative_mean:.2g} in the mean"
    )
    return (
        f": the weights are too small{derivative}. Larger initial weights would help: init='unit_gain', or "
        "'he_uniform' for relu and 'glorot_uniform' for tanh."
    )


def _exploding(diagnosis):
    shares = _gradient_shares(diagnosis)
    bad = [(layer, share) for layer, share in shares if share > 1.0 / VANISHED]
    if not bad:
        return None
    worst, share = max(bad, key=lambda pair: pair[1])
    above = _layers_above(diagnosis, worst)
    product = math.prod(layer.gradient_factor for layer in above)
    if product > min(1.0 / VANISHED, 0.5 * share):
        largest = max(above, key=lambda layer: layer.gradient_factor)
        why = (
            f"{largest.name} multiplies it by {largest.gradient_factor:.3g}. Smaller initial weights "
            "(init='unit_gain', 'he_uniform' for relu, 'glorot_uniform' for the rest), gradient clipping or a lower "
            "learning rate would help."
        )
    else:
        why = _cause_elsewhere(above, product)
    return Finding(
        worst.index,
        "exploding",
        f"The gradient explodes: at {worst.name} it is {share:.1e} times that at {shares[-1][0].name}. {why}",
        share,
    )


def _saturated(diagnosis):
    """Saturated layers. The last layer may saturate where a cross-entropy, which lets it be sure, follows."""
    layers = diagnosis.layers if diagnosis.loss_name == "mse" else diagnosis.layers[:-1]
    bad = [layer for layer in layers if layer.saturated >= SATURATED]
    if not bad:
        return None
    worst = max(bad, key=lambda layer: layer.saturated)
    first = " (the first layer: see that X has mean 0 and variance 1)" if worst.index == 0 else ""
    return Finding(
        worst.index,
        "saturated",
        f"{_names(bad)} {_agree(bad, 'is', 'are')} saturated: in {worst.name}{first} for {worst.saturated:.0%} of the "
        f"values {worst.activation}'s derivative is next to nothing, and {worst.derivative_mean:.2g} in the mean of "
        "all. Smaller weights (init='glorot_uniform', weight decay), a lower learning rate or "
        f"{ALTERNATIVES[worst.activation]} would help.",
        worst.saturated,
    )


def _small_update(diagnosis):
    bad = [layer for layer in diagnosis.layers if layer.update_ratio < SMALL_UPDATE]
    if not bad:
        return None
    worst = min(bad, key=lambda layer: layer.update_ratio)
    return Finding(
        worst.index,
        "small_update",
        f"{_names(bad)} hardly {_agree(bad, 'moves', 'move')}: a step changes the weights of {worst.name} by "
        f"{worst.update_ratio:.1e} of their size, where about 1e-3 is usual. If the loss still ought to fall, a higher "
        "learning rate would help, or an optimiser with a rate for each weight (Adam).",
        worst.update_ratio,
    )


def _large_update(diagnosis):
    bad = [layer for layer in diagnosis.layers if layer.update_ratio > LARGE_UPDATE]
    if not bad:
        return None
    worst = max(bad, key=lambda layer: layer.update_ratio)
    return Finding(
        worst.index,
        "large_update",
        f"The steps are too large: one changes the weights of {worst.name} by {worst.update_ratio:.0%} of their size, "
        "where about 0.1 % is usual. A lower learning rate or gradient clipping would help.",
        worst.update_ratio,
    )


def _healthy(diagnosis):
    shares = [share for _, share in _gradient_shares(diagnosis)]
    if not shares:
        return Finding(None, "healthy", "Nothing to say: the loss has no gradient on these data (it may be 0).", 0.0)
    off = [layer for layer in diagnosis.layers if layer.dead >= DEAD]
    if not off:
        units = "no layer is mostly dead or saturated."
    elif all(layer.activation == "leaky_relu" for layer in off):
        have = _agree(off, "has", "have")
        units = f"none is saturated. {_names(off)} {have} units that are off for every row, but still learn."
    else:
        units = f"none is saturated. {diagnosis.rows} rows are too few to tell which units are dead."
    return Finding(
        None,
        "healthy",
        "Nothing to say: healthy. The gradient at every layer's output is between "
        f"{min(shares):.2g} and {max(shares):.2g} times that at the last layer's; {units}",
        min(shares),
    )


def _names(layers):
    """Return the names of layers as a phrase: of three or more in a row the first and the last."""
    names = [layer.name for layer in layers]
    if len(names) < 3:
        return " and ".join(names)
    indices = [layer.index for layer in layers]
    if indices == list(range(indices[0], indices[-1] + 1)):
        return f"{names[0]} to {names[-1]}"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _agree(layers, singular, plural):
    """Return the form of the verb that goes with so many layers."""
    return singular if len(layers) == 1 else plural
