"""Cosine logits, which LDAM trains on."""

from typing import Any

from keras_imbalance._core import check_whole
from keras_imbalance._keras import Layer, compute_dtype, initializer, ops, register, serialize


@register
class CosineDense(Layer):
    """Dense layer without bias whose outputs are cosines: x / ||x|| times w_j / ||w_j||, in [-1, 1].

    Use it as the last layer of a model that is trained with `LDAMLoss`, which scales the cosines: without a
    scale no probability comes near 1. A row of zeros has cosine 0 with every class.

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

    def __init__(self, units: int, *, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.units = check_whole(units, "units", 1)
        self.supports_masking = True
        self.kernel_initializer = initializer(kernel_initializer)

    def build(self, input_shape: tuple) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units), initializer=self.kernel_initializer, name="kernel"
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        wide = compute_dtype(self.compute_dtype)
        cosines = ops.matmul(_unit(ops.cast(inputs, wide), -1), _unit(ops.cast(self.kernel, wide), 0))
        return ops.cast(ops.clip(cosines, -1.0, 1.0), self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        own = {"units": self.units, "kernel_initializer": serialize(self.kernel_initializer)}
        return {**super().get_config(), **own}


def _unit(vectors, axis):
    # The largest entry is taken out first, so that no square overflows or vanishes.
    largest = ops.stop_gradient(ops.max(ops.abs(vectors), axis=axis, keepdims=True))
    vectors = vectors / ops.where(largest > 0, largest, ops.ones_like(largest))
    square = ops.sum(vectors * vectors, axis=axis, keepdims=True)
    return vectors * ops.rsqrt(ops.where(square > 0, square, ops.ones_like(square)))
