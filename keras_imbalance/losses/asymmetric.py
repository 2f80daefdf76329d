"""Asymmetric loss for labels of which few are set."""

from typing import Any, Unpack

from keras_imbalance._core import check_number, invalid
from keras_imbalance._keras import register
from keras_imbalance.losses.base import ImbalanceLoss, LossArguments
from keras_imbalance.losses.log_space import asymmetric


@register
class AsymmetricLoss(ImbalanceLoss):
    """Focal loss with its own exponent for absent labels, for rows of many labels of which few are set.

    Unlike the other losses it defaults to multi_label=True and takes nothing else: it has no softmax form.

    For each label: -y (1 - p)^gamma_positive log p - (1 - y) p_m^gamma_negative log(1 - p_m), with p_m = max(p - clip, 0). Most
    labels of a row are absent and easy; gamma_negative lets them count little, and clip lets those below it count nothing. With
    clip > 0 an absent label that is predicted with near certainty loses its gradient too, as in the paper, which takes such
    labels for annotation errors; clip=0 keeps it.

    Args:
        gamma_positive: exponent for labels that are set, >= 0. Defaults to 0.
        gamma_negative: exponent for absent labels, >= 0. Defaults to 4.
        clip: probability below which an absent label counts nothing, in [0, 1). Defaults to 0.05.
        **kwargs: see `ImbalanceLoss` for from_logits, label_smoothing, ignore_class, axis, reduction, pos_weight, name
            and dtype.

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
        *,
        gamma_negative: float = 4.0,
        clip: float = 0.05,
        **kwargs: Unpack[LossArguments],
    ):
        kwargs.setdefault("multi_label", True)
        super().__init__(**kwargs)
        if not self.multi_label:
            raise invalid("multi_label", "be True", False, "The loss has no softmax form. FocalLoss has one.")
        self.gamma_positive = check_number(gamma_positive, "gamma_positive", 0)
        self.gamma_negative = check_number(gamma_negative, "gamma_negative", 0)
        self.clip = check_number(clip, "clip", 0, below=1)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        positives = self.positives(targets)
        return asymmetric(logits, positives, 1 - targets, self.gamma_positive, self.gamma_negative, self.clip)

    def get_config(self) -> dict:
        own = {"gamma_positive": self.gamma_positive, "gamma_negative": self.gamma_negative, "clip": self.clip}
        return {**super().get_config(), **own}
