"""One learnable factor a class."""

from typing import Any

from keras_imbalance._keras import Layer, ops, register


@register
class ClassScaling(Layer):
    """One learnable factor per class on the logits: s_j z_j, with s_j = 1 at first.

    Use it as the last layer of a model that is trained with `LearnableWeightScaling`.

    Args:
        name: defaults to "class_scaling".
        **kwargs: what every Keras layer takes, such as `dtype`.

    Input shape: `(..., C)`, logits. Output shape: the same.

    Example:
    >>> import numpy as np
    >>> [float(logit) for logit in ClassScaling()(np.array([[2.0, -1.0]]))[0]]
    [2.0, -1.0]

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    def __init__(self, *, name: str = "class_scaling", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: tuple) -> None:
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs * ops.cast(self.scale, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)
