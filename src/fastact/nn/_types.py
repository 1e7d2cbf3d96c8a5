"""What the public signatures call their types."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 or float64: which of them is known at run time
Integer = int | np.integer[Any]
Real = float | np.floating[Any] | np.integer[Any]
