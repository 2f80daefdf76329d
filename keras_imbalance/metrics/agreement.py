"""Agreement beyond chance, and what the disagreement costs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance import agreement
from keras_imbalance.backend import ops, register
from keras_imbalance.losses.cost_matrix import check_cost_matrix
from keras_imbalance.metrics.summary import SummaryMetric

WEIGHTS = (None, "linear", "quadratic")


@register
class MatthewsCorrelation(SummaryMetric):
    """Correlation of truth and prediction, in [-1, 1]; 0 is chance, and what a constant prediction gets.

    With n the confusion matrix, s all rows, t_k those of class k, p_k those predicted as k:
    (s sum_k n_kk - sum_k t_k p_k) / sqrt((s^2 - sum_k t_k^2) (s^2 - sum_k p_k^2)).

    Args:
        num_classes: number of classes; 2 for one sigmoid channel.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids; the result is the mean over them. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: not used: where truth or prediction hold one class only the result is 0, as in scikit-learn.
        name: defaults to "matthews_correlation".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = MatthewsCorrelation(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> float(metric.result())
    0.5

    Reference: Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004.
    """

    default_name = "matthews_correlation"

    def value(self, counts: Any) -> Any:
        return agreement.matthews_correlation(counts)


@register
class CohenKappa(SummaryMetric):
    """Agreement beyond chance: 1 - sum w n / sum w e, with n the confusion matrix and e what chance would make of its margins.

    Args:
        num_classes: number of classes; 2 for one sigmoid channel.
        weights: penalty w of a mistake between ordered classes i and j: None for 1, "linear" for |i - j|, "quadratic" for
            (i - j)^2. Defaults to None.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids; the result is the mean over them. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        zero_division: value where all rows are of one class and predicted so: 0, 1 or NaN. Defaults to NaN, as in
            scikit-learn.
        name: defaults to "cohen_kappa".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for arguments out of range, and from `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> metric = CohenKappa(2)
    >>> metric.update_state(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> round(float(metric.result()), 4)
    0.4

    Reference: Cohen, Weighted Kappa: Nominal Scale Agreement with Provision for Scaled Disagreement or Partial Credit, 1968.
    """

    default_name = "cohen_kappa"

    def __init__(
        self,
        num_classes: int,
        weights: str | None = None,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        zero_division: float = float("nan"),
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(num_classes, threshold, multi_label, top_k, ignore_class, zero_division, name, dtype)
        if weights not in WEIGHTS:
            raise ValueError(f"`weights` must be one of {WEIGHTS}. Received: weights={weights!r}.")
        self.weighting = weights

    def value(self, counts: Any) -> Any:
        size = counts.shape[-1]
        apart = np.abs(np.arange(size)[:, None] - np.arange(size)[None, :])
        penalties = {None: apart > 0, "linear": apart, "quadratic": apart**2}[self.weighting]
        return agreement.cohen_kappa(counts, ops.convert_to_tensor(penalties, dtype=counts.dtype), self.zero_division)

    def get_config(self) -> dict:
        return {**super().get_config(), "weights": self.weighting}


@register
class ExpectedCost(SummaryMetric):
    """Mean cost of the decisions, sum_ij cost[i, j] n_ij / sum_ij n_ij; less is better.

    Args:
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = predicted class.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label it may hold one a class. Defaults to 0.5.
        multi_label: whether the channels are independent sigmoids; the costs `(2, 2)` then hold for each of
            `num_classes` labels, and the result is the mean over them. Defaults to False.
        top_k: a row counts as its true class when that is among its k largest scores. Defaults to None, the largest.
        ignore_class: label whose places count nowhere. Defaults to None.
        num_classes: number of labels with multi_label; otherwise the costs say it. Defaults to None.
        name: defaults to "expected_cost".
        dtype: as in Keras; counts are never narrower than float32.

    Raises:
        ValueError: for a matrix that is not square, negative or not finite, for other arguments out of range, and from
            `update_state` for labels that are none or soft.

    Example:
    >>> import numpy as np
    >>> missing_fraud_costs_10 = [[0.0, 1.0], [10.0, 0.0]]
    >>> metric = ExpectedCost(missing_fraud_costs_10)
    >>> metric.update_state(np.array([0, 0, 1, 1]), np.array([0.1, 0.7, 0.2, 0.9])[:, None])
    >>> float(metric.result())
    2.75

    Reference: Elkan, The Foundations of Cost-Sensitive Learning, 2001.
    """

    _direction = "down"
    default_name = "expected_cost"

    def __init__(
        self,
        cost_matrix: Any,
        threshold: float | Sequence[float] = 0.5,
        multi_label: bool = False,
        top_k: int | None = None,
        ignore_class: int | None = None,
        num_classes: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        costs = check_cost_matrix(cost_matrix)
        if multi_label and (len(costs) != 2 or num_classes is None):
            raise ValueError(
                "`cost_matrix` must be (2, 2) with multi_label=True, and `num_classes` the number of labels. "
                f"Received: shape {costs.shape}, num_classes={num_classes}."
            )
        if not multi_label and num_classes not in (None, len(costs)):
            raise ValueError(f"`num_classes` must fit the costs of {len(costs)} classes. Received: {num_classes}.")
        size = num_classes if multi_label and num_classes is not None else len(costs)
        super().__init__(size, threshold, multi_label, top_k, ignore_class, 0.0, name, dtype)
        self.cost_matrix = costs.tolist()

    def value(self, counts: Any) -> Any:
        return agreement.expected_cost(counts, ops.convert_to_tensor(self.cost_matrix, dtype=counts.dtype))

    def get_config(self) -> dict:
        config = {**super().get_config(), "cost_matrix": self.cost_matrix}
        del config["zero_division"]
        return config
