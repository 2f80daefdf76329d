"""Keras's models and what is fitted on: their graphs, their compiled parts, batches, the seeds of their layers."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from keras_imbalance._keras._backend import IS_KERAS_3, keras

Model = keras.Model
Input = keras.Input
Activation = keras.layers.Activation
Average = keras.layers.Average
CallbackList = keras.callbacks.CallbackList
floatx = keras.backend.floatx
if IS_KERAS_3:
    PyDataset = keras.utils.PyDataset
    SKLearnClassifier: Any = keras.wrappers.SKLearnClassifier
    tree = keras.tree
else:  # tf-keras can import this; what needs it refuses tf-keras
    PyDataset = keras.utils.Sequence
    SKLearnClassifier = object
    tree = None


def need_keras_3(feature: str, remedy: str = "Unset it.") -> None:
    """Raises on tf-keras, which the named feature cannot use."""
    if not IS_KERAS_3:
        raise ImportError(f"{feature} needs Keras 3. Received: TF_USE_LEGACY_KERAS=1. {remedy}")


# Callbacks that change the learning rate, which members with one optimizer share.
LEARNING_RATE_CALLBACKS = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds for a while what Keras takes the seeds of its layers from, and on PyTorch what unseeded dropout draws from."""
    before = random.getstate()
    random.seed(seed)
    try:
        if keras.backend.backend() == "torch":
            import torch

            with torch.random.fork_rng():
                torch.manual_seed(seed)
                yield
        else:
            yield
    finally:
        random.setstate(before)


def random_states() -> list[np.ndarray]:
    """Where the generators are that are no variable of a model: on PyTorch unseeded dropout draws from those of the process."""
    if keras.backend.backend() != "torch":
        return []
    import torch

    return [state.cpu().numpy() for state in (torch.get_rng_state(), *torch.cuda.get_rng_state_all())]


def set_random_states(states: Sequence[np.ndarray]) -> None:
    """Puts generators back to what `random_states` gave; of several GPUs as many as there are now."""
    if not states or keras.backend.backend() != "torch":
        return
    import torch

    cpu, *gpus = (torch.from_numpy(np.array(state, dtype=np.uint8)) for state in states)
    torch.set_rng_state(cpu)
    for i, state in enumerate(gpus[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, i)


def has_graph(model: Any) -> bool:
    """Whether `model` is functional or sequential with known inputs."""
    try:
        return bool(model.inputs and model.outputs)
    except (AttributeError, ValueError):  # a subclassed model, or a sequential one whose input is not known yet
        return False


def graph_ends(model: Any) -> tuple[Any, Any]:
    """The symbolic inputs (a nest) and outputs of a model with a graph."""
    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def without_compilation(model: Any, name: str) -> Any:
    """A model of the same layers that was never compiled: saved in another it brings no optimizer, loss or metrics along."""
    return Model(*graph_ends(model), name=name)


def has_own_train_step(model: Any) -> bool:
    """Whether the class of `model` trains in a way of its own."""
    return type(model).train_step is not Model.train_step


def optimizer_config(optimizer: Any) -> dict:
    """The configuration of an optimizer without its name."""
    return {key: value for key, value in optimizer.get_config().items() if key != "name"}


def logged_loss(model: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
    """The loss of a compiled model on predictions of its own, which enters its log `loss` as in fit."""
    loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
    model._loss_tracker.update_state(loss, sample_weight=keras.ops.shape(tree.flatten(x)[0])[0])
    return loss
