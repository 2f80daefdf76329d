"""Which Keras this process runs. Every other module takes Keras from here and imports none by itself.

Keras 3 on TensorFlow, JAX or PyTorch, or tf-keras where TF_USE_LEGACY_KERAS=1 asks for it: `keras` is the one in use.
"""

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from keras_imbalance._keras._gradients import custom_gradient_of

if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):  # the words that TensorFlow knows
    from keras_imbalance._keras._tf_keras import (
        REDUCTION,
        Callback,
        Layer,
        Loss,
        Metric,
        collected_together,
        compiled_metrics,
        given_metrics,
        given_name,
        given_reduction,
        inner_loss,
        keras,
        keras_mask,
        metrics_of,
        name_scope,
        names_in_logs,
        num_replicas,
        ops,
        tell_directions,
        value_of,
    )
else:
    from keras_imbalance._keras._keras3 import (
        REDUCTION,
        Callback,
        Layer,
        Loss,
        Metric,
        collected_together,
        compiled_metrics,
        given_metrics,
        given_name,
        given_reduction,
        inner_loss,
        keras,
        keras_mask,
        metrics_of,
        name_scope,
        names_in_logs,
        num_replicas,
        ops,
        tell_directions,
        value_of,
    )

IS_KERAS_3 = hasattr(keras, "ops")
register = keras.saving.register_keras_serializable(package="keras_imbalance")
serialize = keras.saving.serialize_keras_object
deserialize = keras.saving.deserialize_keras_object
custom_gradient = custom_gradient_of(keras.backend.backend())
initializer = keras.initializers.get
Initializer = keras.initializers.Initializer
_Class = TypeVar("_Class", bound=type)

__all__ = [
    "REDUCTION",
    "Callback",
    "Initializer",
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
    "dtype_name",
    "given_metrics",
    "given_name",
    "given_reduction",
    "initializer",
    "inner_loss",
    "is_loss",
    "keep_logits",
    "kept_activation",
    "kept_logits",
    "keras",
    "keras_mask",
    "largest",
    "less_is_better",
    "loss_argument",
    "metrics_of",
    "more_is_better",
    "name_scope",
    "names_in_logs",
    "num_replicas",
    "ops",
    "rebuild_functions",
    "register",
    "row_maximum",
    "row_minimum",
    "segment_sum",
    "serialize",
    "shortcut",
    "takes_class_ids",
    "takes_one_hot",
    "tell_directions",
    "value_of",
    "with_parts",
]


def compute_dtype(dtype: str) -> str:
    """The dtype that losses and counters compute in: never narrower than float32."""
    return "float64" if dtype == "float64" else "float32"


def concrete(tensor: Any) -> np.ndarray | None:
    """The values of `tensor` as a NumPy array, or None while a graph is traced and it has no values yet."""
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


def dtype_name(tensor: Any) -> str:
    """The name of a tensor's dtype, such as "int32", the same on every backend."""
    return getattr(tensor.dtype, "name", str(tensor.dtype)).removeprefix("torch.")


def kept_logits(y_pred: Any) -> Any:
    """The logits that Keras keeps with the output of a softmax or sigmoid activation, or None where it keeps no logits."""
    logits = getattr(y_pred, "_keras_logits", None)
    return logits if logits is not None and tuple(logits.shape) == tuple(y_pred.shape) else None


def kept_activation(y_pred: Any) -> str | None:
    """Which activation left its logits on `y_pred`, "softmax" or "sigmoid"; None where that cannot be told."""
    logits = kept_logits(y_pred)
    if logits is None:
        return None
    if keras.backend.backend() == "tensorflow" and not hasattr(y_pred, "numpy"):
        kind = y_pred.op.type.lower()
        return kind if kind in ("softmax", "sigmoid") else None
    found, z = concrete(y_pred[:1]), concrete(logits[:1])
    if found is None or z is None or not np.isfinite(z).all() or not found.size:
        return None
    return "sigmoid" if np.allclose(1 / (1 + np.exp(-z.astype(np.float64))), found, atol=1e-2) else "softmax"


def more_is_better(metric_class: _Class) -> _Class:
    """Tells callbacks in mode "auto" that a larger value of the metric is better. Keras has no public name for it."""
    metric_class._direction = "up"  # type: ignore[attr-defined]
    return metric_class


def less_is_better(metric_class: _Class) -> _Class:
    """Tells callbacks in mode "auto" that a smaller value of the metric is better."""
    metric_class._direction = "down"  # type: ignore[attr-defined]
    return metric_class


def is_loss(value: Any) -> bool:
    """Whether `value` is a loss object of Keras or of this package."""
    return isinstance(value, keras.losses.Loss)


def loss_argument(loss: Any, argument: str, default: Any) -> Any:
    """The value of an argument of a loss, `default` where it has no argument of that name."""
    # tf-keras keeps the arguments of its own losses in a dict.
    return getattr(loss, argument, getattr(loss, "_fn_kwargs", {}).get(argument, default))


def takes_class_ids(loss: Any) -> bool:
    """Whether a loss of Keras reads class ids, not one-hot rows."""
    return type(loss).__name__ in ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy")


def takes_one_hot(loss: Any) -> bool:
    """Whether a loss is one of Keras that needs one-hot rows and would broadcast class ids."""
    return getattr(keras.losses, type(loss).__name__, None) is type(loss) and not takes_class_ids(loss)


def keep_logits(probabilities: Any, logits: Any) -> Any:
    """Marks `probabilities` as the output of an activation over `logits`, for a loss of Keras that reads them."""
    probabilities._keras_logits = logits
    return probabilities


def rebuild_functions(model: Any) -> None:
    """Makes training, evaluation and prediction see changed `trainable` flags from the next step on.

    On JAX a compiled function maps values to variables by their position among those that train and those that do not.
    """
    model.make_train_function(force=True)
    model.make_test_function(force=True)
    model.make_predict_function(force=True)


def compiled_losses(model: Any) -> list[tuple[str, Any, tuple | None]]:
    """The losses that `model` was compiled with, one an output: its name, the loss as given, and the output's shape if known.

    One loss for a model of several outputs stands for each of them. Outputs that a list does not name have the model's names,
    or their position in the list.
    """
    outputs = list(getattr(model, "outputs", None) or ())
    # A Sequential model does not name its output in every Keras.
    names = [str(name) for name in getattr(model, "output_names", None) or range(max(len(outputs), 1))]
    shapes = dict(zip(names, [tuple(output.shape) for output in outputs], strict=False))
    found = _named_losses(getattr(model, "loss", None), names, one_output=len(outputs) == 1)
    return [(name, part, shapes.get(name)) for name, part in found if part is not None]


def with_parts(loss: Any) -> list:
    """A loss, and those that it is made of: the `losses` of a sum, the `loss` that is weighted."""
    if not isinstance(loss, Loss):
        return [loss]
    inner = [*(getattr(loss, "losses", None) or ()), getattr(loss, "loss", None)]
    return [loss, *(part for one in inner if isinstance(one, Loss) for part in with_parts(one))]


def _named_losses(loss, names, one_output):
    if isinstance(loss, dict):
        return [(str(name), part) for name, part in loss.items()]
    if not isinstance(loss, (list, tuple)):
        return [(name, loss) for name in names]
    if len(names) != len(loss):
        names = names * len(loss) if one_output else [str(i) for i in range(len(loss))]
    return list(zip(names, loss, strict=True))


def row_maximum(values: Any) -> Any:
    """Largest value along the last axis, `(..., 1)`, of an empty batch as well."""
    if keras.backend.backend() == "torch":
        # There ops.max puts a bound on the CPU and fails on shapes alone; without a bound it refuses an empty batch.
        return ops.amax(values, axis=-1, keepdims=True)
    return ops.max(values, axis=-1, keepdims=True, initial=-float("inf"))


def row_minimum(values: Any) -> Any:
    """Smallest value along the last axis, `(..., 1)`, of an empty batch as well."""
    # Not -row_maximum(-values): TensorFlow's graph optimizer turns a maximum of negatives into a wrong value inside fit.
    if keras.backend.backend() == "torch":
        return ops.amin(values, axis=-1, keepdims=True)
    return ops.min(values, axis=-1, keepdims=True, initial=float("inf"))


def shortcut(condition: Any, quick: Callable[[], Any], general: Callable[[], Any]) -> Any:
    """`quick()` where the scalar condition holds, else `general()`, which is right in either case.

    Always `general()` on PyTorch, where a branch on values ends a compiled graph.
    """
    if keras.backend.backend() == "torch":
        return general()
    known = concrete(condition)
    if known is not None:
        return quick() if known else general()
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.cond(condition, quick, general)
    import tensorflow as tf

    return tf.cond(condition, quick, general)


def largest(scores: Any) -> Any:
    """Index of the largest score along the last axis, the first among equals, int32."""
    if keras.backend.backend() == "tensorflow":
        # ops.argmax takes 0 for larger than -0 there, although they are equal, and is eight times slower.
        return ops.squeeze(ops.top_k(scores, 1)[1], -1)
    return ops.cast(ops.argmax(scores, axis=-1), "int32")


def segment_sum(values: Any, segments: Any, num_segments: int) -> Any:
    """The sum of the values `(N,)` of each segment, `(num_segments,)`, in their own dtype; Keras sums in float32 on PyTorch."""
    if keras.backend.backend() == "torch":
        import torch

        zeros = torch.zeros(num_segments, dtype=values.dtype, device=values.device)
        return zeros.index_add(0, segments.to(torch.int64), values)
    return ops.segment_sum(values, segments, num_segments=num_segments)
