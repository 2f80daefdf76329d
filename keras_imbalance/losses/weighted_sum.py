"""Several losses of one output."""

from collections.abc import Sequence
from typing import Any

from keras_imbalance._core import check_number, invalid
from keras_imbalance._keras import Loss, compute_dtype, deserialize, inner_loss, is_loss, ops, register, serialize


@register
class WeightedSum(Loss):
    """The weighted sum of several losses of one output: sum_i weight_i loss_i(y, p), each with its own reduction.

    Each loss reads the predictions by its own arguments, such as `from_logits`, `axis` and `ignore_class`, and has the sample
    weights and the Keras mask.

    Args:
        losses: two and more losses, of this package or of Keras, each with a reduction.
        weights: one finite number a loss, >= 0. Defaults to None, 1 each.
        name: defaults to "weighted_sum".
        dtype: dtype of the result, never narrower than float32. Defaults to None, Keras's default.

    Raises:
        ValueError: for fewer than two losses, what is no loss, a loss without a reduction, and weights that are not one a loss.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import FocalLoss, TverskyLoss
    >>> loss = WeightedSum([TverskyLoss(), FocalLoss(gamma=0)], weights=[1.0, 0.5])
    >>> print(f"{float(loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))):.4f}")  # 0.5 + 0.5 log 2
    0.8466

    Reference: Taghanaki et al., Combo Loss, 2019, https://arxiv.org/abs/1805.02798, for Dice and cross-entropy.
    """

    def __init__(
        self,
        losses: Sequence[Any],
        *,
        weights: Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        self.losses = [deserialize(loss) if isinstance(loss, dict) else loss for loss in _listed(losses, "losses")]
        if len(self.losses) < 2:
            raise invalid("losses", "hold two losses or more", losses)
        for loss in self.losses:
            _check_part(loss)
        sums = all(loss.reduction == "sum" for loss in self.losses)
        super().__init__(name=name or "weighted_sum", reduction="sum" if sums else "sum_over_batch_size", dtype=dtype)
        self.weights = [1.0] * len(self.losses) if weights is None else _weights_of(weights, len(self.losses))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self(y_true, y_pred)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        parts = [inner_loss(loss, self)(y_true, y_pred, sample_weight) for loss in self.losses]
        return sum(
            ops.cast(part, compute_dtype(self.dtype)) * weight for part, weight in zip(parts, self.weights, strict=True)
        )

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("reduction")
        return {
            **config,
            "losses": [serialize(loss) for loss in self.losses],
            "weights": self.weights,
            "dtype": self.dtype,
        }


def _weights_of(weights, number):
    given = _listed(weights, "weights")
    if len(given) != number:
        raise invalid("weights", f"hold {number} numbers, one a loss", weights)
    return [check_number(weight, "weights", 0) for weight in given]


def _listed(values, argument):
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise invalid(argument, "be a list", values)
    return list(values)


def _check_part(loss):
    """Raises unless `loss` is a loss object that gives one number."""
    if not is_loss(loss):
        raise invalid("losses", "hold loss objects of this package or of Keras", loss, "Pass objects: [TverskyLoss()].")
    if loss.reduction in (None, "none"):
        raise invalid(
            "losses", "have reductions, so that they add up", received=f"{type(loss).__name__}(reduction=None)"
        )
