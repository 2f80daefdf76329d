"""Layers of a model by object, name or pattern, which of them train, and how they are given new values."""

import fnmatch
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from keras_imbalance.backend import with_sublayers
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


def as_list(wanted: Any, argument: str) -> list:
    """One layer, name or pattern as a list of one; raises for what is no list either."""
    if isinstance(wanted, str) or hasattr(wanted, "trainable"):
        return [wanted]
    if not isinstance(wanted, Iterable):
        raise ValueError(
            f"`{argument}` must be a layer, its name, a pattern, or a list of those. Received: {argument}={wanted!r}."
        )
    return list(wanted)


def find_layers(model: Any, wanted: Any, argument: str) -> list:
    """The layers of `model`, nested ones too, that `wanted` means: layers, names, paths `outer/inner`, or patterns with *.

    Raises:
        ValueError: when an entry means no layer, with the names that there are.
    """
    known = list(walk(model))
    found: list = []
    for entry in as_list(wanted, argument):
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
        self._layers = [(layer, layer.trainable) for layer in (model, *_outer_first(model))]
        self._variables = [(v, v.trainable) for layer, _ in self._layers for v in _own_variables(layer)]

    def restore(self, unless_changed_since: "Flags | None" = None) -> None:
        """Sets every flag to what it was; a layer's flag sets those inside it, so the outer ones come first.

        Args:
            unless_changed_since: flags at a later moment; one that somebody has changed since then stays. Defaults to None.
        """
        later = [] if unless_changed_since is None else unless_changed_since._layers + unless_changed_since._variables
        changed = {id(of): of.trainable for of, trainable in later if of.trainable != trainable}
        layers = [(layer, changed.get(id(layer), trainable)) for layer, trainable in self._layers]
        variables = [(v, changed.get(id(v), trainable)) for v, trainable in self._variables]
        for layer, trainable in layers:
            layer.trainable = trainable
        for variable, trainable in variables:
            _set(variable, trainable)


def set_trainable(model: Any, chosen: Sequence[Any], frozen: bool, batchnorm: bool | None) -> None:
    """Lets the chosen layers train and no others, or, with `frozen`, all but the chosen as far as they did before.

    A variable that was kept from training in a layer that trains, as the kernel under LoRA is, stays so.

    Args:
        model: its flags are as they were before training.
        chosen: layers of the model.
        frozen: whether the chosen layers are those that do not train.
        batchnorm: whether BatchNormalization trains, statistics and all; None for as the layer it stands in.

    Raises:
        ValueError: where tf-keras cannot freeze the weights of a layer without those of the layers inside it.
    """
    layers = _outer_first(model)
    chosen_with_inner = {id(inner) for layer in chosen for inner in with_sublayers(layer)}
    before = {id(layer): layer.trainable for layer in layers}
    kept_back = {
        id(v) for layer in (model, *layers) if layer.trainable for v in _own_variables(layer) if not v.trainable
    }
    trains = {}
    for layer in layers:
        inside = id(layer) in chosen_with_inner
        trains[id(layer)] = (before[id(layer)] and not inside) if frozen else inside
        if batchnorm is not None and is_batchnorm(layer):
            trains[id(layer)] = batchnorm
    model.trainable = True
    for layer in layers:
        # A layer around one that trains must let it; what it owns itself may still be frozen.
        needed = any(trains.get(id(inner), False) for inner in with_sublayers(layer))
        layer.trainable = trains[id(layer)] or needed
    for layer in layers:
        for variable in _own_variables(layer):
            trained = trains[id(layer)] and id(variable) not in kept_back
            if layer.trainable and not trained and not _can_set(variable):
                raise ValueError(
                    f"{layer.name!r} has weights of its own that cannot be frozen while a layer inside it trains: tf-keras "
                    "freezes whole layers. Freeze or train all of it."
                )
            _set(variable, trained)
    for variable in _own_variables(model):
        _set(variable, frozen and id(variable) not in kept_back)


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


def _outer_first(model):
    """Every layer inside `model`, each before those inside it, one that several hold too."""
    layers = [layer for _, layer, _ in walk(model)]
    return sorted(layers, key=lambda layer: -len(with_sublayers(layer)))


def _own_variables(layer):
    """What the layer itself trains, without the layers inside it."""
    own = getattr(layer, "_trainable_variables", None)
    return list(getattr(layer, "_trainable_weights", ()) if own is None else own)


def _can_set(variable):
    return bool(getattr(getattr(type(variable), "trainable", None), "fset", None))


def _set(variable, trainable):
    if _can_set(variable):
        variable.trainable = trainable
