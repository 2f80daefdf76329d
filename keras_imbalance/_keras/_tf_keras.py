"""tf-keras, in a process with TF_USE_LEGACY_KERAS=1: what `keras_imbalance._keras` takes from it.

`ops` are those of Keras 3 on its TensorFlow backend, plain functions of tensors. The base classes give those of tf-keras the
constructor arguments and the configuration of Keras 3.
"""

import importlib
import os
import sys
import warnings
from typing import Any

try:
    import tf_keras as keras
except ImportError as error:
    raise ImportError(
        "keras_imbalance needs tf-keras where TF_USE_LEGACY_KERAS asks for it. "
        f"Received: {error}. Install it: pip install tf-keras, in the version of TensorFlow; or unset the variable."
    ) from error

import numpy as np
import tensorflow as tf

from keras_imbalance._keras._frames import callers, local_of_a_caller
from keras_imbalance._keras._names import OWN_REDUCTIONS, snake_case


def _ops_of_keras_3():
    asked = os.environ.get("KERAS_BACKEND") or "tensorflow"
    keras_3: Any = sys.modules.get("keras")
    if keras_3 is None and asked == "tensorflow":
        unset = "KERAS_BACKEND" not in os.environ
        os.environ["KERAS_BACKEND"] = "tensorflow"  # also where the user's keras.json names another
        try:
            keras_3 = importlib.import_module("keras")
        finally:
            if unset:
                del os.environ["KERAS_BACKEND"]
    running = asked if keras_3 is None else keras_3.backend.backend()
    if running != "tensorflow":
        raise ImportError(
            "tf-keras runs on TensorFlow alone. Received: TF_USE_LEGACY_KERAS="
            f"{os.environ['TF_USE_LEGACY_KERAS']!r} and Keras 3 on {running!r}. "
            "Unset KERAS_BACKEND, or unset TF_USE_LEGACY_KERAS to train with Keras 3."
        )
    return keras_3.ops


ops = _ops_of_keras_3()
Callback = keras.callbacks.Callback
Layer = keras.layers.Layer
name_scope = tf.name_scope

REDUCTION = "given_reduction"  # the attribute that holds the reduction of a loss
CHOOSERS = (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau, keras.callbacks.ModelCheckpoint)
MEANS = ("mean", "mean_with_sample_weight", *OWN_REDUCTIONS)
REDUCTIONS = ("sum_over_batch_size", "sum", "none", None, *MEANS)


def _as_written(cls, *methods):
    """Keeps AutoGraph, which tf-keras runs over the code of users, from rewriting methods that are made for graphs."""
    for method in set(methods) & set(vars(cls)):
        setattr(cls, method, tf.autograph.experimental.do_not_convert(vars(cls)[method]))


class Loss(keras.losses.Loss):
    """Loss of tf-keras with the constructor of Keras 3.

    `reduction` is what tf-keras knows it as, which divides every mean by the number of replicas inside compile.
    """

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        _as_written(cls, "call", "__call__")

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {REDUCTIONS}. Received: reduction={reduction!r}.")
        known = "none" if reduction is None else "sum_over_batch_size" if reduction in MEANS else reduction
        super().__init__(known, name or snake_case(type(self).__name__))
        self.given_reduction = reduction
        self.dtype = keras.mixed_precision.Policy(_dtype_name(dtype)).compute_dtype

    def get_config(self) -> dict:
        return {"name": self.name, "reduction": self.given_reduction}


class Metric(keras.metrics.Metric):
    """Metric of tf-keras with the state of Keras 3: variables of any shape, all of them set to 0 by `reset_state`."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        _as_written(cls, "update_state", "result")

    def __init__(self, name: str | None = None, dtype: Any = None):
        super().__init__(name=name or snake_case(type(self).__name__), dtype=_dtype_name(dtype))
        self.given_name = self.name
        self.larger_is_better: frozenset = frozenset()  # keys, once it was collected
        self.is_told_of_mode = False

    def add_variable(self, shape: Any, initializer: Any, dtype: Any = None, name: str | None = None) -> Any:
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype=dtype)

    def reset_state(self) -> None:
        for variable in self.variables:
            variable.assign(tf.zeros(variable.shape, variable.dtype))
        _warn_of_mode(self)

    def get_config(self) -> dict:
        # compile puts the name of an output before that of a metric, and would do so again in a reloaded model.
        return {**super().get_config(), "name": self.given_name}


def keras_mask(y_pred: Any) -> Any:
    """The mask that Keras keeps for `y_pred`, True where a position counts, or None."""
    return getattr(y_pred, "_keras_mask", None)


def inner_loss(loss: Any, outer: Any) -> Any:
    """`loss` as a part of another loss, which tf-keras divides by the number of replicas inside compile."""
    loss._allow_sum_over_batch_size = outer._allow_sum_over_batch_size
    return loss


def given_reduction(loss: Any) -> str | None:
    """The reduction that a loss was built with."""
    return loss.given_reduction


def given_name(metric: Any) -> str:
    """The name that a metric was built with; of several outputs, tf-keras puts the name of an output before it."""
    return metric.given_name


def tell_directions(metric: Any, keys: Any) -> None:
    """Keeps the keys for a warning: tf-keras does not ask a metric which way is better."""
    if getattr(metric, "_direction", "") == "up":
        metric.larger_is_better = frozenset(keys)


def _warn_of_mode(metric):
    """Warns once of callbacks that keep the worst epoch, when fit or its validation resets a metric that was collected."""
    keys = metric.larger_is_better
    if not keys or metric.is_told_of_mode:
        return
    running = local_of_a_caller("callbacks", keras.callbacks.CallbackList) or ()
    wrong = [callback for callback in running if isinstance(callback, CHOOSERS) and _takes_the_least(callback, keys)]
    if wrong:
        metric.is_told_of_mode = True
        listed = ", ".join(f"{type(callback).__name__}(monitor={callback.monitor!r})" for callback in wrong)
        warnings.warn(
            f"{listed} takes the least value for the best, and more is better. Pass mode='max'.", stacklevel=2
        )


def _takes_the_least(callback, keys):
    chooses = getattr(callback, "save_best_only", True)
    return chooses and callback.monitor.removeprefix("val_") in keys and bool(callback.monitor_op(0.0, 1.0))


def names_in_logs(metric: Any, outputs: list) -> set:
    """The keys that a metric of one value may have."""
    return {metric.name}


def num_replicas(loss: Any) -> int:
    """How many replicas share a global batch: a mean loss is divided by it, except in compile, where tf-keras does that."""
    return 1 if loss._allow_sum_over_batch_size else tf.distribute.get_strategy().num_replicas_in_sync


def compiled_metrics(model: Any) -> dict:
    """The metrics that `model` was compiled with, by the name under which Keras logs them; empty before its first batch."""
    container = model.compiled_metrics
    return {metric.name: metric for metric in (container.metrics if container is not None else ())}


def metrics_of(model: Any) -> list:
    """The metrics that `model` was compiled with, in the middle of an epoch too; empty before its first batch."""
    return list(compiled_metrics(model).values())


def given_metrics(model: Any) -> list:
    """The metrics that `model` was compiled with, before its first batch too: objects, names or functions, in no order."""
    container = model.compiled_metrics
    given = [] if container is None else [container._user_metrics, container._user_weighted_metrics]
    return [metric for metric in tf.nest.flatten(given) if metric is not None]


def collected_together() -> tuple[list, list] | None:
    """The metrics whose results Keras is collecting at this moment, and the names of the outputs where there are several.

    None when tf-keras is not collecting, as when a user calls `result()`. A metric is not told which other metrics its model
    has, so this asks who called. If tf-keras collects in another way one day, an error message is lost and nothing else.
    """
    for owner, method in callers():
        if isinstance(owner, keras.Model) and method.endswith("get_metrics_result"):
            outputs = list(getattr(owner, "output_names", None) or ())
            return list(owner.compiled_metrics.metrics), outputs if len(outputs) > 1 else []
    return None


def value_of(variable: Any) -> np.ndarray:
    """The value of a variable or tensor as an array."""
    return np.asarray(keras.backend.get_value(variable))


def _dtype_name(dtype):
    """A dtype or policy by name; the default of tf-keras for None."""
    if dtype is None:
        return keras.backend.floatx()
    return dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or tf.as_dtype(dtype).name
