"""Label-distribution-aware margins."""

from typing import Any

import numpy as np

from keras_imbalance.backend import ops, register
from keras_imbalance.class_counts import as_table
from keras_imbalance.losses.base import ImbalanceLoss, check_counts_shape, check_number, per_class
from keras_imbalance.losses.log_space import distribution_focal, focal, relative, sigmoid_focal, true_class_log_odds


@register
class LDAMLoss(ImbalanceLoss):
    """Cross-entropy in which a class must win by a margin that grows as the class gets rarer.

    CE(s (z - m_y e_y)) with margins m_j = K n_j^(-1/4), K set so that the largest is `max_margin`, and the scale s. The
    logits should be cosines, in [-1, 1]: use `keras_imbalance.layers.CosineDense` as the last layer, and
    from_logits=True. max_margin = 0 is cross-entropy of the scaled logits. For soft labels each class has its margin
    in proportion to its share.

    Args:
        class_counts: rows per class of the training data, positive. Softmax: `(C,)`. One sigmoid channel: `(2,)`,
            class 0 then class 1. multi_label: `(C, 2)`, for each label the rows without it, then those with it.
        max_margin: the margin of the rarest class, >= 0. Defaults to 0.5.
        scale: what the logits are multiplied with, > 0. Defaults to 30.
        class_weights: None, or weights of the shape of `class_counts` that multiply the loss, as deferred re-weighting
            sets them. Defaults to None.
        from_logits: must be True: probabilities have no margin in the sense of the paper. Defaults to True.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        label_smoothing: share of every label that is spread over the classes, in [0, 1]. Defaults to 0.
        ignore_class: label whose places count nowhere. Defaults to None.
        axis: channel axis of `y_pred`. Defaults to -1.
        reduction: as in Keras. Defaults to "sum_over_batch_size".
        name: defaults to "ldam_loss".
        dtype: as in Keras; the computation is never narrower than float32.

    Raises:
        ValueError: for counts or weights that are not positive, or do not suit the predictions; for from_logits=False.

    Example:
    >>> import numpy as np
    >>> loss = LDAMLoss([10000, 16], max_margin=0.5, scale=1.0)
    >>> [round(float(margin), 3) for margin in loss.margins]
    [0.1, 0.5]
    >>> print(f"{float(loss(np.array([1]), np.array([[0.5, 1.0]]))):.4f}")  # the margin eats the lead
    0.6931

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019,
    https://arxiv.org/abs/1906.07413
    """

    def __init__(
        self,
        class_counts: Any,
        max_margin: float = 0.5,
        scale: float = 30.0,
        class_weights: Any = None,
        from_logits: bool = True,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ldam_loss",
        dtype: Any = None,
    ):
        super().__init__(from_logits, multi_label, label_smoothing, ignore_class, axis, reduction, name, dtype)
        if not from_logits:
            raise ValueError(
                "`from_logits` must be True: margins hold between logits. Received: from_logits=False. Leave the "
                "activation out of the last layer, best a CosineDense."
            )
        check_number(max_margin, "max_margin", 0)
        check_number(scale, "scale")
        if scale <= 0:
            raise ValueError(f"`scale` must be finite and more than 0. Received: scale={scale}.")
        self.max_margin, self.scale = float(max_margin), float(scale)
        self.class_counts = as_table(class_counts, "class_counts").tolist()
        counts = check_counts_shape(class_counts, self.multi_label).reshape(np.shape(class_counts))
        self.class_weights = None if class_weights is None else _check_weights(class_weights, counts.shape)
        self.margins = (counts.min() / counts) ** 0.25 * self.max_margin

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        self.check_table(self.margins, "class_counts", num_channels, sigmoid)

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        if "int" in str(targets.dtype):
            log_odds = true_class_log_odds(logits, targets, self.scale)
            losses = focal(log_odds - per_class(self.scale * self.margins, targets, log_odds), 0.0)
        else:
            margins = ops.convert_to_tensor(self.margins, dtype=logits.dtype)
            # Differences of logits are scaled, not logits: that keeps their digits.
            losses = distribution_focal(self.scale * (relative(logits) - margins * targets), targets, 0.0)
        return losses if self.class_weights is None else losses * per_class(self.class_weights, targets, losses)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        negative, positive = (
            ops.convert_to_tensor(self.scale * self.margins[..., i], dtype=logits.dtype) for i in (0, 1)
        )
        shifted = self.scale * logits - positive * targets + negative * (1 - targets)
        weights = np.ones_like(self.margins) if self.class_weights is None else np.asarray(self.class_weights)
        negative, positive = (ops.convert_to_tensor(weights[..., i], dtype=logits.dtype) for i in (0, 1))
        return sigmoid_focal(shifted, positive * targets, negative * (1 - targets), 0.0)

    def get_config(self) -> dict:
        own = {"class_counts": self.class_counts, "max_margin": self.max_margin, "scale": self.scale}
        return {**super().get_config(), **own, "class_weights": self.as_compiled("class_weights")}


def _check_weights(weights, shape):
    weights = np.asarray(weights)
    suits = weights.shape == shape and weights.dtype.kind in "iuf"
    if not suits or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(
            f"`class_weights` must hold finite weights of the shape {shape}, not negative. "
            f"Received: class_weights={weights.tolist()}."
        )
    return weights.astype(np.float64).tolist()
