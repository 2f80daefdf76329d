"""What thresholds are tuned for: scores of whole stacks of confusion matrices, as a gain to be made large."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from keras_imbalance._core import check_number, check_one_of, invalid, nearest
from keras_imbalance.decisions.costs import costs_of_classes

ObjectiveName = Literal["f1", "balanced_accuracy", "fbeta", "mcc", "recall_at_precision", "precision_at_recall", "cost"]
OBJECTIVES = get_args(ObjectiveName)
AT = ("recall_at_precision", "precision_at_recall")
ROUNDING = 1e-12  # gains no further apart are equal


@dataclass(frozen=True)
class Objective:
    """A score by name, or a function of confusion matrices.

    Attributes:
        name: one of `OBJECTIVES`, or "function".
        of_class_1: whether F-scores, recall and precision are those of class 1, not the mean over the classes.
        costs: `(C, C)` for "cost", else None.
        function: what a user passed, else None.
        beta: for "fbeta"; 1 for "f1".
        at: what must be reached, for the names in `AT`.
    """

    name: str
    of_class_1: bool = False
    costs: np.ndarray | None = None
    function: Callable | None = None
    beta: float = 1.0
    at: float = 0.0

    def score(self, gain: float) -> float:
        """The score as a user reads it: a cost is a gain with its sign turned, and what is not reached scores 0."""
        if self.name == "cost":
            return -gain
        return max(gain, 0.0) if self.name in AT else gain

    def gains(self, confusion: np.ndarray) -> np.ndarray:
        """Gain `(...)` of each confusion matrix of `(..., C, C)`, in which every class has rows."""
        if self.function is not None:
            return self._called(confusion)
        if self.name == "cost":
            return -(confusion * self.costs).sum(axis=(-2, -1)) / confusion.sum(axis=(-2, -1))
        right, rows = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1)
        if self.name == "balanced_accuracy":
            return (right / rows).mean(axis=-1)
        predicted = confusion.sum(axis=-2)
        if self.name == "mcc":
            return _mcc(right, rows, predicted)
        if self.name not in AT:
            square = self.beta**2
            return self._mean((1 + square) * right / (square * rows + predicted))
        recall = self._mean(right / rows)
        precision = self._mean(right / np.where(predicted > 0, predicted, 1.0))
        value, bound = (recall, precision) if self.name == AT[0] else (precision, recall)
        return np.where(bound >= self.at - ROUNDING, value, bound - 2)  # what is not reached loses to all that is

    def _mean(self, scores):
        return scores[..., 1] if self.of_class_1 else scores.mean(axis=-1)

    def _called(self, confusion):
        assert self.function is not None
        values = np.asarray(self.function(confusion))
        numbers = values.dtype.kind in "biuf" and values.shape == confusion.shape[:-2]
        if not numbers or not np.isfinite(values).all():
            received = f"shape {values.shape}, dtype {values.dtype}" if not numbers else "NaN or infinity"
            raise invalid(
                "objective",
                f"return one finite number for each matrix of a stack: {confusion.shape[:-2]} of {confusion.shape}",
                received=received,
                remedy="Sum over the axes -1 and -2, and give 0 where it is undefined: numpy.nan_to_num.",
            )
        return values.astype(np.float64)


def _mcc(right, rows, predicted):
    total, agreed = rows.sum(axis=-1), right.sum(axis=-1)
    covariance = agreed * total - (rows * predicted).sum(axis=-1)
    spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (rows**2).sum(axis=-1))
    # One class for all rows leaves only rounding.
    defined = spread > ROUNDING * total**4
    return np.where(defined, covariance / np.sqrt(np.where(defined, spread, 1.0)), 0.0)


def make_objective(
    objective: Any, cost_matrix: Any, beta: Any, at: Any, num_classes: int, of_class_1: bool
) -> Objective:
    """The objective that a user names or passes; raises for any other, and unless the other arguments suit it."""
    if callable(objective):
        name, function = "function", objective
    else:
        other = "A function of confusion matrices (..., C, C) is taken too."
        remedy = f"{nearest(objective, OBJECTIVES)} {other}".lstrip()
        name, function = check_one_of(objective, "objective", OBJECTIVES, remedy=remedy), None
    _check_given(cost_matrix, "cost_matrix", name, ("cost",))
    _check_given(beta, "beta", name, ("fbeta",))
    _check_given(at, "at", name, AT)
    return Objective(
        name,
        of_class_1,
        None if cost_matrix is None else costs_of_classes(cost_matrix, num_classes),
        function,
        1.0 if beta is None else check_number(beta, "beta", above=0),
        0.0 if at is None else check_number(at, "at", above=0, most=1),
    )


def _check_given(value, argument, name, names):
    """Raises unless a value is given for the objectives that need it, and for no other."""
    if (name in names) != (value is not None):
        wanted = " or ".join(f"objective={name!r}" for name in names)
        raise invalid(
            argument, f"be given {'for' if value is None else 'with'} {wanted}{'' if value is None else ' only'}", value
        )


def best_cut(gains: np.ndarray, cuts: np.ndarray, nearest_to: float) -> int:
    """Index of the largest gain; of those equal but for rounding, of the cut nearest to a value."""
    best = gains.max()
    equals = np.flatnonzero(gains >= best - ROUNDING * max(1.0, abs(best)))
    return int(equals[np.abs(cuts[equals] - nearest_to).argmin()])
