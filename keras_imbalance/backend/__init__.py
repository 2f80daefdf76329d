"""Which Keras this process runs. Every other module takes Keras from here and imports none by itself.

Keras 3 on TensorFlow, JAX or PyTorch, or tf-keras where TF_USE_LEGACY_KERAS=1 says so to TensorFlow: `keras` is the one in use.
"""

import os
import sys
from typing import Any

import numpy as np

from keras_imbalance.backend.gradients import custom_gradient_of

if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):  # the words that TensorFlow knows
    from keras_imbalance.backend.legacy import (
        Callback,
        Layer,
        Loss,
        Metric,
        collected_together,
        compiled_metrics,
        given_name,
        given_reduction,
        keras,
        keras_mask,
        name_scope,
        names_in_logs,
        num_replicas,
        ops,
    )
else:
    from keras_imbalance.backend.keras3 import (
        Callback,
        Layer,
        Loss,
        Metric,
        collected_together,
        compiled_metrics,
        given_name,
        given_reduction,
        keras,
        keras_mask,
        name_scope,
        names_in_logs,
        num_replicas,
        ops,
    )

register = keras.saving.register_keras_serializable(package="keras_imbalance")
serialize = keras.saving.serialize_keras_object
deserialize = keras.saving.deserialize_keras_object
custom_gradient = custom_gradient_of(keras.backend.backend())
initializer = keras.initializers.get
progress_bar = keras.utils.Progbar

__all__ = [
    "Callback",
    "Layer",
    "Loss",
    "Metric",
    "collected_together",
    "compiled_losses",
    "compiled_metrics",
    "compute_dtype",
    "concrete",
    "custom_gradient",
    "deserialize",
    "fit_validates",
    "given_name",
    "given_reduction",
    "initializer",
    "is_loss",
    "keep_logits",
    "kept_logits",
    "keras",
    "keras_mask",
    "largest",
    "loss_argument",
    "name_scope",
    "names_in_logs",
    "num_replicas",
    "ops",
    "progress_bar",
    "rebuild_test_function",
    "rebuild_train_function",
    "register",
    "row_maximum",
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
    if keras.backend.backend() == "torch" and (
        sys.modules["torch"].compiler.is_compiling()
        or keras.src.backend.in_symbolic_scope()  # values that Keras makes up to learn shapes; no public name tells
    ):
        return None
    try:
        return ops.convert_to_numpy(tensor)
    except Exception:  # every backend has its own error for a traced tensor
        return None


def kept_logits(y_pred: Any) -> Any:
    """The logits that Keras keeps beside the output of a softmax or sigmoid activation, or None where it keeps none."""
    logits = getattr(y_pred, "_keras_logits", None)
    return logits if logits is not None and tuple(logits.shape) == tuple(y_pred.shape) else None


def is_loss(value: Any) -> bool:
    """Whether `value` is a loss object of Keras or of this package."""
    return isinstance(value, keras.losses.Loss)


def loss_argument(loss: Any, argument: str, default: Any) -> Any:
    """The value of an argument of a loss, `default` where it has none of that name."""
    # tf-keras keeps the arguments of its own losses in a dict.
    return getattr(loss, argument, getattr(loss, "_fn_kwargs", {}).get(argument, default))


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


def rebuild_train_function(model: Any) -> None:
    """Makes a running `fit` see changed `trainable` flags and changed Python values from its next epoch on."""
    model.make_train_function(force=True)


def rebuild_test_function(model: Any) -> None:
    """Makes the next evaluation see changed Python values, of a loss for example."""
    model.make_test_function(force=True)


def compiled_losses(model: Any) -> list[tuple[str, Any, tuple | None]]:
    """The losses that `model` was compiled with, one an output: its name, the loss as given, and the output's shape if known.

    One loss for a model of several outputs stands for each of them. Outputs that a list does not name have the model's names,
    or their place in the list.
    """
    loss, outputs = getattr(model, "loss", None), list(getattr(model, "outputs", None) or ())
    # A Sequential model does not name its output in every Keras.
    names = [str(name) for name in getattr(model, "output_names", None) or range(max(len(outputs), 1))]
    shapes = dict(zip(names, [tuple(output.shape) for output in outputs], strict=False))
    if isinstance(loss, dict):
        found = [(str(name), part) for name, part in loss.items()]
    elif isinstance(loss, (list, tuple)):
        if len(names) != len(loss):
            names = names * len(loss) if len(outputs) == 1 else [str(i) for i in range(len(loss))]
        found = list(zip(names, loss, strict=True))
    else:
        found = [(name, loss) for name in names]
    return [(name, part, shapes.get(name)) for name, part in found if part is not None]


def fit_validates(model: Any) -> bool | None:
    """Whether the running `fit` of `model` has validation data, None where that cannot be seen.

    Callbacks are not told, so this looks at who called.
    """
    frame: Any = sys._getframe(1)
    while frame is not None:
        known = frame.f_locals
        if frame.f_code.co_name == "fit" and known.get("self") is model and "validation_data" in known:
            return known["validation_data"] is not None
        frame = frame.f_back
    return None


def row_maximum(values: Any) -> Any:
    """Largest value along the last axis, `(..., 1)`, of an empty batch as well."""
    if keras.backend.backend() == "torch":
        # There ops.max puts a bound on the CPU and fails on shapes alone; without a bound it refuses an empty batch.
        return ops.amax(values, axis=-1, keepdims=True)
    return ops.max(values, axis=-1, keepdims=True, initial=-float("inf"))


def largest(scores: Any) -> Any:
    """Index of the largest score along the last axis, the first among equals, int32."""
    if keras.backend.backend() == "tensorflow":
        # ops.argmax tells -0 from 0 there, which costs eight times as much and is no tie where it should be one.
        return ops.squeeze(ops.top_k(scores, 1)[1], -1)
    return ops.cast(ops.argmax(scores, axis=-1), "int32")
