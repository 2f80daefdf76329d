"""What a callback can tell when training begins: of the epochs, of the other callbacks, of the keys of the logs.

Keras does not tell a callback which others there are. Where they cannot be seen, these checks find nothing.
"""

import warnings
from collections.abc import Callable
from typing import Any

from keras_imbalance._keras import callbacks_of_fit, given_metrics, given_name, keras, swaps_between_epochs
from keras_imbalance.metrics import ClassMetric


def warn_of_late_epoch(callback: Any, argument: str, value: int, lost: str, needed: int | None = None) -> None:
    """Warns of an epoch that the fit does not reach.

    Args:
        callback: whose `params` are those of the fit.
        argument: what the user gave the epoch as.
        value: what was given.
        lost: what does not happen, as the beginning of a sentence.
        needed: the epoch that the fit has to reach. Defaults to `value`.
    """
    epochs = (callback.params or {}).get("epochs")
    if epochs is not None and (value if needed is None else needed) >= epochs:
        warnings.warn(
            f"{lost}: this fit ends before. Received: {argument}={value} of {type(callback).__name__}, counted from 0, and "
            f"epochs={epochs} of fit. Fit more epochs, unless a later fit goes on from here with `initial_epoch`.",
            stacklevel=4,
        )


def check_swap_comes_first(callback: Any, reason: str) -> None:
    """Raises where SwapEMAWeights(swap_on_epoch=True) comes after `callback`, for the reason given in words.

    It leaves the moving averages in the model from the end of an epoch to the beginning of the next, so its place in the list
    says which weights a callback sees there.
    """
    if any(swaps_between_epochs(other) for other in _others(callback)[1]):
        raise ValueError(
            f"SwapEMAWeights(swap_on_epoch=True) must come before {type(callback).__name__} in the list of callbacks, which "
            f"{reason}. Received: it comes after."
        )


def check_no_scheduler(callback: Any) -> None:
    """Raises where LearningRateScheduler sets the rate of every epoch, in which `callback` sets it too."""
    if any(isinstance(other, keras.callbacks.LearningRateScheduler) for other in callbacks_of_fit(callback)):
        raise ValueError(
            f"LearningRateScheduler sets the rate of every epoch by itself, and so do phases of {type(callback).__name__}. "
            "Received: both in one fit. Leave LearningRateScheduler out, and give the phase `learning_rate` as a function of "
            "the epoch."
        )


def metrics_for(callback: Any) -> list[ClassMetric] | None:
    """The per-class metrics that the model of a fit was compiled with; None where keys of others cannot be known.

    A metric that somebody else wrote may log any key.
    """
    given = given_metrics(callback.model)
    if any(isinstance(one, keras.metrics.Metric) and _of_users(one) for one in given):
        return None
    return [one for one in given if isinstance(one, ClassMetric)]


def keys_before(callback: Any, adds_classes: Callable[[Any], bool]) -> list[str] | None:
    """The keys of per-class metrics that the logs of an epoch hold when `callback` reads them, without "val_".

    Args:
        callback: whose `on_train_begin` Keras is calling.
        adds_classes: whether a callback adds the keys of the classes.

    Returns:
        None where it cannot be known: a callback before it, or a metric, may log any key.
    """
    before, after = _others(callback)
    metrics = metrics_for(callback)
    if metrics is None or not (before or after) or any(map(_of_users, before)):
        return None
    added = any(map(adds_classes, before))
    keys = [(metric.monitored_keys() if added else metric.log_keys()) or [given_name(metric)] for metric in metrics]
    return [key for of_metric in keys for key in of_metric]


def _others(callback):
    """The callbacks before and after this one, Keras's own among them."""
    found = callbacks_of_fit(callback)
    at = next((i for i, other in enumerate(found) if other is callback), None)
    return ([], []) if at is None else (found[:at], found[at + 1 :])


def _of_users(part):
    """Whether a metric or a callback is of neither Keras nor this package, so that it may log any key."""
    whose = type(part).__module__.partition(".")[0]
    return whose not in ("keras", "tf_keras", "keras_imbalance") or isinstance(part, keras.callbacks.LambdaCallback)
