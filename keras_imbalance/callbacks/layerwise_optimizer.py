"""Learning rates layer by layer."""

from collections.abc import Mapping
from typing import Any

from keras_imbalance._core import check_number, invalid, is_number
from keras_imbalance._keras import check_built, keras
from keras_imbalance.callbacks.layer_selection import find_layers


def layerwise_optimizer(model: Any, optimizer: Any, factors: Mapping[Any, float]) -> Any:
    """An optimizer with a learning rate of its own for some layers: discriminative fine-tuning.

    Needs Keras 3.15 or later. `PhasedTraining` multiplies the rate of each of its parts.

    Args:
        model: a built model.
        optimizer: of the layers that are not named, as compile takes it: an optimizer, its name, or its configuration. The
            others get copies of it with another learning rate.
        factors: from a layer, name, path `outer/inner` or pattern to what its learning rate is multiplied with, > 0. A layer
            that is frozen now keeps its factor for when it trains.

    Returns:
        A `keras.optimizers.MultiOptimizer`, for `compile`.

    Raises:
        ValueError: for a model without weights, a layer that the model lacks, that two entries name or that shares its path
            with another, a factor that is not positive, what is no optimizer, an optimizer whose rate is a schedule, or a Keras
            without MultiOptimizer (before 3.15; with tf-keras use that of tensorflow-addons).

    Example:
    >>> from keras_imbalance._keras import keras
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
        raise invalid("factors", "map layers to numbers, such as {'backbone': 0.1}", factors)
    rate = optimizer.get_config().get("learning_rate")
    if not is_number(rate):
        raise invalid(
            "optimizer", "have a learning rate that is a number, to be multiplied", received=f"learning_rate={rate!r}"
        )
    by_path, chosen = _by_variable(model, optimizer, factors)
    # MultiOptimizer knows variables by their paths, which layers of one name in two nested models share.
    for variable in model.weights:
        if by_path.get(variable.path) is not chosen.get(id(variable)):
            raise invalid(
                "factors",
                "tell layers apart whose variables have different paths",
                received=f"two variables of the path {variable.path!r}",
                remedy="Give the layers of nested models different names.",
            )
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(optimizer, by_path))


def _by_variable(model, optimizer, factors):
    """The copies of `optimizer` by path of a variable, and by its id."""
    config = optimizer.get_config()
    by_path: dict[str, Any] = {}
    chosen: dict[int, Any] = {}
    for wanted, factor in factors.items():
        factor = check_number(factor, f"factors[{getattr(wanted, 'name', wanted)!r}]", above=0)
        copy = type(optimizer).from_config({**config, "learning_rate": config["learning_rate"] * factor})
        for layer in find_layers(model, wanted if isinstance(wanted, str) else [wanted], "factors"):
            for variable in layer.weights:
                if by_path.setdefault(variable.path, copy) is not copy:
                    received = f"{sorted(map(str, factors))}, of which two mean {layer.name!r}"
                    raise invalid("factors", "name each layer once", received=received)
            chosen.update({id(variable): copy for variable in layer.weights})
    return by_path, chosen


def _optimizer(optimizer):
    """An optimizer as `compile` makes it of a name or a configuration."""
    if isinstance(optimizer, (str, Mapping)):
        try:
            return keras.optimizers.get(dict(optimizer) if isinstance(optimizer, Mapping) else optimizer)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            remedy = f"Pass an object such as keras.optimizers.Adam(1e-3). Keras says: {error}"
            raise invalid("optimizer", "be one that Keras knows", optimizer, remedy) from error
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise invalid(
            "optimizer",
            "be an optimizer, its name or its configuration",
            optimizer,
            "Pass an object such as keras.optimizers.Adam(1e-3).",
        )
    return optimizer
