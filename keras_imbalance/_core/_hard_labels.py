"""Labels and predictions as NumPy arrays, lined up by the rule of `_labels`: for reports, decisions and samplers."""

import re
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_imbalance._core._check_arrays import OF_CLASSES, check_table, check_weight_values
from keras_imbalance._core._checks import invalid, shown
from keras_imbalance._core._columns import is_text
from keras_imbalance._core._labels import (
    UNIQUE,
    UNKNOWN,
    channels_last,
    check_ids,
    is_ignored,
    label_form,
    spread,
)

RARER = 1 / 3  # of the rows of two classes
BY_CLASSES = "Where a row has no single class, pass the class to sample by as `classes`."


def counted_ids(
    labels: Any, num_classes: int | None, *, axis: int | None, ignore_class: int | None, name: str, remedy: str
) -> tuple[np.ndarray, int]:
    """Class ids `(N,)` of labels of any shape, without the ignored ones, and the number of one-hot columns, 0 for ids.

    Args:
        labels: ids of any shape, or one-hot rows.
        num_classes: number of classes; ids at or above it are an error.
        axis: the axis of the classes of one-hot labels. Defaults to None: labels of two axes or more that are one-hot along
            the last are one-hot, and others ids.
        ignore_class: label that is left out.
        name: what an error calls the argument.
        remedy: what an error says of rows that have no single class.
    """
    table = _numeric(labels, name)
    if table.ndim == 0:
        raise invalid(name, "be an array of labels", labels)
    if axis is None and not looks_one_hot(table, ignore_class):
        if table.ndim == 2 and table.shape[1] > 1 and ((table >= 0) & (table <= 1)).all():
            requirement = f"be one-hot in the shape {table.shape}: a single 1 in each row, 0 elsewhere"
            raise invalid(name, requirement, received="rows that are soft or mark several classes", remedy=remedy)
        ids = _without_ignored(table.reshape(-1), "ids", ignore_class)
        check_ids(ids, num_classes, name)
        return ids.astype(np.int64), 0
    if not -table.ndim <= (axis or 0) < table.ndim:
        raise invalid("axis", f"be an axis of labels of shape {table.shape}, or None", axis)
    table = np.moveaxis(table, -1 if axis is None else axis, -1)
    rows = _without_ignored(table.reshape(-1, table.shape[-1]), "distribution", ignore_class)
    return class_ids(rows, num_classes, name, remedy), rows.shape[1]


def _without_ignored(labels, form, ignore_class):
    return labels if ignore_class is None else labels[~is_ignored(labels, form, ignore_class)]


def looks_one_hot(table: np.ndarray, ignore_class: int | None) -> bool:
    """Whether labels of two axes or more are one-hot along the last, but for rows of zeros that an ignored class left."""
    if table.ndim < 2 or table.shape[-1] < 2 or not _is_hard(table):
        return False
    sums = table.sum(axis=-1)
    all_zero = ignore_class is not None and not 0 <= ignore_class < table.shape[-1]
    return bool(((sums == 1) | ((sums == 0) & all_zero)).all())


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
        ValueError: for names, fractional or negative ids, ids out of range, rows that are not one-hot, other ranks.

    Example:
    >>> class_ids([[0, 1], [1, 0]])
    array([1, 0])
    """
    table = _numeric(labels, name)
    if table.ndim == 1 or (table.ndim == 2 and table.shape[1] == 1):
        ids = table.reshape(-1)
        check_ids(ids, num_classes, name)
        return ids.astype(np.int64)
    if table.ndim != 2 or table.shape[1] == 0:
        requirement = "be class ids of shape (N,) or (N, 1), or one-hot rows of shape (N, C)"
        raise invalid(name, requirement, received=f"shape {table.shape}", remedy=remedy)
    if num_classes is not None and table.shape[1] != num_classes:
        raise invalid(name, f"have {num_classes} columns", received=f"shape {table.shape}")
    if not _is_hard(table) or not (table.sum(axis=1) == 1).all():
        requirement = f"be one-hot in the shape {table.shape}: a single 1 in each row, 0 elsewhere"
        raise invalid(name, requirement, received="rows that are soft or mark several classes", remedy=remedy)
    return table.argmax(axis=1).astype(np.int64)


def rows_by_class(ids: np.ndarray, num_classes: int = 0) -> list[np.ndarray]:
    """The row numbers of every class, ascending; of the largest id + 1 classes, or of `num_classes` where that is more.

    Example:
    >>> rows_by_class(np.array([1, 0, 1]), 3)
    [array([1]), array([0, 2]), array([], dtype=int64)]
    """
    ends = np.cumsum(np.bincount(ids, minlength=num_classes))
    return np.split(np.argsort(ids, kind="stable"), ends[:-1])


class Lined(NamedTuple):
    """What counts of hard labels and predictions, the channels last and N rows; what does not is left out.

    Attributes:
        labels: int64 `(N,)`; for sigmoids 0 or 1 `(N, C)`.
        rows: predictions `(N, C)`.
        weights: float64 `(N,)`, positive; for sigmoids `(N, C)`, 0 for a label that counts nowhere, whose prediction is 0.5.
    """

    labels: np.ndarray
    rows: np.ndarray
    weights: np.ndarray


def line_up(
    y_true: Any,
    predictions: np.ndarray,
    multi_label: bool = False,
    *,
    axis: int = -1,
    ignore_class: int | None = None,
    sample_weight: Any = None,
) -> Lined:
    """Hard labels and predictions that count, row by row.

    Args:
        y_true: class ids, one-hot rows, or with sigmoids 0 and 1.
        predictions: `(N, ..., C)`, C channels on `axis`, or of one sigmoid `(N,)`.
        multi_label: whether the channels are independent sigmoids.
        axis: the channel axis.
        ignore_class: label whose positions are left out.
        sample_weight: one weight a row, a position or, for sigmoids, a label; finite, not negative. Defaults to None, 1.

    Raises:
        ValueError: when shapes do not line up; where it counts, for names, soft labels, ids out of range and weights that are
            negative.

    Example:
    >>> labels, rows, weights = line_up([[0], [255]], np.array([[0.9, 0.1], [0.4, 0.6]]), ignore_class=255)
    >>> labels, rows.shape, weights
    (array([0]), (1, 2), array([1.]))
    """
    truth = check_table(y_true, "y_true")
    if truth.dtype.kind not in "biuf":
        raise invalid("y_true", "hold class ids", received=f"dtype {truth.dtype}", remedy=UNIQUE)
    channels, axis = (predictions[:, None], -1) if predictions.ndim == 1 else (predictions, axis)
    form = label_form(truth.shape, channels.shape, axis, multi_label)
    labels, rows = channels_last(truth, channels, axis, form)
    elements = rows.shape if form == "sigmoid" else rows.shape[:-1]
    ignored = np.zeros(elements, bool) if ignore_class is None else is_ignored(labels, form, ignore_class)
    weights = np.where(ignored, 0.0, np.broadcast_to(_weights(sample_weight, channels.shape, axis, form), elements))
    check_weight_values(weights, "sample_weight")
    counted, size = weights != 0, rows.shape[-1]
    if form == "sigmoid":
        kept = counted.any(axis=-1)
        labels, rows = np.where(counted, labels, 0)[kept], np.where(counted, rows, rows.dtype.type(0.5))[kept]
        weights = weights[kept]
    else:
        labels, rows, weights = labels[counted], rows[counted], weights[counted]
    if form == "ids":
        check_ids(labels, size, "y_true")
        return Lined(labels.astype(np.int64), rows, weights)
    _check_hard(labels)
    if form == "sigmoid":
        return Lined(labels.astype(np.int64), rows, weights)
    if not (labels.sum(axis=1) == 1).all():
        remedy = "For rows with several classes pass multi_label=True."
        raise invalid("y_true", "be one-hot", received="rows with several 1, or only 0", remedy=remedy)
    return Lined(labels.argmax(axis=1).astype(np.int64), rows, weights)


def position_weights(ids: np.ndarray, sample_weight: Any, ignore_class: int | None) -> np.ndarray:
    """Float64 weights of class ids of any shape, flat, 0 where they are ignored; raises unless finite and not negative."""
    weights = np.broadcast_to(_weights(sample_weight, (*ids.shape, 1), -1, "ids"), ids.shape)
    if ignore_class is not None:
        weights = np.where(is_ignored(ids, "ids", ignore_class), 0.0, weights)
    check_weight_values(weights)
    return weights.reshape(-1)


def _weights(sample_weight, pred_shape, axis, form):
    """Weights as floats that broadcast with the elements."""
    if sample_weight is None:
        return np.float64(1)
    weights = check_table(sample_weight, "sample_weight")
    if weights.dtype.kind not in "biuf" or weights.ndim == 0:
        requirement = "have one value a row or one a position"
        raise invalid("sample_weight", requirement, sample_weight, OF_CLASSES)
    return spread(weights.astype(np.float64), pred_shape, axis, form == "sigmoid")


def _check_hard(labels):
    if not _is_hard(labels):
        raise invalid(
            "y_true",
            "hold hard labels, 0 or 1",
            received=str(labels[~((labels == 0) | (labels == 1))][0]),
            remedy=f"Number classes of -1 and 1, or of 1 and 2, anew; decide soft labels first. {UNKNOWN}",
        )


def named_ids(
    labels: Any, class_names: Sequence[str] | None, name: str = "labels", *, numerals: bool = False
) -> tuple[np.ndarray, list[str] | None]:
    """Labels with text replaced by class ids, and the names of the classes.

    Args:
        labels: text `(N,)` or `(N, 1)`, or any labels of other kinds, which stay as they are.
        class_names: names in the order of the class ids. Defaults to None: those among the labels in sorted order.
        name: what an error calls the labels.
        numerals: whether text that holds numbers may be sorted as text, "10" before "2". Defaults to False.

    Returns:
        int64 ids of the shape of the labels, and the C names; other labels, and `class_names` as given.

    Raises:
        ValueError: for text that is no class name, and, without names, for text that holds numbers.

    Example:
    >>> named_ids(["dog", "cat", "dog"], None)
    (array([1, 0, 1]), ['cat', 'dog'])
    """
    table = check_table(labels, name)
    if not is_text(table):
        return table, None if class_names is None else list(class_names)
    found, ids = np.unique(_decoded(table), return_inverse=True)
    names = found.tolist() if class_names is None else list(class_names)
    if class_names is None and not numerals:
        _refuse_numerals(names, name)
    unknown = sorted(set(found.tolist()) - set(names))
    if unknown:
        raise invalid("class_names", f"hold every name in `{name}`, {shown(unknown)} too", names)
    positions = {label: i for i, label in enumerate(names)}
    return np.array([positions[label] for label in found.tolist()], dtype=np.int64)[ids.reshape(table.shape)], names


def warn_of_sorted_names(ids: np.ndarray, names: Sequence[str]) -> None:
    """Warns where the names of two classes were sorted and the rarer one came first: a sigmoid then speaks for the other."""
    if len(names) != 2 or np.mean(ids == 0) >= RARER:
        return
    first, second = names
    warnings.warn(
        f"Names of classes are numbered as they sort: {first!r}, the rarer class, is 0, and {second!r} is 1, of which one "
        f"sigmoid gives the probability. Pass class_names={[second, first]}, or {[first, second]} where that is meant.",
        stacklevel=3,
    )


def number_anew(name: str) -> str:
    """The advice to number labels from 0: all rows at once, since a part that lacks a class would be numbered otherwise."""
    return f"Number all rows at once, before they are split: names, ids = numpy.unique({name}, return_inverse=True)."


def _refuse_numerals(names, name):
    if all(re.fullmatch(r"[+-]?\d+(\.\d*)?", label) for label in names):
        remedy = f"Convert them: {name}.astype('int64'). Or say in which order they come, as `class_names`."
        raise invalid(name, "be numbers where its text holds numbers", received=shown(names), remedy=remedy)


def _decoded(text):
    """Text as NumPy's own, bytes read as UTF-8."""
    if text.dtype.kind == "S" or (text.dtype == object and any(isinstance(item, bytes) for item in text.flat)):
        items = [item.decode() if isinstance(item, bytes) else item for item in text.reshape(-1).tolist()]
        return np.array(items, dtype=str)
    return text.reshape(-1).astype(str)


def _is_hard(labels):
    return bool(((labels == 0) | (labels == 1)).all())


def _numeric(labels, name):
    table = check_table(labels, name)
    if table.dtype.kind in "biuf":
        return table
    if table.ndim == 0:
        raise invalid(name, "be an array of labels", received=str(type(table.item())))
    if all(isinstance(label, (str, bytes)) for label in table.flat):
        remedy = f"{number_anew(name)} The names are in the order of the ids: class_names=names."
    else:
        remedy = f"Drop rows without a label, then convert: {name}.astype('int64')."
    raise invalid(name, "be numbers", received=f"dtype {table.dtype}", remedy=remedy)
