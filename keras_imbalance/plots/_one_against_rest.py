"""Labels and scores of every class against the rest, for the figures of predictions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance._core import (
    check_flag,
    check_ignored,
    check_names,
    check_numbers,
    check_table,
    check_whole,
    invalid,
    is_text,
    line_up,
    looks_one_hot,
    named_ids,
    nearest,
    shown,
)


def one_against_rest(
    y_true: Any,
    scores: Any,
    argument: str,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Any = None,
    multi_label: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """0 or 1, scores, and what each counts, of every class, each `(N, C)`, or `(N, 1)` for one sigmoid channel.

    Args:
        y_true: class ids, names of `class_names`, one-hot rows, or 0 and 1 of the shape of the scores for several labels a row.
        scores: float `(N,)`, `(..., 1)` or `(..., C)`; those of several classes of which each row has one are probabilities.
        argument: what an error calls the scores.
        class_names: names in the order of the channels, for labels that are text.
        sample_weight: what each row, position or, of several labels a row, label counts; None is 1.
        multi_label: whether labels of the shape of the scores are several a row, even where each row has one.
        axis: the channel axis of the scores.
        ignore_class: label whose positions count nowhere.
    """
    numbers, axis, ignore_class = (
        check_numbers(scores, argument),
        check_whole(axis, "axis"),
        check_ignored(ignore_class),
    )
    truth = _text_as_ids(check_table(y_true, "y_true"), class_names)
    _check_two_classes(truth, numbers, axis, ignore_class)
    same = numbers.ndim > 1 and truth.shape == numbers.shape and -truth.ndim <= axis < truth.ndim
    several = check_flag(multi_label, "multi_label") or (
        same and not looks_one_hot(np.moveaxis(truth, axis, -1), ignore_class)
    )
    labels, rows, weights = line_up(
        truth, numbers, several, axis=axis, ignore_class=ignore_class, sample_weight=sample_weight
    )
    if rows.size == 0 or np.isnan(rows).any():
        received = f"shape {numbers.shape}"
        raise invalid(argument, "hold at least one row that counts, and no NaN", received=received)
    if labels.ndim == 1:
        _check_no_logits(rows, argument)
        labels = (labels[:, None] == np.arange(rows.shape[1])).astype(np.int64)
        weights = np.broadcast_to(weights[:, None], rows.shape)
    return labels, rows.astype(np.float64), weights


def _text_as_ids(truth, class_names):
    """Labels with names replaced by class ids; labels of other kinds as they are."""
    if not is_text(truth):
        return truth
    names = check_names(class_names)
    if names is None:
        remedy = "Nothing else tells which channel of the scores a name is of."
        raise invalid("class_names", "be given where `y_true` holds text", class_names, remedy)
    return named_ids(truth, names, "y_true")[0]


def _check_two_classes(truth, numbers, axis, ignore_class):
    """Raises for class ids of three classes or more next to one score a row."""
    one_channel = numbers.ndim == 1 or (-numbers.ndim <= axis < numbers.ndim and numbers.shape[axis] == 1)
    if not one_channel or truth.dtype.kind not in "iuf":
        return
    found = np.unique(truth if ignore_class is None else truth[truth != ignore_class])
    if len(found) > 2 and (found % 1 == 0).all():
        remedy = "Three classes or more need scores of the shape (N, C), a channel for each class."
        raise invalid(
            "y_true", "hold 0 and 1 next to one score a row", received=f"labels {shown(found)}", remedy=remedy
        )


def _check_no_logits(rows, argument):
    """Raises for scores outside [0, 1] with a channel for each class: logits of a class are comparable within a row alone."""
    outside = (rows < 0) | (rows > 1)
    if rows.shape[1] > 1 and outside.any():
        remedy = (
            "Apply softmax to logits first; it changes the order of the rows, and so the curves. For scores that are not "
            "those of a softmax pass one-hot labels with multi_label=True."
        )
        requirement = "hold probabilities in [0, 1] where there is one channel a class"
        raise invalid(argument, requirement, received=f"{rows[outside][0]}", remedy=remedy)


def check_positive(positive: Any, names: Sequence[str]) -> int:
    """The class that `positive` names, by its id or its name; None is class 1 of two."""
    if positive is None and len(names) == 2:
        return 1
    if isinstance(positive, str) and positive in names:
        return list(names).index(positive)
    whole = isinstance(positive, (int, np.integer)) and not isinstance(positive, bool)
    if not whole or not 0 <= positive < len(names):
        listed = f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        requirement = f"be a class, by its id from 0 to {len(names) - 1} or its name, one of {listed}"
        raise invalid("positive", requirement, positive, nearest(positive, names))
    return int(positive)


def of_class(
    class_id: int, truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """0 or 1, probabilities and weights `(M,)` of one class, of what counts; class 0 of one sigmoid is what class 1 is not."""
    k = min(class_id, truth.shape[1] - 1)
    counted = weights[:, k] > 0
    labels, p, counts = truth[counted, k], probabilities[counted, k], weights[counted, k]
    return (1 - labels, 1 - p, counts) if truth.shape[1] == 1 and class_id == 0 else (labels, p, counts)
