"""Checks of arguments that are arrays: one call each, which gives the array as it is used, or raises."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from keras_imbalance._core._checks import invalid, shown, shown_of_classes
from keras_imbalance._core._columns import frame_table, is_frame, plain_values
from keras_imbalance._core._sources import refuse_batches

# arguments with one value a class
PER_CLASS = ("alpha", "class_counts", "class_weights", "distribution", "target", "validation_counts")
OF_CLASSES = "Of class weights take that of each row's class: class_weights[labels]."
ROW_SUM_TOLERANCE = 1e-3
HALF_PRECISION_TOLERANCE = 1e-2  # a softmax in bfloat16 sums to 1 only so far


def check_table(values: Any, argument: str) -> np.ndarray:
    """`values` as an array, columns and objects that hold numbers as numbers, paths as text.

    Raises:
        ValueError: where rows differ in length, a pandas Series is in no order of classes, values are masked or missing, or
            `values` gives batches and may have no end.
    """
    if type(values) is np.ndarray and values.dtype != object:
        return values
    refuse_batches(values, argument)
    _check_order(values, argument)
    if np.ma.is_masked(values):
        received = f"{np.ma.count_masked(values)} masked of {values.size}"
        remedy = f"Drop their rows, or fill them as by {argument}.filled(0) and give those rows a sample weight of 0."
        raise invalid(argument, "hold no masked values", received=received, remedy=remedy)
    table = frame_table(values, argument) if is_frame(values) else None
    if table is not None:
        return table
    try:
        return plain_values(np.asarray(values))
    except ValueError:
        raise invalid(argument, "have rows of one length", values) from None


def _check_order(values, argument):
    """An array keeps no index: counts from `labels.value_counts()`, largest first, would pass for those of class 0, 1, 2."""
    index = getattr(values, "index", None) if argument in PER_CLASS and hasattr(values, "to_numpy") else None
    if index is not None and list(index) != list(range(len(values))):
        raise invalid(
            argument,
            "come in the order of the class ids",
            received=f"a Series with the index {shown(list(index))}",
            remedy=f"Order it, as by {argument}.sort_index() or {argument}[class_names], and pass .to_numpy() of it.",
        )


def check_numbers(values: Any, name: str) -> np.ndarray:
    """`values` as an array of real numbers with at least one axis; bfloat16 and whole numbers come out as floats."""
    table = check_table(values, name)
    if table.dtype.kind in "OUSMmc" or table.ndim == 0:
        raise invalid(name, "be an array of numbers, a row for each sample", received=_kind(table))
    if table.dtype.kind == "f":
        return table
    return table.astype(np.float64 if table.dtype.kind in "biu" else np.float32)


def check_probabilities(
    probabilities: Any, multi_label: bool = False, name: str = "probabilities", *, given: Any = None
) -> np.ndarray:
    """`probabilities` as a float array `(N,)`, `(..., 1)` or `(..., C)`; raises unless they are such.

    With several channels and without `multi_label` every row must sum to 1, as far as the precision of `given` goes, the array
    that they were taken from.
    """
    numbers = check_numbers(probabilities, name)
    given = probabilities if given is None else given
    if numbers.ndim > 1 and numbers.shape[-1] == 0:
        raise invalid(name, "have at least one channel", received=f"shape {numbers.shape}")
    wrong = ~((numbers >= 0) & (numbers <= 1))
    if wrong.any():
        remedy = "Apply a softmax or sigmoid to logits first."
        raise invalid(name, "lie in [0, 1]", received=str(numbers[wrong][0]), remedy=remedy)
    if is_one_channel(numbers) or multi_label:
        return numbers
    tolerance = HALF_PRECISION_TOLERANCE if np.asarray(given).dtype.itemsize == 2 else ROW_SUM_TOLERANCE
    sums = numbers.astype(np.float64).sum(axis=-1)
    off = np.abs(sums - 1)
    if (off > tolerance).any():
        raise invalid(
            name,
            "have rows that sum to 1 where there is one channel a class",
            received=f"a row that sums to {sums.reshape(-1)[off.argmax()]}",
            remedy="Independent sigmoids are taken one label at a time, or with multi_label=True where the argument exists.",
        )
    return numbers


def channels_at_end(predictions: np.ndarray, axis: int) -> np.ndarray:
    """Predictions with their channels moved from `axis` to the end; those `(N,)` of one sigmoid as they are."""
    if predictions.ndim < 2 or axis == -1:
        return predictions
    if not -predictions.ndim <= axis < predictions.ndim:
        raise invalid("axis", "be an axis of the predictions", received=f"axis={axis}, shape {predictions.shape}")
    return np.moveaxis(predictions, axis, -1)


def is_one_channel(predictions: np.ndarray) -> bool:
    """Whether predictions are those of one sigmoid, `(N,)` or `(..., 1)`."""
    return predictions.ndim == 1 or predictions.shape[-1] == 1


def two_channels(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities `(..., C)`; those of one sigmoid become the pair of 1 - p and p, `(..., 2)`."""
    if not is_one_channel(probabilities):
        return probabilities
    p = probabilities if probabilities.ndim == 1 else probabilities[..., 0]
    return np.stack([1 - p, p], axis=-1)


def check_threshold(threshold: Any, num_classes: int, multi_label: bool) -> float | list[float]:
    """One finite threshold, or with multi_label one a class."""
    values = check_table(threshold, "threshold")
    several = isinstance(threshold, (Sequence, np.ndarray)) and values.ndim > 0
    fits = values.shape == ((num_classes,) if several else ())
    if not fits or (several and not multi_label) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise invalid(
            "threshold",
            "be a finite number, or with multi_label=True one a class",
            received=f"threshold={shown(threshold)}, num_classes={num_classes}, multi_label={multi_label}",
        )
    return [float(value) for value in values] if several else float(values)


def check_weight_values(weights: np.ndarray, name: str = "sample_weight") -> None:
    """Raises unless all weights are finite numbers that are not negative."""
    numbers = weights.dtype.kind in "biuf"
    wrong = ~(np.isfinite(weights) & (weights >= 0)) if numbers else np.ones(weights.shape, dtype=bool)
    if wrong.any():
        row = int(np.argwhere(wrong)[0, 0])
        raise invalid(
            name,
            "hold finite weights that are not negative",
            received=f"{weights[wrong][0]} in row {row}",
            remedy="Give a row that must not count a weight of 0.",
        )


def check_weight_shape(weights: Any, labels: Any, name: str = "sample_weight") -> None:
    """Raises for weights of rows that do not broadcast with their labels; of nests and sources it says nothing."""
    if not (isinstance(weights, np.ndarray) and isinstance(labels, np.ndarray)):
        return
    of_labels = labels.shape[1 : weights.ndim]
    if not all(size in (1, other) for size, other in zip_longest(weights.shape[1:], of_labels, fillvalue=1)):
        received = f"shape {weights.shape} for labels of shape {labels.shape}"
        raise invalid(name, "have one value a row or one a position", remedy=OF_CLASSES, received=received)


def check_cost_matrix(cost_matrix: Any, name: str = "cost_matrix") -> np.ndarray:
    """`cost_matrix` as float64 `(C, C)`; raises unless it is square, finite and not negative."""
    costs = check_table(cost_matrix, name)
    if costs.ndim != 2 or costs.shape[0] != costs.shape[1] or costs.shape[0] < 2 or costs.dtype.kind not in "biuf":
        raise invalid(name, "be a square matrix of numbers, cost[true, predicted]", received=_kind(costs))
    if not np.isfinite(costs).all() or (costs < 0).any():
        raise invalid(name, "hold finite costs that are not negative", cost_matrix)
    return costs.astype(np.float64)


def check_confusion(confusion: Any, *, labels_too: bool = False) -> np.ndarray:
    """`confusion` as float64 `(C, C)`, or with `labels_too` also `(C, 2, 2)`; raises unless it holds finite counts."""
    table = check_table(confusion, "confusion")
    square = table.ndim == 2 and table.shape[0] == table.shape[1] >= 2
    of_labels = labels_too and table.ndim == 3 and table.shape[1:] == (2, 2)
    if table.dtype.kind not in "biuf" or not (square or of_labels):
        raise invalid(
            "confusion",
            f"be counts of shape (C, C){' or (C, 2, 2)' if labels_too else ''}",
            received=_kind(table),
            remedy="Take `ConfusionMatrix.matrix()` or `classification_report(y_true, y_pred).confusion`.",
        )
    counts = table.astype(np.float64)
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise invalid("confusion", "hold finite counts, not negative", counts)
    return counts


def check_counts(class_counts: Any, name: str = "class_counts") -> np.ndarray:
    """Class counts as float64 `(C,)`; raises unless every count is positive and finite."""
    counts = _counted(class_counts, name)
    wrong = None if counts is None else ~(np.isfinite(counts) & (counts > 0))
    if counts is None or wrong is None or wrong.any():
        raise invalid(
            name,
            "hold one positive, finite count per class",
            received=shown_of_classes(name, class_counts, wrong),
            remedy="Merge classes that never occur, or give them a smoothed count; of labels take count_classes(labels).",
        )
    return counts


def check_counts_with_empty_classes(class_counts: Any, name: str = "class_counts") -> np.ndarray:
    """Class counts as float64 `(C,)`, some of them 0; raises unless they are finite, not negative and not all 0."""
    counts = _counted(class_counts, name)
    wrong = None if counts is None else ~(np.isfinite(counts) & (counts >= 0))
    if counts is None or wrong is None or wrong.any() or counts.sum() <= 0:
        received = shown_of_classes(name, class_counts, wrong)
        raise invalid(name, "hold one finite count per class, not all 0", received=received)
    return counts


def check_counts_shape(class_counts: Any, multi_label: bool) -> np.ndarray:
    """Counts as float64 rows: `(1, C)`, or `(C, 2)` with `multi_label`; raises unless they are positive and finite."""
    rows = check_table(class_counts, "class_counts")
    if multi_label and (rows.ndim != 2 or rows.shape[1] != 2):
        raise invalid(
            "class_counts",
            "have the shape (C, 2) with multi_label: for each label the rows without it, then those with it",
            received=f"shape {rows.shape}",
        )
    return np.stack([check_counts(row) for row in (rows if multi_label else rows[None])])


def check_distribution(shares: Any, counts: np.ndarray, name: str) -> np.ndarray:
    """`shares` rescaled to sum 1; raises unless they suit `counts`: C finite shares, not negative, 0 for an empty class."""
    table = check_table(shares, name)
    if table.dtype.kind not in "iuf" or table.shape != counts.shape:
        received = shown_of_classes(name, shares)
        raise invalid(name, f"hold one share for each of {len(counts)} classes", received=received)
    values = table.astype(np.float64)
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any() or values.sum() <= 0:
        received = shown_of_classes(name, shares, wrong)
        raise invalid(name, "hold finite shares, not negative, that sum to more than 0", received=received)
    empty = np.flatnonzero((counts == 0) & (values > 0))
    if empty.size:
        raise invalid(
            name,
            "give the share 0 to a class that has no rows",
            received=f"a positive share for the empty class {shown(empty.tolist())}",
            remedy="Give it the share 0 (a mapping {class: 0.0} or an array), or leave its id out.",
        )
    return values / values.sum()


def _counted(class_counts, name):
    """Numbers `(C,)` as float64, None for anything else."""
    if isinstance(class_counts, Mapping):
        raise invalid(
            name,
            "hold one count per class, in the order of the class ids",
            class_counts,
            f"Pass [{name}[c] for c in classes], or count_classes(labels).",
        )
    table = check_table(class_counts, name)
    if table.dtype.kind not in "biuf" or table.ndim != 1 or table.size == 0:
        return None
    return table.astype(np.float64)


def _kind(table):
    """What an error shows of an array of another kind, or of what is no array."""
    if table.dtype == object and table.ndim == 0:
        return f"a {type(table.item()).__name__}"
    return f"dtype {table.dtype}, shape {table.shape}"
