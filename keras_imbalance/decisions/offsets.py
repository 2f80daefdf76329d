"""Offsets of the classes of a softmax: a row is decided as argmax_k (log p_k + offset_k).

Two classes have one cut, and the best of all is found. With more, three rules compete on held-out rows: no offset, an exponent
of the class shares (offset_k = -s log share_k), and one offset a class.

One offset a class is found by coordinate ascent on a grid. With all offsets but that of class k fixed, a row turns to class k
where its offset passes the row's turning point, the best of the other classes less log p_k. One count of the rows by turning
point, true class and best other class gives the confusion matrices of all offsets of the grid.
"""

from typing import Literal, NamedTuple

import numpy as np

from keras_imbalance.decisions.arrays import classes_first, largest_class, two_largest
from keras_imbalance.decisions.cuts import confusions_above
from keras_imbalance.decisions.folds import held_out, is_better, stratified_folds
from keras_imbalance.decisions.scoring import ROUNDING, Objective, best_cut
from keras_imbalance.metrics import functional

Rule = Literal["threshold", "nothing", "exponent", "offsets"]
GAP = 1e-10  # turning points closer than this are one: rounding may decide rows between them either way
EXPONENTS = np.arange(16) / 10
LEAST_ROWS = 20  # of the rarest class, for one offset a class: with fewer they fit chance
MOST_CLASSES = 100  # for one offset a class
REACH = 3.0  # how far an offset goes from that of the exponent
MOST_STEPS = 61  # of the grid of one offset
MOST_CELLS = 250_000
MOST_SWEEPS = 5


class Tuned(NamedTuple):
    """Offsets `(C,)` that sum to 0, their gain, the gain of held-out rows (NaN where a class has one row), and the rule."""

    offsets: np.ndarray
    gain: float
    cross_validated: float
    rule: Rule


def tune_offsets(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, objective: Objective) -> Tuned:
    """The offsets that the rule gives which does best on held-out rows.

    Args:
        labels: int64 `(N,)`, every class present.
        probabilities: `(N, C)`.
        weights: float64 `(N,)`, positive.
        objective: what to make large.
    """
    with np.errstate(divide="ignore"):
        log_p = np.log(probabilities.astype(np.float64))
    offsets, held, rule = (_two_classes if log_p.shape[1] == 2 else _several)(labels, log_p, weights, objective)
    offsets = offsets - offsets.mean()
    # Judged as decided later: where two classes tie, the rounding of the mean may turn a row.
    decided = largest_class(classes_first(log_p) + offsets[:, None])
    gain = float(
        objective.gains(functional.confusion_matrix(labels, decided, num_classes=log_p.shape[1], weights=weights))
    )
    if held is not None:
        return Tuned(offsets, gain, float(objective.gains(held.sum(axis=0))), rule)
    return Tuned(offsets, gain, gain if rule == "nothing" else np.nan, rule)


def _two_classes(labels, log_p, weights, objective):
    with np.errstate(invalid="ignore"):
        odds = log_p[:, 1] - log_p[:, 0]

    def of_fold(kept, held):
        cut = _best_odds(labels[kept], odds[kept], weights[kept], objective)
        return functional.confusion_matrix(
            labels[held], (odds[held] > cut).astype(np.int64), num_classes=2, weights=weights[held]
        )

    cut = _best_odds(labels, odds, weights, objective)
    return np.array([cut / 2, -cut / 2]), held_out(labels, 2, of_fold), "offsets"


def _best_odds(labels, odds, weights, objective):
    """The log-odds above which class 1 is best taken, the nearest to 0 among equals; 0 where nothing depends on it."""
    finite = np.unique(odds[np.isfinite(odds)])
    if not len(finite):
        return 0.0
    between = np.flatnonzero(np.diff(finite) > GAP)
    cuts = np.concatenate([[finite[0] - 1], finite[between] + np.diff(finite)[between] / 2, [finite[-1] + 1]])
    return float(cuts[best_cut(objective.gains(confusions_above(labels, odds, weights, cuts)), cuts, 0.0)])


def _several(labels, log_p, weights, objective):
    """Offsets, confusion matrices of held-out rows `(K, C, C)`, and the rule, for three classes or more."""
    num_classes = log_p.shape[1]
    with np.errstate(divide="ignore"):
        log_shares = np.log(np.bincount(labels, weights, num_classes) / weights.sum())
    scores = classes_first(np.maximum(log_p, -1e4).astype(np.float32))
    fold, number = stratified_folds(labels, num_classes)
    if number < 2:
        return np.zeros(num_classes), None, "nothing"
    of_exponents = np.stack(
        [_by_fold(scores - s * log_shares[:, None], labels, weights, fold, number) for s in EXPONENTS]
    )
    exponent, exponents = _best_exponents(of_exponents, objective)
    rule, offsets, held = "nothing", np.zeros(num_classes), of_exponents[0]
    of_exponent = of_exponents[exponents, np.arange(number)]
    if exponent > 0 and is_better(of_exponent, held, objective):  # 0 on all rows is to do nothing
        rule, offsets, held = "exponent", -exponent * log_shares, of_exponent
    if np.bincount(labels).min() < LEAST_ROWS or num_classes > MOST_CLASSES:
        return offsets, held, rule
    parts = []
    for k in range(number):
        kept, out = fold != k, fold == k
        start = -EXPONENTS[exponents[k]] * log_shares
        found = _ascend(np.ascontiguousarray(scores[:, kept]), labels[kept], weights[kept], objective, start)
        decided = largest_class(scores[:, out] + found[:, None].astype(np.float32))
        parts.append(functional.confusion_matrix(labels[out], decided, num_classes=num_classes, weights=weights[out]))
    of_offsets = np.stack(parts)
    if is_better(of_offsets, held, objective):
        rule, held = "offsets", of_offsets
        offsets = _ascend(scores, labels, weights, objective, -exponent * log_shares)
    return offsets, held, rule


def _by_fold(scores, labels, weights, fold, number):
    """Confusion matrices `(K, C, C)` of the rows of each fold."""
    size = len(scores)
    cells = (fold * size + labels) * size + largest_class(scores)
    return np.bincount(cells, weights, number * size**2).reshape(number, size, size)


def _best_exponents(of_exponents, objective):
    """The best exponent of all rows, and for each fold the number of the best exponent of the rows outside of it."""
    total = of_exponents.sum(axis=1)
    best = EXPONENTS[best_cut(objective.gains(total), EXPONENTS, 0.0)]
    gains = objective.gains(total[:, None] - of_exponents)
    return best, np.array([best_cut(column, EXPONENTS, 0.0) for column in gains.T])


def _ascend(scores, labels, weights, objective, start):
    """Offsets near `start` that no other offset of one class on the grid improves, after a few sweeps at most."""
    num_classes = len(scores)
    steps = int(np.clip(MOST_CELLS // num_classes**2, 13, MOST_STEPS)) // 2
    grid = np.arange(-steps, steps + 1) * (REACH / steps)
    at = np.full(num_classes, steps)
    scores = scores + start[:, None].astype(np.float32)
    first, best, second, runner_up = two_largest(scores)
    undecided = first - second < 2 * REACH  # no offset in reach turns another row
    settled = functional.confusion_matrix(
        labels[~undecided], best[~undecided], num_classes=num_classes, weights=weights[~undecided]
    )
    scores, labels, weights = np.ascontiguousarray(scores[:, undecided]), labels[undecided], weights[undecided]
    leaders = [part[undecided] for part in (first, best, second, runner_up)]
    for _ in range(MOST_SWEEPS):
        moved = False
        for k in range(num_classes):
            confusions = settled + _confusions(scores[k], leaders, k, grid - grid[at[k]], labels, weights, num_classes)
            gains = objective.gains(confusions)
            chosen = best_cut(gains, grid, grid[at[k]])
            if gains[chosen] > gains[at[k]] + ROUNDING:
                scores[k] += np.float32(grid[chosen] - grid[at[k]])
                at[k], moved = chosen, True
                _update(leaders, scores, k)
        if not moved:
            break
    return start + grid[at]


def _update(leaders, scores, k):
    """Corrects the two leading classes of each row after the scores of class k have changed."""
    _, best, second, runner_up = leaders
    touched = np.flatnonzero((best == k) | (runner_up == k) | (scores[k] > second))
    for part, changed in zip(leaders, two_largest(scores[:, touched]), strict=True):
        part[touched] = changed


def _confusions(scores, leaders, k, changes, labels, weights, num_classes):
    """Confusion matrices `(G, C, C)` for each change of the offset of class k, which has these scores `(N,)`."""
    first, best, second, runner_up = leaders
    own = best == k
    rivals = np.where(own, runner_up, best)
    turning = np.where(own, second, first) - scores
    bins = np.ceil((turning - np.float32(changes[0])) * np.float32(1 / (changes[1] - changes[0])))
    bins = np.clip(bins, 0, len(changes)).astype(np.int64)  # the first change that takes the row
    cells = (bins * num_classes + labels) * num_classes + rivals
    size = (len(changes) + 1) * num_classes**2
    turned = np.bincount(cells, weights, size).reshape(-1, num_classes, num_classes)
    taken = np.cumsum(turned[:-1], axis=0)
    confusions = turned.sum(axis=0) - taken
    confusions[:, :, k] += taken.sum(axis=2)
    return confusions
