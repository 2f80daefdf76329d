"""A correction of the outputs, put into the weights of the last layer."""

from typing import Any

import numpy as np

from keras_imbalance._core import invalid
from keras_imbalance._keras import Model, keras, value_of
from keras_imbalance.layers.initial_bias import InitialBias

HEADS = tuple(getattr(keras.layers, name) for name in ("Dense", "Conv1D", "Conv2D", "Conv3D"))
ACTIVATIONS = ("linear", "softmax", "sigmoid")


def fold_into_head(model: Model, correction: Any) -> None:
    """Puts a prior correction or a temperature into the weights of the last Dense layer of a model, in place.

    Logits z = x W + b become s z + r: the kernel is multiplied by s and the bias becomes s b + r, with r = log(true / train)
    of a `PriorCorrection` (s = 1) and s = 1 / T of a `Temperature` (r = 0). The model then gives the probabilities of
    `correction(model outputs)`, and is saved, exported and served without this package, once it is compiled without losses and
    metrics of it, or loaded with compile=False. Calls add up, in their order.

    Args:
        model: a built Sequential or functional model of one output that ends in a Dense layer (or a convolution, for masks)
            with a softmax, a sigmoid or no activation, or in these followed by an activation layer. Without the correction as
            a layer.
        correction: a `PriorCorrection` or a `Temperature`.

    Raises:
        ValueError: for a model with another end or without a bias that the correction needs, and for a correction of another
            number of classes.

    Example:
    >>> from keras_imbalance import PriorCorrection
    >>> from keras_imbalance._keras import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")])
    >>> fold_into_head(model, PriorCorrection("balanced", [0.99, 0.01]))
    >>> print(f"{float(model(np.ones((1, 2)))[0, 0]):.2f}")
    0.01

    Reference: Saerens et al., Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002.
    """
    if not hasattr(correction, "on_logits"):
        raise invalid("correction", "be a PriorCorrection or a Temperature", received=type(correction).__name__)
    if correction.axis not in (-1, len(_output_shape(model)) - 1):
        raise invalid(
            "correction", "have its channels on the last axis, as the layer", received=f"axis={correction.axis}"
        )
    layer, activation = _head(model)
    units = value_of(layer.kernel).shape[-1]
    wanted = correction.multi_label or units == 1
    sigmoids = wanted if activation == "linear" else activation == "sigmoid"
    if sigmoids != wanted:
        received = f"{activation} of {units} units and multi_label={correction.multi_label}"
        raise invalid("correction", "be for the activation: multi_label=True for several sigmoids", received=received)
    factor, summand = correction.on_logits(units, sigmoids)
    if summand.any() and layer.bias is None:
        remedy = "Build it with use_bias=True, or keep the correction as a layer."
        raise invalid("model", "have a bias in its last layer", received=f"{layer.name} without one", remedy=remedy)
    _scale(layer.kernel, factor, 0.0)
    if layer.bias is not None:
        _scale(layer.bias, factor, summand)
        if isinstance(
            layer.bias_initializer, InitialBias
        ):  # of no use any more, and a class of this package in the file
            layer.bias_initializer = keras.initializers.Zeros()


def _scale(variable, factor, summand):
    given = value_of(variable)
    variable.assign((given.astype(np.float64) * factor + summand).astype(given.dtype))


def _output_shape(model):
    outputs = getattr(model, "outputs", None)
    if not outputs or len(outputs) != 1:
        received = "a model that is not built" if not outputs else f"{len(outputs)} outputs"
        raise invalid("model", "be a built model of one output", received=received, remedy="Give it a keras.Input.")
    return outputs[0].shape


def _head(model):
    """The last layer with weights, and its activation by name."""
    layers, activation = list(model.layers), "linear"
    while layers:
        layer = layers.pop()
        if isinstance(layer, Model):
            layers += layer.layers
            continue
        after = _activation(layer)
        if after not in ACTIVATIONS or "linear" not in (after, activation):
            break
        activation = after if activation == "linear" else activation
        if isinstance(layer, HEADS):
            return layer, activation
        if not isinstance(layer, (keras.layers.Activation, keras.layers.Softmax)):
            break
    requirement = "end in a Dense layer or a convolution with a softmax, a sigmoid or no activation"
    raise invalid("model", requirement, received=f"the last layers {[layer.name for layer in model.layers[-3:]]}")


def _activation(layer):
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", "")
