"""A loss that is adjusted to what a sampler draws, and follows when a callback changes that."""

import warnings
from typing import Any

import numpy as np

from keras_imbalance._core import Sampler, matched_losses, same_shares
from keras_imbalance._keras import Metric, compiled_losses, rebuild_functions, with_parts
from keras_imbalance.callbacks.train_steps import TrainSteps
from keras_imbalance.losses import ClassBalancedLoss, LogitAdjustedLoss

ATTRIBUTE = "matched_shift"  # of a model


class LiveShift(Metric):
    """What a loss adds to the logits. A compiled step sees its new values: metrics are part of the state of every backend."""

    def __init__(self, shape: tuple[int, ...], name: str = ATTRIBUTE):
        super().__init__(name=name)
        self.shift = self.add_variable(shape, "zeros", name="shift")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """It counts nothing."""

    def result(self) -> dict:
        """No key in the logs."""
        return {}

    def reset_state(self) -> None:
        """The shift stays from epoch to epoch."""


def follow_in_compiled_steps(model: Any, sampler: Sampler) -> None:
    """Lets the compiled functions of `model` read the shift of a loss that is matched to `sampler` from a variable."""
    matched, found = matched_losses(sampler), False
    # A function, or a loss of the user's own, may call one that is not seen.
    for i, loss in enumerate([part for part in _parts(model) if part in matched] or list(matched)):
        if loss.live_shift is None:
            loss.live_shift = LiveShift(np.shape(loss.drawn_prior))
        name = f"{ATTRIBUTE}_{i}"
        if getattr(model, name, None) is not loss.live_shift:
            setattr(model, name, loss.live_shift)
            found = True
        loss.adjust_to(loss.drawn_prior)
    if found:
        rebuild_functions(model)


def corrected_twice(model: Any, sampler: Sampler) -> str | None:
    """The name of a loss that is given the counts of the data, where the sampler draws other shares; else None."""
    natural = sampler.class_counts / max(sampler.class_counts.sum(), 1)
    if same_shares(sampler.distribution, natural):
        return None
    steps, matched = TrainSteps.of(model), matched_losses(sampler)
    for loss in _parts(model):
        if not isinstance(loss, (ClassBalancedLoss, LogitAdjustedLoss)) or loss in matched:
            continue
        if isinstance(loss, ClassBalancedLoss) and steps.changes(loss, "class_weights"):
            continue  # DeferredReweighting says from when on
        if same_shares(loss.class_shares(), natural):
            return type(loss).__name__
    return None


def _parts(model):
    """The losses that `model` was compiled with, and those that these add up or weigh."""
    return [part for _, loss, _ in compiled_losses(model) for part in with_parts(loss)]


def warn_of_double_correction(model: Any, sampler: Sampler) -> bool:
    """Warns of a loss that corrects for class counts which the sampler has corrected for already; whether it did."""
    name = corrected_twice(model, sampler)
    if name is None:
        return False
    warnings.warn(
        f"{name} is given the class counts of the data, and the sampler draws other shares: the two correct twice. Use one of "
        "them, or the matched pair: LogitAdjustedLoss(sampler).",
        UserWarning,
        stacklevel=2,
    )
    return True
