"""How many rows are taken for a class at every threshold: under the curves of ROC, precision and recall, and cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Cuts(NamedTuple):
    """Every decision that a threshold can make: taken for positive are no rows, then those of the highest score, ..., all.

    Rows are counted by their weights.

    Attributes:
        scores: the different scores `(m,)`, largest first.
        true: positive rows that are taken, from 0 to all of them `(m + 1,)`.
        false: other rows that are taken, from 0 to all of them `(m + 1,)`.
    """

    scores: np.ndarray
    true: np.ndarray
    false: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        return self.true / self.true[-1]

    @property
    def precision(self) -> np.ndarray:
        """1 where no row is taken, as in scikit-learn."""
        return np.append(1.0, self.true[1:] / (self.true + self.false)[1:])

    def average_precision(self) -> float:
        return float(np.diff(self.recall) @ self.precision[1:])

    def area_under_roc(self) -> float:
        heights = (self.true[1:] + self.true[:-1]) / 2
        return float(np.diff(self.false) @ heights / (self.true[-1] * self.false[-1]))


def cuts(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Cuts:
    """The cuts of labels, 0 or 1, scores and positive weights, each `(N,)`. Rows of one score are taken together.

    Example:
    >>> found = cuts(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.9]), np.ones(4))
    >>> found.scores, found.true, found.false
    (array([0.9, 0.4, 0.1]), array([0., 1., 2., 2.]), array([0., 0., 1., 2.]))
    """
    order = np.argsort(-scores, kind="stable")
    scores, labels, weights = scores[order], labels[order], weights[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true, false = (np.append(0.0, np.cumsum(weights * taken)[last]) for taken in (labels, 1 - labels))
    return Cuts(scores[last], true, false)
