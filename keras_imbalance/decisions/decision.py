"""What the layers on the outputs of a model share: they compute in float32 at least; decisions take arrays too."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance._core import channels_at_end, check_numbers, check_whole, invalid
from keras_imbalance._keras import Layer, compute_dtype, keras, largest, ops


class OutputLayer(Layer):
    """A layer on the outputs of a model, whose result has their shape.

    Args:
        axis: channel axis of the inputs.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`.
    """

    def __init__(self, *, axis: int = -1, **kwargs: Any):
        # Without autocast, so that half precision does not round the probabilities before they are read.
        super().__init__(autocast=False, **kwargs)
        self.axis = check_whole(axis, "axis")
        self.supports_masking = True

    def of_tensor(self, values: Any) -> Any:
        """The result for a tensor of float32 or wider whose channels are at the end."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        values = ops.cast(inputs, compute_dtype(self.compute_dtype))
        return self.of_tensor(values if self.axis == -1 else ops.moveaxis(values, self.axis, -1))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)

    def compute_output_spec(self, inputs: Any) -> Any:
        dtype = compute_dtype(self.compute_dtype)
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "axis": self.axis}


class Decision(OutputLayer):
    """An output layer that is a function of arrays too.

    Arrays, lists and frames are decided in NumPy float64, checked as the arguments of a function are. Tensors go through `call`
    as in every layer of Keras.
    """

    argument = "probabilities"  # what an error calls the inputs

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (np.ndarray, Sequence)) or hasattr(inputs, "to_numpy"):
            return self.of_array(channels_at_end(check_numbers(inputs, self.argument), self.axis), inputs)
        return super().__call__(inputs, *args, **kwargs)

    def of_array(self, values: np.ndarray, given: Any) -> np.ndarray:
        """The result for an array whose channels are at the end, taken from `given`."""
        raise NotImplementedError


class ClassIds(OutputLayer):
    """An output layer whose result is an int32 class id a position, without the channel axis."""

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        axis = self.axis % len(input_shape)
        return tuple(input_shape[:axis]) + tuple(input_shape[axis + 1 :])

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype="int32")


def check_channels(input_shape: Any, axis: int, num_classes: int, argument: str) -> None:
    """Raises unless inputs have as many channels as there are classes, or one for two."""
    if not -len(input_shape) <= axis < len(input_shape):
        raise invalid("axis", f"be an axis of inputs of shape {tuple(input_shape)}", axis)
    channels = input_shape[axis]
    if channels != num_classes and not (channels == 1 and num_classes == 2):
        received = f"{num_classes} classes and inputs of shape {tuple(input_shape)}"
        raise invalid(argument, "be for as many classes as there are channels, two for one sigmoid", received=received)


def probabilities_of(values: Any, from_logits: bool) -> Any:
    """Probabilities `(..., C)` of a tensor of them or of logits; those of one sigmoid `(..., 1)` as the pair of 1 - p and p."""
    if values.shape[-1] == 1:
        pair = (ops.sigmoid(-values), ops.sigmoid(values)) if from_logits else (1 - values, values)
        return ops.concatenate(pair, axis=-1)
    return ops.softmax(values, axis=-1) if from_logits else values


def known_classes(scores: Any) -> Any:
    """The class of the largest score of each position, int32, the first among equals; -1 where one is NaN."""
    decisions = largest(scores)
    return ops.where(ops.any(ops.isnan(scores), axis=-1), ops.full_like(decisions, -1), decisions)


def log_of(p: Any) -> Any:
    """Logarithm of a tensor of probabilities; that of 0 is the smallest that its precision has, and without gradient."""
    tiny = np.finfo("float64" if "float64" in str(p.dtype) else "float32").tiny
    return ops.log(ops.maximum(p, float(tiny)))
