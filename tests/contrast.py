"""Contrast of colours, for tests of figures."""

import numpy as np


def contrast(color: str, other: str) -> float:
    """Return the contrast ratio of the Web Content Accessibility Guidelines."""

    def luminance(color):
        parts = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    dark, light = sorted((luminance(color), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
