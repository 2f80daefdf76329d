"""What thresholds are tuned for, as a gain to be made large."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance.losses.cost_matrix import check_cost_matrix

OBJECTIVES = ("balanced_accuracy", "f1", "expected_cost")
ROUNDING = 1e-12  # gains no further apart are equal


@dataclass(frozen=True)
class Objective:
    """A named score, or a function of true and predicted classes.

    Attributes:
        name: one of `OBJECTIVES`, or "callable".
        costs: `(C, C)` for "expected_cost", else None.
        function: what a user passed, else None.
    """

    name: str
    costs: Any = None
    function: Callable | None = None

    def score(self, gain: float) -> float:
        """The score as a user reads it: a cost is a gain with its sign turned."""
        return -gain if self.name == "expected_cost" else gain

    def of_two(self, found: np.ndarray, alarms: np.ndarray, positives: float, negatives: float) -> np.ndarray:
        """Gain for rows of class 1 found and false alarms, both `(cuts,)`, out of so many rows of class 1 and 0."""
        if self.name == "balanced_accuracy":
            return (found / positives + (negatives - alarms) / negatives) / 2
        if self.name == "f1":
            return 2 * found / (positives + found + alarms)
        (c00, c01), (c10, c11) = self.costs
        cost = c11 * found + c10 * (positives - found) + c01 * alarms + c00 * (negatives - alarms)
        return -cost / (positives + negatives)

    def of_matrix(self, confusion: np.ndarray) -> float:
        """Gain for a confusion matrix `(C, C)` in which every class has rows."""
        right, rows = np.diagonal(confusion), confusion.sum(axis=1)
        if self.name == "balanced_accuracy":
            return float((right / rows).mean())
        if self.name == "f1":
            return float((2 * right / (rows + confusion.sum(axis=0))).mean())
        return -float((confusion * self.costs).sum() / rows.sum())

    def call(self, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None) -> float:
        """Gain that the user's function gives."""
        assert self.function is not None
        options = {} if sample_weight is None else {"sample_weight": sample_weight}
        value = self.function(y_true, y_pred, **options)
        number = np.asarray(value)
        if number.shape != () or number.dtype.kind not in "biuf" or not np.isfinite(number):
            raise ValueError(
                f"`objective` must return one finite number for every decision. Received: {value!r} where "
                f"{int((y_pred > 0).sum())} of {len(y_pred)} rows are not of class 0. Let it return 0 where it is undefined."
            )
        return float(number)


def make_objective(objective: Any, cost_matrix: Any, num_classes: int) -> Objective:
    """The objective that a user names or passes; raises for any other, and unless the costs suit it."""
    if callable(objective):
        chosen = Objective("callable", function=objective)
    elif isinstance(objective, str) and objective in OBJECTIVES:
        chosen = Objective(objective)
    else:
        raise ValueError(
            f"`objective` must be one of {OBJECTIVES} or a function of true and decided classes, such as "
            f"sklearn.metrics.matthews_corrcoef. Received: objective={objective!r}."
        )
    if chosen.name != "expected_cost":
        if cost_matrix is not None:
            raise ValueError(
                f"`cost_matrix` must be None unless objective='expected_cost'. Received: objective={objective!r} and costs."
            )
        return chosen
    if cost_matrix is None:
        raise ValueError("`cost_matrix` must be given for objective='expected_cost'. Received None.")
    costs = check_cost_matrix(cost_matrix)
    if len(costs) != num_classes:
        raise ValueError(
            f"`cost_matrix` must be {num_classes} x {num_classes} for these probabilities. "
            f"Received: {len(costs)} x {len(costs)}."
        )
    return Objective("expected_cost", costs)


def best_cut(gains: np.ndarray, cuts: np.ndarray, nearest_to: float) -> int:
    """Index of the largest gain; of those equal but for rounding, of the cut nearest to a value."""
    best = gains.max()
    equals = np.flatnonzero(gains >= best - ROUNDING * max(1.0, abs(best)))
    return int(equals[np.abs(cuts[equals] - nearest_to).argmin()])


def running(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, ... N values."""
    return np.concatenate([[0.0], np.cumsum(values)])
