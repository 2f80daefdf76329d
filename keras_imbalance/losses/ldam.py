"""Label-distribution-aware margins."""

from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import Aligned, check_counts_shape, check_number, check_table, invalid
from keras_imbalance._keras import ops, register
from keras_imbalance.losses.base import (
    ImbalanceLoss,
    LossArguments,
    check_class_weights,
    per_class,
    shares_of_counts,
    weights_of_labels,
)
from keras_imbalance.losses.log_space import (
    are_ids,
    distribution_focal,
    focal,
    relative,
    sigmoid_focal,
    true_class_log_odds,
)


@register
class LDAMLoss(ImbalanceLoss):
    """Cross-entropy in which a class must win by a margin that grows as the class gets rarer.

    It takes cosines, in [-1, 1], as logits: end the model in `CosineDense`, without an activation. Unlike the other losses it
    defaults to from_logits=True and takes nothing else, since probabilities have no margin.

    CE(s (z - m_y e_y)) with margins m_j = K n_j^(-1/4), K set so that the largest is `max_margin`, and the scale s.
    max_margin=0 is cross-entropy of the scaled logits. For soft labels each class has its margin in proportion to its share.

    Args:
        class_counts: rows of every class in the training data, positive. Softmax: `(C,)`. One sigmoid channel: `(2,)`, class 0
            then class 1. multi_label: `(C, 2)`, for each label the rows without it, then those with it.
        max_margin: the margin of the rarest class, >= 0. Defaults to 0.5.
        scale: factor of the logits, > 0. Defaults to 30.
        class_weights: weights that multiply the loss of each class, in the shape of `class_counts`. Defaults to None, no
            weights. `DeferredReweighting` applies weights from an epoch on.
        **kwargs: see `ImbalanceLoss` for multi_label, label_smoothing, ignore_class, axis, reduction, pos_weight, name
            and dtype.

    Raises:
        ValueError: for counts that are not positive, negative weights, a shape that does not suit the predictions, and
            from_logits=False.

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
        class_counts: npt.ArrayLike,
        *,
        max_margin: float = 0.5,
        scale: float = 30.0,
        class_weights: npt.ArrayLike | None = None,
        **kwargs: Unpack[LossArguments],
    ):
        kwargs.setdefault("from_logits", True)
        super().__init__(**kwargs)
        if not self.from_logits:
            remedy = "Leave the activation out of the last layer, best a CosineDense: margins hold between logits."
            raise invalid("from_logits", "be True", False, remedy)
        self.max_margin = check_number(max_margin, "max_margin", 0)
        self.scale = check_number(scale, "scale", above=0)
        counts = check_counts_shape(class_counts, self.multi_label).reshape(np.shape(class_counts))
        self.class_counts = check_table(class_counts, "class_counts").tolist()
        weights = class_weights
        self.class_weights = None if weights is None else check_class_weights(weights, "class_weights", counts.shape)
        self.margins = (counts.min() / counts) ** 0.25 * self.max_margin

    def check_channels(self, num_channels: int, sigmoid: bool) -> None:
        self.check_shape(self.margins, "class_counts", num_channels, sigmoid)

    def class_shares(self) -> np.ndarray:
        return shares_of_counts(self.class_counts)

    def softmax_loss(self, logits: Any, targets: Any) -> Any:
        if are_ids(targets):
            log_odds = true_class_log_odds(logits, targets, self.scale)
            losses = focal(log_odds - per_class(self.scale * self.margins, targets, log_odds), 0.0)
        else:
            margins = ops.convert_to_tensor(self.margins, dtype=logits.dtype)
            # Differences of logits are scaled, not logits: that keeps their digits.
            losses = distribution_focal(self.scale * (relative(logits) - margins * targets), targets, 0.0)
        return losses if self.class_weights is None else losses * per_class(self.class_weights, targets, losses)

    def class_weight_of(self, aligned: Aligned, like: Any) -> Any:
        return None if self.class_weights is None else weights_of_labels(self.class_weights, aligned, like)

    def sigmoid_loss(self, logits: Any, targets: Any) -> Any:
        negative, positive = (
            ops.convert_to_tensor(self.scale * self.margins[..., i], dtype=logits.dtype) for i in (0, 1)
        )
        shifted = self.scale * logits - positive * targets + negative * (1 - targets)
        weights = np.ones_like(self.margins) if self.class_weights is None else np.asarray(self.class_weights)
        negative, positive = (ops.convert_to_tensor(weights[..., i], dtype=logits.dtype) for i in (0, 1))
        return sigmoid_focal(shifted, positive * self.positives(targets), negative * (1 - targets), 0.0)

    def get_config(self) -> dict:
        own = {"class_counts": self.class_counts, "max_margin": self.max_margin, "scale": self.scale}
        return {**super().get_config(), **own, "class_weights": self.class_weights}
