"""Decisions over many rows in NumPy, classes first: `(C, N)`, so that each step runs along memory."""

import numpy as np


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
