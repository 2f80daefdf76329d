"""Agreement of truth and prediction beyond chance, and what the disagreement costs. The formulas stand in `functional`."""

from typing import Any, Literal, Unpack, get_args

import numpy as np

from keras_imbalance._core import (
    check_cost_matrix,
    check_flag,
    check_one_of,
    check_whole,
    check_zero_division,
    invalid,
)
from keras_imbalance._keras import less_is_better, ops, register
from keras_imbalance.metrics import functional
from keras_imbalance.metrics.confusion_matrix import CountArguments
from keras_imbalance.metrics.summary import SummaryMetric

Weights = Literal["linear", "quadratic"]


@register
class MatthewsCorrelation(SummaryMetric):
    """Correlation of truth and prediction, in [-1, 1]; 0 is chance, and what a constant prediction gets.

    With n the confusion matrix, s all rows, t_k those of class k, p_k those predicted as k:
    (s sum_k n_kk - sum_k t_k p_k) / sqrt((s^2 - sum_k t_k^2) (s^2 - sum_k p_k^2)). Where truth or prediction hold one class
    only the result is 0, as in scikit-learn.

    See `CountingMetric` for the arguments: num_classes, and by keyword threshold, top_k, multi_label (the result is the mean
    over the labels), ignore_class, axis, soft_labels, name ("matthews_correlation") and dtype.

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
        return functional.matthews_correlation(counts)


@register
class CohenKappa(SummaryMetric):
    """Agreement beyond chance: 1 - sum w n / sum w e, with n the confusion matrix and e what chance would make of its margins.

    See `CountingMetric` for the other arguments: by keyword threshold, top_k, multi_label (the result is the mean over the
    labels), ignore_class, axis, soft_labels, name ("cohen_kappa") and dtype.

    Args:
        num_classes: number of classes C; 2 for one sigmoid channel.
        weights: penalty w of a mistake between ordered classes i and j: None for 1, "linear" for |i - j|, "quadratic" for
            (i - j)^2. Defaults to None.
        zero_division: value where all rows are of one class and predicted so: 0, 1 or NaN. Defaults to NaN, as in
            scikit-learn. Before the first batch the result is 0, as in the other metrics.

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
        *,
        weights: Weights | None = None,
        zero_division: float = float("nan"),
        **kwargs: Unpack[CountArguments],
    ):
        # Keras's Metric may take the name `weights` for its variables, and takes attributes once it is built.
        weighting = check_one_of(weights, "weights", (None, *get_args(Weights)))
        self.keeps_matrix = weighting is not None
        super().__init__(num_classes, **kwargs)
        self.weighting = weighting
        self.zero_division = check_zero_division(zero_division)

    def value(self, counts: Any) -> Any:
        if self.weighting is None:
            return functional.cohen_kappa(counts, zero_division=self.zero_division)
        size = counts.shape[-1]
        apart = np.abs(np.arange(size)[:, None] - np.arange(size)[None, :])
        penalties = ops.convert_to_tensor(apart if self.weighting == "linear" else apart**2, dtype=counts.dtype)
        return functional.cohen_kappa(counts, penalties, zero_division=self.zero_division)

    def get_config(self) -> dict:
        return {**super().get_config(), "weights": self.weighting, "zero_division": self.zero_division}


@less_is_better
@register
class ExpectedCost(SummaryMetric):
    """Mean cost of the decisions, sum_ij cost[i, j] n_ij / sum_ij n_ij; less is better.

    See `CountingMetric` for the other arguments: by keyword threshold, top_k, ignore_class, axis, soft_labels, name
    ("expected_cost") and dtype.

    Args:
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = predicted class.
        num_classes: number of labels with multi_label; otherwise the costs tell. Defaults to None.
        multi_label: whether the channels are independent sigmoids; the costs `(2, 2)` then hold for each of
            `num_classes` labels, and the result is the mean over them. Defaults to False.

    Example:
    >>> import numpy as np
    >>> missing_fraud_costs_10 = [[0.0, 1.0], [10.0, 0.0]]
    >>> metric = ExpectedCost(missing_fraud_costs_10)
    >>> metric.update_state(np.array([0, 0, 1, 1]), np.array([0.1, 0.7, 0.2, 0.9])[:, None])
    >>> float(metric.result())
    2.75

    Reference: Elkan, The Foundations of Cost-Sensitive Learning, 2001.
    """

    default_name = "expected_cost"
    keeps_matrix = True

    def __init__(self, cost_matrix: Any, *, num_classes: int | None = None, **kwargs: Unpack[CountArguments]):
        costs = check_cost_matrix(cost_matrix)
        if check_flag(kwargs.get("multi_label", False), "multi_label"):
            num_classes = check_whole(
                num_classes, "num_classes", 1, remedy="With multi_label=True it counts the labels."
            )
            if len(costs) != 2:
                raise invalid("cost_matrix", "be (2, 2) with multi_label=True", received=f"shape {costs.shape}")
        elif num_classes not in (None, len(costs)):
            raise invalid("num_classes", f"be {len(costs)}, as of the costs, or None", num_classes)
        super().__init__(len(costs) if num_classes is None else num_classes, **kwargs)
        self.cost_matrix = costs.tolist()

    def value(self, counts: Any) -> Any:
        return functional.expected_cost(counts, ops.convert_to_tensor(self.cost_matrix, dtype=counts.dtype))

    def get_config(self) -> dict:
        return {**super().get_config(), "cost_matrix": self.cost_matrix}
