"""Probabilities as functions take them, and decisions over many rows: classes first, `(C, N)`, along memory."""

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    channels_at_end,
    check_numbers,
    check_probabilities,
    check_whole,
    invalid,
    two_channels,
)


def class_probabilities(probabilities: npt.ArrayLike, axis: int) -> np.ndarray:
    """Probabilities as float64 `(..., C)`, the channels at the end; those of one sigmoid as the pair of 1 - p and p."""
    given = channels_at_end(check_numbers(probabilities, "probabilities"), check_whole(axis, "axis"))
    return two_channels(check_probabilities(given, given=probabilities).astype(np.float64))


def probability_rows(probabilities: npt.ArrayLike, axis: int) -> np.ndarray:
    """`class_probabilities` row by row `(N, C)`; raises where there is none."""
    p = class_probabilities(probabilities, axis)
    if p.size == 0:
        raise invalid("probabilities", "hold at least one row", received=f"shape {np.shape(probabilities)}")
    return p.reshape(-1, p.shape[-1])


def check_every_class(labels: np.ndarray, num_classes: int, where: str = "") -> None:
    """Raises unless every class has rows; `where` says more of them, such as " of label 2"."""
    absent = np.setdiff1d(np.arange(num_classes), labels)
    if absent.size:
        received = f"no rows that count of class {', '.join(map(str, absent))}{where}"
        raise invalid("y_true", "hold rows of every class", received=received, remedy="Take more validation rows.")


def classes_first(rows: np.ndarray) -> np.ndarray:
    """Rows `(N, C)` as `(C, N)`, contiguous."""
    return np.ascontiguousarray(rows.T)


def two_largest(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The largest score `(N,)` of `(C, N)` and its class, the first among equals; the second largest and its class."""
    shape, kind = scores.shape[1], np.int16 if len(scores) < 2**15 else np.int64
    first, second = scores[0].copy(), np.full(shape, -np.inf, scores.dtype)
    best, runner_up = np.zeros(shape, kind), np.zeros(shape, kind)
    for k, row in enumerate(scores[1:], 1):
        leads, follows = row > first, row > second
        np.copyto(runner_up, k, where=follows)
        np.copyto(runner_up, best, where=leads)
        np.copyto(best, k, where=leads)
        second = np.maximum(np.minimum(row, first), second)
        np.maximum(first, row, out=first)
    return first, best, second, runner_up


def largest_class(scores: np.ndarray) -> np.ndarray:
    """The class of the largest score of each row, `(N,)` int64 of `(C, N)`, the first among equals."""
    best, first = np.zeros(scores.shape[1], np.int64), scores[0].copy()
    for k, row in enumerate(scores[1:], 1):
        np.copyto(best, k, where=row > first)
        np.maximum(first, row, out=first)
    return best
