"""Logit adjustment."""

from typing import Any

import numpy as np

from keras_imbalance.backend import ops, register
from keras_imbalance.class_counts import as_table, class_prior
from keras_imbalance.losses.base import ImbalanceLoss, check_counts_shape, check_number
from keras_imbalance.losses.log_space import cross_entropy, sigmoid_focal


@register
class LogitAdjustedLoss(ImbalanceLoss):
    """Cross-entropy of logits shifted by the class prior: CE(z + tau log prior).

    The shift asks for larger margins of rare classes, and the plain logits then decide as if classes were equally
    frequent: predict with argmax z, without the shift. tau = 1 is the balanced softmax; tau = 0 is cross-entropy.

    Args:
        class_counts: rows per class of the training data, positive. Softmax: `(C,)`. One sigmoid channel: `(2,)`,
            class 0 then class 1. multi_label: `(C, 2)`, for each label the rows without it, then those with it.
        tau: strength of the shift, finite. Defaults to 1.
        from_logits: whether `y_pred` holds logits. Defaults to False.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        label_smoothing: share of every label that is spread over the classes, in [0, 1]. Defaults to 0.
        ignore_class: label whose places count nowhere. Defaults to None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: as in Keras. Defaults to "sum_over_batch_size".
        name: defaults to "logit_adjusted_loss".
        dtype: as in Keras; the computation is never narrower than float32.

    Raises:
        ValueError: for counts that are not positive, or do not suit the predictions.

    Example:
    >>> import numpy as np
    >>> loss = LogitAdjustedLoss([90, 10], from_logits=True)
    >>> print(f"{float(loss(np.array([1]), np.array([[0.0, 0.0]]))):.4f}")  # -log 0.1
    2.3026

    References: Menon et al., Long-Tail Learning via Logit Adjustment, 2021, https://arxiv.org/abs/2007.07314; Ren et
    al., Balanced Meta-Softmax, 2020, https://arxiv.org/abs/2007.10740
    """

    def __init__(
        self,
        class_counts: Any,
        tau: float = 1.0,
        from_logits: bool = False,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "logit_adjusted_loss",
        dtype: Any = None,
    ):
        super().__init__(from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, name, dtype)
        check_number(tau, "tau")
        self.tau = float(tau)
        self.class_counts = as_table(class_counts, "class_counts").tolist()
        rows = check_counts_shape(class_counts, self.multi_label)
        self._shift = self.tau * np.log(np.stack([class_prior(row) for row in rows]).reshape(np.shape(class_counts)))

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        self.check_table(self._shift, "class_counts", num_channels, sigmoid)

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        return cross_entropy(logits + ops.convert_to_tensor(self._shift, dtype=logits.dtype), targets)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        # Of two logits only the difference counts, and so it is with their shifts.
        shift = ops.convert_to_tensor(self._shift[..., 1] - self._shift[..., 0], dtype=logits.dtype)
        return sigmoid_focal(logits + shift, targets, 1 - targets, 0.0)

    def get_config(self) -> dict:
        return {**super().get_config(), "class_counts": self.class_counts, "tau": self.tau}
