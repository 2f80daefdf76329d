"""Offsets of the classes of a softmax, by coordinate ascent.

A row is decided as argmax_k (log p_k + offset_k). With all offsets but that of class k fixed, a row turns to class k where the
offset passes the row's turning point, the best of the other classes less log p_k. Sorted once by turning point, the rows give
the score of every offset by cumulative sums.
"""

import numpy as np

from keras_imbalance.decisions.progress import Progress
from keras_imbalance.decisions.scoring import ROUNDING, Objective, best_cut, running

GAP = 1e-10  # turning points closer than this are one: rounding may decide rows between them either way


def tune_offsets(
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray,
    objective: Objective,
    passed: np.ndarray | None,
    progress: Progress,
) -> tuple[np.ndarray, float]:
    """Offsets float64 `(C,)` that sum to 0, and their score.

    Args:
        labels: int64 `(N,)`, every class present.
        probabilities: `(N, C)`.
        weights: float64 `(N,)`, positive.
        objective: what to make large.
        passed: weights for a user's objective, or None.
        progress: where the cuts tried are counted.
    """
    num_classes = probabilities.shape[1]
    with np.errstate(divide="ignore"):
        search = _Search(labels, np.log(probabilities.astype(np.float64)), weights, objective, passed, progress)
    shares = np.bincount(labels, weights, num_classes) / weights.sum()
    found = [search.ascend(start) for start in (np.zeros(num_classes), -np.log(shares))]
    offsets, gain = max(found, key=lambda pair: pair[1])  # the first among equals
    return offsets, objective.score(gain)


class _Search:
    def __init__(self, labels, log_p, weights, objective, passed, progress):
        self.labels, self.log_p, self.weights = labels, log_p, weights
        self.objective, self.passed, self.progress = objective, passed, progress
        self.num_classes = log_p.shape[1]

    def ascend(self, offsets):
        offsets = offsets - offsets.mean()
        gain = self.gain(offsets)
        while True:
            before = gain
            for k in range(self.num_classes):
                changed = offsets.copy()
                changed[k] = self.best_offset(offsets, k)
                changed -= changed.mean()
                # Judged as decided later: where two classes tie, the rounding of the mean may turn a row.
                better = self.gain(changed)
                if better > gain + ROUNDING * max(1.0, abs(gain)):
                    offsets, gain = changed, better
            if gain == before:
                return offsets, gain

    def gain(self, offsets):
        """Gain of the decisions that these offsets give."""
        return self.gain_of((self.log_p + offsets).argmax(axis=1))

    def gain_of(self, predicted):
        if self.objective.function is not None:
            return self.objective.call(self.labels, predicted, self.passed)
        pairs = self.labels * self.num_classes + predicted
        confusion = np.bincount(pairs, self.weights, self.num_classes**2)
        return self.objective.of_matrix(confusion.reshape(self.num_classes, self.num_classes))

    def best_offset(self, offsets, k):
        """The best offset of class k beside the others'; its own where it has no choice."""
        scores = self.log_p + offsets
        scores[:, k] = -np.inf
        rivals = scores.argmax(axis=1)
        # Where class k has the probability 0 the turning point is infinity; where all others have it, minus infinity.
        turning = scores[np.arange(len(scores)), rivals] - self.log_p[:, k]
        order = np.argsort(turning, kind="stable")
        taken, cuts = _cuts(turning[order])
        if not len(cuts):
            return offsets[k]
        if self.objective.function is None:
            gains = self.gains(rivals[order], k, order)[taken]
            self.progress.add(len(cuts))
        else:
            gains = np.empty(len(cuts))
            for i, cut in enumerate(cuts):
                gains[i] = self.gain_of(np.where(turning < cut, k, rivals))
                self.progress.add(1)
        return cuts[best_cut(gains, cuts, offsets[k])]

    def gains(self, rivals, k, order):
        """Gain, but for a constant, with the first 0, 1, ... N rows of `order` taken for class k, the rest for their rivals."""
        labels, weights = self.labels[order], self.weights[order]
        if self.objective.name == "f1":
            return self.f1_gains(labels, weights, rivals, k)
        if self.objective.name == "balanced_accuracy":
            worth = weights / np.bincount(labels, weights, self.num_classes)[labels] / self.num_classes
            change = worth * ((labels == k) * 1.0 - (labels == rivals))
        else:
            change = weights * (self.objective.costs[labels, rivals] - self.objective.costs[labels, k]) / weights.sum()
        return running(change)

    def f1_gains(self, labels, weights, rivals, k):
        rows = np.bincount(labels, weights, self.num_classes)
        own = 2 * running(weights * (labels == k)) / (rows[k] + running(weights))
        # The rivals' F1 changes as rows leave them. What is left to a rival with and without the row that leaves next comes
        # from sums over its rows, the last to leave first.
        last = np.argsort(rivals, kind="stable")[::-1]
        rival, right, weight = rivals[last], (weights * (labels == rivals))[last], weights[last]
        kept_right, kept = _sums_within(rival, right), _sums_within(rival, weight)
        with_row = 2 * kept_right / (rows[rival] + kept)
        without_row = 2 * (kept_right - right) / (rows[rival] + kept - weight)
        change = np.empty(len(rivals))
        change[last] = without_row - with_row
        return (own + running(change)) / self.num_classes


def _sums_within(groups, values):
    """Sums of the values so far, begun anew where the next group begins; the members of a group lie together."""
    sums = np.cumsum(values)
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    lengths = np.diff(np.append(starts, len(groups)))
    return sums - np.repeat((sums - values)[starts], lengths)


def _cuts(turning):
    """Numbers of rows before each cut, and offsets midway between distinct finite turning points and beyond them."""
    first, last = np.searchsorted(turning, [-np.inf, np.inf], side="right")[0], np.searchsorted(turning, np.inf)
    finite = turning[first:last]
    if not len(finite):
        return np.empty(0, dtype=np.int64), finite
    between = np.flatnonzero(np.diff(finite) > GAP)
    middle = finite[between] + (finite[between + 1] - finite[between]) / 2
    taken = np.concatenate([[first], first + between + 1, [last]])
    return taken, np.concatenate([[finite[0] - 1], middle, [finite[-1] + 1]])
