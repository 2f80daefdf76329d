"""What members say of rows that they were not trained on."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_imbalance._core import invalid
from keras_imbalance.estimators.arrays import num_rows, take

BLOCK = 8192  # rows that all members predict at once


def check_rows_left_out(ids: np.ndarray, rows: np.ndarray) -> None:
    """Raises unless of every class there are rows that some member does not hold.

    Args:
        ids: class of every row `(N,)`.
        rows: the rows of each member `(M, K)`.
    """
    left_out = _left_out(rows, len(ids)).any(axis=0)
    without = np.setdiff1d(ids, ids[left_out])
    if without.size:
        raise invalid(
            "oob_score",
            "be False where every member holds all rows of a class",
            received=f"class {', '.join(map(str, without))}",
            remedy="Draw with sampling='bootstrap', or leave rows of every class out: max_repeats=0.8.",
        )


def out_of_bag(predict: Callable[[Any], np.ndarray], x: Any, rows: np.ndarray) -> np.ndarray:
    """Of each row the mean of the members that were not trained on it, float64 `(N, C)`; NaN where all were.

    Args:
        predict: from rows as fit takes them to the probabilities of all members, `(M, B, C)`.
        x: nest of arrays of N rows.
        rows: the rows of each member `(M, K)`.
    """
    left_out = _left_out(rows, num_rows(x))
    means = []
    for start in range(0, num_rows(x), BLOCK):
        block = np.arange(start, min(start + BLOCK, num_rows(x)))
        counted = left_out[:, block].astype(np.float64)
        total = np.einsum("mb,mb...->b...", counted, predict(take(x, block)).astype(np.float64))
        number = counted.sum(axis=0).reshape(-1, *[1] * (total.ndim - 1))
        means.append(np.where(number > 0, total / np.maximum(number, 1), np.nan))
    return np.concatenate(means)


def _left_out(rows, number):
    """Which rows each member does not hold, bool `(M, N)`."""
    left_out = np.ones((len(rows), number), dtype=bool)
    np.put_along_axis(left_out, rows, False, axis=1)
    return left_out
