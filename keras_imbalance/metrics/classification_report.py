"""What a classifier does for every class of a data set, from labels and predictions."""

import warnings
from collections.abc import Sequence, Sized

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    MOST_CLASSES,
    UNIQUE,
    check_flag,
    check_ids,
    check_ignored,
    check_names,
    check_table,
    check_threshold,
    check_whole,
    invalid,
    is_text,
    line_up,
    named_ids,
    position_weights,
)
from keras_imbalance.metrics import functional
from keras_imbalance.metrics.counted_pairs import count_pairs
from keras_imbalance.metrics.counting import UNUSED, unused_threshold
from keras_imbalance.metrics.report import ClassificationReport


def classification_report(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    class_counts: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    threshold: float | Sequence[float] | None = None,
    multi_label: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
    num_classes: int | None = None,
    zero_division: float = 0.0,
    digits: int = 3,
    confidence_level: float | None = None,
) -> ClassificationReport:
    """What a classifier did for every class of a data set.

    Time and memory grow with the rows and with the classes, not with their square: 20,000 classes are no trouble.

    Args:
        y_true: class ids, or names, of any shape `(N, ...)` or with a channel axis of 1, or one-hot `(N, ..., C)`; with
            multi_label 0 or 1.
        y_pred: predictions of a model: `(N, ..., C)` decided by argmax, `(N, ..., 1)`, `(N,)` with fractions, or multi_label by
            `threshold`; or class ids, or names, of the shape of `y_true`.
        class_names: one name a class. Defaults to the names among labels and predictions in sorted order, or the class ids.
        class_counts: training rows of each class `(C,)`, for the many, medium and few groups. Defaults to None.
        sample_weight: what each row, position or, with multi_label, label counts, finite and not negative: `(N,)` or any
            leading part of the shape of the labels. Where it is 0, labels and predictions may hold anything. Defaults to
            None, 1.
        threshold: a sigmoid above it is positive; 0 for logits. With multi_label also one a label `(C,)`, such as the `values`
            of `tune_thresholds`. Of a softmax, which argmax decides, it is not used, with a warning. Defaults to None, 0.5 of
            probabilities.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        ignore_class: label whose positions count nowhere, such as 255; a class that it names is in no mean over classes,
            predicted or not. Defaults to None.
        axis: channel axis of the predictions. Defaults to -1.
        num_classes: number of classes where both arguments hold ids. Defaults to the length of `class_names` or
            `class_counts`, else to the largest id + 1.
        zero_division: value of a score that has nothing to divide by: 0, 1 or NaN. Defaults to 0.
        digits: digits after the point in the table. Defaults to 3.
        confidence_level: of an interval for the precision, recall and F1 of every class, such as 0.95; sample weights must
            then be 0 or 1. Defaults to None, no intervals.

    Returns:
        A `ClassificationReport`: print it, show it in a notebook, or take `.to_dict()` or `.to_frame()`.

    Raises:
        ValueError: when shapes do not line up, for soft labels, names that are in no list, ids out of range, and
            without a `threshold` for sigmoids outside [0, 1].

    Example:
    >>> report = classification_report([0, 0, 1], np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    >>> report.to_dict()["classes"]["1"]["recall"]
    1.0
    """
    y_true, y_pred, class_names = _text_as_ids(y_true, y_pred, class_names)
    class_counts = None if class_counts is None else check_table(class_counts, "class_counts")
    truth, predicted = _numbers(y_true, "y_true"), _numbers(y_pred, "y_pred")
    check_flag(multi_label, "multi_label")
    _check_unweighted(sample_weight, confidence_level)
    rule = {"ignore_class": check_ignored(ignore_class), "sample_weight": sample_weight}
    check_whole(axis, "axis")
    given = {"class_names": class_names, "class_counts": class_counts}
    told, size = next(
        (
            (name, np.atleast_1d(check_table(sized, name)).shape[0])
            for name, sized in given.items()
            if isinstance(sized, Sized)
        ),
        ("num_classes", check_whole(num_classes, "num_classes", 1, most=MOST_CLASSES, optional=True)),
    )
    if predicted.ndim == 1 and truth.shape == (len(predicted), 1):
        truth = truth[:, 0]
    if not multi_label and _are_ids(truth, predicted, size):
        counted = _count_ids(truth, predicted, size, rule)
    else:
        channels, counted = _count_predictions(truth, predicted, threshold, multi_label, {"axis": axis, **rule})
        if size not in (None, channels):
            raise invalid(
                told, f"be for {channels} classes, as y_pred of shape {predicted.shape} is", given.get(told, size)
            )
    return ClassificationReport(
        counted,
        class_names=class_names,
        class_counts=class_counts,
        zero_division=zero_division,
        ignore_class=None if multi_label else ignore_class,
        digits=digits,
        confidence_level=confidence_level,
    )


def _check_unweighted(sample_weight, confidence_level):
    if confidence_level is None or sample_weight is None:
        return
    weights = check_table(sample_weight, "sample_weight")
    if weights.dtype.kind in "biuf" and not np.isin(weights, (0, 1)).all():
        remedy = "An interval goes by the number of rows, which weights do not tell."
        raise invalid("sample_weight", "be 0 or 1 where `confidence_level` is given", sample_weight, remedy)


def _text_as_ids(y_true, y_pred, class_names):
    """Labels and predictions, text in them replaced by class ids, and the names of the classes, sorted where both are text."""
    truth, predicted = check_table(y_true, "y_true"), check_table(y_pred, "y_pred")
    are_text = is_text(truth), is_text(predicted)
    if not any(are_text):
        return truth, predicted, class_names
    names = check_names(class_names)
    if names is None and not all(are_text):
        remedy = "Nothing else tells which class a number is of."
        raise invalid("class_names", "be given where text stands next to numbers", class_names, remedy)
    if names is None:
        names = named_ids(np.concatenate([truth.reshape(-1), predicted.reshape(-1)]), None, "y_true")[1] or []
    if len(names) < 2:
        raise invalid("class_names", "name two classes or more", names)
    return named_ids(truth, names, "y_true")[0], named_ids(predicted, names, "y_pred")[0], names


def _numbers(values, argument):
    table = check_table(values, argument)
    if table.dtype.kind not in "biufV":
        raise invalid(argument, "hold numbers", received=f"dtype {table.dtype}, shape {table.shape}", remedy=UNIQUE)
    return table


def _are_ids(truth, predicted, size):
    """Whether predictions are class ids already: whole numbers of the shape of ids."""
    if truth.shape != predicted.shape or not _are_whole(predicted):
        return False
    if truth.ndim < 2 or truth.shape[-1] == 1 or truth.max() > 1 or size not in (None, truth.shape[-1]):
        return True
    if (truth.sum(axis=-1) == 1).all() and (predicted.sum(axis=-1) == 1).all():
        return False
    if size is None:
        raise invalid(
            "num_classes",
            f"say whether whole numbers of shape {truth.shape} are ids of two classes or one channel a class",
            size,
            "Flatten ids, or decide scores by argmax.",
        )
    return True


def _are_whole(predicted):
    """Whether predictions are of a whole type, or one a row and all whole."""
    kind = predicted.dtype.kind
    return kind in "iub" or (kind == "f" and predicted.ndim == 1 and (predicted % 1 == 0).all())


def _count_ids(truth, predicted, size, rule):
    """Pairs of true and predicted class ids, counted."""
    weights = position_weights(truth, **rule)
    counted = weights > 0
    labels, decided = (ids.reshape(-1)[counted] for ids in (truth, predicted))
    size = size or int(max(labels.max(initial=1), decided.max(initial=1))) + 1
    check_ids(labels, size, "y_true")
    check_ids(decided, size, "y_pred")
    labels, decided = labels.astype(np.int64), decided.astype(np.int64)
    return count_pairs(labels, decided, num_classes=size, weights=weights[counted])


def _count_predictions(truth, predicted, threshold, multi_label, rule):
    """The number of classes, and pairs of predictions, counted, or with multi_label one 2 x 2 matrix a label, `(C, 2, 2)`."""
    labels, rows, weights = line_up(truth, predicted, multi_label, **rule)
    channels = rows.shape[-1]
    if np.isnan(rows).any():
        raise invalid("y_pred", "hold numbers", received="NaN")
    if threshold is None:
        outside = rows[(rows < 0) | (rows > 1)]
        if outside.size and (channels == 1 or multi_label):
            remedy = "Apply a sigmoid to logits, or decide them by threshold=0.0."
            raise invalid(
                "y_pred", "lie in [0, 1] unless `threshold` is given", received=str(outside[0]), remedy=remedy
            )
        threshold = 0.5
    threshold = check_threshold(threshold, channels, multi_label)
    if channels > 1 and not multi_label and threshold not in UNUSED:
        warnings.warn(unused_threshold(threshold, channels), stacklevel=3)
    if multi_label:
        return channels, functional.label_matrices(labels, (rows > threshold).astype(np.int64), weights=weights)
    decided = (rows > threshold).astype(np.int64) if channels == 1 else rows.argmax(axis=-1)
    size = max(channels, 2)
    return size, count_pairs(labels.reshape(-1), decided.reshape(-1), num_classes=size, weights=weights.reshape(-1))
