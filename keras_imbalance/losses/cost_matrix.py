"""Losses that know what each confusion costs."""

from typing import Any, Literal, Unpack, get_args

import numpy.typing as npt

from keras_imbalance._core import Aligned, check_cost_matrix, check_number, check_one_of, invalid
from keras_imbalance._keras import ops, register
from keras_imbalance.losses.base import ImbalanceLoss, LossArguments, smooth
from keras_imbalance.losses.expected_cost import expected_cost, regularized_cost, sigmoid_expected_cost
from keras_imbalance.losses.log_space import are_ids, cross_entropy, sigmoid_focal

Formulation = Literal["expected_cost", "regularized", "softmax_margin"]


@register
class CostMatrixLoss(ImbalanceLoss):
    """Loss from a matrix of costs, cost[true, predicted]. The default formulation needs a trained model to start from.

    With z the logits, p the probabilities, y the true class and c = cost[y] its row:

    - "expected_cost": sum_j c_j p_j (Kukar & Kononenko, 1998). Costs 0 and 1 give 1 - p_y. A row that is predicted wrong with
      certainty has almost no gradient: start from a trained model, or use "regularized".
    - "regularized": cross-entropy + weight * expected cost (Galdran et al., 2020), which keeps the gradient. Label smoothing
      touches the cross-entropy alone.
    - "softmax_margin": -z_y + log sum_j exp(z_j + c_j) (Gimpel & Smith, 2010): convex, and with a zero diagonal never
      below the cost of the class with the largest logit.

    Adding a constant to a row of costs adds it to the loss (times `weight` for "regularized") and changes no gradient.

    Args:
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = predicted class. One sigmoid channel: `(2, 2)`;
            multi_label: `(2, 2)`, the same for each label.
        formulation: one of the above. Defaults to "expected_cost".
        weight: weight of the expected cost in "regularized", >= 0. Defaults to 1.
        **kwargs: see `ImbalanceLoss` for from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, pos_weight,
            name and dtype.

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
        cost_matrix: npt.ArrayLike,
        *,
        formulation: Formulation = "expected_cost",
        weight: float = 1.0,
        **kwargs: Unpack[LossArguments],
    ):
        super().__init__(**kwargs)
        self.cost_matrix = check_cost_matrix(cost_matrix).tolist()
        self.formulation = check_one_of(formulation, "formulation", get_args(Formulation))
        self.weight = check_number(weight, "weight", 0)

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        expected = 2 if sigmoid else num_channels
        if len(self.cost_matrix) != expected:
            requirement = f"be {expected} x {expected} for predictions of {num_channels} channels"
            raise invalid("cost_matrix", requirement, self.cost_matrix)

    def smoothed(self, aligned: Aligned, logits: Any) -> Any:
        # Smoothing is of the cross-entropy: a cost is that of the true class.
        return aligned.labels if self.formulation == "regularized" else super().smoothed(aligned, logits)

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        matrix = ops.convert_to_tensor(self.cost_matrix, dtype=logits.dtype)
        is_ids = are_ids(targets)
        costs = ops.take(matrix, targets, axis=0) if is_ids else ops.matmul(targets, matrix)
        if self.formulation == "softmax_margin":
            own = ops.take(ops.diagonal(matrix), targets, axis=0) if is_ids else ops.sum(targets * costs, axis=-1)
            return cross_entropy(logits + costs, targets) + own
        if self.formulation == "regularized":
            return regularized_cost(logits, smooth(targets, self.label_smoothing, logits, False), costs, self.weight)
        return expected_cost(logits, costs)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        (if_no_0, if_no_1), (if_yes_0, if_yes_1) = self.cost_matrix
        of_0 = if_no_0 + (if_yes_0 - if_no_0) * targets  # the cost of deciding for class 0
        more_of_1 = if_no_1 - if_no_0 + (if_yes_1 - if_yes_0 - if_no_1 + if_no_0) * targets
        factor = 1 if self.pos_weight is None else 1 - targets + self.positives(targets)
        if self.formulation == "softmax_margin":
            own = of_0 + more_of_1 * targets
            return factor * (sigmoid_focal(logits + more_of_1, targets, 1 - targets, 0.0) + own)
        cost = sigmoid_expected_cost(logits, of_0, more_of_1)
        if self.formulation == "expected_cost":
            return factor * cost
        smoothed = smooth(targets, self.label_smoothing, logits, True)
        return factor * (sigmoid_focal(logits, smoothed, 1 - smoothed, 0.0) + self.weight * cost)

    def get_config(self) -> dict:
        own = {"cost_matrix": self.cost_matrix, "formulation": self.formulation, "weight": self.weight}
        return {**super().get_config(), **own}
