"""Real data for the commands: the handwritten digits of scikit-learn, and what stands in for them without it."""

import numpy as np

from fastact._commands import CommandError

TEST_IMAGES = 360


def load(command):
    """Return X, float32, pixels from 0 to 1, and y; ``command`` is what needs them."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise CommandError(f'{command} needs scikit-learn ({error}); install it: pip install "fastact[demo]"') from None
    images, labels = load_digits(return_X_y=True)
    return (images / 16.0).astype(np.float32), labels


def digits(command):
    """Return X_train, X_test, y_train, y_test; see `load`."""
    images, labels = load(command)
    from sklearn.model_selection import train_test_split

    return train_test_split(images, labels, test_size=TEST_IMAGES, random_state=0, stratify=labels)


def synthetic(rows=1797, features=64, classes=10):
    """Return the same four arrays of points around centres in the unit cube, a centre a class, always the same ones."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(0.0, 1.0, (classes, features))
    y = rng.integers(0, classes, rows)
    X = np.clip(centres[y] + rng.normal(0.0, 0.4, (rows, features)), 0.0, 1.0).astype(np.float32)
    return X[TEST_IMAGES:], X[:TEST_IMAGES], y[TEST_IMAGES:], y[:TEST_IMAGES]
