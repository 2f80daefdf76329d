"""What callbacks need of a running fit beyond the public hooks, for Keras 3 and tf-keras."""

import sys
from typing import Any

from keras_imbalance.backend import keras


class _StartAt:
    """What tf-keras asks for the epoch to start from."""

    def __init__(self, epoch: int):
        self.epoch = epoch

    def maybe_load_initial_counters_from_ckpt(
        self, steps_per_epoch: Any, initial_epoch: int, mode: Any = None
    ) -> tuple[int, int]:
        return self.epoch, 0


def is_batchnorm(layer: Any) -> bool:
    """Whether the layer keeps running statistics of its batches."""
    return isinstance(layer, keras.layers.BatchNormalization)


def state_variables(model: Any) -> list:
    """Every variable that the model goes on from: its weights, and where its random layers are."""
    return list(model.variables if hasattr(model, "metrics_variables") else model.weights)


def start_at(model: Any, epoch: int | None) -> None:
    """Lets the fit that is about to begin start at this epoch; None forgets it, as Keras 3 itself does not."""
    if hasattr(model, "metrics_variables"):
        model._initial_epoch = epoch
    else:
        model._training_state = None if epoch is None else _StartAt(epoch)


def check_built(model: Any, needed_by: str) -> None:
    """Raises for a model that Keras will only build in its first step, after the callbacks have asked for its weights."""
    if not model.built:
        raise ValueError(
            f"{needed_by} needs a model that has its weights before fit. Received: {model.name!r}, which is not built. Begin "
            "it with keras.Input, or call it on a batch of rows first."
        )


def callbacks_beside(callback: Any) -> list | None:
    """All callbacks of the fit that is just handing its parameters to `callback`, or None when nobody is seen doing so.

    A callback is not told who its neighbours are, so this looks at who called.
    """
    frame: Any = sys._getframe(1)
    for _ in range(6):
        frame = frame.f_back
        if frame is None:
            return None
        owner = frame.f_locals.get("self")
        if owner is not callback and isinstance(owner, keras.callbacks.CallbackList):
            return list(owner.callbacks)
    return None


def looks_at_data() -> bool:
    """Whether Keras looks at one batch at this moment, to build a model, and will drop the rest of the iteration.

    An input pipeline that is fetched ahead cannot tell by what is asked of it, and runs in threads of its own, so this looks
    at what all threads do; were Keras to look in another way, such a look could count as an epoch again.
    """
    for frame in list(sys._current_frames().values()):
        caller: Any = frame
        while caller is not None:
            if caller.f_code.co_name in ("_symbolic_build", "_maybe_symbolic_build"):
                return True
            caller = caller.f_back
    return False


def writes_files(model: Any) -> bool:
    """Whether this process writes what all that train `model` need: the first worker does, and a process that is alone."""
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None:
        return strategy.extended.should_checkpoint
    jax = sys.modules.get("jax")
    return jax is None or keras.backend.backend() != "jax" or jax.process_index() == 0
