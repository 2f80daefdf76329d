"""From one class distribution to another, epoch by epoch."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_imbalance.callbacks.ownership import claim, claimed
from keras_imbalance.callbacks.sampling_callback import SamplingCallback, whole_epoch

RATE = 5.0  # of "exponential": e^-5 is what would remain to go at the end, and is taken off
SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "cosine": lambda t: 0.5 - 0.5 * np.cos(np.pi * t),
    "exponential": lambda t: float(np.expm1(-RATE * t) / np.expm1(-RATE)),
}


class ProgressiveSampling(SamplingCallback):
    """Moves a sampler's class distribution from `start` to `end` while training goes on.

    The k-th of `epochs` epochs draws (1 - s) p_start + s p_end with s = schedule(t), t = k / (epochs - 1): the first draws
    `start`, the last `end`, exactly. This depends on the epoch alone, so that a run that goes on at a later epoch draws
    what it would have drawn. Earlier epochs draw what the sampler is set to; later ones draw `end`, unless another callback
    sets the distribution there. When training ends, the sampler keeps the last distribution.

    Args:
        sampler: an `ArraySampler` or `StreamSampler` whose `dataset()` is being fitted.
        start: what the first epoch draws, as in `target_distribution`: "natural", "balanced", "sqrt", a number q of q-sampling,
            a mapping from class to share, or shares `(C,)`. Defaults to "natural".
        end: what the last epoch draws, likewise. Defaults to "balanced".
        epochs: number of epochs from `start` to `end`, both included; with 1 that epoch draws `end`. Defaults to None: up to
            the last epoch of fit.
        schedule: "linear" (s = t), "cosine" (s = (1 - cos(pi t)) / 2, slow at both ends), "exponential"
            (s = (1 - e^-5t) / (1 - e^-5), fast at first), or a function of t that gives s in [0, 1]. Defaults to "linear".
        start_epoch: the epoch that draws `start`. Defaults to 0.

    Raises:
        ValueError: for targets that the sampler cannot draw and arguments out of range; when training begins for a schedule
            that leaves [0, 1], no epoch left, or another callback that sets the distribution in the same epochs.

    Warns:
        UserWarning: at the end of a first epoch that drew nothing from this sampler, as where another one's dataset is fitted.

    Attributes:
        history: the distribution that each epoch drew from, a list of arrays `(C,)`.

    Example:
    >>> import numpy as np
    >>> from keras_imbalance import ArraySampler
    >>> sampler = ArraySampler(np.zeros((100, 1)), np.repeat([0, 1], [90, 10]))
    >>> progressive = ProgressiveSampling(sampler, epochs=5)
    >>> for epoch in range(5):
    ...     progressive.on_epoch_begin(epoch)  # fit does this
    ...     print(sampler.distribution)
    [0.9 0.1]
    [0.8 0.2]
    [0.7 0.3]
    [0.6 0.4]
    [0.5 0.5]

    In fit: `model.fit(sampler.dataset(), shuffle=False, epochs=30, callbacks=[ProgressiveSampling(sampler)])`.

    Reference: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, 2020,
    https://arxiv.org/abs/1910.09217
    """

    def __init__(
        self,
        sampler: Any,
        start: Any = "natural",
        end: Any = "balanced",
        epochs: int | None = None,
        schedule: str | Callable[[float], float] = "linear",
        start_epoch: int = 0,
    ):
        super().__init__(sampler)
        if not callable(schedule) and (not isinstance(schedule, str) or schedule not in SCHEDULES):
            raise ValueError(
                f"`schedule` must be one of {tuple(SCHEDULES)} or a function of t in [0, 1]. Received: {schedule!r}."
            )
        self.start, self.end = start, end
        self.epochs = None if epochs is None else whole_epoch(epochs, "epochs", least=1)
        self.schedule = schedule
        self.start_epoch = whole_epoch(start_epoch, "start_epoch")
        self._begun = False
        self._check_targets()

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        super().on_train_begin(logs)
        self._begun = False
        stop = self.start_epoch + self._number()
        for epoch in range(self.start_epoch, stop):
            self._progress(epoch)
        claim(self.sampler, self, self.start_epoch, stop, self.params)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        first, self._begun = not self._begun, True
        stop = self.start_epoch + self._number()
        # A run that goes on after the last of our epochs draws what that one left, as the run before would have.
        left = first and epoch >= stop and not claimed(self.sampler, epoch, self.params)
        if self.start_epoch <= epoch < stop or left:
            self._set(epoch)

    def load_state_dict(self, state: Mapping) -> None:
        super().load_state_dict(state)
        self._begun = True  # the sampler's own state says what the epochs after ours draw

    def _set(self, epoch):
        progress = self._progress(epoch)
        self.sampler.set_target(self.end if progress == 1 else self.start)
        if 0 < progress < 1:
            start = self.sampler.distribution
            self.sampler.set_target(self.end)
            self.sampler.distribution = (1 - progress) * start + progress * self.sampler.distribution

    def _progress(self, epoch):
        """How far an epoch is on the way from start to end, in [0, 1]."""
        last = self._number() - 1
        t = min((epoch - self.start_epoch) / last, 1.0) if last else 1.0
        schedule = SCHEDULES[self.schedule] if isinstance(self.schedule, str) else self.schedule
        progress = float(schedule(t))
        if not -1e-9 <= progress <= 1 + 1e-9:
            raise ValueError(f"`schedule` must give values in [0, 1]. Received: schedule({t}) = {progress}.")
        return min(max(progress, 0.0), 1.0)

    def _number(self):
        """Epochs from start to end."""
        if self.epochs is not None:
            return self.epochs
        number = (self.params or {}).get("epochs", 0) - self.start_epoch
        if number < 1:
            raise ValueError(
                "`start_epoch` must come before the last epoch of fit where `epochs` is not given. "
                f"Received: start_epoch={self.start_epoch}, and {(self.params or {}).get('epochs')} epochs of fit."
            )
        return number

    def _check_targets(self):
        state = self.sampler.state_dict()
        try:
            for argument in ("start", "end"):
                try:
                    self.sampler.set_target(getattr(self, argument))
                except (ValueError, TypeError) as error:
                    raise ValueError(
                        f"`{argument}` must be a target that the sampler can draw. Received: {argument}="
                        f"{getattr(self, argument)!r}. {error}"
                    ) from error
        finally:
            self.sampler.load_state_dict(state)
