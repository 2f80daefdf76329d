"""What decision layers share: they take arrays as a function does, and compute in float32 at least."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_imbalance._core import channels_at_end, check_numbers, check_whole, invalid
from keras_imbalance._keras import Layer, compute_dtype, keras, ops


class Decision(Layer):
    """A layer on the outputs of a model, and a function of arrays.

    Arrays, lists and frames are decided in NumPy float64, checked as the arguments of a function are. Tensors go through `call`
    as in every layer of Keras.

    Args:
        axis: channel axis of the inputs.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`.
    """

    def __init__(self, *, axis: int = -1, **kwargs: Any):
        # Without autocast, so that half precision does not round the probabilities before they are read.
        super().__init__(autocast=False, **kwargs)
        self.axis = check_whole(axis, "axis")
        self.supports_masking = True

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (np.ndarray, Sequence)) or hasattr(inputs, "to_numpy"):
            return self.of_array(channels_at_end(check_numbers(inputs, self.argument), self.axis), inputs)
        return super().__call__(inputs, *args, **kwargs)

    argument = "probabilities"  # what an error calls the inputs

    def of_array(self, values: np.ndarray, given: Any) -> np.ndarray:
        """The result for an array whose channels are at the end, taken from `given`."""
        raise NotImplementedError

    def of_tensor(self, values: Any) -> Any:
        """The result for a tensor of float32 or wider whose channels are at the end."""
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        values = ops.cast(inputs, compute_dtype(self.compute_dtype))
        return self.of_tensor(values if self.axis == -1 else ops.moveaxis(values, self.axis, -1))

    def get_config(self) -> dict:
        return {**super().get_config(), "axis": self.axis}


class ClassDecision(Decision):
    """A decision whose result is an int32 class id a position, without the channel axis."""

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


def pair_of(p: Any) -> Any:
    """Probabilities `(..., C)` as a tensor; those of one sigmoid `(..., 1)` as the pair of 1 - p and p."""
    return ops.concatenate((1 - p, p), axis=-1) if p.shape[-1] == 1 else p


def log_of(p: Any) -> Any:
    """Logarithm of a tensor of probabilities; that of 0 is the smallest that its precision has, and without gradient."""
    tiny = np.finfo("float64" if "float64" in str(p.dtype) else "float32").tiny
    return ops.log(ops.maximum(p, float(tiny)))
