"""The parts of a backup other than the model: samplers, callbacks of this package, and four callbacks of Keras."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance._core import invalid
from keras_imbalance._keras import as_array, is_swapped, keras, ops, set_swapped, swaps_between_epochs
from keras_imbalance.callbacks.state_schema import FLAG, PLAIN, SCORE, Kind, mismatch, optional, whole

# What Keras's own callbacks know beyond the epoch, in attributes that they document or that their subclasses use.
KERAS_STATE = {
    "EarlyStopping": {"wait": whole(), "stopped_epoch": whole(), "best": optional(SCORE), "best_epoch": whole()},
    "ReduceLROnPlateau": {"wait": whole(), "best": optional(SCORE), "cooldown_counter": whole()},
    "ModelCheckpoint": {"best": optional(SCORE), "epochs_since_last_save": whole()},
}


@dataclass(frozen=True)
class Part:
    """A sampler or a callback of this package: what it declares is saved, and nothing else is taken back.

    Attributes:
        owner: has `state_dict` and `load_state_dict`, and where it keeps arrays `state_arrays` and `load_state_arrays`. A
            `state_schema` declares its names and values; without one the names are those of its own `state_dict`, and it checks
            the values when it loads them, as samplers do.
    """

    owner: Any

    @property
    def name(self) -> str:
        """Type of the owner."""
        return type(self.owner).__name__

    def schema(self) -> Mapping[str, Kind]:
        """The names that a state of this part has, each with the kind of its values."""
        return getattr(self.owner, "state_schema", None) or dict.fromkeys(self.owner.state_dict(), PLAIN)

    def save(self) -> tuple[dict, dict[str, np.ndarray]]:
        """The state as JSON types, and the arrays that belong to it."""
        arrays = self.owner.state_arrays() if hasattr(self.owner, "state_arrays") else {}
        return self.owner.state_dict(), {name: as_array(value) for name, value in arrays.items()}

    def mismatch(self, state: Any, arrays: Mapping[str, np.ndarray]) -> str | None:
        """Why this part cannot go on from a saved state, in words; None where it may."""
        if arrays and not hasattr(self.owner, "load_state_arrays"):
            return f"the arrays {sorted(arrays)}, where none are declared"
        return mismatch(state, self.schema())

    def load(self, state: Mapping, arrays: dict[str, np.ndarray]) -> None:
        """Goes on from what `save` gave."""
        self.owner.load_state_dict(state)
        if hasattr(self.owner, "load_state_arrays"):
            self.owner.load_state_arrays(arrays)


class KerasPart(Part):
    """EarlyStopping, ReduceLROnPlateau or ModelCheckpoint of Keras."""

    def schema(self) -> Mapping[str, Kind]:
        declared = next(kinds for name, kinds in KERAS_STATE.items() if _is_keras(self.owner, name))
        return {name: kind for name, kind in declared.items() if hasattr(self.owner, name)}

    def save(self) -> tuple[dict, dict[str, np.ndarray]]:
        best = getattr(self.owner, "best_weights", None) or []
        state = {name: _plain(getattr(self.owner, name)) for name in self.schema()}
        return state, {f"best{i}": as_array(value) for i, value in enumerate(best)}

    def mismatch(self, state: Any, arrays: Mapping[str, np.ndarray]) -> str | None:
        expected = {f"best{i}": tuple(v.shape) for i, v in enumerate(getattr(self.owner.model, "weights", ()))}
        if arrays and (not hasattr(self.owner, "best_weights") or expected != {n: a.shape for n, a in arrays.items()}):
            return "best weights of another model"
        return mismatch(state, self.schema())

    def load(self, state: Mapping, arrays: dict[str, np.ndarray]) -> None:
        for name, value in state.items():
            setattr(self.owner, name, value)
        if arrays:
            self.owner.best_weights = [arrays[f"best{i}"] for i in range(len(arrays))]


class SwapPart(Part):
    """SwapEMAWeights of Keras: which of the two is in the model when the epoch has ended, weights or averages."""

    def schema(self) -> Mapping[str, Kind]:
        return {"swapped": FLAG}

    def save(self) -> tuple[dict, dict[str, np.ndarray]]:
        return {"swapped": is_swapped(self.owner)}, {}

    def load(self, state: Mapping, arrays: dict[str, np.ndarray]) -> None:
        set_swapped(self.owner, state["swapped"])


def has_keras_state(callback: Any) -> bool:
    """Whether a callback of Keras knows more than the epoch."""
    return any(_is_keras(callback, name) for name in KERAS_STATE) or swaps_between_epochs(callback)


def check_parts(state: Any) -> list:
    """`state` as a list; raises unless it holds samplers and callbacks whose state can be saved."""
    remedy = "Pass state=[sampler, early_stopping]."
    if isinstance(state, str) or not isinstance(state, Sequence):
        raise invalid("state", "be a list of samplers and callbacks", received=str(type(state)), remedy=remedy)
    given = list(state)
    for owner in given:
        if isinstance(owner, type) or not (hasattr(owner, "load_state_dict") or has_keras_state(owner)):
            raise invalid(
                "state",
                f"hold samplers, callbacks of this package, and {', '.join(KERAS_STATE)} of Keras, or "
                "SwapEMAWeights(swap_on_epoch=True)",
                received=str(owner if isinstance(owner, type) else type(owner)),
                remedy=remedy,
            )
    return given


def find_parts(given: Sequence[Any], callbacks: Sequence[Any]) -> list[Part]:
    """The parts of a backup, each once: what was given, callbacks of this package, and first the samplers they act on."""
    samplers = [sampler for c in callbacks if (sampler := getattr(c, "sampler", None)) is not None]
    unique = {id(owner): owner for owner in (*given, *callbacks)}
    for sampler in samplers:
        unique.pop(id(sampler), None)
    unique = {id(sampler): sampler for sampler in samplers} | unique
    return [_part_of(owner) for owner in unique.values()]


def _part_of(owner):
    if swaps_between_epochs(owner):
        return SwapPart(owner)
    return KerasPart(owner) if has_keras_state(owner) else Part(owner)


def _is_keras(callback, name):
    return isinstance(callback, getattr(keras.callbacks, name))


def _plain(value):
    if value is None or isinstance(value, (bool, int)):
        return value
    return ops.convert_to_numpy(value).item()
