"""Whether the sampler that a callback changes is the one whose rows are trained on; if not, all changes are in vain."""

import warnings
from typing import Any

import numpy as np

from keras_imbalance.callbacks.ownership import claimed


class UnusedSampler:
    """Warns once when an epoch drew no row from the sampler that a callback changes or logs; of a copy, raises.

    After the first epoch that is told only of those whose target a callback sets: they are epochs of the sampler. An epoch that
    was stopped tells nothing, nor does one of a single batch, which samplers do not count.

    Args:
        callback: the callback, whose `sampler`, `params` and `model` are those of the fit.
    """

    def __init__(self, callback: Any):
        self._callback = callback
        # At two moments: tf-keras may begin to draw before the epoch begins, and a resumed sampler draws what it drew before.
        self._before: list[Any] = [callback.sampler.exposure]
        self._first, self._warned = True, False

    def begin_epoch(self) -> None:
        """Called when each epoch begins, after a resumed run has its state."""
        self._before.append(self._callback.sampler.exposure)

    def end_epoch(self, epoch: int, drew: bool) -> None:
        """Called when each epoch ends, which may have trained on rows that were drawn before it began."""
        before, self._before = self._before, [self._callback.sampler.exposure]
        first, self._first = self._first, False
        steps = self._callback.params.get("steps", 0)
        if self._warned or self._callback.model.stop_training or (steps is not None and steps < 2):
            return
        tells = first or (claimed(self._callback, epoch) and not drew)
        if tells and all(np.array_equal(earlier, self._before[0]) for earlier in before):
            if getattr(self._callback, "copied", False):
                raise _of_a_copy(self._callback)
            self._warned = True
            warnings.warn(
                f"{type(self._callback).__name__} has a sampler that drew no row in this epoch, so the training "
                "does not see it. Received: a fit on other data. Pass `dataset()` of the callback's own sampler to fit: "
                "model.fit(sampler.dataset(), shuffle=False, ...). A .cache() behind it would repeat one epoch for ever.",
                stacklevel=3,
            )


def _of_a_copy(callback):
    return ValueError(
        f"{type(callback).__name__} is a deep copy, as KerasTuner makes one for every trial, and its sampler drew no row in "
        "this epoch, so the training does not see it. Received: a fit on other data. Build sampler and callbacks inside "
        "HyperModel.fit, and fit its dataset() there; or pass dataset() of the callback's own sampler to `search`."
    )
