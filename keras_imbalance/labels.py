"""How labels and predictions line up: the one rule, for losses, metrics and samplers.

`y_pred` has C channels on `axis`. With C == 1 or `multi_label=True` the channels are independent sigmoids and `y_true` has
the same shape (or lacks the channel axis when C == 1), with values in [0, 1]. Otherwise the channels are one softmax:
`y_true` without the channel axis, or with a channel axis of 1, holds class ids; with C channels it holds one-hot rows or
distributions. Any other pair of shapes is an error.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance.backend import concrete, ops

PER_CLASS = ("alpha", "class_counts", "counts", "distribution")  # arguments with one value a class
ROW_SUM_TOLERANCE = 1e-3
BY_CLASSES = "Where a row has no single class, pass the class to sample by as `classes`."


@dataclass(frozen=True)
class Aligned:
    """Labels and predictions with the channels last.

    Attributes:
        form: "ids", "distribution" or "sigmoid".
        labels: int32 `(...)` for ids, float `(..., C)` otherwise. Ignored places hold a harmless label.
        predictions: `(..., C)`.
        valid: bool of the shape of `labels` for ids and sigmoid, `(...)` for distributions; None when all count.
        wrong: bool `(...)`: rows whose label is none (checked here because a compiled graph cannot raise).
    """

    form: str
    labels: Any
    predictions: Any
    valid: Any
    wrong: Any


def label_form(true_shape: tuple, pred_shape: tuple, axis: int = -1, multi_label: bool = False) -> str:
    """Which form labels of `true_shape` have beside predictions of `pred_shape`.

    Args:
        true_shape: shape of the labels; None stands for a size that is not known yet.
        pred_shape: shape of the predictions, the channel axis known.
        axis: the channel axis of the predictions.
        multi_label: True when the channels are independent sigmoids.

    Returns:
        "sigmoid", "ids" or "distribution".

    Raises:
        ValueError: for any other pair of shapes.

    Example:
    >>> label_form((32,), (32, 10)), label_form((32, 1), (32, 10)), label_form((32, 10), (32, 10))
    ('ids', 'ids', 'distribution')
    """
    true_shape, pred_shape = tuple(true_shape), tuple(pred_shape)
    if len(pred_shape) < 2:
        raise ValueError(
            "`y_pred` must have a row for each sample and a channel axis. "
            f"Received: y_true.shape={true_shape}, y_pred.shape={pred_shape}. For one sigmoid pass y_pred[:, None]."
        )
    if not -len(pred_shape) <= axis < len(pred_shape):
        raise ValueError(
            f"`axis` must be an axis of the predictions. Received: axis={axis}, y_pred.shape={pred_shape}."
        )
    axis %= len(pred_shape)
    channels = pred_shape[axis]
    if channels is None:
        raise ValueError(f"The channel axis of `y_pred` must have a known size. Received: y_pred.shape={pred_shape}.")
    without = pred_shape[:axis] + pred_shape[axis + 1 :]
    one = (*pred_shape[:axis], 1, *pred_shape[axis + 1 :])
    if channels == 1 or multi_label:
        if _fits(true_shape, pred_shape) or (channels == 1 and _fits(true_shape, without)):
            return "sigmoid"
        expected = f"{pred_shape}" + (f" or {without}" if channels == 1 else "")
    else:
        if _fits(true_shape, without):
            return "ids"
        known = len(true_shape) == len(pred_shape) and true_shape[axis] is not None
        if known and _fits(true_shape, one):
            return "ids"
        if known and _fits(true_shape, pred_shape):
            return "distribution"
        expected = f"{without} or {one} (class ids) or {pred_shape} (one-hot or distributions)"
    raise ValueError(
        f"`y_true` and `y_pred` do not line up: y_true must have the shape {expected}. "
        f"Received: y_true.shape={true_shape}, y_pred.shape={pred_shape}, axis={axis}, multi_label={multi_label}."
    )


def align(
    y_true: Any, y_pred: Any, axis: int = -1, multi_label: bool = False, ignore_class: int | None = None
) -> Aligned:
    """Lines labels up with predictions by the rule of this module.

    Args:
        y_true: tensor of labels.
        y_pred: tensor of predictions, C channels on `axis`.
        axis: the channel axis.
        multi_label: True when the channels are independent sigmoids.
        ignore_class: label whose places count nowhere. Beside one-hot labels it is the class that is ignored.

    Raises:
        ValueError: when the shapes do not line up, and, where values can be seen (outside a compiled graph), when a class
            id is fractional or out of range, a sigmoid label lies outside [0, 1] or a distribution does not sum to 1.
            Inside a compiled graph such rows are marked in `wrong`.
    """
    form = label_form(y_true.shape, y_pred.shape, axis, multi_label)
    rank = len(y_pred.shape)
    axis %= rank
    channels = y_pred.shape[axis]
    last = axis == rank - 1
    predictions = y_pred if last else ops.moveaxis(y_pred, axis, -1)
    if form == "ids":
        labels = ops.squeeze(y_true, axis) if len(y_true.shape) == rank else y_true
        return _align_ids(labels, predictions, channels, ignore_class)
    if len(y_true.shape) < rank:
        y_true = ops.expand_dims(y_true, axis)
    labels = ops.cast(y_true if last else ops.moveaxis(y_true, axis, -1), predictions.dtype)
    align_form = _align_sigmoid if form == "sigmoid" else _align_distribution
    return align_form(labels, predictions, channels, ignore_class)


def _align_ids(labels, predictions, channels, ignore_class):
    values = concrete(labels)
    if values is not None:
        kept = values if ignore_class is None else values[values != ignore_class]
        check_ids(kept, channels, "y_true")
    ids = ops.cast(labels, "int32")
    valid = None if ignore_class is None else ops.not_equal(ids, ignore_class)
    wrong = ops.logical_or(ids < 0, ids >= channels)
    if "float" in str(labels.dtype):
        wrong = ops.logical_or(wrong, ops.not_equal(ops.cast(ids, labels.dtype), labels))
    counted = ops.logical_not(wrong)
    if valid is not None:
        wrong, counted = ops.logical_and(wrong, valid), ops.logical_and(counted, valid)
    ids = ops.where(counted, ids, ops.zeros_like(ids))
    return Aligned("ids", ids, predictions, valid, wrong)


def _align_sigmoid(labels, predictions, channels, ignore_class):
    valid = None
    if ignore_class is not None:
        valid = ops.not_equal(labels, ignore_class)
        labels = ops.where(valid, labels, ops.zeros_like(labels))
    values = concrete(labels)
    if values is not None and not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            "`y_true` must lie in [0, 1] beside sigmoid predictions (one channel, or multi_label=True). "
            f"Received: values from {values.min()} to {values.max()}. "
            "Number two classes 0 and 1; predict more classes with one channel each."
        )
    wrong = ops.logical_not(ops.logical_and(labels >= 0, labels <= 1))
    wrong = ops.squeeze(wrong, -1) if channels == 1 else ops.any(wrong, axis=-1)
    return Aligned("sigmoid", labels, predictions, valid, wrong)


def _align_distribution(labels, predictions, channels, ignore_class):
    values = concrete(labels)
    if values is not None:
        check_distributions(values, "y_true")
    valid = None
    if ignore_class is not None and 0 <= ignore_class < channels:
        valid = ops.not_equal(ops.argmax(labels, axis=-1), ignore_class)
    # Written so that NaN is wrong too.
    sums_to_one = ops.abs(ops.sum(labels, axis=-1) - 1) <= ROW_SUM_TOLERANCE
    wrong = ops.logical_not(ops.logical_and(sums_to_one, ops.all(labels >= 0, axis=-1)))
    if valid is not None:
        wrong = ops.logical_and(wrong, valid)
    return Aligned("distribution", labels, predictions, valid, wrong)


def spread_weights(sample_weight: Any, like: Any) -> Any:
    """Sample weights that multiply a tensor of places.

    Args:
        sample_weight: `(N,)`, `(N, 1)` or any leading part of the shape of `like`.
        like: the tensor of places, `(N, ...)`.

    Returns:
        The weights with axes of 1 appended, so that they broadcast with `like` place by place.

    Raises:
        ValueError: when the weights are no leading part.
    """
    shape, wanted = list(sample_weight.shape), list(like.shape)
    if len(shape) == len(wanted) + 1 and shape[-1] == 1:
        sample_weight, shape = ops.squeeze(sample_weight, -1), shape[:-1]
    fits = len(shape) <= len(wanted) and all(
        given in (None, 1, size) or size is None for given, size in zip(shape, wanted, strict=False)
    )
    if not fits:
        raise ValueError(
            "`sample_weight` must have one value a row or one a place. "
            f"Received: sample_weight.shape={tuple(shape)} beside places of shape {tuple(wanted)}."
        )
    for _ in range(len(wanted) - len(shape)):
        sample_weight = ops.expand_dims(sample_weight, -1)
    return sample_weight


def class_ids(
    labels: Any, num_classes: int | None = None, name: str = "labels", remedy: str = BY_CLASSES
) -> np.ndarray:
    """Class ids of an array of labels.

    Args:
        labels: ids `(N,)` or `(N, 1)` (whole numbers of any dtype, or bool), or one-hot rows `(N, C)`.
        num_classes: number of classes; ids at or above it are an error.
        name: what an error calls the argument.
        remedy: what an error says of rows that have no single class.

    Returns:
        int64 array `(N,)`.

    Raises:
        ValueError: for strings, fractional or negative ids, ids out of range, rows that are not one-hot, other ranks.

    Example:
    >>> class_ids([[0, 1], [1, 0]])
    array([1, 0])
    """
    labels = _numeric(labels, name)
    if labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1):
        ids = labels.reshape(-1)
        check_ids(ids, num_classes, name)
        return ids.astype(np.int64)
    if labels.ndim != 2 or labels.shape[1] == 0:
        raise ValueError(
            f"`{name}` must be class ids of shape (N,) or (N, 1), or one-hot rows of shape (N, C). "
            f"Received: shape {labels.shape}. {remedy}"
        )
    if num_classes is not None and labels.shape[1] != num_classes:
        raise ValueError(f"`{name}` must have {num_classes} columns. Received: shape {labels.shape}.")
    if not ((labels == 0) | (labels == 1)).all() or not (labels.sum(axis=1) == 1).all():
        raise ValueError(
            f"`{name}` of shape {labels.shape} must be one-hot: a single 1 in each row, 0 elsewhere. "
            f"Received rows that are soft or mark several classes. {remedy}"
        )
    return labels.argmax(axis=1).astype(np.int64)


def check_ids(ids: np.ndarray, num_classes: int | None, name: str) -> None:
    """Raises unless every value is a whole number in [0, num_classes)."""
    if ids.size == 0 or ids.dtype == bool:
        return
    if ids.dtype.kind == "f" and not (np.isfinite(ids).all() and (ids == np.floor(ids)).all()):
        bad = ids[~(np.isfinite(ids) & (ids == np.floor(ids)))]
        raise ValueError(f"`{name}` must hold whole class numbers. Received: {bad.reshape(-1)[0]}.")
    low, high = ids.min(), ids.max()
    if low < 0 or (num_classes is not None and high >= num_classes):
        limit = "" if num_classes is None else f" below {num_classes}"
        raise ValueError(
            f"`{name}` must hold class numbers from 0{limit}. Received: {low if low < 0 else high}. "
            "Number the classes 0 to C - 1, or exclude a filler label with `ignore_class` where the argument exists."
        )


def check_distributions(rows: np.ndarray, name: str) -> None:
    """Raises unless every row along the last axis is non-negative and sums to 1."""
    sums = rows.astype(np.float64).sum(axis=-1)
    if rows.size and (not (rows >= 0).all() or not (np.abs(sums - 1) <= ROW_SUM_TOLERANCE).all()):
        worst = sums.reshape(-1)[np.nan_to_num(np.abs(sums - 1), nan=np.inf).argmax()]
        raise ValueError(
            f"`{name}` with one channel a class must be one-hot or a distribution: not negative, rows that sum to 1. "
            f"Received: a row that sums to {worst}. For rows with several classes pass multi_label=True."
        )


def _fits(shape, expected):
    """Whether two shapes can be equal, None standing for any size."""
    return len(shape) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(shape, expected, strict=True)
    )


def as_table(values: Any, name: str) -> np.ndarray:
    """`values` as an array; raises where its rows differ in length, or where it is a pandas Series in no order of classes."""
    # An array keeps no index: counts from `labels.value_counts()`, largest first, would pass for those of class 0, 1, 2.
    index = getattr(values, "index", None) if name in PER_CLASS and hasattr(values, "to_numpy") else None
    if index is not None and list(index) != list(range(len(values))):
        raise ValueError(
            f"`{name}` must come in the order of the class numbers. Received: a Series with the index {list(index)!r:.200}. "
            f"Order it, as by {name}.sort_index() or {name}[class_names], and pass .to_numpy() of it."
        )
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"`{name}` must have rows of one length. Received: {name}={values!r:.200}.") from None


def _numeric(labels, name):
    table = as_table(labels, name)
    if table.dtype.kind in "biuf":
        return table
    if table.ndim == 0:
        raise ValueError(f"`{name}` must be an array of labels. Received: {type(labels)}.")
    if all(isinstance(label, (str, bytes)) for label in table.flat):
        raise ValueError(
            f"`{name}` must be numbers. Received: dtype {table.dtype}. Turn names into numbers first: "
            "names, ids = numpy.unique(labels, return_inverse=True). They are in that order: class_names=names."
        )
    raise ValueError(
        f"`{name}` must be numbers. Received: dtype {table.dtype}. Drop rows without a label, then convert: "
        f"{name}.astype('int64')."
    )
