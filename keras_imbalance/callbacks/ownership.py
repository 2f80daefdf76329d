"""Who may set a sampler's distribution, and when: two callbacks that both did would undo each other in silence.

And whether the sampler is the one whose rows are trained on: what is set on another changes nothing, in silence too.
"""

import warnings
from typing import Any

import numpy as np


def check_sampler(sampler: Any) -> None:
    """Raises unless `sampler` has a live distribution."""
    known = ("distribution", "set_target", "class_counts", "class_names")
    if isinstance(sampler, type) or not all(hasattr(sampler, name) for name in known):
        received = f"the class {sampler.__name__}" if isinstance(sampler, type) else type(sampler)
        raise ValueError(
            f"`sampler` must be a sampler such as ArraySampler, not the dataset it makes. Received: {received}. Make it before "
            "the callback, sampler = ArraySampler(x, y), and pass sampler.dataset() to fit."
        )


def claim(sampler: Any, owner: Any, start_epoch: int, stop_epoch: int | None, fit: Any) -> None:
    """Enters `owner` as the one that sets the distribution of the epochs from `start_epoch` until before `stop_epoch`.

    Args:
        sampler: whose distribution it is.
        owner: the callback.
        start_epoch: first epoch whose distribution the owner sets.
        stop_epoch: first epoch that it leaves alone; None for no end.
        fit: something that all callbacks of one fit share; claims of other fits, which may have been broken off, are dropped.

    Raises:
        ValueError: when another callback of the same fit sets the distribution in some of these epochs.
    """
    claims = [entry for entry in sampler.owners if entry[0] is not owner and entry[3] is fit]
    for other, start, stop, _ in claims:
        if (stop_epoch is None or start < stop_epoch) and (stop is None or start_epoch < stop):
            raise ValueError(
                "Two callbacks set the class distribution of one sampler in the same epochs. Received: "
                f"{_named(other, start, stop)} and {_named(owner, start_epoch, stop_epoch)}. Let one stop where the other "
                "starts: DynamicSampling(stop_epoch=k) with TwoPhaseLearning(switch_epoch=k)."
            )
    sampler.owners = [*claims, (owner, start_epoch, stop_epoch, fit)]


def claimed(sampler: Any, epoch: int, fit: Any) -> bool:
    """Whether a callback of this fit sets the distribution of this epoch."""
    owners = [entry for entry in sampler.owners if entry[3] is fit]
    return any((start is None or start <= epoch) and (stop is None or epoch < stop) for _, start, stop, _ in owners)


def release(sampler: Any, owner: Any) -> None:
    """Withdraws the claim of `owner`."""
    sampler.owners = [entry for entry in sampler.owners if entry[0] is not owner]


class UnusedSampler:
    """Warns when the first epoch of a fit drew no row from the sampler that a callback sets.

    A sampler that does not count what it draws is left alone, and so is an epoch that was stopped, or one of a single batch,
    which samplers do not count.

    Args:
        callback: the callback, whose `sampler`, `params` and `model` are those of the fit.
    """

    def __init__(self, callback: Any):
        self._callback = callback
        # At two moments: tf-keras may begin to draw before the epoch begins, and a resumed sampler draws what it drew before.
        self._before: list[Any] | None = [self._drawn()]

    def begin_epoch(self) -> None:
        """Called when each epoch begins, after a resumed run has its state."""
        if self._before is not None:
            self._before.append(self._drawn())

    def end_epoch(self) -> None:
        """Called when each epoch ends; the first one tells."""
        before, self._before = self._before, None
        steps = self._callback.params.get("steps", 0)
        if before is None or self._callback.model.stop_training or (steps is not None and steps < 2):
            return
        drawn = self._drawn()
        if drawn is not None and all(np.array_equal(earlier, drawn) for earlier in before):
            warnings.warn(
                f"{type(self._callback).__name__} sets the class distribution of a sampler that drew no row in this epoch, so "
                "the training does not see it. Received: a fit on other data. Pass `dataset()` of the callback's own sampler "
                "to fit: model.fit(sampler.dataset(), shuffle=False, ...).",
                stacklevel=3,
            )

    def _drawn(self):
        return getattr(self._callback.sampler, "exposure", None)


def _named(owner, start, stop):
    return f"{type(owner).__name__} from epoch {start} " + ("on" if stop is None else f"until before {stop}")
