"""Linear and logarithmic axes and colours."""

from typing import Literal, get_args

import numpy as np

Scale = Literal["linear", "log"]
SCALES = get_args(Scale)


def least_shown(probabilities: np.ndarray) -> float:
    """Where a logarithmic axis begins: at the smallest probability, but not far below one row among all of them."""
    positive = probabilities[probabilities > 0]
    if positive.size == 0:
        return 0.1
    return float(min(max(positive.min(), 0.1 / len(probabilities)), positive.max() / 10))


def log_range(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value that is not 0, apart enough for a logarithmic scale."""
    positive = values[values > 0]
    low, high = float(positive.min(initial=1.0)), float(positive.max(initial=0.0)) or 1.0
    return min(low, high), max(high, 10 * min(low, high))
