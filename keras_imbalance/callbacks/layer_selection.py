"""Layers of a model by object, name or pattern, which of them train, and how they are given new values."""

import fnmatch
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from keras_imbalance._core import invalid, nearest, shown
from keras_imbalance._keras import (
    can_freeze,
    freeze_variable,
    inner_layers,
    is_batchnorm,
    own_trainable,
    with_sublayers,
)


def walk(model: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer inside `model`, before those inside it, with its path `outer/inner`."""
    yield from _walk(model, above, set())


def _walk(layer, above, seen):
    for inner in inner_layers(layer):
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        path = f"{above}{inner.name}"
        yield path, inner
        yield from _walk(inner, f"{path}/", seen)


def as_list(wanted: Any, argument: str) -> list:
    """One layer, name or pattern as a list of one; raises for what is no list either."""
    if isinstance(wanted, str) or hasattr(wanted, "trainable"):
        return [wanted]
    if not isinstance(wanted, Iterable):
        raise invalid(argument, "be a layer, its name, a pattern, or a list of those", wanted)
    return list(wanted)


def find_layers(model: Any, wanted: Any, argument: str) -> list:
    """The layers of `model`, nested ones too, that `wanted` means: layers, names, paths `outer/inner`, or patterns with *.

    Raises:
        ValueError: when an entry means no layer, with the nearest name and those that there are.
    """
    known = list(walk(model))
    found: list = []
    for entry in as_list(wanted, argument):
        hits = [layer for path, layer in known if _means(entry, path, layer)]
        if not hits:
            raise _unknown(entry, argument, known)
        found += [layer for layer in hits if not any(layer is other for other in found)]
    return found


def _means(entry, path, layer):
    """Whether a name, path or pattern, or a layer itself, means the layer at this path."""
    if not isinstance(entry, str):
        return layer is entry
    return fnmatch.fnmatchcase(layer.name, entry) or fnmatch.fnmatchcase(path, entry)


def _unknown(entry, argument, known):
    name = entry if isinstance(entry, str) else getattr(entry, "name", repr(entry))
    paths = sorted(path for path, layer in known if layer.weights)
    remedy = f"{nearest(name, [*paths, *(layer.name for _, layer in known)])} The model has {shown(paths)}.".strip()
    return invalid(argument, "name layers of the model", received=shown(name), remedy=remedy)


class Flags:
    """The `trainable` flags of every layer and variable of a model at one moment, to be put back."""

    def __init__(self, model: Any):
        self.layers = [(layer, layer.trainable) for layer in (model, *_outer_first(model))]
        self.variables = [(v, v.trainable) for layer, _ in self.layers for v in own_trainable(layer)]

    def equal(self, other: "Flags") -> bool:
        """Whether two moments of one model have the same flags."""
        pairs = zip(self.layers + self.variables, other.layers + other.variables, strict=True)
        return all(one == two for (_, one), (_, two) in pairs)

    def restore(self, unless_changed_since: "Flags | None" = None) -> None:
        """Sets every flag to what it was; a layer's flag sets those inside it, so the outer ones come first.

        Args:
            unless_changed_since: flags at a later moment; one that somebody has changed since then stays. Defaults to None.
        """
        later = [] if unless_changed_since is None else unless_changed_since.layers + unless_changed_since.variables
        changed = {id(of): of.trainable for of, trainable in later if of.trainable != trainable}
        layers = [(layer, changed.get(id(layer), trainable)) for layer, trainable in self.layers]
        variables = [(v, changed.get(id(v), trainable)) for v, trainable in self.variables]
        for layer, trainable in layers:
            layer.trainable = trainable
        for variable, trainable in variables:
            freeze_variable(variable, not trainable)


# What one phase asks for: layers to freeze, then to unfreeze (True for all), then whether BatchNormalization trains.
Change = tuple[list | bool | None, list | bool | None, bool | None]


def change_flags(model: Any, changes: Sequence[Change]) -> None:
    """Freezes and unfreezes layers of `model`, with those inside them, one change after another.

    A variable that was kept from training in a layer that trains, as the kernel under LoRA is, stays so.

    Args:
        model: its flags are as they were before training.
        changes: in order.

    Raises:
        ValueError: where tf-keras cannot freeze the weights of a layer without those of the layers inside it.
    """
    layers = [model, *_outer_first(model)]
    trained = {id(v) for v in model.trainable_variables}
    trains = {id(layer): _trains(layer, trained) for layer in layers}
    kept_back = _kept_back([layer for layer in layers if trains[id(layer)]], trained)
    for change in changes:
        trains.update(_changed(layers, *change))
    for layer in layers:
        # A layer around one that trains must let it; what it owns itself may still be frozen.
        layer.trainable = any(trains.get(id(inner), False) for inner in with_sublayers(layer))
    for layer in layers:
        _set_variables(layer, trains[id(layer)])
    for variable in kept_back:
        freeze_variable(variable, True)


def _kept_back(layers, trained):
    """Variables that do not train although their layer does."""
    return [v for layer in layers for v in own_trainable(layer) if id(v) not in trained]


def _changed(layers, freeze, unfreeze, batchnorm):
    """Which layers train after a change, by id, of those that it names."""
    trains = {id(layer): False for layer in _meant(freeze, layers)}
    trains.update({id(layer): True for layer in _meant(unfreeze, layers)})
    if batchnorm is not None:
        trains.update({id(layer): batchnorm for layer in layers if is_batchnorm(layer)})
    return trains


def _trains(layer, trained):
    """Whether a layer trains now: in a frozen one it does not, whatever its own flag says."""
    own = own_trainable(layer)
    return any(id(v) in trained for v in own) if own else layer.trainable


def _meant(chosen, layers):
    """Layers that a change names, with those inside them."""
    if chosen is True:
        return layers
    return [inner for layer in chosen or () for inner in with_sublayers(layer)]


def _set_variables(layer, trains):
    """Sets the flags of what the layer owns itself."""
    for variable in own_trainable(layer):
        if layer.trainable and not trains and not can_freeze(variable):
            raise ValueError(
                f"{layer.name!r} has weights of its own that cannot be frozen while a layer inside it trains: tf-keras "
                "freezes whole layers. Freeze or train all of it."
            )
        freeze_variable(variable, not trains)


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
        raise invalid(
            "reinitialize",
            "name layers that can be built anew from `get_config`",
            received=f"{layer.name!r}, a {type(layer).__name__}, for which this failed: {error}",
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
    layers = [layer for _, layer in walk(model)]
    return sorted(layers, key=lambda layer: -len(with_sublayers(layer)))
