"""One threshold for the probability of class 1: the best of all cuts between two probabilities."""

import numpy as np

from keras_imbalance.decisions.folds import held_out
from keras_imbalance.decisions.scoring import Objective, best_cut
from keras_imbalance.metrics import functional

BELOW_ALL = -1.0


def tune_cut(
    labels: np.ndarray, p: np.ndarray, weights: np.ndarray, objective: Objective
) -> tuple[float, float, float]:
    """The best threshold, its gain, and the gain of rows that were held out from tuning (NaN where a class has one row).

    Args:
        labels: 0 or 1, `(N,)`.
        p: probability of class 1, `(N,)`.
        weights: positive, `(N,)`.
        objective: what to make large.
    """

    def of_fold(kept, held):
        cut, _ = best_threshold(labels[kept], p[kept], weights[kept], objective)
        return functional.confusion_matrix(
            labels[held], (p[held] > cut).astype(np.int64), num_classes=2, weights=weights[held]
        )

    folds = held_out(labels, 2, of_fold)
    cross_validated = np.nan if folds is None else float(objective.gains(folds.sum(axis=0)))
    return (*best_threshold(labels, p, weights, objective), cross_validated)


def best_threshold(labels: np.ndarray, p: np.ndarray, weights: np.ndarray, objective: Objective) -> tuple[float, float]:
    """The cut of the best score, the nearest to 0.5 among equals, and its gain."""
    cuts = _cuts(p)
    gains = objective.gains(confusions_above(labels, p, weights, cuts))
    chosen = best_cut(gains, cuts.astype(np.float64), 0.5)
    return float(cuts[chosen]), float(gains[chosen])


def confusions_above(labels: np.ndarray, values: np.ndarray, weights: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Confusion matrices `(cuts, 2, 2)` of rows decided as class 1 where their value is above each cut."""
    # Sums over the rows above each cut, from the top, so that no difference of sums is taken.
    order = np.argsort(-values, kind="stable")
    above = np.searchsorted(-values[order], -cuts, side="left")
    positive = weights * labels
    negative = weights - positive
    found, alarms = _running(positive[order])[above], _running(negative[order])[above]
    cells = [negative.sum() - alarms, alarms, positive.sum() - found, found]
    return np.maximum(np.stack(cells, axis=-1), 0).reshape(-1, 2, 2)


def _running(values):
    """Sums of the first 0, 1, ... N values."""
    return np.concatenate([[0.0], np.cumsum(values)])


def _cuts(p: np.ndarray) -> np.ndarray:
    """A threshold below all probabilities, one between any two neighbours, and one above all, ascending, in the dtype of `p`.

    They are values of that dtype, so that a comparison in it decides as one in float64.
    """
    levels = np.unique(p)
    zero, one, half = p.dtype.type(0), p.dtype.type(1), p.dtype.type(0.5)
    lower, upper = np.concatenate([[zero], levels]), np.concatenate([levels, [one]])
    cuts = (lower + (upper - lower) * half).astype(p.dtype)
    cuts = np.where((cuts < upper) | (lower == one), cuts, lower)  # no value lies between: the lower one cuts as well
    if levels[0] == 0:
        cuts[0] = BELOW_ALL
    return cuts
