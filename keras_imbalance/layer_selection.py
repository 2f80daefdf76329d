"""Layers of a model by object, name or pattern, which of them train, and how they are given new values."""

import fnmatch
import random
from collections.abc import Iterator, Sequence
from typing import Any

from keras_imbalance.backend.training import is_batchnorm


def walk(model: Any, above: str = "") -> Iterator[tuple[str, Any, list]]:
    """Every layer inside `model`, before those inside it, with its path `outer/inner` and the layers around it."""
    yield from _walk(model, above, [], set())


def _walk(layer, above, around, seen):
    for inner in layer._flatten_layers(recursive=False, include_self=False):
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        path = f"{above}{inner.name}"
        yield path, inner, around
        yield from _walk(inner, f"{path}/", [*around, inner], seen)


def as_list(wanted: Any) -> list:
    """One layer, name or pattern as a list of one."""
    return [wanted] if isinstance(wanted, str) or hasattr(wanted, "trainable") else list(wanted)


def find_layers(model: Any, wanted: Any, argument: str) -> list:
    """The layers of `model`, nested ones too, that `wanted` means: layers, names, paths `outer/inner`, or patterns with *.

    Raises:
        ValueError: when an entry means no layer, with the names that there are.
    """
    known = list(walk(model))
    found: list = []
    for entry in as_list(wanted):
        if isinstance(entry, str):
            hits = [layer for path, layer, _ in known if _matches(entry, layer.name) or _matches(entry, path)]
        else:
            hits = [layer for _, layer, _ in known if layer is entry]
        if not hits:
            name = entry if isinstance(entry, str) else getattr(entry, "name", repr(entry))
            raise ValueError(
                f"`{argument}` must name layers of the model. Received: {name!r}. The model has "
                f"{sorted(path for path, layer, _ in known if layer.weights)}."
            )
        found += [layer for layer in hits if not any(layer is other for other in found)]
    return found


def _matches(pattern, name):
    return fnmatch.fnmatchcase(name, pattern)


class Flags:
    """The `trainable` flags of every layer and variable of a model at one moment, to be put back."""

    def __init__(self, model: Any):
        layers = [model] + [layer for _, layer, _ in walk(model)]
        self._layers = [(layer, layer.trainable) for layer in layers]
        self._variables = [(v, v.trainable) for layer in layers for v in _own_variables(layer)]

    def restore(self) -> None:
        """Sets every flag to what it was; a layer's flag sets those inside it, so the outer ones come first."""
        for layer, trainable in self._layers:
            layer.trainable = trainable
        for variable, trainable in self._variables:
            _set(variable, trainable)


def set_trainable(model: Any, chosen: Sequence[Any], frozen: bool, batchnorm: bool | None) -> None:
    """Lets the chosen layers train and no others, or, with `frozen`, all but the chosen as far as they did before.

    Args:
        model: its flags are as they were before training.
        chosen: layers of the model.
        frozen: whether the chosen layers are those that do not train.
        batchnorm: whether BatchNormalization trains, statistics and all; None for as the layer it stands in.
    """
    known = list(walk(model))
    inside = {id(layer): any(layer is c or c in around for c in chosen) for _, layer, around in known}
    before = {id(layer): layer.trainable for _, layer, _ in known}
    trains = {}
    for _, layer, _ in known:
        trains[id(layer)] = (before[id(layer)] and not inside[id(layer)]) if frozen else inside[id(layer)]
        if batchnorm is not None and is_batchnorm(layer):
            trains[id(layer)] = batchnorm
    # A layer around one that trains must let it; what it owns itself may still be frozen.
    needed = {id(outer) for _, layer, around in known if trains[id(layer)] for outer in around}
    model.trainable = True
    for _, layer, _ in known:
        layer.trainable = trains[id(layer)] or id(layer) in needed
        if not trains[id(layer)]:
            for variable in _own_variables(layer):
                _set(variable, False)
    for variable in _own_variables(model):
        _set(variable, frozen)


def reinitialize(layer: Any, seed: int) -> None:
    """Gives every weight of the layer, and of those inside it, the value of a new layer, the same for the same seed.

    Raises:
        ValueError: when the layer cannot be built anew from its configuration.
    """
    state = random.getstate()
    try:
        random.seed(seed)
        # Initializers repeat their values, so each gets a seed of its own.
        fresh = type(layer).from_config(_reseeded(layer.get_config(), random.Random(seed)))
        if not fresh.built:
            fresh.build_from_config(layer.get_build_config())
        values = fresh.get_weights()
        layer.set_weights(values)
    except Exception as error:
        raise ValueError(
            f"`reinitialize` must name layers that can be built anew from `get_config`. Received: {layer.name!r}, a "
            f"{type(layer).__name__}, for which this failed: {error}"
        ) from error
    finally:
        random.setstate(state)


def _reseeded(config, rng):
    if isinstance(config, dict):
        return {
            key: rng.randrange(2**31) if key == "seed" and not isinstance(value, dict) else _reseeded(value, rng)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_reseeded(value, rng) for value in config)
    return config


def _own_variables(layer):
    """What the layer itself trains, without the layers inside it."""
    own = getattr(layer, "_trainable_variables", None)
    return list(getattr(layer, "_trainable_weights", ()) if own is None else own)


def _set(variable, trainable):
    if hasattr(type(variable), "trainable") and getattr(type(variable).trainable, "fset", None):
        variable.trainable = trainable
