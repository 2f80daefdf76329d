"""What callbacks need of a running fit beyond the public hooks, for Keras 3 and tf-keras."""

import sys
from typing import Any

import numpy as np

from keras_imbalance._keras._backend import IS_KERAS_3, keras, ops
from keras_imbalance._keras._frames import callers


def bar_arguments(keys: list[str]) -> dict:
    """Arguments of a ProgbarLogger that counts steps and shows the last value of each key.

    That of tf-keras, unless it is told, counts rows and shows the mean over steps of keys that are no metric's name.
    """
    if IS_KERAS_3:
        return {}
    return {"count_mode": "steps", "stateful_metrics": [*keys, *(key.removeprefix("val_") for key in keys)]}


class _StartAt:
    """The epoch that the running fit starts from. One that begins later, after an error in this one, asks for it in vain.

    Each fit gives the model a `history` of its own before any callback is asked. Keras 3 takes this for a number where it is
    true; tf-keras calls the method.
    """

    def __init__(self, model: Any, epoch: int):
        self._model, self._history, self._epoch = model, getattr(model, "history", None), epoch

    def __bool__(self) -> bool:
        return getattr(self._model, "history", None) is self._history

    def __index__(self) -> int:
        return self._epoch

    def maybe_load_initial_counters_from_ckpt(
        self, steps_per_epoch: Any, initial_epoch: int, mode: Any = None
    ) -> tuple[int, int]:
        return (self._epoch if self else initial_epoch), 0


def state_variables(model: Any) -> list:
    """Every variable that the model goes on from: its weights, and where its random layers are."""
    return list(model.variables if IS_KERAS_3 else model.weights)


def start_at(model: Any, epoch: int | None) -> None:
    """Lets the fit that calls its callbacks' `on_train_begin` start at this epoch; None forgets it, as Keras 3 does not."""
    start = None if epoch is None else _StartAt(model, epoch)
    if IS_KERAS_3:
        model._initial_epoch = start
    else:
        model._training_state = start


def check_built(model: Any, needed_by: str) -> None:
    """Raises for a model that Keras will only build in its first step, after the callbacks have asked for its weights."""
    if not model.built:
        raise ValueError(
            f"{needed_by} needs a model that has its weights before fit. Received: {model.name!r}, which is not built. Begin "
            "it with keras.Input, or call it on a batch of rows first."
        )


def as_array(value: Any) -> np.ndarray:
    """A tensor or array as one that NumPy can save: what it has no name for, as bfloat16, fits into float32 without loss."""
    array = np.asarray(value)
    return array if array.dtype.kind in "biufc" else array.astype(np.float32)


def assign(variable: Any, array: np.ndarray) -> None:
    """Gives a variable the values that `as_array` took from it."""
    variable.assign(ops.cast(array, variable.dtype))


def optimizer_variables(optimizer: Any) -> list:
    """Every variable that an optimizer goes on from, in its own order."""
    variables = optimizer.variables
    return list(variables() if callable(variables) else variables)


def callbacks_of_fit(callback: Any) -> list:
    """All callbacks of the fit that is calling `callback` at this moment; none where they cannot be seen. For what is shown.

    A callback is not told what else is in the list, so this reads the caller's frame. Keras may call in another way one day:
    what depends on this list must be a warning, an error that names a mistake early, or the line of the progress bar, never a
    result.
    """
    try:
        return list(_calling_list(callback) or ())
    except Exception:
        return []


def _calling_list(callback):
    lists = (owner for owner, _ in callers() if isinstance(owner, keras.callbacks.CallbackList))
    return next((found.callbacks for found in lists if found is not callback), None)


SWAPS = tuple(getattr(keras.callbacks, name) for name in ("SwapEMAWeights",) if hasattr(keras.callbacks, name))


def swaps_between_epochs(callback: Any) -> bool:
    """Whether a callback leaves the moving averages in the model from the end of an epoch to the beginning of the next."""
    return isinstance(callback, SWAPS) and bool(callback.swap_on_epoch)


def is_swapped(callback: Any) -> bool:
    """Whether the model has its moving averages for weights now, by one of `SWAPS`."""
    return bool(callback._ema_weights_in_model)


def set_swapped(callback: Any, swapped: bool) -> None:
    """Tells one of `SWAPS` which of the two the model has."""
    callback._ema_weights_in_model = swapped


def writes_files(model: Any) -> bool:
    """Whether this process writes what all that train `model` need: the first worker does, and a process that is alone."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None:
        return strategy.extended.should_checkpoint
    jax = sys.modules.get("jax")
    return jax is None or keras.backend.backend() != "jax" or jax.process_index() == 0
