"""Losses that know what each confusion costs."""

from typing import Any

import numpy as np

from keras_imbalance.backend import ops, register
from keras_imbalance.class_counts import as_table
from keras_imbalance.losses.base import ImbalanceLoss, check_number
from keras_imbalance.losses.log_space import cross_entropy, expected_cost, regularized_cost

FORMULATIONS = ("expected_cost", "regularized", "softmax_margin")


def check_cost_matrix(cost_matrix: Any, name: str = "cost_matrix") -> np.ndarray:
    """`cost_matrix` as float64 `(C, C)`; raises unless it is square, finite and not negative."""
    costs = as_table(cost_matrix, name)
    if costs.ndim != 2 or costs.shape[0] != costs.shape[1] or costs.shape[0] < 2 or costs.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` must be a square matrix of numbers, cost[true, predicted]. Received: shape {costs.shape}."
        )
    if not np.isfinite(costs).all() or (costs < 0).any():
        raise ValueError(f"`{name}` must hold finite costs that are not negative. Received: {name}={costs.tolist()}.")
    return costs.astype(np.float64)


@register
class CostMatrixLoss(ImbalanceLoss):
    """Loss from a matrix of costs, cost[true, predicted].

    With z the logits, p the probabilities, y the true class and c = cost[y] its row:

    - "expected_cost": sum_j c_j p_j (Kukar & Kononenko, 1998). Costs 0 and 1 give 1 - p_y. A surely wrong row has almost no
      gradient under it: start from a trained model, or use the next one.
    - "regularized": cross-entropy + weight * expected cost (Galdran et al., 2020), which has no dead gradient.
    - "softmax_margin": -z_y + log sum_j exp(z_j + c_j) (Gimpel & Smith, 2010): convex, and with a zero diagonal never
      below the cost of the class with the largest logit.

    Adding a constant to a row of costs adds it to the loss (times `weight` for "regularized") and changes no gradient.
    One sigmoid channel takes costs `(2, 2)`; with multi_label they hold for each label.

    Args:
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = predicted class.
        formulation: one of the above. Defaults to "expected_cost".
        weight: weight of the expected cost in "regularized", >= 0. Defaults to 1.
        from_logits: whether `y_pred` holds logits. Defaults to False.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        label_smoothing: share of every label that is spread over the classes, in [0, 1]. Defaults to 0.
        ignore_class: label whose places count nowhere. Defaults to None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: as in Keras. Defaults to "sum_over_batch_size".
        name: defaults to "cost_matrix_loss".
        dtype: as in Keras; the computation is never narrower than float32.

    Raises:
        ValueError: for a matrix that is not square, of another size than the predictions, negative or not finite.

    Example:
    >>> import numpy as np
    >>> missing_fraud_costs_10 = [[0.0, 1.0], [10.0, 0.0]]
    >>> loss = CostMatrixLoss(missing_fraud_costs_10)
    >>> print(f"{float(loss(np.array([0, 1]), np.array([[0.9, 0.1], [0.9, 0.1]]))):.2f}")
    4.55

    References: Kukar & Kononenko, Cost-Sensitive Learning with Neural Networks, 1998; Galdran et al., Cost-Sensitive
    Regularization for Diabetic Retinopathy Grading, 2020, https://arxiv.org/abs/2010.00291; Gimpel & Smith,
    Softmax-Margin CRFs, 2010.
    """

    def __init__(
        self,
        cost_matrix: Any,
        formulation: str = "expected_cost",
        weight: float = 1.0,
        from_logits: bool = False,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cost_matrix_loss",
        dtype: Any = None,
    ):
        super().__init__(from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, name, dtype)
        self.cost_matrix = check_cost_matrix(cost_matrix).tolist()
        if formulation not in FORMULATIONS:
            raise ValueError(f"`formulation` must be one of {FORMULATIONS}. Received: formulation={formulation!r}.")
        check_number(weight, "weight", 0)
        self.formulation = formulation
        self.weight = float(weight)

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        expected = 2 if sigmoid else num_channels
        if len(self.cost_matrix) != expected:
            raise ValueError(
                f"`cost_matrix` must be {expected} x {expected} for these predictions. "
                f"Received: {len(self.cost_matrix)} x {len(self.cost_matrix)}."
            )

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        matrix = ops.convert_to_tensor(self.cost_matrix, dtype=logits.dtype)
        is_ids = "int" in str(targets.dtype)
        costs = ops.take(matrix, targets, axis=0) if is_ids else ops.matmul(targets, matrix)
        if self.formulation == "softmax_margin":
            own = ops.take(ops.diagonal(matrix), targets, axis=0) if is_ids else ops.sum(targets * costs, axis=-1)
            return cross_entropy(logits + costs, targets) + own
        if self.formulation == "regularized":
            return regularized_cost(logits, targets, costs, self.weight)
        return expected_cost(logits, costs)

    def get_config(self) -> dict:
        own = {"cost_matrix": self.cost_matrix, "formulation": self.formulation, "weight": self.weight}
        return {**super().get_config(), **own}
