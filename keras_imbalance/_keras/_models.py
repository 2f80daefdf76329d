"""What ensembles need of Keras's models: their graphs, their compiled parts, and fit on batches that they make themselves."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_imbalance._keras._backend import keras
from keras_imbalance._keras._tensorflow import tensorflow

IS_KERAS_3 = hasattr(keras, "ops")

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


def fresh_copy(optimizer: Any) -> Any:
    """An optimizer of the same configuration that has taken no step."""
    return type(optimizer).from_config(optimizer.get_config())


def counted_loss(model: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool) -> Any:
    """The loss of a compiled model on predictions of its own, counted in its log `loss` as fit counts it."""
    loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
    model._loss_tracker.update_state(loss, sample_weight=keras.ops.shape(tree.flatten(x)[0])[0])
    return loss


def text_tensor(array: Any) -> Any:
    """An array of text as a tensor, which every way into a model takes; on other backends than TensorFlow as it is."""
    if keras.backend.backend() != "tensorflow":
        return array
    return tensorflow().convert_to_tensor(array, dtype="string")
