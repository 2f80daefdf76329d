"""From labels and predictions to a C x C matrix of counts, and from the matrix to scores. Pure functions over ops.

A confusion matrix here holds `confusion[i, j]`: how much of class i was predicted as class j.
"""

from typing import Any

from keras_imbalance.backend import ops


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


def recall(confusion: Any, zero_division: float = 0.0) -> Any:
    """Share of each class's rows that were found: TP / (TP + FN), `(C,)`."""
    return _ratio(ops.diagonal(confusion), ops.sum(confusion, axis=1), zero_division)


def precision(confusion: Any, zero_division: float = 0.0) -> Any:
    """Share of each class's predictions that were right: TP / (TP + FP), `(C,)`."""
    return _ratio(ops.diagonal(confusion), ops.sum(confusion, axis=0), zero_division)


def f_beta(confusion: Any, beta: float = 1.0, zero_division: float = 0.0) -> Any:
    """(1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP) of each class, `(C,)`; b > 1 favours recall."""
    square = beta * beta
    weighted = square * ops.sum(confusion, axis=1) + ops.sum(confusion, axis=0)
    return _ratio((1 + square) * ops.diagonal(confusion), weighted, zero_division)


def specificity(confusion: Any, zero_division: float = 0.0) -> Any:
    """Share of the other classes' rows that were not taken for the class: TN / (TN + FP), `(C,)`."""
    negatives = ops.sum(confusion) - ops.sum(confusion, axis=1)
    false_positives = ops.sum(confusion, axis=0) - ops.diagonal(confusion)
    return _ratio(negatives - false_positives, negatives, zero_division)


def present(confusion: Any) -> Any:
    """1 for a class that is labelled or predicted at least once, else 0: those that a macro mean counts, `(C,)`."""
    seen = ops.sum(confusion, axis=0) + ops.sum(confusion, axis=1)
    return ops.cast(seen > 0, confusion.dtype)


def macro_mean(scores: Any, confusion: Any) -> Any:
    """Mean of the scores over the classes that are labelled or predicted; undefined (NaN) scores do not count.

    These are the classes scikit-learn averages over when `labels` is not given. The mean is 0 before any row was seen, and
    NaN when no score is defined or when the counts themselves hold NaN.
    """
    counted = present(confusion)
    defined = ops.where(ops.isnan(scores), ops.zeros_like(counted), counted)
    total = ops.sum(ops.where(defined > 0, scores, ops.zeros_like(scores)))
    undefined = ops.where(ops.sum(counted) > 0, float("nan"), 0.0)
    number = ops.sum(defined)
    mean = ops.where(number > 0, total / ops.maximum(number, 1.0), ops.cast(undefined, total.dtype))
    return ops.where(ops.isnan(ops.sum(confusion)), ops.full_like(mean, float("nan")), mean)


def _ratio(numerator, denominator, zero_division):
    empty = ops.equal(denominator, 0)
    safe = ops.where(empty, ops.ones_like(denominator), denominator)
    return ops.where(empty, ops.full_like(denominator, zero_division), numerator / safe)
