"""The learning rates of a fit in phases."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_imbalance._core import check_number, invalid
from keras_imbalance._keras import keras, learning_rates, ops, set_learning_rates
from keras_imbalance.callbacks.phase import Phase

LOGGED = ("learning_rate", "lr")  # keys under which Keras's callbacks log the rate of the epoch that ends
LOST = (
    "Another callback changed the learning rate {when}. LearningRateScheduler sets the rate of every epoch by itself: leave it "
    "out and give the phase `learning_rate` as a function of the epoch. ReduceLROnPlateau needs a phase whose rate is a number."
)


class PhaseRates:
    """Sets the learning rates that phases ask for, and warns where another callback sets them too.

    Args:
        phases: of the fit.
        optimizer: the model's own, before training.

    Attributes:
        base: the rates before training, one for each part of the optimizer; None where one follows a schedule.
        changed: whether a phase has set a rate.
    """

    def __init__(self, phases: Sequence[Phase], optimizer: Any):
        self._phases, self._own = phases, optimizer
        self.base: list[float] | None = learning_rates(optimizer)
        self.changed = False
        self._left: list[float] | None = None  # as the epoch began
        self._warned = False

    def check(self) -> None:
        """Raises where phases set rates that cannot be set."""
        if self.base is None and any(phase.sets_rate for phase in self._phases):
            raise ValueError(
                "`learning_rate` and `learning_rate_factor` cannot change a learning rate that follows a schedule. Compile the "
                "optimizer with a number, and give phases a schedule or a function."
            )

    def enter(self, optimizer: Any, phase: Phase) -> None:
        """Sets the rate that a phase begins with, where that is a number."""
        if phase.learning_rate_factor is not None:
            self._set(optimizer, [rate * phase.learning_rate_factor for rate in self.base or ()])
        elif phase.learning_rate is not None and not callable(phase.learning_rate):
            self._set(optimizer, [float(phase.learning_rate)] * len(self.base or ()))

    def follow(self, optimizer: Any, number: int, epoch: int, steps: int | None) -> None:
        """Sets the rate of an epoch, where its phase has a function of the epoch or a schedule of the steps."""
        setting = [phase for phase in self._phases[: number + 1] if phase.sets_rate][-1:]
        for phase in setting:
            if callable(phase.learning_rate):
                self._follow(optimizer, phase, epoch, steps)

    def _follow(self, optimizer, phase, epoch, steps):
        into = epoch - phase.start_epoch
        if into > 0 and self._left is not None and _differ(learning_rates(optimizer), self._left):
            self._warn("that this phase sets anew in every epoch")
        if isinstance(phase.learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            if not steps:
                raise ValueError(
                    "`learning_rate` as a LearningRateSchedule counts steps, and the number of steps of an epoch is not known. "
                    "Pass steps_per_epoch to fit, or give a function of the epoch."
                )
            into *= steps
        rate = check_number(float(ops.convert_to_numpy(phase.learning_rate(into))), "learning_rate", 0)
        self._set(optimizer, [rate] * len(self.base or ()))

    def begin_epoch(self, optimizer: Any) -> None:
        """Notes the rates of an epoch, after the phases have set them."""
        self._left = learning_rates(optimizer)

    def end_epoch(self, optimizer: Any, logs: Mapping) -> None:
        """Warns where the epoch had other rates than it began with."""
        if not self.changed or self._left is None or len(self._left) > 1:
            return
        # What lowers rates at the end of an epoch logs the one that the epoch had.
        logged = [float(logs[key]) for key in LOGGED if key in logs]
        if _differ(logged[:1] or learning_rates(optimizer), self._left):
            self._warn("after a phase had set it")

    def resume(self, base: list[float] | None, phase: int) -> None:
        """Goes on in a phase, with the rates that a fit began with; those of now come back with the optimizer."""
        if (base is None) != (self.base is None) or len(base or ()) != len(self.base or ()):
            raise invalid("base_rates", f"hold the rates of {len(self.base or ())} optimizers", base)
        self.base = None if base is None else [check_number(rate, "base_rates", 0) for rate in base]
        self.changed = any(phase.sets_rate for phase in self._phases[: phase + 1])

    def put_back(self, broken_off: bool = False) -> None:
        """Gives the model's own optimizer the rates of before; after a fit that was broken off, rates set since then stay."""
        since = broken_off and self._left is not None and _differ(learning_rates(self._own), self._left)
        if self.changed and self.base is not None and not since:
            set_learning_rates(self._own, self.base)
        self.changed = False

    def _set(self, optimizer, rates):
        set_learning_rates(optimizer, rates)
        self.changed = True

    def _warn(self, when):
        if not self._warned:
            self._warned = True
            warnings.warn(LOST.format(when=when), stacklevel=4)


def _differ(rates, others):
    return rates is None or len(rates) != len(others) or not np.allclose(rates, others, rtol=1e-5, atol=0)
