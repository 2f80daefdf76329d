"""Focal loss."""

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from keras_imbalance._core import Aligned, check_number, invalid
from keras_imbalance._keras import ops, register
from keras_imbalance.losses.base import ImbalanceLoss, LossArguments, check_class_weights, weights_of_labels
from keras_imbalance.losses.log_space import sigmoid_focal, softmax_focal


@register
class FocalLoss(ImbalanceLoss):
    """Cross-entropy that counts well-predicted rows less: -alpha_y (1 - p_y)^gamma log p_y.

    y is the true class and p_y its probability. gamma=0 without alpha is cross-entropy. Its probabilities are not calibrated:
    they come out less certain than those of cross-entropy. Soft labels give the mean of the formula under the label. The
    computation stays in log space: a certain prediction gives no NaN, and one that is certain and wrong keeps its gradient.

    Args:
        gamma: how fast well-predicted rows lose their weight, >= 0. Defaults to 2.
        alpha: weights of the classes. Softmax: one weight a class `(C,)`. One sigmoid channel: a float a in [0, 1], the weight
            of class 1, where class 0 has 1 - a; or two weights `(2,)`, of class 0 and class 1. multi_label: such a float, or
            one a label `(C,)`. Defaults to None, no weights.
        **kwargs: see `ImbalanceLoss` for from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, pos_weight,
            name and dtype.

    Raises:
        ValueError: for a negative gamma or alpha, or an alpha that does not suit the number of channels.

    Example:
    >>> import numpy as np
    >>> loss = FocalLoss(gamma=2.0, from_logits=True)
    >>> y_true, logits = np.array([0, 2]), np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> print(f"{float(loss(y_true, logits)):.4f}")
    0.2496

    In compile: `model.compile("adam", loss=FocalLoss(from_logits=True))`.

    Reference: Lin et al., Focal Loss for Dense Object Detection, 2017, https://arxiv.org/abs/1708.02002
    """

    def __init__(
        self,
        gamma: float = 2.0,
        *,
        alpha: float | Sequence[float] | np.ndarray | None = None,
        **kwargs: Unpack[LossArguments],
    ):
        super().__init__(**kwargs)
        self.gamma = check_number(gamma, "gamma", 0)
        self.alpha = None if alpha is None else check_class_weights(alpha, "alpha")
        if isinstance(self.alpha, float) and self.alpha > 1:
            raise invalid("alpha", "be in [0, 1] as a number, the weight of class 1", alpha)

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        if self.alpha is None or (sigmoid and isinstance(self.alpha, float)):
            return
        expected = 2 if sigmoid and num_channels == 1 else num_channels
        if np.shape(self.alpha) != (expected,):
            remedy = "A sigmoid takes one number as well, the weight of class 1."
            raise invalid("alpha", f"hold {expected} weights for {num_channels} channels", self.alpha, remedy)
        if sigmoid and num_channels > 1 and np.max(self.alpha) > 1:
            raise invalid("alpha", "be in [0, 1] for each label, the weight of class 1", self.alpha)

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        weights = None if self.alpha is None else ops.convert_to_tensor(self.alpha, dtype=logits.dtype)
        return softmax_focal(logits, targets, self.gamma, weights)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        positive, negative = self.positives(targets), 1 - targets
        if self.alpha is not None:
            for_negative, for_positive = self._sigmoid_alpha(logits.shape[-1])
            positive = positive * ops.convert_to_tensor(for_positive, dtype=logits.dtype)
            negative = negative * ops.convert_to_tensor(for_negative, dtype=logits.dtype)
        return sigmoid_focal(logits, positive, negative, self.gamma)

    def class_weight_of(self, aligned: Aligned, like: Any) -> Any:
        if self.alpha is None:
            return None
        table: Any = self.alpha
        if aligned.form == "sigmoid":
            table = np.stack(self._sigmoid_alpha(aligned.labels.shape[-1]), axis=-1)
        return weights_of_labels(table, aligned, like)

    def _sigmoid_alpha(self, num_channels):
        if isinstance(self.alpha, float):
            return 1 - self.alpha, self.alpha
        if num_channels == 1:
            return self.alpha
        alpha = np.asarray(self.alpha, dtype=np.float64)
        return 1 - alpha, alpha

    def get_config(self) -> dict:
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}
