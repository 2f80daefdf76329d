"""Weights of equal length for every class."""

from typing import Literal

import numpy as np

from keras_imbalance._core import check_number, check_one_of, invalid
from keras_imbalance._keras import Layer, value_of


def tau_normalize(layer: Layer, *, tau: float = 1.0, bias: Literal["zero", "keep"] = "zero") -> None:
    """Scales the weights of each class in the last layer, in place: w_j / ||w_j||^tau.

    A classifier trained on imbalanced classes gives frequent classes longer weight vectors. tau=1 makes all of length 1, tau=0
    changes nothing. Choose tau on validation rows, and start from the trained weights each time: calls add up.

    Args:
        layer: a built layer with a `kernel` of shape `(..., C)`, such as Dense, whose outputs are the classes.
        tau: exponent, finite. Defaults to 1.
        bias: "zero" sets the bias of the layer to 0, as in the paper; "keep" leaves it. Defaults to "zero".

    Raises:
        ValueError: for a layer without kernel, a tau that is not finite, or a class whose weights are all 0.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance._keras import keras
    >>> layer = keras.layers.Dense(2)
    >>> layer.build((None, 2))
    >>> layer.set_weights([np.array([[3.0, 1.0], [4.0, 0.0]]), np.zeros(2)])
    >>> tau_normalize(layer)
    >>> [[round(float(w), 1) for w in row] for row in layer.get_weights()[0]]
    [[0.6, 1.0], [0.8, 0.0]]

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        raise invalid("layer", "be a built layer with a kernel, such as Dense", layer)
    check_number(tau, "tau")
    check_one_of(bias, "bias", ("zero", "keep"))
    given = value_of(kernel)
    values = given.astype(np.float64)
    norms = np.sqrt((values**2).reshape(-1, values.shape[-1]).sum(axis=0))
    if not norms.all():
        only_zeros = f"only 0 for the classes {np.flatnonzero(norms == 0)[:10].tolist()}"
        raise invalid("layer", "have weights other than 0 for every class", received=only_zeros)
    kernel.assign((values / norms**tau).astype(given.dtype))
    if bias == "zero" and getattr(layer, "bias", None) is not None:
        layer.bias.assign(np.zeros(layer.bias.shape, dtype=given.dtype))
