"""From one target to another, epoch by epoch."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from keras_imbalance._core import Sampler, check_one_of, check_target, check_whole, invalid
from keras_imbalance.callbacks.fit_checks import warn_of_late_epoch
from keras_imbalance.callbacks.ownership import claimed, set_target
from keras_imbalance.callbacks.phase import Target
from keras_imbalance.callbacks.sampling_callback import SamplingCallback

RATE = 5.0  # of "exponential": e^-5 is what would remain to go at the end, and is taken off
SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "cosine": lambda t: 0.5 - 0.5 * np.cos(np.pi * t),
    "exponential": lambda t: float(np.expm1(-RATE * t) / np.expm1(-RATE)),
}
MOST_TRIED = 1000  # epochs at which a function of one's own is tried before training


class ProgressiveSampling(SamplingCallback):
    """Moves a sampler's target from `start_target` to `end_target` while training goes on.

    The epochs from `start_epoch` until before `end_epoch` draw (1 - s) p_start + s p_end, where s = schedule(t) and t goes
    from 0 in the first of them to 1 in the last: the first draws `start_target`, the last `end_target`, exactly. The shares
    depend on the epoch alone, so a run that goes on at a later epoch draws what it would have drawn. Earlier epochs draw the
    sampler's own target. Later ones draw `end_target`, unless another callback sets the target there. After training the
    sampler has its own target again.

    Args:
        sampler: an `ArraySampler` or `StreamSampler` whose `dataset()` is fitted.
        start_target: what the first epoch draws, as in `target_distribution`: "natural", "balanced", "sqrt", a number q of
            q-sampling, a mapping from class to share, or shares `(C,)`. Defaults to "natural".
        end_target: what the last epoch draws, likewise. Defaults to "balanced".
        schedule: "linear" (s = t), "cosine" (s = (1 - cos(pi t)) / 2, slow at both ends), "exponential"
            (s = (1 - e^-5t) / (1 - e^-5), fast at first), or a function of t that gives s in [0, 1]. Defaults to "linear".
        start_epoch: the epoch that draws `start_target`. Defaults to 0.
        end_epoch: the epoch before which `end_target` is reached. Where only one epoch lies between, it draws `end_target`.
            Defaults to None: the last epoch of fit draws `end_target`.

    Raises:
        ValueError: for targets that the sampler cannot draw and arguments out of range; when training begins for a schedule
            that leaves [0, 1], no epoch left, or another callback that sets the target in the same epochs.

    Warns:
        UserWarning: when training begins, where it ends before `end_target` is drawn; at the end of a first epoch that drew
            nothing from this sampler, as where another one's dataset is fitted.

    Attributes:
        history: the class shares that each epoch really drew, a list of arrays `(C,)`.
        targets: the class shares that each epoch was asked for, likewise.

    Example:
    >>> import keras, numpy as np
    >>> from keras_imbalance import ArraySampler
    >>> sampler = ArraySampler(np.zeros((100, 1)), np.repeat([0, 1], [90, 10]), batch_size=50)
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> progressive = ProgressiveSampling(sampler)
    >>> _ = model.fit(sampler.dataset(), shuffle=False, epochs=5, callbacks=[progressive], verbose=0)
    >>> print(np.round(progressive.history, 3).tolist())
    [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.5, 0.5]]

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        start_target: Target = "natural",
        end_target: Target = "balanced",
        schedule: Literal["linear", "cosine", "exponential"] | Callable[[float], float] = "linear",
        start_epoch: int = 0,
        end_epoch: int | None = None,
    ):
        super().__init__(sampler)
        self.start_target, self.end_target = start_target, end_target
        self.schedule = schedule if callable(schedule) else check_one_of(schedule, "schedule", SCHEDULES)
        self.start_epoch = check_whole(start_epoch, "start_epoch", 0)
        self.end_epoch = check_whole(end_epoch, "end_epoch", self.start_epoch + 1, optional=True)
        for argument in ("start_target", "end_target"):
            check_target(sampler, getattr(self, argument), argument)

    def own_epochs(self) -> tuple[int, int]:
        return self.start_epoch, self._end_epoch()

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        super().on_train_begin(logs)
        start, end = self.own_epochs()
        warn_of_late_epoch(self, "end_epoch", end, "No epoch draws `end_target`", needed=end - 1)
        if not isinstance(self.schedule, str):
            for epoch in (*range(start, end, -(-(end - start) // MOST_TRIED)), end - 1):
                self._progress(epoch)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        start, end = self.own_epochs()
        # A run that goes on after the last of our epochs draws what that one left, as the run before would have.
        begins_late = epoch >= end and not self.targets and not claimed(self, epoch)
        if start <= epoch < end or begins_late:
            set_target(self.sampler, self._shares(self._progress(epoch)))

    def _shares(self, progress):
        """The target at this progress: as it was given at both ends, shares between them."""
        if progress in (0, 1):
            return self.end_target if progress else self.start_target
        start, end = (self._drawn_by(target) for target in (self.start_target, self.end_target))
        return (1 - progress) * start + progress * end

    def _drawn_by(self, target):
        self.sampler.target = target
        return self.sampler.distribution

    def _progress(self, epoch):
        """How far an epoch is on the way from start to end, in [0, 1]."""
        last = self._end_epoch() - 1 - self.start_epoch
        t = min((epoch - self.start_epoch) / last, 1.0) if last else 1.0
        schedule = SCHEDULES[self.schedule] if isinstance(self.schedule, str) else self.schedule
        progress = float(schedule(t))
        if not -1e-9 <= progress <= 1 + 1e-9:
            raise invalid("schedule", "give values in [0, 1]", received=f"schedule({t}) = {progress}")
        return min(max(progress, 0.0), 1.0)

    def _end_epoch(self):
        if self.end_epoch is not None:
            return self.end_epoch
        epochs = (self.params or {}).get("epochs", 0)
        if epochs <= self.start_epoch:
            raise invalid(
                "start_epoch",
                "come before the last epoch of fit where `end_epoch` is not given",
                received=f"start_epoch={self.start_epoch}, and {epochs} epochs of fit",
                remedy="Give `end_epoch`, or fit more epochs.",
            )
        return epochs
