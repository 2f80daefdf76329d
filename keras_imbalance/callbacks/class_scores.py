"""Scores of every class on held-out data in the middle of a fit, beside its running metrics."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_imbalance import confusion
from keras_imbalance.labels import class_ids
from keras_imbalance.metrics.confusion_matrix import ConfusionMatrix

SCORES: dict[str, Callable[[Any], Any]] = {
    "f1": confusion.f_beta,
    "recall": confusion.recall,
    "precision": confusion.precision,
    "specificity": confusion.specificity,
    "g_mean": confusion.g_mean,
}


def class_scores(
    model: Any, data: Any, num_classes: int, score: str, batch_size: int | None = None, threshold: float = 0.5
) -> np.ndarray:
    """A score of every class on data that the model predicts now.

    `evaluate` would reset the metrics of the training epoch; this leaves them alone.

    Args:
        model: a model of one output, with one softmax over the classes or one sigmoid.
        data: as `check_validation_data` takes it.
        num_classes: number of classes C.
        score: one of `SCORES`.
        batch_size: rows of arrays that are predicted together. Defaults to None, what `predict` takes.
        threshold: for one sigmoid channel, above it is class 1. Defaults to 0.5.

    Returns:
        float64 `(C,)`; NaN for a class that no row of the data has.

    Raises:
        ValueError: for predictions that are NaN or of several outputs, and labels that do not suit them.
    """
    metric = ConfusionMatrix(num_classes, threshold=threshold)
    for y, predictions, weights in _predicted(model, data, batch_size):
        if not hasattr(predictions, "shape"):
            raise ValueError(
                f"`validation_data` needs a model of one output. Received: predictions {type(predictions)}. For one of several "
                "compile a per-class metric and name it as `monitor`."
            )
        if np.isnan(np.asarray(predictions, dtype=np.float32)).any():
            raise ValueError(
                "The predictions for `validation_data` must be numbers. Received: NaN. Stop at NaN losses with "
                "keras.callbacks.TerminateOnNaN."
            )
        metric.update_state(y, predictions, weights)
    counts = metric.matrix()
    return np.where(confusion.support(counts) > 0, SCORES[score](counts), np.nan)


def check_validation_data(data: Any, num_classes: int) -> None:
    """Raises unless `data` is a tuple of arrays `(x, y)` or `(x, y, sample_weight)`, or batches that can be read again."""
    if isinstance(data, (tuple, list)):
        if len(data) not in (2, 3):
            raise ValueError(
                f"`validation_data` must be (x, y), (x, y, sample_weight) or a dataset. Received: {len(data)} parts."
            )
        x, y = data[:2]
        lengths = {len(part) for part in (x, *data[1:]) if hasattr(part, "shape") and len(part.shape)}
        if len(lengths) > 1:
            raise ValueError(f"`validation_data` must hold arrays of one length. Received: lengths {sorted(lengths)}.")
        if np.ndim(y) in (1, 2):
            class_ids(y, num_classes, "validation_data")
    elif isinstance(data, Iterator) or not (isinstance(data, Iterable) or hasattr(data, "__getitem__")):
        raise ValueError(
            "`validation_data` must be arrays (x, y) or batches that can be read again each epoch, such as a tf.data.Dataset. "
            f"Received: {type(data)}. Make arrays or a dataset of a generator first."
        )
    elif hasattr(data, "cardinality") and int(data.cardinality()) == -1:
        raise ValueError(
            "`validation_data` must be finite. Received: an infinite dataset. Limit it with `.take(batches)`."
        )


def _predicted(model, data, batch_size):
    """Labels, predictions and weights (or None), all at once for arrays, else batch by batch as they come."""
    if isinstance(data, (tuple, list)):
        yield data[1], model.predict(data[0], batch_size=batch_size, verbose=0), data[2] if len(data) == 3 else None
        return
    # What is shuffled anew in each reading is read once: rows and their labels come from one batch.
    for batch in _batches(data):
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise ValueError(
                f"`validation_data` must yield (x, y) or (x, y, sample_weight). Received: batches of {type(batch)}."
            )
        x, y, *weights = (_arrays(part) for part in batch)
        yield y, model.predict_on_batch(x), weights[0] if weights else None


def _arrays(nest):
    """The tensors of TensorFlow in a nest as arrays, which every backend takes; the rest as it is."""
    if isinstance(nest, Mapping):
        return {key: _arrays(part) for key, part in nest.items()}
    if isinstance(nest, (tuple, list)):
        parts = [_arrays(part) for part in nest]
        return parts if isinstance(nest, list) else tuple(parts)
    return nest.numpy() if type(nest).__module__.startswith("tensorflow") else nest


def _batches(data):
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[i] for i in range(len(data)))
    return iter(data)
