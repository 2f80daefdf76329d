"""Layers that belong to losses of this package."""

from typing import Any

import numpy as np

import keras_imbalance.backend as backend
from keras_imbalance.backend import Layer, ops, register


@register
class CosineDense(Layer):
    """Dense layer without bias whose outputs are cosines: x / ||x|| times w_j / ||w_j||, in [-1, 1].

    The last layer of a model trained with `LDAMLoss`, whose scale makes logits of the cosines. A row of zeros has cosine 0
    with everything.

    Args:
        units: number of outputs C.
        kernel_initializer: as in Keras. Defaults to "glorot_uniform".
        **kwargs: what every Keras layer takes, such as `name` and `dtype`.

    Input shape: `(..., features)`. Output shape: `(..., units)`.

    Example:
    >>> import numpy as np
    >>> layer = CosineDense(2, kernel_initializer="ones")
    >>> [round(float(cosine), 4) for cosine in layer(np.array([[3.0, 4.0]]))[0]]
    [0.9899, 0.9899]

    Reference: Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, 2019,
    https://arxiv.org/abs/1906.07413
    """

    def __init__(self, units: int, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(units, bool) or not isinstance(units, (int, np.integer)) or units < 1:
            raise ValueError(f"`units` must be a whole number of at least 1. Received: units={units!r}.")
        self.units = int(units)
        self.supports_masking = True
        self.kernel_initializer = backend.initializer(kernel_initializer)

    def build(self, input_shape: tuple) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        wide = "float64" if self.compute_dtype == "float64" else "float32"
        cosines = ops.matmul(_unit(ops.cast(inputs, wide), -1), _unit(ops.cast(self.kernel, wide), 0))
        return ops.cast(ops.clip(cosines, -1.0, 1.0), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        own = {"units": self.units, "kernel_initializer": backend.serialize(self.kernel_initializer)}
        return {**super().get_config(), **own}


def _unit(vectors, axis):
    # The largest entry is taken out first, so that no square overflows or vanishes.
    largest = ops.stop_gradient(ops.max(ops.abs(vectors), axis=axis, keepdims=True))
    vectors = vectors / ops.where(largest > 0, largest, ops.ones_like(largest))
    square = ops.sum(vectors * vectors, axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.where(square > 0, square, ops.ones_like(square)))
