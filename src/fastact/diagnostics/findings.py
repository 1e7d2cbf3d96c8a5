"""What the numbers of a diagnosis say, in words: each finding with the number it rests on and what would help."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastact.diagnostics.measures import Diagnosis


@dataclass(frozen=True)
class Finding:
    """One thing that the numbers say.

    Attributes
    ----------
    layer : int or None
        The layer that it is about, the worst of them where there are several; None for the whole network.
    kind : str
        "vanishing", "exploding", "saturated", "dead", "small_update", "large_update", "not_finite" or "healthy".
    text : str
    value : float
        The number that it rests on.
    """

    layer: int | None
    kind: str
    text: str
    value: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as a dictionary."""
        return dataclasses.asdict(self)


def find(diagnosis: Diagnosis) -> list[Finding]:
    """Return what the numbers say."""
    return []
