"""From the losses of positions, or of their labels, to what a loss returns."""

from typing import Any, Literal

from keras_imbalance._core import Aligned, invalid
from keras_imbalance._keras import ops
from keras_imbalance.losses.log_space import at_least

Reduction = Literal[
    "sum_over_batch_size",
    "mean",
    "sum",
    "mean_with_sample_weight",
    "mean_with_class_weight",
    "sum_over_positives",
    "none",
]


def element_weights(aligned: Aligned, losses: Any) -> tuple[Any, Any]:
    """Weights of the losses, and 1 where one is valid, else 0, both as floats of their shape; None where all are 1."""
    valid, weights = aligned.valid, aligned.weights
    valid = None if valid is None else ops.cast(valid, losses.dtype)
    weights = valid if weights is None else weights
    if len(losses.shape) < len(aligned.labels.shape) and aligned.form == "sigmoid":  # one channel
        weights, valid = (part if part is None else ops.squeeze(part, -1) for part in (weights, valid))
    return weights, valid


def weighted_losses(losses: Any, weights: Any) -> Any:
    """Losses * weights, 0 where the weight is 0: there a loss may be anything, and 0 * inf is not 0. None is 1."""
    return losses if weights is None else ops.where(weights == 0, ops.zeros_like(losses), losses * weights)


def mean_of_labels(values: Any, valid: Any) -> tuple[Any, Any]:
    """Mean `(...)` over the labels `(..., C)` that are valid (None: all), and, as floats, whether any is (None: every row)."""
    if valid is None:
        return ops.mean(values, axis=-1), None
    count = ops.sum(valid, axis=-1)
    return ops.sum(values, axis=-1) / at_least(count, 1), ops.cast(count > 0, values.dtype)


def ratio(total: Any, divisor: Any) -> Any:
    """Total / divisor, 0 where the divisor is 0; written out, since Keras divides in float32 on PyTorch."""
    nothing = ops.equal(divisor, 0)
    return ops.where(nothing, ops.zeros_like(total), total / ops.where(nothing, ops.ones_like(divisor), divisor))


def num_positives(aligned: Aligned, weights: Any) -> Any:
    """How many positions have a label above 0 that counts, at least 1. Weights may lack the channel axis."""
    if aligned.form != "sigmoid":
        remedy = "Pass multi_label=True, and rows of zeros for the background."
        raise invalid("reduction", "be another for a softmax", "sum_over_positives", remedy)
    positive = aligned.labels > 0
    if weights is not None:
        weights = ops.expand_dims(weights, -1) if len(weights.shape) < len(aligned.labels.shape) else weights
        positive = ops.logical_and(positive, weights != 0)
    return at_least(ops.sum(ops.cast(ops.any(positive, axis=-1), aligned.predictions.dtype)), 1)
