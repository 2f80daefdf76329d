"""Which Keras this process runs. Every other module takes Keras from here and imports none by itself."""

import os
import sys
from typing import Any

if os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true"):
    raise ImportError(
        "keras_imbalance runs on Keras 3; this process asks for tf-keras. Received: "
        f"TF_USE_LEGACY_KERAS={os.environ['TF_USE_LEGACY_KERAS']!r}. Unset it, or train with Keras 3."
    )

import keras
import numpy as np
from keras import ops

Loss = keras.losses.Loss
Metric = keras.metrics.Metric
Callback = keras.callbacks.Callback
Layer = keras.layers.Layer

register = keras.saving.register_keras_serializable(package="keras_imbalance")
serialize = keras.saving.serialize_keras_object
deserialize = keras.saving.deserialize_keras_object
custom_gradient = ops.custom_gradient
name_scope = keras.name_scope
initializer = keras.initializers.get

__all__ = [
    "Callback",
    "Layer",
    "Loss",
    "Metric",
    "collected_together",
    "compiled_metrics",
    "compute_dtype",
    "concrete",
    "custom_gradient",
    "deserialize",
    "initializer",
    "keep_logits",
    "kept_logits",
    "keras",
    "keras_mask",
    "largest",
    "name_scope",
    "num_replicas",
    "ops",
    "rebuild_train_function",
    "register",
    "serialize",
    "takes_class_ids",
    "takes_one_hot",
    "with_sublayers",
]


def compute_dtype(dtype: str) -> str:
    """The dtype that losses and counters compute in: never narrower than float32."""
    return "float64" if dtype == "float64" else "float32"


def concrete(tensor: Any) -> np.ndarray | None:
    """The values of `tensor` as a NumPy array, or None while a graph is traced, where there are none."""
    if isinstance(tensor, np.ndarray):
        return tensor
    if keras.backend.backend() == "tensorflow":
        return tensor.numpy() if hasattr(tensor, "numpy") else None
    try:
        return ops.convert_to_numpy(tensor)
    except Exception:  # every backend has its own error for a traced tensor
        return None


class _MaskProbe(keras.losses.Loss):
    """Gives 1 where Keras counts a position of `y_pred` and 0 where its mask hides it, by public means alone."""

    def __init__(self):
        super().__init__(name="keras_mask", reduction=None)

    def call(self, y_true, y_pred):
        return y_true


def keras_mask(y_pred: Any, like: Any) -> Any:
    """The mask that Keras keeps for `y_pred`, as ones and zeros of the shape of `like`."""
    return ops.cast(_MaskProbe()(ops.ones_like(like), y_pred), like.dtype)


def kept_logits(y_pred: Any) -> Any:
    """The logits that Keras keeps beside the output of a softmax or sigmoid activation, or None where it keeps none."""
    logits = getattr(y_pred, "_keras_logits", None)
    return logits if logits is not None and tuple(logits.shape) == tuple(y_pred.shape) else None


def takes_class_ids(loss: Any) -> bool:
    """Whether a loss of Keras reads class ids, not one-hot rows."""
    return type(loss).__name__ in ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy")


def takes_one_hot(loss: Any) -> bool:
    """Whether a loss is one of Keras that needs one-hot rows and would broadcast class ids."""
    return getattr(keras.losses, type(loss).__name__, None) is type(loss) and not takes_class_ids(loss)


def keep_logits(probabilities: Any, logits: Any) -> Any:
    """Marks `probabilities` as the output of an activation over `logits`, for a loss of Keras that looks for them."""
    probabilities._keras_logits = logits
    return probabilities


def with_sublayers(layer: Any) -> list:
    """The layer and every layer inside it."""
    return list(layer._flatten_layers())


def num_replicas() -> int:
    """How many replicas share a global batch: a mean loss is divided by it, as Keras divides its own."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    return 1


def rebuild_train_function(model: Any) -> None:
    """Makes a running `fit` see changed `trainable` flags and changed Python values from its next epoch on."""
    model.make_train_function(force=True)


def largest(scores: Any) -> Any:
    """Index of the largest score along the last axis, the first among equals, int32."""
    if keras.backend.backend() == "tensorflow":
        # ops.argmax tells -0 from 0 there, which costs eight times as much and is no tie where it should be one.
        return ops.squeeze(ops.top_k(scores, 1)[1], -1)
    return ops.cast(ops.argmax(scores, axis=-1), "int32")


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
