"""How labels and predictions line up: the one rule, for losses, metrics and samplers.

`y_pred` has C channels on `axis`. With C == 1 or `multi_label=True` the channels are independent sigmoids and `y_true` has
the same shape (or lacks the channel axis when C == 1), with values in [0, 1]. Otherwise the channels are one softmax:
`y_true` without the channel axis, or with a channel axis of 1, holds class ids; with C channels it holds one-hot rows or
distributions. Any other pair of shapes is an error.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance._core._check_arrays import OF_CLASSES, ROW_SUM_TOLERANCE, check_weight_values
from keras_imbalance._core._checks import invalid
from keras_imbalance._core._sources import refuse_batches
from keras_imbalance._keras import concrete, dtype_name, ops, row_maximum, row_minimum

UNIQUE = (
    "Turn names into numbers first: ids = [names.index(name) for name in labels], with the names in the order of the "
    "channels."
)
UNKNOWN = "A label that is not known needs a sample weight of 0, or the value -1 and ignore_class=-1."
NUMBERED = "Number the classes 0 to C - 1, or exclude a filler label with `ignore_class` where the argument exists."
MEANS = {"ids": "class ids", "distribution": "one-hot or distributions", "sigmoid": "values in [0, 1]"}


@dataclass(frozen=True)
class Aligned:
    """Labels and predictions with the channels last. "Elements" are the positions `(...)`, for sigmoids the labels `(..., C)`.

    An element that counts nowhere holds a harmless label and a harmless prediction, whatever was given there.

    Attributes:
        form: "ids", "distribution" or "sigmoid".
        labels: int32 `(...)` for ids, float `(..., C)` otherwise.
        predictions: `(..., C)`.
        valid: bool elements: those that no mask hides and that are not ignored; None when all are.
        weights: float elements: the sample weights, 0 where not valid; None when none were given.
        counted: bool elements: valid, with a weight that is not 0; None when all count.
        wrong: bool `(...)`: rows in which an invalid label or weight counts (marked because a compiled graph cannot raise).
        shown: a function that gives, float `(...)`, what a message shows of a wrong label: the id, the sum of the row, the
            value of a sigmoid.
    """

    form: str
    labels: Any
    predictions: Any
    valid: Any
    weights: Any
    counted: Any
    wrong: Any
    shown: Any

    def harmless(self, predictions: Any) -> Any:
        """Predictions `(..., C)` with equal shares where nothing counts."""
        return _harmless(predictions, self.counted, self.form)


def label_form(true_shape: tuple, pred_shape: tuple, axis: int = -1, multi_label: bool = False) -> str:
    """Which form labels of `true_shape` have next to predictions of `pred_shape`.

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
    axis = _channel_axis(true_shape, pred_shape, axis)
    forms = _forms(true_shape, pred_shape, axis, multi_label)
    form = next((form for form, shape in forms if shapes_fit(true_shape, shape)), None)
    if form is None:
        expected = " or ".join(f"{shape} ({MEANS[form]})" for form, shape in forms)
        raise invalid(
            "y_true",
            f"line up with `y_pred`, in the shape {expected}",
            received=f"y_true.shape={true_shape}, y_pred.shape={pred_shape}, axis={axis}, multi_label={multi_label}",
        )
    return form


def _channel_axis(true_shape, pred_shape, axis):
    """The channel axis, counted from 0; raises unless it is there and its size is known."""
    if len(pred_shape) < 2:
        raise invalid(
            "y_pred",
            "have a row for each sample and a channel axis",
            received=f"y_true.shape={true_shape}, y_pred.shape={pred_shape}",
            remedy="For one sigmoid pass y_pred[:, None].",
        )
    if not -len(pred_shape) <= axis < len(pred_shape):
        raise invalid("axis", "be an axis of the predictions", received=f"axis={axis}, y_pred.shape={pred_shape}")
    axis %= len(pred_shape)
    if pred_shape[axis] is None:
        raise invalid("y_pred", "have a channel axis of known size", received=f"y_pred.shape={pred_shape}")
    return axis


def _forms(true_shape, pred_shape, axis, multi_label):
    """The forms that labels may have and the shape of each, the first that fits first."""
    without = pred_shape[:axis] + pred_shape[axis + 1 :]
    if pred_shape[axis] == 1 or multi_label:
        return [("sigmoid", pred_shape), *([("sigmoid", without)] if pred_shape[axis] == 1 else [])]
    # Where the size of the labels' channel axis is not known, nothing tells ids from distributions.
    known = len(true_shape) != len(pred_shape) or true_shape[axis] is not None
    one = (*pred_shape[:axis], 1, *pred_shape[axis + 1 :])
    return [("ids", without), *([("ids", one), ("distribution", pred_shape)] if known else [])]


def align(
    y_true: Any,
    y_pred: Any,
    axis: int = -1,
    multi_label: bool = False,
    ignore_class: int | None = None,
    *,
    sample_weight: Any = None,
    mask: Any = None,
) -> Aligned:
    """Lines labels up with predictions by the rule of this module, and says which of them count.

    Args:
        y_true: tensor of labels.
        y_pred: tensor of predictions, C channels on `axis`.
        axis: the channel axis.
        multi_label: True when the channels are independent sigmoids.
        ignore_class: label whose positions count nowhere. With one-hot labels it is the class that is ignored, or, where
            there is no such class, every all-zero row.
        sample_weight: tensor of weights, one a row, a position or, for sigmoids, a label.
        mask: bool tensor in one of these shapes, False where nothing counts.

    Raises:
        ValueError: when the shapes do not line up, and, where values can be seen (outside a compiled graph), when a weight is
            negative or not finite, a class id is fractional or out of range, a sigmoid label lies outside [0, 1] or a
            distribution does not sum to 1, wherever that counts. Inside a compiled graph such rows are marked in `wrong`.
    """
    form = label_form(y_true.shape, y_pred.shape, axis, multi_label)
    labels, predictions = channels_last(y_true, y_pred, axis, form)
    if form != "ids":
        labels = ops.cast(labels, predictions.dtype)
    like = labels[..., 0] if form == "distribution" else labels
    sigmoid = form == "sigmoid"
    valid = None
    if mask is not None:
        valid = _of_shape(ops.cast(spread(mask, y_pred.shape, axis, sigmoid, "mask"), "bool"), like)
    if ignore_class is not None:
        valid = _among(valid, ops.logical_not(is_ignored(labels, form, ignore_class)))
    weights = bad_weight = None
    if sample_weight is not None:
        weights = _of_shape(spread(sample_weight, y_pred.shape, axis, sigmoid, "sample_weight"), like)
        weights = weights if valid is None else ops.where(valid, weights, ops.zeros_like(weights))
        _check_values(weights, None, check_weight_values, "sample_weight")
        bad_weight = ops.logical_not(ops.logical_and(weights >= 0, weights < float("inf")))
    counted = valid if weights is None else ops.not_equal(weights, 0)  # NaN counts, and is wrong
    labels, wrong, shown = _JUDGES[form](labels, counted, predictions.shape[-1])
    if bad_weight is not None:
        wrong = ops.logical_or(wrong, ops.any(bad_weight, axis=-1) if sigmoid else bad_weight)
    predictions = _harmless(predictions, counted, form)
    return Aligned(form, labels, predictions, valid, weights, counted, wrong, shown)


def channels_last(y_true: Any, y_pred: Any, axis: int, form: str) -> tuple[Any, Any]:
    """Labels `(...)` for ids, else `(..., C)`, and predictions `(..., C)`, both arrays or both tensors."""
    xp, rank = _namespace(y_pred), len(y_pred.shape)
    axis %= rank
    predictions = y_pred if axis == rank - 1 else xp.moveaxis(y_pred, axis, -1)
    if form == "ids":
        return xp.squeeze(y_true, axis) if len(y_true.shape) == rank else y_true, predictions
    labels = xp.expand_dims(y_true, axis) if len(y_true.shape) < rank else y_true
    return labels if axis == rank - 1 else xp.moveaxis(labels, axis, -1), predictions


def _namespace(values):
    """NumPy for its arrays, Keras's ops for tensors."""
    return np if isinstance(values, np.ndarray) else ops


def _of_shape(tensor, like):
    return tensor if tuple(tensor.shape) == tuple(like.shape) else ops.broadcast_to(tensor, ops.shape(like))


def _harmless(predictions, counted, form):
    """Predictions with equal shares where nothing counts: no loss of any kind has a NaN there, nor a gradient from there."""
    if counted is None:
        return predictions
    if form == "sigmoid":
        return ops.where(counted, predictions, ops.full_like(predictions, 0.5))
    share = ops.full_like(predictions, 1 / predictions.shape[-1])
    return ops.where(ops.expand_dims(counted, -1), predictions, share)


def is_ignored(labels: Any, form: str, ignore_class: int) -> Any:
    """Elements that are of the ignored class; in one-hot rows also those that its one-hot form, all zeros, makes."""
    xp = _namespace(labels)
    if form != "distribution":
        return _equal(labels, ignore_class, xp)
    if 0 <= ignore_class < labels.shape[-1]:
        return xp.logical_and(xp.any(labels > 0, axis=-1), xp.equal(xp.argmax(labels, axis=-1), ignore_class))
    return xp.all(xp.equal(labels, 0), axis=-1)


def _equal(labels, value, xp):
    """Where labels are this whole number; nowhere when their dtype cannot hold it."""
    name = dtype_name(labels)
    if name == "bool":
        labels = xp.where(labels, xp.ones_like(labels, dtype="int32"), xp.zeros_like(labels, dtype="int32"))
    elif "int" in name and not np.iinfo(name).min <= value <= np.iinfo(name).max:
        return xp.zeros_like(labels, dtype="bool")
    return xp.equal(labels, value)


def _check_values(tensor, counted, check, *args):
    """Runs a check over the elements of a tensor that count, where their values can be seen."""
    values, kept = concrete(tensor), None if counted is None else concrete(counted)
    if values is not None and (counted is None or kept is not None):
        check(values if kept is None else values[kept], *args)


def _judge_ids(labels, counted, channels):
    _check_values(labels, counted, check_ids, channels, "y_true")
    name = dtype_name(labels)
    # Compared in a dtype that holds them: 2^32 is no class 0.
    wide = labels if "float" in name or name in ("int64", "uint32", "uint64") else ops.cast(labels, "int32")
    right = ops.logical_and(wide >= 0, wide < channels)
    if "float" in name:
        right = ops.logical_and(right, ops.equal(ops.floor(wide), wide))
    wrong = _among(counted, ops.logical_not(right))
    ids = ops.cast(ops.where(_among(counted, right), wide, ops.zeros_like(wide)), "int32")
    return ids, wrong, lambda: ops.cast(wide, "float32")


def _judge_sigmoid(labels, counted, channels):
    _check_values(labels, counted, _check_sigmoid)
    right = ops.logical_and(labels >= 0, labels <= 1)
    wrong = _among(counted, ops.logical_not(right))
    given = labels

    def shown():
        values = ops.where(wrong, given, ops.zeros_like(given))
        return ops.where(ops.any(values > 1, axis=-1), row_maximum(values)[..., 0], ops.sum(values, axis=-1))

    labels = ops.where(_among(counted, right), labels, ops.zeros_like(labels))
    return labels, ops.any(wrong, axis=-1), shown


def _judge_distribution(labels, counted, channels):
    _check_values(labels, counted, check_distributions, "y_true")
    sums = ops.sum(labels, axis=-1)
    # Written so that NaN is wrong too.
    right = ops.logical_and(ops.abs(sums - 1) <= ROW_SUM_TOLERANCE, row_minimum(labels)[..., 0] >= 0)
    if counted is not None:
        one_hot = ops.concatenate([ops.ones_like(labels[..., :1]), ops.zeros_like(labels[..., 1:])], axis=-1)
        labels = ops.where(ops.expand_dims(counted, -1), labels, one_hot)
    return labels, _among(counted, ops.logical_not(right)), lambda: sums


_JUDGES = {"ids": _judge_ids, "sigmoid": _judge_sigmoid, "distribution": _judge_distribution}


def _among(counted, elements):
    """Elements that are marked among those counted; None counts all."""
    return elements if counted is None else ops.logical_and(elements, counted)


def _check_sigmoid(values):
    if not ((values >= 0) & (values <= 1)).all():
        raise invalid(
            "y_true",
            "lie in [0, 1] for sigmoid predictions (one channel, or multi_label=True)",
            received="NaN" if np.isnan(values).any() else f"values from {values.min()} to {values.max()}",
            remedy=f"Number two classes 0 and 1; predict more classes with one channel each. {UNKNOWN}",
        )


def spread(given: Any, pred_shape: tuple, axis: int = -1, sigmoid: bool = False, name: str = "sample_weight") -> Any:
    """Weights, or a mask, in a shape that broadcasts with positions `(...)`, or with the labels `(..., C)` of sigmoids.

    Args:
        given: `(N,)` or any leading part of the shape of the positions, also with a channel axis of 1; for sigmoids also of the
            shape of the predictions, one value a label.
        pred_shape: shape of the predictions, C channels on `axis`.
        axis: the channel axis.
        sigmoid: whether the channels are independent sigmoids.
        name: what an error calls `given`.

    Raises:
        ValueError: for any other shape.
    """
    rank, shape = len(pred_shape), tuple(given.shape)
    axis %= rank
    channels, positions = pred_shape[axis], tuple(pred_shape[:axis]) + tuple(pred_shape[axis + 1 :])
    of_labels = len(shape) == rank and (shape[axis] == 1 or (sigmoid and shape[axis] in (None, channels)))
    leading = shape[:axis] + shape[axis + 1 :] if of_labels else shape
    if not _leads(leading, positions, one_for_all=name != "sample_weight"):
        raise invalid(
            name,
            "have one value a row or one a position",
            received=f"{name}.shape={shape} for positions of shape {positions}",
            remedy=OF_CLASSES if name == "sample_weight" else "",
        )
    xp = _namespace(given)
    if of_labels:
        return xp.moveaxis(given, axis, -1) if sigmoid else xp.squeeze(given, axis)
    for _ in range(rank - 1 - len(shape) + sigmoid):
        given = xp.expand_dims(given, -1)
    return given


def _leads(leading, positions, one_for_all):
    """Whether sizes are those of the first axes of the positions, or 1; `one_for_all`: also 1 for all rows."""
    if leading and not one_for_all and positions[0] is not None and leading[0] not in (None, positions[0]):
        return False  # one weight for all rows was meant for others
    known = zip(leading, positions, strict=False)
    return len(leading) <= len(positions) and all(size in (None, 1, wanted) or wanted is None for size, wanted in known)


def label_tensor(y_true: Any) -> Any:
    """`y_true` as a tensor; raises for text, which every backend refuses in its own words later, and for what gives batches."""
    if not hasattr(y_true, "dtype"):
        refuse_batches(y_true, "y_true")
    dtype = str(np.asarray(y_true).dtype if isinstance(y_true, (list, tuple)) else getattr(y_true, "dtype", ""))
    if "str" in dtype or dtype.startswith(("<U", "|S", "object")):
        raise invalid("y_true", "be numbers", received=f"dtype {dtype}", remedy=UNIQUE)
    if isinstance(y_true, (list, tuple)):
        y_true = np.asarray(y_true)
    if isinstance(y_true, np.ndarray) and y_true.dtype.kind in "iu" and y_true.dtype.itemsize == 8:
        # Where a backend has no int64, what it cannot hold stays out of range.
        y_true = np.clip(y_true, np.iinfo(np.int32).min, np.iinfo(np.int32).max).astype(np.int64)
    return ops.convert_to_tensor(y_true)


def not_probable(predictions: Any) -> Any:
    """Which predictions, of NumPy or a tensor, lie outside [0, 1]; NaN, which shows itself, does not."""
    return (predictions < -ROW_SUM_TOLERANCE) | (predictions > 1 + ROW_SUM_TOLERANCE)


def outside_of_probabilities(
    predictions: Any, remedy: str = "Pass from_logits=True for a model that does not end in a softmax or sigmoid."
) -> Any:
    """As `not_probable`, of a tensor; raises where there are such and values can be seen."""
    values = concrete(predictions)
    if values is not None and not_probable(values).any():
        received = str(values[not_probable(values)][0])
        raise invalid("y_pred", "hold probabilities, in [0, 1]", received=received, remedy=remedy)
    return not_probable(predictions)


def check_ids(ids: np.ndarray, num_classes: int | None, name: str, remedy: str = NUMBERED) -> None:
    """Raises unless every value is a whole number in [0, num_classes)."""
    if ids.size == 0 or ids.dtype == bool:
        return
    if ids.dtype.kind == "f":
        _check_whole_ids(ids, name)
    low, high = ids.min(), ids.max()
    if low < 0 or (num_classes is not None and high >= num_classes):
        limit = "" if num_classes is None else f" below {num_classes}"
        raise invalid(
            name,
            f"hold class ids from 0{limit}",
            received=str(low if low < 0 else high),
            remedy=remedy,
        )


def _check_whole_ids(ids, name):
    fractional = ~(np.isfinite(ids) & (ids == np.floor(ids)))
    if fractional.any():
        received = str(ids[fractional][0])
        remedy = "Leave out rows without a label." if np.isnan(ids).any() else ""
        raise invalid(name, "hold class ids, which are whole numbers", received=received, remedy=remedy)


def check_distributions(rows: np.ndarray, name: str) -> None:
    """Raises unless every row along the last axis is non-negative and sums to 1."""
    sums = rows.astype(np.float64).sum(axis=-1)
    if rows.size and (not (rows >= 0).all() or not (np.abs(sums - 1) <= ROW_SUM_TOLERANCE).all()):
        worst = sums.reshape(-1)[np.nan_to_num(np.abs(sums - 1), nan=np.inf).argmax()]
        raise invalid(
            name,
            "be one-hot or a distribution where there is one channel a class: not negative, rows that sum to 1",
            received=f"a row that sums to {worst}",
            remedy="For rows with several classes pass multi_label=True.",
        )


def shapes_fit(shape: tuple, expected: tuple) -> bool:
    """Whether two shapes can be equal, None standing for any size."""
    return len(shape) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(shape, expected, strict=True)
    )
