"""Keras 3 on TensorFlow, JAX or PyTorch: what `keras_imbalance.backend` takes from it."""

import sys
from typing import Any

import keras
from keras import ops

Loss = keras.losses.Loss
Metric = keras.metrics.Metric
Callback = keras.callbacks.Callback
Layer = keras.layers.Layer

name_scope = keras.name_scope

__all__ = [
    "Callback",
    "Layer",
    "Loss",
    "Metric",
    "collected_together",
    "compiled_metrics",
    "given_name",
    "given_reduction",
    "keras",
    "keras_mask",
    "name_scope",
    "names_in_logs",
    "num_replicas",
    "ops",
]


class _MaskProbe(keras.losses.Loss):
    """Gives 1 where Keras counts a position of `y_pred` and 0 where its mask hides it, by public means alone."""

    def __init__(self):
        super().__init__(name="keras_mask", reduction=None)

    def call(self, y_true, y_pred):
        return y_true


def keras_mask(y_pred: Any, like: Any) -> Any:
    """The mask that Keras keeps for `y_pred`, as ones and zeros of the shape of `like`."""
    return ops.cast(_MaskProbe()(ops.ones_like(like), y_pred), like.dtype)


def given_reduction(loss: Any) -> str | None:
    """The reduction that a loss was built with."""
    return loss.reduction


def given_name(metric: Any) -> str:
    """The name that a metric was built with."""
    return metric.name


def names_in_logs(metric: Any, outputs: list) -> set:
    """The keys that a metric of one number may have. Of several outputs, which one it is of cannot be seen."""
    return {f"{output}_{metric.name}" for output in outputs} or {metric.name}


def num_replicas(loss: Any) -> int:
    """How many replicas share a global batch: a mean loss is divided by it, as Keras divides its own."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    return 1


def compiled_metrics(model: Any) -> dict:
    """The metrics that `model` was compiled with, by the name under which Keras logs them; empty before its first batch."""
    found: dict[str, Any] = {}
    for metric in model.metrics:
        if hasattr(metric, "output_names") and getattr(metric, "built", False):
            # The results come in the order of the metrics, under names that Keras made unique.
            found.update(zip(metric.result(), metric.metrics, strict=True))
        elif isinstance(metric, Metric):
            found[metric.name] = metric
    return found


def collected_together() -> tuple[list, list] | None:
    """The metrics whose results Keras is collecting at this moment, and the names of the outputs where there are several.

    None when nobody collects, as when a user calls `result()`. A metric is not told who its neighbours are, so this looks at
    who called; were Keras to collect in another way, the only loss would be an error message.
    """
    frame: Any = sys._getframe(1)
    for _ in range(6):
        if frame is None:
            return None
        owner = frame.f_locals.get("self")
        if isinstance(owner, Metric) and hasattr(owner, "output_names"):
            outputs = list(owner.output_names or ())
            return list(owner.metrics), outputs if len(outputs) > 1 else []
        frame = frame.f_back
    return None
