"""What is done to a trained classifier without training, and learning rates layer by layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance.backend import keras
from keras_imbalance.backend.training import check_built
from keras_imbalance.layer_selection import find_layers


def tau_normalize(layer: Any, tau: float = 1.0, bias: str = "zero") -> None:
    """Scales the weights of each class in the last layer: w_j / ||w_j||^tau.

    A classifier trained on imbalanced classes gives frequent classes longer weight vectors; tau = 1 makes all of length 1,
    tau = 0 changes nothing. Choose tau on validation rows.

    Args:
        layer: a built layer with a `kernel` of shape `(..., C)`, such as Dense, whose output the classes are.
        tau: exponent, finite. Defaults to 1.
        bias: "zero" sets the layer's bias to 0, as in the paper, whose classifier has none; "keep" leaves it. Defaults to
            "zero".

    Raises:
        ValueError: for a layer without kernel, a tau that is no number, or a class whose weights are all 0.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance.backend import keras
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
        raise ValueError(f"`layer` must be a built layer with a kernel, such as Dense. Received: {layer!r}.")
    if isinstance(tau, bool) or not isinstance(tau, (int, float, np.number)) or not np.isfinite(tau):
        raise ValueError(f"`tau` must be a finite number. Received: tau={tau!r}.")
    if bias not in ("zero", "keep"):
        raise ValueError(f"`bias` must be 'zero' or 'keep'. Received: bias={bias!r}.")
    values = np.asarray(keras.backend.get_value(kernel) if hasattr(keras.backend, "get_value") else kernel, np.float64)
    norms = np.sqrt((values**2).reshape(-1, values.shape[-1]).sum(axis=0))
    if not norms.all():
        raise ValueError(
            f"`layer` must have weights other than 0 for every class. Received: only 0 for {np.flatnonzero(norms == 0)}."
        )
    kernel.assign((values / norms**tau).astype("float32"))
    if bias == "zero" and getattr(layer, "bias", None) is not None:
        layer.bias.assign(np.zeros(layer.bias.shape, dtype="float32"))


def layerwise_optimizer(model: Any, optimizer: Any, factors: Mapping[Any, float]) -> Any:
    """An optimizer with a learning rate of its own for some layers: discriminative fine-tuning.

    Args:
        model: a built model.
        optimizer: of the layers that are not named, as compile takes it: an optimizer, its name, or its configuration. The
            others get copies of it with another learning rate.
        factors: from a layer, name, path `outer/inner` or pattern to what its learning rate is multiplied with, > 0. A layer
            that is frozen now keeps its factor for when it trains.

    Returns:
        A `keras.optimizers.MultiOptimizer`, for `compile`. PhasedTraining multiplies the rate of each of its parts.

    Raises:
        ValueError: for a model without weights, a layer that the model lacks, that two entries name or that shares its path
            with another, a factor that is not positive, what is no optimizer, an optimizer whose rate is a schedule, or a Keras
            without MultiOptimizer (before 3.15; with tf-keras use that of tensorflow-addons).

    Example:
    >>> from keras_imbalance.backend import keras
    >>> layers = [keras.Input((2,)), keras.layers.Dense(3, name="backbone"), keras.layers.Dense(2, name="head")]
    >>> model = keras.Sequential(layers)
    >>> optimizer = layerwise_optimizer(model, keras.optimizers.SGD(0.5), {"backbone": 0.5})
    >>> [float(part.learning_rate) for part in optimizer.optimizers]
    [0.25, 0.5]

    Reference: Howard and Ruder, Universal Language Model Fine-tuning for Text Classification, 2018,
    https://arxiv.org/abs/1801.06146
    """
    if not hasattr(keras.optimizers, "MultiOptimizer"):
        raise ValueError(
            f"`layerwise_optimizer` needs keras.optimizers.MultiOptimizer, new in Keras 3.15. Received: {keras.__name__} "
            f"{keras.__version__}. With tf-keras use MultiOptimizer of tensorflow-addons."
        )
    check_built(model, "layerwise_optimizer")
    optimizer = _optimizer(optimizer)
    if not isinstance(factors, Mapping):
        raise ValueError(
            f"`factors` must map layers to numbers, such as {{'backbone': 0.1}}. Received: factors={factors!r}."
        )
    config = optimizer.get_config()
    if not isinstance(config.get("learning_rate"), (int, float)):
        raise ValueError(
            "`optimizer` must have a learning rate that is a number, to be multiplied. "
            f"Received: learning_rate={config.get('learning_rate')!r}."
        )
    by_path: dict[str, Any] = {}
    chosen: dict[int, Any] = {}
    for wanted, factor in factors.items():
        number = isinstance(factor, (int, float, np.integer, np.floating)) and not isinstance(factor, bool)
        if not number or not np.isfinite(factor) or factor <= 0:
            raise ValueError(f"`factors` must be finite and more than 0. Received: {wanted!r}: {factor!r}.")
        copy = type(optimizer).from_config({**config, "learning_rate": config["learning_rate"] * float(factor)})
        for layer in find_layers(model, wanted if isinstance(wanted, str) else [wanted], "factors"):
            for variable in layer.weights:
                if by_path.setdefault(variable.path, copy) is not copy:
                    raise ValueError(
                        f"`factors` must name each layer once. Received: {sorted(map(str, factors))}, of which two mean "
                        f"{layer.name!r}."
                    )
            chosen.update({id(variable): copy for variable in layer.weights})
    # MultiOptimizer knows variables by their paths, which layers of one name in two nested models share.
    for variable in model.weights:
        if by_path.get(variable.path) is not chosen.get(id(variable)):
            raise ValueError(
                f"`factors` must tell layers apart whose variables have different paths. Received: two variables of the path "
                f"{variable.path!r}. Give the layers of nested models different names."
            )
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(optimizer, by_path))


def _optimizer(optimizer):
    """An optimizer as `compile` makes it of a name or a configuration."""
    if isinstance(optimizer, (str, Mapping)):
        try:
            return keras.optimizers.get(dict(optimizer) if isinstance(optimizer, Mapping) else optimizer)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"`optimizer` must be one that Keras knows. Received: {optimizer!r}. Pass an object such as "
                f"keras.optimizers.Adam(1e-3). Keras says: {error}"
            ) from error
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise ValueError(
            "`optimizer` must be an optimizer, its name or its configuration, such as keras.optimizers.Adam(1e-3). "
            f"Received: {optimizer!r}."
        )
    return optimizer
