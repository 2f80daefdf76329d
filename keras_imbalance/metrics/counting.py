"""What every metric does with a batch: line labels and predictions up, weigh the places, decide for classes."""

from typing import Any, NamedTuple

from keras_imbalance.backend import concrete, keras_mask, largest, ops
from keras_imbalance.labels import align, spread_weights


class Places(NamedTuple):
    """A batch with the channels last, every leading axis flattened to N places.

    Attributes:
        form: "ids", "distribution" or "sigmoid", as in `labels`.
        labels: int32 `(N,)` for ids, 0 or 1 of shape `(N, C)` otherwise.
        predictions: `(N, C)`, never narrower than float32.
        weights: `(N,)`, or `(N, C)` for sigmoids; NaN where a label is none.
    """

    form: str
    labels: Any
    predictions: Any
    weights: Any


def places(
    y_true: Any, y_pred: Any, sample_weight: Any, multi_label: bool, ignore_class: int | None, dtype: str
) -> Places:
    """Lines a batch up by the rule of `labels`.

    Raises:
        ValueError: when shapes do not line up, and where values can be seen for labels that are no class or are soft. Inside a
            compiled graph, which cannot raise, such places get the weight NaN; so do places whose prediction is NaN.
    """
    mask_of, y_pred = y_pred, ops.cast(y_pred, dtype)
    aligned = align(y_true, y_pred, multi_label=multi_label, ignore_class=ignore_class)
    labels, predictions, wrong = aligned.labels, aligned.predictions, aligned.wrong
    channels = predictions.shape[-1]
    if aligned.form != "ids":
        _refuse_soft(labels)
        soft = ops.logical_not(ops.logical_or(ops.equal(labels, 0), ops.equal(labels, 1)))
        wrong = ops.logical_or(wrong, ops.any(soft, axis=-1))
    weights = ops.cast(keras_mask(mask_of, ops.cast(wrong, dtype)), dtype)
    per_label = None
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
        if aligned.form == "sigmoid" and channels > 1 and tuple(sample_weight.shape[1:]) == tuple(y_pred.shape[1:]):
            per_label = sample_weight
        else:
            weights = weights * spread_weights(sample_weight, weights)
    if aligned.form != "sigmoid" and aligned.valid is not None:
        weights = weights * ops.cast(aligned.valid, dtype)
    unknown = ops.logical_and(ops.sum(ops.cast(ops.isnan(predictions), dtype), axis=-1) > 0, weights > 0)
    weights = ops.where(ops.logical_or(wrong, unknown), ops.full_like(weights, float("nan")), weights)
    if aligned.form == "sigmoid":
        weights = ops.expand_dims(weights, -1)
        weights = ops.broadcast_to(weights, ops.shape(predictions)) if per_label is None else weights * per_label
        if aligned.valid is not None:
            weights = weights * ops.cast(aligned.valid, dtype)
        weights = ops.reshape(weights, (-1, channels))
    else:
        weights = ops.reshape(weights, (-1,))
    labels = ops.reshape(labels, (-1,) if aligned.form == "ids" else (-1, channels))
    return Places(aligned.form, labels, ops.reshape(predictions, (-1, channels)), weights)


def true_classes(batch: Places) -> Any:
    """Class ids `(N,)` of ids or one-hot rows."""
    return batch.labels if batch.form == "ids" else largest(batch.labels)


def decided_classes(labels: Any, predictions: Any, top_k: int | None) -> Any:
    """Predicted class of every place, `(N,)`: the largest score, or with `top_k` the true class when it is among the k largest.

    Among equal scores the class of the smaller number goes first, as in argmax.
    """
    best = largest(predictions)
    if top_k is None or top_k == 1:
        return best
    own = ops.take_along_axis(predictions, labels[:, None], axis=-1)
    earlier = ops.arange(predictions.shape[-1], dtype="int32")[None, :] < labels[:, None]
    before = ops.logical_or(predictions > own, ops.logical_and(ops.equal(predictions, own), earlier))
    return ops.where(ops.sum(ops.cast(before, "int32"), axis=-1) < top_k, labels, best)


def check_channels(y_pred: Any, num_classes: int, multi_label: bool) -> None:
    """Raises unless predictions have the channels of `num_classes` classes."""
    channels = y_pred.shape[-1] if len(y_pred.shape) > 1 else None
    if channels is None:
        return  # the rule of labels says what is missing
    wanted = channels if multi_label else max(channels, 2)
    if num_classes != wanted:
        number, scores = ("1 channel", " Pass the scores of all classes, not the class decided on.")
        if channels > 1:
            number, scores = f"{channels} channels", ""
        raise ValueError(
            f"`num_classes` must be {wanted} for predictions of {number}. Received: num_classes={num_classes}, "
            f"y_pred.shape={tuple(y_pred.shape)}, multi_label={multi_label}.{scores}"
        )


def add_exactly(counters: Any, batch: Any) -> Any:
    """`counters` (a sum, and what rounding took from it) with a batch added."""
    total, carried = counters[0], counters[1]
    wanted = batch + carried
    updated = total + wanted
    return ops.stack([updated, wanted - (updated - total)])


def _refuse_soft(labels):
    values = concrete(labels)
    if values is not None and not ((values == 0) | (values == 1)).all():
        raise ValueError(
            "`y_true` must name one class a row for a metric that counts classes. Received soft labels. "
            "Use hard labels for evaluation, or decide them first, e.g. by argmax."
        )
