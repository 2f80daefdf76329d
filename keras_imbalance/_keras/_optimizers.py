"""An optimizer's parts, its learning rates and its moving averages."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance._keras._backend import keras

AVERAGE = "_model_variables_moving_average"  # of the weights, in the order of what the optimizer was built over


def parts(optimizer: Any) -> list:
    """The optimizer and those that it is made of: the inner one of a scaled loss, or those of a MultiOptimizer."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is None and on_demand(optimizer):  # Lookahead and MovingAverage of tensorflow-addons
        inner = getattr(optimizer, "_optimizer", None)
    inners = [inner] if inner is not None else list(getattr(optimizer, "optimizers", ()))
    inners += [spec["optimizer"] for spec in getattr(optimizer, "optimizer_specs", ())]  # its MultiOptimizer
    return [optimizer, *inners]


def fresh_copy(optimizer: Any) -> Any:
    """An optimizer of the same configuration that has taken no step."""
    return type(optimizer).from_config(optimizer.get_config())


def on_demand(optimizer: Any) -> bool:
    """Whether the optimizer makes slots when it first needs them, as do the legacy ones of tf-keras."""
    return not hasattr(optimizer, "build")


def learners(optimizer: Any) -> list:
    """Those of `parts` that have a learning rate and slots."""
    found = parts(optimizer)
    return found[1:] or found


def learning_rates(optimizer: Any) -> list[float] | None:
    """The learning rate of each of `learners`, or None where one follows a schedule and cannot be set."""
    rates = []
    for learner in learners(optimizer):
        rate = learner.learning_rate  # a number before the first step of a legacy optimizer
        settable = hasattr(rate, "assign") or isinstance(rate, (int, float))
        if isinstance(learner.get_config()["learning_rate"], Mapping) or not settable:
            return None
        rates.append(float(rate.numpy() if hasattr(rate, "numpy") else rate))
    return rates


def set_learning_rates(optimizer: Any, rates: Sequence[float]) -> None:
    """Sets the learning rate of each of `learners`."""
    for learner, rate in zip(learners(optimizer), rates, strict=True):
        learner.learning_rate = rate


def is_built(optimizer: Any) -> bool:
    """Whether the optimizer has made its slots, or makes them without being asked to."""
    return bool(getattr(optimizer, "built", False) or getattr(optimizer, "_built", False) or on_demand(optimizer))


def separate_averages(optimizer: Any) -> None:
    """On JAX, gives each moving average of a weight memory of its own.

    At the end of a fit Keras lets the weight have the array of its average. The next step gives the memory of both away, once
    too often; `evaluate` gives that of the weight away, and the average is gone, whose value the weight still has.
    """
    if optimizer is None or keras.backend.backend() != "jax":
        return
    for part in parts(optimizer):
        averages = vars(part).get(AVERAGE) or ()
        for variable, average in zip(vars(part).get("_trainable_variables", ()), averages, strict=False):
            if average is not None:
                average.assign(np.array((variable if average.value.is_deleted() else average).numpy()))
