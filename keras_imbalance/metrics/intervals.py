"""Confidence intervals of the scores of a class, from its counts."""

from statistics import NormalDist

import numpy as np

from keras_imbalance.metrics import functional


def wilson_interval(hits: np.ndarray, trials: np.ndarray, confidence_level: float) -> np.ndarray:
    """The score interval of a share, hits of trials (Wilson, 1927).

    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), with p = hits / n. It keeps its confidence for few
    trials and for shares of 0 and 1 (Brown, Cai and DasGupta, 2001).

    Args:
        hits: float64 `(...)`, at most the trials.
        trials: float64 `(...)`, n.
        confidence_level: in (0, 1).

    Returns:
        float64 `(..., 2)`, lower and upper end; NaN without trials.

    Example:
    >>> wilson_interval(np.array([6.0, 7.0]), np.array([7.0, 7.0]), 0.95).round(3)
    array([[0.487, 0.974],
           [0.646, 1.   ]])
    """
    square = NormalDist().inv_cdf((1 + confidence_level) / 2) ** 2
    some = np.maximum(trials, 1.0)
    share = hits / some
    middle = share + square / (2 * some)
    half = np.sqrt(square * (share * (1 - share) + square / (4 * some)) / some)
    ends = np.stack([middle - half, middle + half], axis=-1) / (1 + square / some)[..., None]
    return np.where((trials > 0)[..., None], np.clip(ends, 0.0, 1.0), np.nan)


def class_intervals(counts: np.ndarray | functional.Tally, confidence_level: float) -> dict[str, np.ndarray]:
    """Confidence intervals of precision, recall and F1 of each class.

    A recall is a share of the class's rows, a precision a share of its predictions. F1 is a share in another scale: of the
    n = TP + FN + FP rows that are of the class or predicted as it, J = TP / n are hits, and F1 = 2 J / (1 + J) grows with J. Of
    rows drawn independently TP is binomial given n, so the interval of J gives that of F1. Resampling rows says the same of
    many rows, and [1, 1] of 7 hits in 7 rows.

    Args:
        counts: float64 `(C, C)` or `(C, 2, 2)`, or their tally; rows counted once each.
        confidence_level: in (0, 1).

    Returns:
        `{"precision": (C, 2), "recall": (C, 2), "f1": (C, 2)}`, float64, lower and upper end; NaN where there is nothing to
        divide by.

    Example:
    >>> class_intervals(np.array([[90.0, 5.0], [1.0, 6.0]]), 0.95)["recall"].round(2)
    array([[0.88, 0.98],
           [0.49, 0.97]])
    """
    of = functional.tally(counts)
    shares = wilson_interval(of.tp, of.tp + of.fn + of.fp, confidence_level)
    return {
        "precision": wilson_interval(of.tp, of.tp + of.fp, confidence_level),
        "recall": wilson_interval(of.tp, of.tp + of.fn, confidence_level),
        "f1": 2 * shares / (1 + shares),
    }
