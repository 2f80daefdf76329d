"""Checks of what the decisions share: probabilities, priors, labels beside predictions, weights."""

from typing import Any

import numpy as np

from keras_imbalance.class_counts import as_table
from keras_imbalance.labels import ROW_SUM_TOLERANCE, check_ids, label_form
from keras_imbalance.metrics.checks import is_number

HALF_PRECISION_TOLERANCE = 1e-2  # a softmax in bfloat16 sums to 1 only so far


def check_numbers(values: Any, name: str) -> np.ndarray:
    """`values` as an array of real numbers with at least one axis; bfloat16 and whole numbers come out as floats."""
    table = as_table(values, name)
    if table.dtype.kind in "OUSMmc" or table.ndim == 0:
        raise ValueError(
            f"`{name}` must be an array of numbers, a row for each sample. "
            f"Received: dtype {table.dtype}, shape {table.shape}."
        )
    if table.dtype.kind == "f":
        return table
    return table.astype(np.float64 if table.dtype.kind in "biu" else np.float32)


def check_probabilities(probabilities: Any, multi_label: bool = False, name: str = "probabilities") -> np.ndarray:
    """`probabilities` as a float array `(N,)`, `(..., 1)` or `(..., C)`; raises unless they are such.

    With several channels and without `multi_label` every row must sum to 1.
    """
    numbers = check_numbers(probabilities, name)
    if numbers.ndim > 1 and numbers.shape[-1] == 0:
        raise ValueError(f"`{name}` must have at least one channel. Received: shape {numbers.shape}.")
    wrong = ~((numbers >= 0) & (numbers <= 1))
    if wrong.any():
        raise ValueError(
            f"`{name}` must lie in [0, 1]. Received: {numbers[wrong][0]}. Apply a softmax or sigmoid to logits first."
        )
    if is_one_channel(numbers) or multi_label:
        return numbers
    tolerance = HALF_PRECISION_TOLERANCE if np.asarray(probabilities).dtype.itemsize == 2 else ROW_SUM_TOLERANCE
    sums = numbers.astype(np.float64).sum(axis=-1)
    off = np.abs(sums - 1)
    if (off > tolerance).any():
        raise ValueError(
            f"`{name}` must have rows that sum to 1 where there is one channel a class. "
            f"Received: a row that sums to {sums.reshape(-1)[off.argmax()]}. "
            "Independent sigmoids are taken one label at a time, or with multi_label=True where the argument exists."
        )
    return numbers


def is_one_channel(predictions: np.ndarray) -> bool:
    """Whether predictions are those of one sigmoid, `(N,)` or `(..., 1)`."""
    return predictions.ndim == 1 or predictions.shape[-1] == 1


def two_channels(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities `(..., C)`; those of one sigmoid become the pair of 1 - p and p, `(..., 2)`."""
    if not is_one_channel(probabilities):
        return probabilities
    p = probabilities if probabilities.ndim == 1 else probabilities[..., 0]
    return np.stack([1 - p, p], axis=-1)


def check_prior(prior: Any, name: str, num_classes: int | None = None) -> np.ndarray:
    """`prior` as float64 `(C,)` that sums to 1; raises unless it holds a positive share for each class.

    Args:
        prior: shares or counts `(C,)`, or for two classes the share of class 1.
        name: what an error calls it.
        num_classes: C, where it is known.
    """
    table = as_table(prior, name)
    if is_number(table) and table.dtype.kind == "f":
        if not 0 < table < 1:
            raise ValueError(f"`{name}` as a number is the share of class 1, in (0, 1). Received: {name}={prior!r}.")
        table = np.array([1 - float(table), float(table)])
    fits = table.dtype.kind in "iuf" and table.ndim == 1 and len(table) > 1 and num_classes in (None, len(table))
    if not fits:
        size = "one positive share a class" if num_classes is None else f"{num_classes} positive shares, one a class"
        raise ValueError(
            f"`{name}` must hold {size}; with two classes the share of class 1 will do. Received: {name}={prior!r}."
        )
    shares = table.astype(np.float64)
    if not np.isfinite(shares).all() or (shares <= 0).any():
        raise ValueError(
            f"`{name}` must hold positive, finite shares. Received: {name}={prior!r}. "
            "Give a class that was not seen a small share: a probability of 0 can never be corrected."
        )
    return shares / shares.sum()


def line_up(y_true: Any, predictions: np.ndarray, multi_label: bool) -> tuple[np.ndarray, np.ndarray]:
    """Hard labels and predictions, row by row, by the rule of `keras_imbalance.labels`.

    Returns:
        int64 labels `(N,)` and predictions `(N, C)`; or, for sigmoids, labels of 0 and 1 and predictions, both `(N, C)`. N
        counts every place.
    """
    truth = as_table(y_true, "y_true")
    if truth.dtype.kind not in "biuf":
        raise ValueError(
            f"`y_true` must hold class numbers. Received: dtype {truth.dtype}. Turn names into numbers first: names, ids = "
            "numpy.unique(labels, return_inverse=True)."
        )
    channels = predictions[:, None] if predictions.ndim == 1 else predictions
    try:
        form = label_form(truth.shape, channels.shape, multi_label=multi_label)
    except ValueError as error:
        expected = "the shape of the predictions" if multi_label else "a class number for each row of the predictions"
        if not multi_label and not is_one_channel(predictions):
            expected += ", or one-hot rows of their shape"
        raise ValueError(
            f"`y_true` must line up with the predictions: {expected}. "
            f"Received: y_true of shape {truth.shape}, predictions of shape {predictions.shape}."
        ) from error
    rows = channels.reshape(-1, channels.shape[-1])
    if form == "ids":
        ids = truth.reshape(-1)
        check_ids(ids, rows.shape[1], "y_true")
        return ids.astype(np.int64), rows
    labels = truth.reshape(rows.shape)
    if not ((labels == 0) | (labels == 1)).all():
        other = labels[~((labels == 0) | (labels == 1))][0]
        raise ValueError(
            f"`y_true` must hold hard labels, 0 or 1. Received: {other}. Number classes of -1 and 1, or of 1 and 2, anew; "
            "decide soft labels first."
        )
    if form == "sigmoid":
        return labels.astype(np.int64), rows
    if not (labels.sum(axis=1) == 1).all():
        raise ValueError("`y_true` must be one-hot. For rows with several classes pass multi_label=True.")
    return labels.argmax(axis=1).astype(np.int64), rows


def check_weights(sample_weight: Any, places: tuple) -> np.ndarray:
    """One float64 weight a place, flat; raises unless `sample_weight` is `(N,)` or of the shape `places`, and not negative."""
    if sample_weight is None:
        return np.ones(int(np.prod(places)))
    weights = as_table(sample_weight, "sample_weight")
    if weights.shape == (*places, 1):
        weights = weights[..., 0]
    if weights.dtype.kind not in "biuf" or weights.shape not in (places[:1], places):
        raise ValueError(
            f"`sample_weight` must have one value a row, shape {places[:1]}, or one a place, shape {places}. "
            f"Received: dtype {weights.dtype}, shape {weights.shape}. Of weights a class take that of each row's class."
        )
    check_weight_values(weights)
    weights = weights.reshape(*weights.shape, *[1] * (len(places) - weights.ndim))
    return np.broadcast_to(weights, places).reshape(-1).astype(np.float64)


def check_weight_values(weights: np.ndarray, name: str = "sample_weight") -> None:
    """Raises unless all weights are finite numbers that are not negative."""
    numbers = weights.dtype.kind in "biuf"
    wrong = ~(np.isfinite(weights) & (weights >= 0)) if numbers else np.ones(weights.shape, dtype=bool)
    if wrong.any():
        row = int(np.argwhere(wrong)[0, 0])
        raise ValueError(
            f"`{name}` must hold finite weights that are not negative. Received: {weights[wrong][0]} in row {row}. "
            "Give a row that must not count a weight of 0."
        )
