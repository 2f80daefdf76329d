"""The model's part of a backup: its weights, the states of its random layers, its optimizer and learning rates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance._keras import (
    as_array,
    assign,
    learning_rates,
    optimizer_variables,
    random_states,
    set_learning_rates,
    set_random_states,
    state_variables,
)


def save_model(model: Any) -> tuple[list[float] | None, dict[str, np.ndarray]]:
    """The learning rates of a model's optimizer, and every variable that a run goes on from."""
    variables = {"weights": state_variables(model), "optimizer": optimizer_variables(model.optimizer)}
    arrays = {f"{kind}{i}": as_array(v.numpy()) for kind, found in variables.items() for i, v in enumerate(found)}
    arrays.update({f"random{i}": state for i, state in enumerate(random_states())})
    return learning_rates(model.optimizer), arrays


def load_model(model: Any, rates: list[float] | None, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives a model what `save_model` took; it fits, as the two functions below say."""
    for kind, variables in (("weights", state_variables(model)), ("optimizer", optimizer_variables(model.optimizer))):
        for i, variable in enumerate(variables):
            assign(variable, arrays[f"{kind}{i}"])
    random = of_prefix(arrays, "random")
    set_random_states([random[str(i)] for i in range(len(random))])
    if rates is not None:  # tf-keras does not count them among the variables
        set_learning_rates(model.optimizer, rates)


def weights_mismatch(model: Any, arrays: Mapping[str, np.ndarray]) -> str | None:
    """Why saved weights are not those of a model, in words; None where they may be."""
    return _mismatch("weights", state_variables(model), of_prefix(arrays, "weights"))


def optimizer_mismatch(model: Any, rates: list[float] | None, arrays: Mapping[str, np.ndarray]) -> str | None:
    """Why a saved optimizer is not that of a model, in words; None where it may be."""
    saved = of_prefix(arrays, "optimizer")
    expected = learning_rates(model.optimizer)
    if (rates is None) != (expected is None) or len(rates or ()) != len(expected or ()):
        return f"the learning rates {rates}"
    if any(value.dtype.kind in "iu" and (value < 0).any() for value in saved.values()):
        return "a counter of the optimizer below 0"
    return _mismatch("optimizer", optimizer_variables(model.optimizer), saved)


def of_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _mismatch(kind: str, variables: Sequence[Any], saved: Mapping[str, np.ndarray]) -> str | None:
    expected = {str(i): tuple(variable.shape) for i, variable in enumerate(variables)}
    received = {i: value.shape for i, value in saved.items()}
    if set(expected) != set(received):
        return f"{len(received)} {kind} variables for {len(expected)}"
    for i, shape in expected.items():
        if received[i] != shape:
            return f"shape {received[i]} for {variables[int(i)].name} of shape {shape}"
    return None
