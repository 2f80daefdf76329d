"""Parts of the rows for cross-validation, and what their scores tell."""

from collections.abc import Callable

import numpy as np

from keras_imbalance.decisions.scoring import Objective

MOST_FOLDS = 5
MANY_ROWS = 20_000  # beyond which three folds leave enough rows to tune on


def stratified_folds(labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, int]:
    """The fold of each row, and how many there are: 5, or 3 of many rows, and no more than the rarest class has rows.

    The rows of a class are dealt out in an order that is always the same.
    """
    counts = np.bincount(labels, minlength=num_classes)
    number = int(min(MOST_FOLDS if len(labels) <= MANY_ROWS else 3, counts.min()))
    shuffled = np.random.default_rng(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), np.int64)
    # Dealt out on and on, so that small classes do not all put their last rows into the first folds.
    fold[by_class] = np.arange(len(labels)) % number
    return fold, number


def held_out(
    labels: np.ndarray, num_classes: int, confusion_of_fold: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray | None:
    """Confusion matrices `(K, C, C)` of rows decided by what was tuned on the rows of the other folds; None for one fold.

    Args:
        labels: class ids `(N,)`.
        num_classes: C.
        confusion_of_fold: from row numbers to tune on and to decide to a confusion matrix.
    """
    fold, number = stratified_folds(labels, num_classes)
    if number < 2:
        return None
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(number)]
    return np.stack([confusion_of_fold(*part) for part in parts])


def is_better(candidate: np.ndarray, simpler: np.ndarray, objective: Objective) -> bool:
    """Whether a candidate gains more on held-out rows than a simpler one, by more than the standard error of the difference.

    Args:
        candidate: confusion matrices of the folds, `(K, C, C)`.
        simpler: those of the simpler one.
        objective: the score. Its standard error is that of the jackknife over the folds.
    """

    def gains(parts):
        total = parts.sum(axis=0)
        return objective.gains(np.concatenate([total[None], total - parts]))

    difference = gains(candidate) - gains(simpler)
    without = difference[1:]
    error = np.sqrt((len(without) - 1) * without.var())
    return bool(difference[0] > error and difference[0] > 1e-9)
