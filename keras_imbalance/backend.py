"""Which Keras this process runs. Every other module takes Keras from here and imports none by itself."""

import os
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
    "compute_dtype",
    "concrete",
    "custom_gradient",
    "deserialize",
    "initializer",
    "kept_logits",
    "keras_mask",
    "name_scope",
    "num_replicas",
    "ops",
    "rebuild_train_function",
    "register",
    "serialize",
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
    return _MaskProbe()(ops.ones_like(like), y_pred)


def kept_logits(y_pred: Any) -> Any:
    """The logits that Keras keeps beside the output of a softmax or sigmoid activation, or None where it keeps none."""
    logits = getattr(y_pred, "_keras_logits", None)
    return logits if logits is not None and tuple(logits.shape) == tuple(y_pred.shape) else None


def num_replicas() -> int:
    """How many replicas share a global batch: a mean loss is divided by it, as Keras divides its own."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.distribute.get_strategy().num_replicas_in_sync
    return 1


def rebuild_train_function(model: Any) -> None:
    """Makes a running `fit` see changed `trainable` flags and changed Python values from its next epoch on."""
    model.make_train_function(force=True)
