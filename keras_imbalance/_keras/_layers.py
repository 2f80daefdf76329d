"""Layers inside layers, what a layer itself trains, and whether it writes its own weights."""

from typing import Any

from keras_imbalance._keras._backend import keras

# Their `call` assigns to their weights in training, whether they are trainable or not.
WRITE_THEIR_WEIGHTS = tuple(
    getattr(keras.layers, name) for name in ("SpectralNormalization",) if hasattr(keras.layers, name)
)


def is_batchnorm(layer: Any) -> bool:
    """Whether the layer keeps running statistics of its batches."""
    return isinstance(layer, keras.layers.BatchNormalization)


def writes_own_weights(layer: Any) -> bool:
    """Whether the layer changes its weights in its own call, frozen or not."""
    return isinstance(layer, WRITE_THEIR_WEIGHTS)


def with_sublayers(layer: Any) -> list:
    """The layer and every layer inside it."""
    return list(layer._flatten_layers())


def inner_layers(layer: Any) -> list:
    """The layers that stand directly inside a layer or model."""
    return list(layer._flatten_layers(recursive=False, include_self=False))


def own_trainable(layer: Any) -> list:
    """What the layer itself trains or could train, without the layers inside it."""
    own = getattr(layer, "_trainable_variables", None)
    return list(getattr(layer, "_trainable_weights", ()) if own is None else own)


def can_freeze(variable: Any) -> bool:
    """Whether a variable has a flag of its own that can be set; those of tf-keras follow their layer."""
    return bool(getattr(getattr(type(variable), "trainable", None), "fset", None))


def freeze_variable(variable: Any, frozen: bool) -> None:
    """Sets the flag of a variable where it has one of its own."""
    if can_freeze(variable):
        variable.trainable = not frozen
