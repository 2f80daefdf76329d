"""Which callback sets a sampler's target, in which epochs, and what the target was before training.

Two callbacks that set it in the same epochs would undo each other in silence, so each claims its epochs when training begins.
The first claim of a fit keeps the target of before; the last release puts it back, and so does the first claim of the next fit
after one that was broken off. A target that somebody else has set since stays.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_imbalance._core import Sampler, matched_losses
from keras_imbalance.callbacks.matched_pair import follow_in_compiled_steps, warn_of_double_correction

LEDGER = "_target_ledger"  # attribute of a sampler, while a fit that changes its target goes on


@dataclass
class Ledger:
    """The claims of one fit on the target of a sampler.

    Attributes:
        fit: the parameters of the fit, one object that all its callbacks share.
        before: the target before training.
        latest: the target that the callbacks left last.
        model: what is fitted.
        warned: whether a loss that corrects once more was warned of.
        claims: a tuple (callback, start_epoch, end_epoch) for each callback; `end_epoch` is None where there is no end.
    """

    fit: Any
    before: Any
    latest: Any
    model: Any
    warned: bool = False
    claims: list[tuple] = field(default_factory=list)


def claim(callback: Any, start_epoch: int, end_epoch: int | None = None) -> None:
    """Enters `callback` as the one that sets the target of `callback.sampler` from `start_epoch` until before `end_epoch`.

    Raises:
        ValueError: when another callback of the same fit sets the target in some of these epochs, or where an epoch of fit is
            not one of the sampler.
    """
    check_epochs(callback)
    ledger = _ledger(callback.sampler, callback.params, callback.model)
    for other, start, end in ledger.claims:
        if (end_epoch is None or start < end_epoch) and (end is None or start_epoch < end):
            raise ValueError(
                "Two callbacks set the target of one sampler in the same epochs. Received: "
                f"{_named(other, start, end)} and {_named(callback, start_epoch, end_epoch)}. Let one end where the other "
                "starts: DynamicSampling(sampler, end_epoch=k) with TwoPhaseLearning(sampler, switch_epoch=k)."
            )
    ledger.claims.append((callback, start_epoch, end_epoch))
    if callback.model is not None:
        follow_in_compiled_steps(callback.model, callback.sampler)


def check_epochs(callback: Any) -> None:
    """Raises where fit's epochs have another number of batches than those of `callback.sampler`, as far as both are known."""
    steps = (callback.params or {}).get("steps")
    sampler = callback.sampler
    batches = len(sampler) if hasattr(sampler, "__len__") else getattr(sampler, "num_batches", steps)
    if steps is not None and steps != batches:
        raise ValueError(
            f"{type(callback).__name__} sets the target of a sampler from epoch to epoch, so an epoch of fit must be one of "
            f"the sampler. Received: {steps} batches an epoch of fit, {batches or 'one pass of a stream'} of the sampler. "
            "Pass sampler.dataset() to fit without steps_per_epoch and .repeat(); for shorter or longer epochs build the "
            f"sampler with epoch_size={steps} * batch_size."
        )


def claimed(callback: Any, epoch: int) -> bool:
    """Whether a callback of this fit sets the target of `callback.sampler` in this epoch."""
    ledger = getattr(callback.sampler, LEDGER, None)
    claims = [] if ledger is None else ledger.claims
    return any(start <= epoch and (end is None or epoch < end) for _, start, end in claims)


def set_target(sampler: Sampler, target: Any) -> None:
    """Sets the target of a sampler in the name of a callback."""
    sampler.target = target
    note_target(sampler)


def note_target(sampler: Sampler) -> bool:
    """Called at the beginning of an epoch, when a resumed run has its state: whatever the target is then, callbacks left it.

    Returns:
        Whether a callback of a fit sets the target, so that a loss that corrects once more is looked for here.
    """
    ledger = getattr(sampler, LEDGER, None)
    if ledger is None:
        return False
    ledger.latest = sampler.target
    matched_losses(sampler).follow(sampler.distribution)
    if ledger.model is not None and not ledger.warned:
        ledger.warned = warn_of_double_correction(ledger.model, sampler)
    return True


def release(callback: Any) -> None:
    """Withdraws the claim of `callback`; the last one of a fit puts the target of before training back."""
    sampler = callback.sampler
    ledger = getattr(sampler, LEDGER, None)
    if ledger is None:
        return
    ledger.claims = [entry for entry in ledger.claims if entry[0] is not callback]
    if not ledger.claims:
        _put_back(sampler, ledger)


def _ledger(sampler, fit, model):
    """The ledger of this fit on the sampler, a new one at its first claim."""
    ledger = getattr(sampler, LEDGER, None)
    if ledger is None or ledger.fit is not fit:
        if ledger is not None:
            _put_back(sampler, ledger)  # its fit was broken off
        ledger = Ledger(fit, sampler.target, sampler.target, model)
        setattr(sampler, LEDGER, ledger)
    return ledger


def _put_back(sampler, ledger):
    """Ends a ledger: the target of before is back, unless somebody else has set one since."""
    delattr(sampler, LEDGER)
    target, latest = sampler.target, ledger.latest
    if type(target) is type(latest) and np.array_equal(target, latest):
        sampler.target = ledger.before
        matched_losses(sampler).follow(sampler.distribution)


def _named(owner, start, end):
    return f"{type(owner).__name__} from epoch {start} " + ("on" if end is None else f"until before {end}")
