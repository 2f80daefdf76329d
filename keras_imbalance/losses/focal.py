"""Focal loss."""

from typing import Any

import numpy as np

from keras_imbalance.backend import ops, register
from keras_imbalance.class_counts import as_table
from keras_imbalance.losses.base import ImbalanceLoss, check_number
from keras_imbalance.losses.log_space import sigmoid_focal, softmax_focal


@register
class FocalLoss(ImbalanceLoss):
    """Cross-entropy that counts well-predicted rows less: -alpha_y (1 - p_y)^gamma log p_y.

    y is the true class and p_y its probability. gamma = 0 without alpha is cross-entropy. Soft labels give the mean of the
    formula under the label. The computation stays in log space: a sure prediction gives no NaN, and a surely wrong one
    keeps its gradient.

    Args:
        gamma: how fast well-predicted rows lose their weight, >= 0. Defaults to 2.
        alpha: None, or weights of the classes. One sigmoid channel and multi_label: a float a in [0, 1] counts class 1 with a
            and class 0 with 1 - a; for multi_label also one such a per label `(C,)`. Softmax: one weight per class `(C,)`.
            For one sigmoid channel two weights `(2,)` are also taken, of class 0 and class 1.
        from_logits: whether `y_pred` holds logits; they keep more precision than probabilities. Defaults to False.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        label_smoothing: share of every label that is spread over the classes, in [0, 1]. Defaults to 0.
        ignore_class: label whose places count nowhere. Defaults to None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: as in Keras. Defaults to "sum_over_batch_size".
        name: defaults to "focal_loss".
        dtype: as in Keras; the computation is never narrower than float32.

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
        alpha: Any = None,
        from_logits: bool = False,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "focal_loss",
        dtype: Any = None,
    ):
        super().__init__(from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, name, dtype)
        check_number(gamma, "gamma", 0)
        self.gamma = float(gamma)
        self.alpha = _check_alpha(alpha)

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        if self.alpha is None or (sigmoid and not isinstance(self.alpha, list)):
            return
        expected = (2 if num_channels == 1 else num_channels) if sigmoid else num_channels
        if not isinstance(self.alpha, list) or len(self.alpha) != expected:
            hint = "a float or " if sigmoid else "None or "
            raise ValueError(
                f"`alpha` must be {hint}{expected} values for these predictions. Received: alpha={self.alpha}."
            )
        if sigmoid and num_channels > 1 and max(self.alpha) > 1:
            raise ValueError(f"`alpha` must be in [0, 1] for each label. Received: alpha={self.alpha}.")

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        weights = None if self.alpha is None else ops.convert_to_tensor(self.alpha, dtype=logits.dtype)
        return softmax_focal(logits, targets, self.gamma, weights)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        positive, negative = targets, 1 - targets
        if self.alpha is not None:
            for_negative, for_positive = self._sigmoid_alpha(logits.shape[-1])
            positive = positive * ops.convert_to_tensor(for_positive, dtype=logits.dtype)
            negative = negative * ops.convert_to_tensor(for_negative, dtype=logits.dtype)
        return sigmoid_focal(logits, positive, negative, self.gamma)

    def _sigmoid_alpha(self, num_channels):
        if isinstance(self.alpha, list) and num_channels == 1:
            return self.alpha
        alpha = np.asarray(self.alpha, dtype=np.float64)
        return 1 - alpha, alpha

    def get_config(self) -> dict:
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.as_compiled("alpha")}


def _check_alpha(alpha):
    if alpha is None:
        return None
    values = as_table(alpha, "alpha")
    numeric = values.dtype.kind in "iuf" and values.ndim <= 1 and values.size > 0
    if not numeric or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(
            f"`alpha` must be None, a float, or finite values that are not negative. Received: alpha={alpha}."
        )
    if values.ndim == 0 and values > 1:
        raise ValueError(f"`alpha` as a float must be in [0, 1], the weight of class 1. Received: alpha={alpha}.")
    return values.astype(np.float64).tolist()
