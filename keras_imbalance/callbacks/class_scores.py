"""Scores of every class in the middle of a fit: on held-out data, or from its logs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance._core import (
    LOOKUP,
    arrays_of,
    check_ids,
    class_ids,
    invalid,
    is_frame,
    is_text,
    labels_of,
    log_names,
    named_ids,
    nearest,
    shown,
)
from keras_imbalance._keras import text_tensor
from keras_imbalance.callbacks.off_the_bar import keys_of_metrics
from keras_imbalance.metrics import PerClassF1, functional

BY_METRIC = "Compile a per-class metric that suits, name it as `monitor`, and pass the validation data to fit alone."
OF_MASKS = (
    "Give void pixels a weight of 0, validation_data=(x, y, y != 255), or compile PerClassF1(ignore_class=255) and pass the "
    "validation data to fit alone."
)


def logged_scores(logs: Mapping[str, Any], monitor: str, class_names: Sequence[str]) -> np.ndarray:
    """The scores that a per-class metric logged, float64 `(C,)`.

    Raises:
        ValueError: when the logs lack a class, with the keys that they hold.

    Example:
    >>> logged_scores({"loss": 0.3, "val_f1/ok": 0.9, "val_f1/worn": 0.4}, "val_f1", ["ok", "worn"])
    array([0.9, 0.4])
    """
    class_names = log_names(class_names) or []
    missing = [name for name in class_names if f"{monitor}/{name}" not in logs]
    if missing:
        known = keys_of_metrics(logs)
        raise _unknown_monitor(
            monitor, missing, f"logs that hold {shown(known)}", nearest(f"{monitor}/{missing[0]}", known)
        )
    return np.array([float(logs[f"{monitor}/{name}"]) for name in class_names])


def _unknown_monitor(monitor, missing, received, hint):
    remedy = (
        f"{hint} Compile a per-class metric with that name and the sampler's class names (one with log_classes=False needs "
        "PerClassLogger before DynamicSampling), and pass validation_data to fit for a key that starts with val_; or give "
        "DynamicSampling its own validation_data."
    )
    return invalid(
        "monitor",
        f"name a metric that logs `{monitor}/<class>` for every class of the sampler",
        received=f"monitor={monitor!r}, {shown(missing)} missing, and {received}",
        remedy=remedy.strip(),
    )


def check_monitor(monitor: str, class_names: Sequence[str], keys: Sequence[str] | None) -> None:
    """Raises before the first epoch where the logs will lack `{monitor}/{class}`, or have classes in another order.

    Args:
        monitor: what is read, with or without "val_".
        class_names: those of the sampler.
        keys: of an epoch's logs, without "val_"; None where they are not known, and nothing is checked.

    Example:
    >>> check_monitor("val_f1", ["ok", "worn"], ["f1/ok", "f1/worn", "f1"])
    """
    if keys is None:
        return
    prefix = "val_" if monitor.startswith("val_") else ""
    known = [prefix + key for key in keys]
    wanted = [f"{monitor}/{name}" for name in log_names(class_names) or []]
    missing = [key for key in wanted if key not in known]
    if missing:
        received = f"metrics that log {shown(sorted(known))}" if known else "no per-class metric compiled"
        raise _unknown_monitor(monitor, missing, received, nearest(missing[0], known))
    found = [key for key in known if key in wanted]
    if found != wanted:
        raise invalid(
            "class_names",
            "be in one order in the metric and in the sampler, whose class ids they name",
            received=f"{shown(found)} of the metric, {shown(list(class_names))} of the sampler",
            remedy="Pass class_names=sampler.class_names to the metric.",
        )


def class_scores(
    model: Any, data: Any, *, num_classes: int, score: str, batch_size: int | None = None, threshold: float = 0.5
) -> np.ndarray:
    """A score of every class on data that the model predicts now.

    `evaluate` would reset the metrics of the training epoch; this leaves them alone.

    Args:
        model: a model of one output, with one softmax over the classes or one sigmoid.
        data: as `check_validation_data` takes it.
        num_classes: number of classes C.
        score: one of `metrics.functional.SCORES`.
        batch_size: rows of arrays that are predicted together. Defaults to None, what `predict` takes.
        threshold: for one sigmoid channel, above it is class 1. Defaults to 0.5.

    Returns:
        float64 `(C,)`; NaN for a class that no row of the data has.

    Raises:
        ValueError: for predictions that are NaN or of several outputs, and labels that do not suit them.
    """
    metric = PerClassF1(num_classes, threshold=threshold, log_classes=False)  # for its counts
    for y, predictions, weights in _predicted(model, data, batch_size):
        if not hasattr(predictions, "shape"):
            raise _several_outputs(f"predictions {type(predictions)}")
        metric.update_state(y, predictions, weights)
    counts = metric.exact_tally()
    if np.isnan(counts.tp).any():
        raise invalid(
            "validation_data",
            "have predictions that are numbers",
            received="NaN",
            remedy="Stop at NaN losses with keras.callbacks.TerminateOnNaN.",
        )
    metric.tell_wrong()
    return np.where(functional.support(counts) > 0, functional.SCORES[score](counts), np.nan)


def check_scored_model(model: Any, num_classes: int) -> None:
    """Raises, where the shape of its outputs is known, unless a model has one output with a channel a class on the last axis.

    Example:
    >>> import keras
    >>> check_scored_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)]), 3)
    """
    try:
        shape = model.output_shape
    except (AttributeError, ValueError):  # of a model that was not built, or builds itself
        return
    if not isinstance(shape, tuple) or any(isinstance(size, tuple) for size in shape):
        raise _several_outputs(f"outputs of the shapes {shown(shape)}")
    if len(shape) > 1 and shape[-1] not in (None, num_classes, 1 if num_classes == 2 else num_classes):
        requirement = f"come with a model of {num_classes} channels on the last axis, one for each class of the sampler"
        raise invalid("validation_data", requirement, received=f"outputs of the shape {shape}", remedy=BY_METRIC)


def _several_outputs(received):
    return invalid("validation_data", "come with a model of one output", received=received, remedy=BY_METRIC)


def check_validation_data(data: Any, class_names: Sequence[str]) -> Any:
    """`data` as it is scored: arrays in the place of frames, Series and lists, as a sampler delivers them; ids for text labels.

    Args:
        data: arrays `(x, y)` or `(x, y, sample_weight)`, or batches that can be read again, which stay as they are.
        class_names: those of the sampler, which text labels use.

    Raises:
        ValueError: for anything else, for arrays of different lengths, and for labels that name no class.

    Example:
    >>> check_validation_data(([0.5, 1.5], ["worn", "ok"]), ["ok", "worn"])
    (array([0.5, 1.5]), array([1, 0]))
    """
    if isinstance(data, (tuple, list)):
        return _checked_arrays(data, class_names)
    readable = isinstance(data, Iterable) or hasattr(data, "__getitem__")
    if isinstance(data, Iterator) or hasattr(data, "class_counts") or not readable:
        raise invalid(
            "validation_data",
            "be arrays (x, y) or batches that can be read again each epoch, such as a tf.data.Dataset",
            received=str(type(data)),
            remedy="Make arrays or a dataset of a generator first.",
        )
    if hasattr(data, "cardinality") and int(data.cardinality()) == -1:
        raise invalid(
            "validation_data", "be finite", received="an infinite dataset", remedy="Limit it with `.take(batches)`."
        )
    _check_spec(getattr(data, "element_spec", None))
    return data


def _check_spec(spec):
    """Raises where the elements of a dataset of TensorFlow can be seen to be no batches of rows and class ids."""
    if spec is None:
        return
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise _no_pairs(f"elements of {shown(spec)}")
    labels = spec[1]
    if getattr(labels, "shape", None) == ():
        raise invalid("validation_data", "give batches", received="single rows", remedy="Pass dataset.batch(256).")
    if getattr(labels, "dtype", None) == "string":
        raise invalid("validation_data", "give class ids where it is a dataset", received="text", remedy=LOOKUP)


def _no_pairs(received):
    return invalid("validation_data", "yield (x, y) or (x, y, sample_weight)", received=received)


def _checked_arrays(data, class_names):
    if len(data) not in (2, 3):
        raise invalid(
            "validation_data", "be (x, y), (x, y, sample_weight) or a dataset", received=f"{len(data)} entries"
        )
    x, y, *weights = (_as_arrays(part) for part in data)
    x, y = _mapped(_with_text, x), labels_of(data[1], "validation_data") if is_frame(data[1]) else y
    lengths = {len(part) for part in (x, y, *weights) if hasattr(part, "shape") and len(part.shape)}
    if len(lengths) > 1:
        raise invalid("validation_data", "hold arrays of one length", received=f"lengths {sorted(lengths)}")
    if lengths == {0}:
        raise invalid("validation_data", "hold at least one row", received="no rows")
    if isinstance(y, np.ndarray) and is_text(y):
        y, _ = named_ids(y, class_names, "validation_data")
    if np.ndim(y) in (1, 2):
        class_ids(_that_count(np.asarray(y), weights), len(class_names), "validation_data")
    elif np.ndim(y) > 2:
        check_ids(_that_count(np.asarray(y), weights), len(class_names), "validation_data", OF_MASKS)
    return (x, y, *weights)


def _that_count(labels, weights):
    """The labels of rows, or positions, whose weight is not 0: what does not count may hold anything."""
    for given in weights:
        if np.shape(given) == labels.shape:
            return labels[np.asarray(given) != 0]
        if np.shape(given)[:1] == labels.shape[:1] and np.size(given) == len(labels):
            return labels[np.reshape(given, -1) != 0]
    return labels


def _as_arrays(part):
    """A part of the data with arrays for what `predict` does not take as a sampler delivers it; tensors stay as they are."""
    if isinstance(part, Mapping):
        return {key: _as_arrays(inner) for key, inner in part.items()}
    listed = isinstance(part, (tuple, list))
    if listed and any(map(_is_input, part)):
        return [_as_arrays(inner) for inner in part]
    return arrays_of(part, "validation_data") if listed or is_frame(part) or hasattr(part, "iloc") else part


def _is_input(part):
    # A number or word of NumPy, as `list(array)` holds them, has the shape of no rows.
    return len(getattr(part, "shape", ())) > 0 or isinstance(part, Mapping)


def _mapped(function, nest):
    """A nest of the same form, each part replaced by what `function` gives for it."""
    if isinstance(nest, Mapping):
        return {key: _mapped(function, part) for key, part in nest.items()}
    if isinstance(nest, (tuple, list)):
        parts = [_mapped(function, part) for part in nest]
        return parts if isinstance(nest, list) else tuple(parts)
    return function(nest)


def _with_text(part):
    """An array of text as this Keras takes it; any other part as it is."""
    return text_tensor(part) if isinstance(part, np.ndarray) and is_text(part) else part


def _predicted(model, data, batch_size):
    """Labels, predictions and weights (or None), all at once for arrays, else batch by batch as they come."""
    if isinstance(data, (tuple, list)):
        yield data[1], model.predict(data[0], batch_size=batch_size, verbose=0), data[2] if len(data) == 3 else None
        return
    # What is shuffled anew in each reading is read once: rows and their labels come from one batch.
    for batch in _batches(data):
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise _no_pairs(f"batches of {type(batch)}")
        x, y, *weights = (_mapped(_array, part) for part in batch)
        yield y, model.predict_on_batch(x), weights[0] if weights else None


def _array(part):
    """A tensor of TensorFlow as an array, which every backend takes; any other part as it is."""
    return part.numpy() if type(part).__module__.startswith("tensorflow") else part


def _batches(data):
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return (data[i] for i in range(len(data)))
    return iter(data)
