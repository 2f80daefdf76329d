"""Keras 3 on TensorFlow, JAX or PyTorch: what `keras_imbalance._keras` takes from it."""

import weakref
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_imbalance._keras._frames import callers
from keras_imbalance._keras._names import OWN_REDUCTIONS

Metric = keras.metrics.Metric
Callback = keras.callbacks.Callback
Layer = keras.layers.Layer

name_scope = keras.name_scope
REDUCTION = "reduction"  # the attribute that holds the reduction of a loss


class Loss(keras.losses.Loss):
    """Loss of Keras that takes the reductions of this package as well."""

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None):
        super().__init__(name=name, reduction="mean" if reduction in OWN_REDUCTIONS else reduction, dtype=dtype)
        self.reduction = reduction


def keras_mask(y_pred: Any) -> Any:
    """The mask that Keras keeps for `y_pred`, True where a position counts, or None."""
    return keras.src.backend.get_keras_mask(y_pred)


def inner_loss(loss: Any, outer: Any) -> Any:
    """`loss` as a part of another loss."""
    return loss


def given_reduction(loss: Any) -> str | None:
    """The reduction that a loss was built with."""
    return loss.reduction


def given_name(metric: Any) -> str:
    """The name that a metric was built with."""
    return metric.name


MetricsList: Any = getattr(getattr(keras.src.trainers, "compile_utils", None), "MetricsList", Metric)


class Directions(MetricsList):
    """The keys that metrics write in addition to their names, where callbacks in mode "auto" look for a name and a direction.

    It hangs on the model and counts and logs nothing. It is empty once the model is compiled anew.
    """

    def __init__(self, model: Any, compiled: Any):
        Metric.__init__(self, name="directions")
        self._model, self._compiled = weakref.ref(model), weakref.ref(compiled)
        self._found: dict[str, SimpleNamespace] = {}

    def of(self, compiled: Any) -> bool:
        """Whether it holds keys of these compiled metrics."""
        return self._compiled() is compiled

    def tell(self, key: str, direction: str) -> None:
        self._found[key] = SimpleNamespace(name=key, _direction=direction)

    @property
    def metrics(self) -> list:
        model, compiled = self._model(), self._compiled()
        current = model is not None and any(metric is compiled for metric in model.metrics)
        return list(self._found.values()) if current else []

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Counts nothing."""

    def reset_state(self) -> None:
        """Forgets nothing."""

    def result(self) -> dict:
        return {}


def tell_directions(metric: Any, keys: Iterable[str]) -> None:
    """Tells callbacks in mode "auto" of the model that collects `metric` now which way is better of each key.

    Keras asks the metric whose name is the key, and the key of one class is the name of none. Where Keras does not show who
    collects, its callbacks ask for a mode.
    """
    compiled: Any = None
    direction = getattr(metric, "_direction", "")
    for owner, _ in callers() if direction else ():
        if compiled is None and isinstance(owner, Metric) and hasattr(owner, "output_names"):
            compiled = owner
        if compiled is not None and isinstance(owner, keras.Model):
            told = _directions_of(owner, compiled)
            for key in keys:
                told.tell(key, direction)
            return


def _directions_of(model, compiled):
    told = getattr(model, "keras_imbalance_directions", None)
    if told is None or not told.of(compiled):
        told = model.keras_imbalance_directions = Directions(model, compiled)
    return told


def names_in_logs(metric: Any, outputs: list) -> set:
    """The keys that a metric of one value may have. With several outputs, the metric cannot tell which output it belongs to."""
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


def metrics_of(model: Any) -> list:
    """The metrics that `model` was compiled with, in the middle of an epoch too; empty before its first batch."""
    found: list[Any] = []
    for metric in model.metrics:
        compiled = hasattr(metric, "output_names")
        found += (metric.metrics if metric.built else []) if compiled else [metric]
    return found


def given_metrics(model: Any) -> list:
    """The metrics that `model` was compiled with, before its first batch too: objects, names or functions, in no order."""
    found: list[Any] = []
    for metric in model.metrics:
        compiled = hasattr(metric, "output_names")
        given = [metric._user_metrics, metric._user_weighted_metrics] if compiled else [metric]
        found += [one for one in keras.tree.flatten(given) if one is not None]
    return found


def collected_together() -> tuple[list, list] | None:
    """The metrics whose results Keras is collecting at this moment, and the names of the outputs where there are several.

    None when Keras is not collecting, as when a user calls `result()`. A metric is not told which other metrics its model has,
    so this asks who called. If Keras collects in another way one day, an error message is lost and nothing else.
    """
    for owner, _ in callers():
        if isinstance(owner, Metric) and hasattr(owner, "output_names"):
            outputs = list(owner.output_names or ())
            return list(owner.metrics), outputs if len(outputs) > 1 else []
    return None


def value_of(variable: Any) -> np.ndarray:
    """The value of a variable or tensor as an array."""
    return ops.convert_to_numpy(variable)
