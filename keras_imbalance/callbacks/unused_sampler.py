"""Whether the sampler that a callback changes is the one whose rows are trained on; if not, all changes are in vain."""

import warnings
from typing import Any

import numpy as np


class UnusedSampler:
    """Warns when the first epoch of a fit drew no row from the sampler that a callback changes or logs; of a copy, raises.

    An epoch that was stopped tells nothing, nor does one of a single batch, which samplers do not count.

    Args:
        callback: the callback, whose `sampler`, `params` and `model` are those of the fit.
    """

    def __init__(self, callback: Any):
        self._callback = callback
        # At two moments: tf-keras may begin to draw before the epoch begins, and a resumed sampler draws what it drew before.
        self._before: list[Any] | None = [callback.sampler.exposure]

    def begin_epoch(self) -> None:
        """Called when each epoch begins, after a resumed run has its state."""
        if self._before is not None:
            self._before.append(self._callback.sampler.exposure)

    def end_epoch(self) -> None:
        """Called when each epoch ends; the first one tells."""
        before, self._before = self._before, None
        steps = self._callback.params.get("steps", 0)
        if before is None or self._callback.model.stop_training or (steps is not None and steps < 2):
            return
        drawn = self._callback.sampler.exposure
        if all(np.array_equal(earlier, drawn) for earlier in before):
            if getattr(self._callback, "copied", False):
                raise _of_a_copy(self._callback)
            warnings.warn(
                f"{type(self._callback).__name__} has a sampler that drew no row in this epoch, so the training "
                "does not see it. Received: a fit on other data. Pass `dataset()` of the callback's own sampler to fit: "
                "model.fit(sampler.dataset(), shuffle=False, ...).",
                stacklevel=3,
            )


def _of_a_copy(callback):
    return ValueError(
        f"{type(callback).__name__} is a deep copy, as KerasTuner makes one for every trial, and its sampler drew no row in "
        "this epoch, so the training does not see it. Received: a fit on other data. Build sampler and callbacks inside "
        "HyperModel.fit, and fit its dataset() there; or pass dataset() of the callback's own sampler to `search`."
    )
