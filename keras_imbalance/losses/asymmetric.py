"""Asymmetric loss for labels of which few are set."""

from typing import Any

from keras_imbalance.backend import register
from keras_imbalance.losses.base import ImbalanceLoss, check_number
from keras_imbalance.losses.log_space import asymmetric


@register
class AsymmetricLoss(ImbalanceLoss):
    """Focal loss with its own exponent for the absent labels, the easy ones of which count nothing.

    For each label: -y (1 - p)^gamma_positive log p - (1 - y) p_m^gamma_negative log(1 - p_m), with p_m = max(p - clip, 0).
    It is meant for many labels of which few are set: most terms belong to absent labels, and most of those are easy.
    With clip > 0 an absent label that is surely predicted (p -> 1) loses its gradient as well, as in the paper, where such
    labels are taken for annotation errors; clip = 0 keeps it.

    Args:
        gamma_positive: exponent for labels that are set, >= 0. Defaults to 0.
        gamma_negative: exponent for absent labels, >= 0. Defaults to 4.
        clip: probability below which an absent label counts nothing, in [0, 1). Defaults to 0.05.
        from_logits: whether `y_pred` holds logits. Defaults to False.
        multi_label: the channels are independent sigmoids, so this stays True. Defaults to True.
        label_smoothing: share of every label that is spread over its two values, in [0, 1]. Defaults to 0.
        ignore_class: label value whose places count nowhere, e.g. -1 for unknown. Defaults to None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: as in Keras. Defaults to "sum_over_batch_size".
        name: defaults to "asymmetric_loss".
        dtype: as in Keras; the computation is never narrower than float32.

    Raises:
        ValueError: for negative exponents, a clip outside [0, 1), or multi_label=False.

    Example:
    >>> import numpy as np
    >>> loss = AsymmetricLoss(gamma_positive=0, gamma_negative=0, clip=0)  # binary cross-entropy
    >>> print(f"{float(loss(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))):.4f}")
    0.6931

    Reference: Ridnik et al., Asymmetric Loss For Multi-Label Classification, 2021, https://arxiv.org/abs/2009.14119
    """

    def __init__(
        self,
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        clip: float = 0.05,
        from_logits: bool = False,
        multi_label: bool = True,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "asymmetric_loss",
        dtype: Any = None,
    ):
        super().__init__(from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, name, dtype)
        check_number(gamma_positive, "gamma_positive", 0)
        check_number(gamma_negative, "gamma_negative", 0)
        check_number(clip, "clip", 0)
        if clip >= 1:
            raise ValueError(f"`clip` must be in [0, 1). Received: clip={clip}.")
        if not multi_label:
            raise ValueError("`multi_label` must be True: the loss has no softmax form. Received: multi_label=False.")
        self.gamma_positive, self.gamma_negative = float(gamma_positive), float(gamma_negative)
        self.clip = float(clip)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        return asymmetric(logits, targets, self.gamma_positive, self.gamma_negative, self.clip)

    def get_config(self) -> dict:
        own = {"gamma_positive": self.gamma_positive, "gamma_negative": self.gamma_negative, "clip": self.clip}
        return {**super().get_config(), **own}
