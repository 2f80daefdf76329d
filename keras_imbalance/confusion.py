"""From labels and predictions to matrices of counts, and from the counts to scores. Pure functions.

A confusion matrix holds `counts[i, j]`: how much of class i was predicted as class j. Multi-label counts are one 2 x 2 matrix
a label, `(C, 2, 2)`. Scores take either, as tensors or as NumPy arrays, and answer in kind.
"""

from typing import Any, NamedTuple

import numpy as np

from keras_imbalance.backend import ops


class Tally(NamedTuple):
    """True positives, false negatives, false positives and true negatives of every class, each `(C,)`."""

    tp: Any
    fn: Any
    fp: Any
    tn: Any


def confusion_matrix(labels: Any, predictions: Any, num_classes: int, weights: Any) -> Any:
    """Counts every pair of true and predicted class.

    Args:
        labels: int32 `(N,)`, true class ids.
        predictions: int32 `(N,)`, predicted class ids.
        num_classes: number of classes C.
        weights: float `(N,)`, what each row counts.

    Returns:
        float `(C, C)`: rows are the true classes, columns the predicted ones.
    """
    pairs = labels * num_classes + predictions
    counts = ops.segment_sum(weights, pairs, num_segments=num_classes * num_classes)
    return ops.reshape(counts, (num_classes, num_classes))


def label_matrices(labels: Any, predictions: Any, weights: Any) -> Any:
    """One 2 x 2 confusion matrix a label.

    Args:
        labels: float `(N, C)` of 0 and 1.
        predictions: float `(N, C)` of 0 and 1.
        weights: float `(N, C)`, what each place counts.

    Returns:
        float `(C, 2, 2)`: without and with the label; rows are the truth, columns the prediction.
    """
    rows = [
        [ops.sum(weights * truth * decision, axis=0) for decision in (1 - predictions, predictions)]
        for truth in (1 - labels, labels)
    ]
    return ops.stack([ops.stack(row, axis=-1) for row in rows], axis=-2)


def tally(counts: Any) -> Tally:
    """Every class taken as the positive one. Every score takes a tally too, made once for several of them."""
    if isinstance(counts, Tally):
        return counts
    if len(counts.shape) == 3:
        return Tally(counts[:, 1, 1], counts[:, 1, 0], counts[:, 0, 1], counts[:, 0, 0])
    xp = namespace(counts)
    right = xp.diagonal(counts)
    # Sums over the others instead of differences of sums: what is 0 comes out as 0, whatever the weights round to.
    wrong = counts * others(counts)
    fn, fp = xp.sum(wrong, axis=1), xp.sum(wrong, axis=0)
    negatives = xp.matmul(others(counts), right + fn)
    return Tally(right, fn, fp, xp.maximum(negatives - fp, 0.0))


def recall(counts: Any, zero_division: float = 0.0) -> Any:
    """Share of each class's rows that were found: TP / (TP + FN), `(C,)`."""
    of = tally(counts)
    return ratio(of.tp, of.tp + of.fn, zero_division)


def precision(counts: Any, zero_division: float = 0.0) -> Any:
    """Share of each class's predictions that were right: TP / (TP + FP), `(C,)`."""
    of = tally(counts)
    return ratio(of.tp, of.tp + of.fp, zero_division)


def f_beta(counts: Any, beta: float = 1.0, zero_division: float = 0.0) -> Any:
    """(1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP) of each class, `(C,)`; b > 1 favours recall."""
    of, square = tally(counts), beta * beta
    return ratio((1 + square) * of.tp, (1 + square) * of.tp + square * of.fn + of.fp, zero_division)


def specificity(counts: Any, zero_division: float = 0.0) -> Any:
    """Share of the other classes' rows that were not taken for the class: TN / (TN + FP), `(C,)`."""
    of = tally(counts)
    return ratio(of.tn, of.tn + of.fp, zero_division)


def g_mean(counts: Any, zero_division: float = 0.0) -> Any:
    """Geometric mean of each class's recall and specificity, sqrt(TPR TNR), `(C,)` (Kubat & Matwin, 1997)."""
    of = tally(counts)
    return namespace(of.tp).sqrt(recall(of, zero_division) * specificity(of, zero_division))


def support(counts: Any) -> Any:
    """Rows of each class, TP + FN, `(C,)`."""
    of = tally(counts)
    return of.tp + of.fn


def present(counts: Any) -> Any:
    """1 for a class that a macro mean counts, else 0, `(C,)`: one labelled or predicted at least once; every label of many."""
    xp = namespace(counts)
    if len(counts.shape) == 3:
        return xp.ones_like(counts[:, 0, 0])
    seen = xp.sum(counts, axis=0) + xp.sum(counts, axis=1)
    return xp.where(seen > 0, xp.ones_like(seen), xp.zeros_like(seen))


def macro_mean(scores: Any, counts: Any) -> Any:
    """Mean of scores `(..., C)` over the classes that are labelled or predicted; undefined (NaN) scores do not count.

    These are the classes scikit-learn averages over when `labels` is not given. The mean is 0 before any row was seen, and
    NaN when no score is defined or when the counts themselves hold NaN.
    """
    return mean_over(present(counts), scores, counts)


def mean_over(chosen: Any, scores: Any, counts: Any) -> Any:
    """Mean of the defined scores `(..., C)` of the chosen classes (1, not 0); 0 before any row, NaN when counts hold NaN."""
    xp = namespace(counts)
    defined = xp.where(xp.isnan(scores), xp.zeros_like(scores), chosen)
    total = xp.sum(xp.where(defined > 0, scores, xp.zeros_like(scores)), axis=-1)
    number = xp.sum(defined, axis=-1)
    undefined = xp.where(xp.sum(counts) > 0, xp.full_like(total, float("nan")), xp.zeros_like(total))
    mean = xp.where(number > 0, total / xp.maximum(number, 1.0), undefined)
    return xp.where(xp.isnan(xp.sum(counts)), xp.full_like(mean, float("nan")), mean)


def ratio(numerator: Any, denominator: Any, zero_division: float) -> Any:
    """`numerator / denominator`, and `zero_division` where the denominator is 0."""
    xp = namespace(denominator)
    empty = xp.equal(denominator, 0)
    safe = xp.where(empty, xp.ones_like(denominator), denominator)
    return xp.where(empty, xp.full_like(denominator, zero_division), numerator / safe)


def others(counts: Any) -> Any:
    """1 beside the diagonal, 0 on it, `(C, C)`."""
    xp = namespace(counts)
    return 1 - xp.eye(counts.shape[-1], dtype=counts.dtype)


def namespace(counts: Any) -> Any:
    """NumPy for its arrays (float64, exact), Keras's ops for tensors: both know the functions used here by one name."""
    return np if isinstance(counts, (np.ndarray, np.generic)) else ops
