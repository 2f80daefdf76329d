"""What every metric does with a batch: line labels and predictions up, weigh the positions, decide for classes, add up."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from keras_imbalance._core import Aligned, align, invalid, not_probable, outside_of_probabilities
from keras_imbalance._keras import concrete, keras_mask, largest, ops, segment_sum, shortcut

SoftLabels = Literal["argmax", "expected"]
POWERS = 2.0 ** np.arange(-60, 127)
LARGEST_SUM = 2.0**30  # of whole numbers in int32
# What can be wrong; and, last, what may be meant otherwise: scores outside [0, 1] that are cut at 0.5.
KINDS = ("ids", "distribution", "sigmoid", "soft", "prediction", "weight", "probability", "logits")
LARGEST_SHOWN = 1e38
MOST_EXACT = 2**24  # whole numbers that float32 holds without gaps
UNUSED = (None, 0.0, 0.5)  # thresholds that say no more than argmax does: of nothing, of logits, of probabilities


class Positions(NamedTuple):
    """A batch with the channels last, every leading axis flattened to N positions.

    Attributes:
        form: "ids", "distribution" or "sigmoid", as in the label rule.
        labels: int32 `(N,)` for ids, 0 or 1 of shape `(N, C)` otherwise; shares `(N, C)` where they are to be "expected".
        predictions: `(N, C)`, never narrower than float32, harmless where nothing counts.
        weights: `(N,)`, or `(N, C)` for sigmoids: int32 0 or 1 where no weights were given, else floats, finite and not
            negative unless something is wrong.
        wrong: bool scalar: whether any position that counts has an invalid label, weight or prediction.
        told: float `(3,)`: what the first wrong batch told: 1, what is wrong as an index of `KINDS`, and the label; or zeros.
    """

    form: str
    labels: Any
    predictions: Any
    weights: Any
    wrong: Any
    told: Any


def positions(
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    *,
    multi_label: bool,
    ignore_class: int | None,
    axis: int,
    soft_labels: SoftLabels | None,
    probabilities: bool,
    cut_at_half: bool,
    dtype: str,
    told: Any,
) -> Positions:
    """Lines a batch up by the label rule. With `probabilities` the predictions must lie in [0, 1].

    Of sigmoids that are `cut_at_half` scores outside [0, 1] are told, since they may be logits.

    Whether anything is wrong is asked in a few sums. What is wrong is only looked for when something seems to be; `told` holds
    what an earlier batch told, which is kept, or zeros.

    Raises:
        ValueError: when shapes do not line up, and where values can be seen for invalid or soft labels and other predictions
            that count. Inside a compiled graph, which cannot raise, the batch is `wrong`, as with a prediction that is NaN.
    """
    mask, y_pred = keras_mask(y_pred), ops.cast(y_pred, dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    aligned = align(y_true, y_pred, axis, multi_label, ignore_class, sample_weight=sample_weight, mask=mask)
    sigmoid, channels = aligned.form == "sigmoid", aligned.predictions.shape[-1]
    labels, soft = _hard(aligned, soft_labels)
    outside = None
    if probabilities:
        outside = ops.any(outside_of_probabilities(aligned.predictions, "Pass from_logits=True."), axis=-1)
    found = [aligned.wrong, *(part for part in (soft, outside) if part is not None)]
    suspicious = ops.isnan(ops.sum(aligned.predictions))  # also of inf - inf, which is looked at below
    for part in found:
        suspicious = ops.logical_or(suspicious, ops.any(part))
    beyond = ops.any(not_probable(aligned.predictions)) if cut_at_half and sigmoid else None
    if beyond is not None:
        suspicious = ops.logical_or(suspicious, beyond)

    def look():
        unknown = ops.any(ops.isnan(aligned.predictions))
        wrong = unknown
        for part in found:
            wrong = ops.logical_or(wrong, ops.any(part))
        news = ops.logical_and(wrong, ops.logical_or(told[0] == 0, told[1] == KINDS.index("logits")))
        now = _told(aligned, unknown, outside)
        if beyond is None:
            return wrong, ops.where(news, now, told)
        logits = ops.convert_to_tensor([1.0, KINDS.index("logits"), 0.0], dtype=now.dtype)
        first = ops.logical_and(beyond, told[0] == 0)
        return wrong, ops.where(news, now, ops.where(first, logits, told))

    wrong, told = shortcut(ops.logical_not(suspicious), lambda: (ops.zeros((), dtype="bool"), told), look)
    one_id = len(labels.shape) < len(aligned.predictions.shape)
    return Positions(
        "ids" if one_id else aligned.form,
        ops.reshape(labels, (-1,) if one_id else (-1, channels)),
        ops.reshape(aligned.predictions, (-1, channels)),
        ops.reshape(_weights(aligned), (-1, channels) if sigmoid else (-1,)),
        wrong,
        told,
    )


def true_classes(batch: Positions) -> Any:
    """Class ids `(N,)` of ids or one-hot rows."""
    return batch.labels if batch.form == "ids" else largest(batch.labels)


def decided_classes(labels: Any, predictions: Any, top_k: int | None) -> Any:
    """Predicted class of every position, `(N,)`: the largest score, or with `top_k` the true class when among the k largest.

    Among equal scores the class of the smaller id goes first, as in argmax.
    """
    best = largest(predictions)
    if top_k is None or top_k == 1:
        return best
    own = ops.take_along_axis(predictions, labels[:, None], axis=-1)
    earlier = ops.arange(predictions.shape[-1], dtype="int32")[None, :] < labels[:, None]
    before = ops.logical_or(predictions > own, ops.logical_and(ops.equal(predictions, own), earlier))
    return ops.where(ops.sum(ops.cast(before, "int32"), axis=-1) < top_k, labels, best)


def check_channels(y_pred: Any, num_classes: int, multi_label: bool, axis: int = -1) -> None:
    """Raises unless predictions have the channels of `num_classes` classes."""
    rank = len(y_pred.shape)
    channels = y_pred.shape[axis] if rank > 1 and -rank <= axis < rank else None
    wanted = channels if multi_label or channels is None else max(channels, 2)
    if wanted not in (None, num_classes):  # None: the label rule says what is missing
        remedy = "Pass the scores of all classes, not the class decided on." if channels == 1 else ""
        if num_classes in y_pred.shape[1:]:
            remedy = f"Channels on another axis are told by axis={tuple(y_pred.shape).index(num_classes, 1)}."
        raise invalid(
            "num_classes",
            f"be {wanted} for predictions of {channels} channel{'' if channels == 1 else 's'}",
            received=f"num_classes={num_classes}, y_pred.shape={tuple(y_pred.shape)}, multi_label={multi_label}",
            remedy=remedy,
        )


def unused_threshold(threshold: Any, channels: int) -> str:
    """What is said of a threshold next to one channel a class."""
    return (
        f"`threshold`={threshold:g} decides nothing: of {channels} channels, one a class, the largest is taken. Independent "
        "sigmoids need multi_label=True; of a softmax of two classes pass the probability of class 1 alone, y_pred[:, 1:]."
    )


def add_sums(counters: Any, index: Any, weights: Any, wrong: Any) -> Any:
    """`counters` with the sums of a batch added, exact to the last digit that two floats hold.

    Floats that are added one after the other lose what is small next to their sum: 2^24 ones, or 4 million times .1. Whole
    numbers do not, so weights are taken apart into whole multiples of powers of 2, and each counter is the sum of two floats.

    Args:
        counters: float `(2, ...)`: a sum, and what rounding took from it.
        index: int32, the cell of the flat counters that each weight is added to.
        weights: int32, or float, finite and not negative, of the shape of `index`.
        wrong: bool scalar: whether all counters become NaN.
    """
    shape, index, weights = tuple(counters.shape), ops.reshape(index, (-1,)), ops.reshape(weights, (-1,))
    counters = ops.reshape(ops.convert_to_tensor(counters), (2, -1))
    total, low = counters[0] + ops.cast(ops.where(wrong, float("nan"), 0.0), counters.dtype), counters[1]
    for sums, unit in _sums(weights, index, int(np.prod(shape[1:]))):
        total, low = _add_exactly(total, low, *_floats(sums, unit, total.dtype, index.shape[0]))
    return ops.reshape(ops.stack([total, low]), shape)


def _sums(weights: Any, index: Any, size: int) -> Iterator[tuple[Any, float | Any]]:
    """Sums of each cell `(size,)`, whole or what is left, and the power of 2 that each is a multiple of."""
    if "int" in str(weights.dtype) or "float64" in str(weights.dtype):
        yield segment_sum(weights, index, size), 1.0
        return
    parts = _largest_power(LARGEST_SUM / ops.maximum(ops.cast(ops.size(weights), "float32"), 256.0))
    unit = _power_above(weights) / parts
    for _ in range(3):
        whole = ops.floor(weights / unit)
        yield segment_sum(ops.cast(whole, "int32"), index, size), unit
        weights = weights - whole * unit
        unit = unit / parts
    yield segment_sum(weights, index, size), 1.0


def _floats(sums, unit, dtype, rows):
    """Sums times their unit as floats, and what rounding took from them; None where it takes nothing."""
    rounded = ops.cast(sums, dtype)
    if "int" not in str(sums.dtype):
        return rounded, None
    scale = 1.0 if isinstance(unit, float) else ops.cast(unit, dtype)
    if isinstance(unit, float) and ("float64" in str(dtype) or (rows is not None and rows <= MOST_EXACT)):
        return rounded, None
    return rounded * scale, ops.cast(sums - ops.cast(rounded, "int32"), dtype) * scale


def _add_exactly(total, low, batch, rest):
    """Knuth's sum of two floats and its rounding error; then both so that the first is as near as one float can be."""
    whole = total + batch
    of_batch = whole - total
    low = low + ((total - (whole - of_batch)) + (batch - of_batch))
    low = low if rest is None else low + rest
    updated = whole + low
    return updated, low - (updated - whole)


def _largest_power(bound):
    """The largest power of 2 that is not above a positive bound."""
    powers = ops.convert_to_tensor(POWERS, dtype="float32")
    return ops.max(ops.where(powers <= bound, powers, ops.full_like(powers, POWERS[0])))


def _power_above(weights):
    """The smallest power of 2 that no weight is above."""
    powers = ops.convert_to_tensor(POWERS, dtype="float32")
    highest = ops.max(ops.concatenate([ops.reshape(weights, (-1,)), ops.zeros((1,), dtype="float32")]))
    return ops.min(ops.where(powers >= highest, powers, ops.full_like(powers, POWERS[-1])))


def _weights(aligned):
    """What each element counts: 0 or 1 as int32, or the weights that were given."""
    elements = aligned.labels[..., 0] if aligned.form == "distribution" else aligned.labels
    if aligned.weights is not None:
        return aligned.weights
    ones = ops.ones_like(elements, dtype="int32")
    return ones if aligned.counted is None else ops.where(aligned.counted, ones, ops.zeros_like(ones))


def _hard(aligned: Aligned, soft_labels: SoftLabels | None) -> tuple[Any, Any]:
    """Labels that name classes, or shares that are to be expected, and the positions whose label is soft but may not be."""
    labels = aligned.labels
    if aligned.form == "ids" or soft_labels == "expected":
        return labels, None
    if soft_labels == "argmax":
        if aligned.form == "sigmoid":
            return ops.cast(labels > 0.5, labels.dtype), None
        return largest(labels), None
    values = concrete(labels)
    if values is not None and not ((values == 0) | (values == 1)).all():
        raise invalid(
            "y_true",
            "name one class a row for a metric that counts classes",
            received="soft labels",
            remedy='Pass soft_labels="argmax" (or "expected") to the metric, or use hard labels for evaluation.',
        )
    soft = ops.logical_not(ops.logical_or(ops.equal(labels, 0), ops.equal(labels, 1)))
    return labels, ops.any(soft, axis=-1)


def _told(aligned, unknown, outside):
    """What a wrong batch tells. Of several wrong labels the largest is told."""
    kind = ops.where(ops.any(aligned.wrong), KINDS.index(aligned.form), KINDS.index("soft"))
    kind = ops.where(unknown, KINDS.index("prediction"), kind)
    if outside is not None:
        kind = ops.where(ops.any(outside), KINDS.index("probability"), kind)
    shown = ops.cast(aligned.shown(), "float32")
    shown = ops.reshape(ops.where(aligned.wrong, shown, ops.full_like(shown, -LARGEST_SHOWN)), (-1,))
    shown = ops.max(ops.concatenate([shown, ops.full((1,), -LARGEST_SHOWN, dtype="float32")]))  # of an empty batch too
    if aligned.weights is not None:
        weights = ops.cast(aligned.weights, "float32")
        lowest = ops.min(ops.concatenate([ops.reshape(weights, (-1,)), ops.zeros((1,), dtype="float32")]))
        right = ops.all(ops.logical_and(weights >= 0, weights < float("inf")))
        kind, shown = ops.where(right, kind, KINDS.index("weight")), ops.where(right, shown, lowest)
    return ops.stack([ops.cast(part, "float32") for part in (1, kind, shown)])
