"""What callbacks that set a sampler's distribution have in common: its history, and whole epochs as limits."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_imbalance.callbacks.ownership import UnusedSampler, check_sampler, release
from keras_imbalance.callbacks.resumable import ResumableCallback


class SamplingCallback(ResumableCallback):
    """Base of the callbacks that set the distribution of `sampler`.

    The history is kept across a resumed run. When training ends, the sampler keeps the distribution it has. A first epoch in
    which the sampler draws nothing is a warning: fit then trains on other data.

    Attributes:
        history: the distribution that each epoch drew from, a list of arrays `(C,)`.
    """

    def __init__(self, sampler: Any):
        super().__init__()
        check_sampler(sampler)
        self.sampler = sampler
        self.history: list[np.ndarray] = []
        self._unused: UnusedSampler | None = None

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self.history = []
        self._unused = UnusedSampler(self)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._unused is not None:
            self._unused.begin_epoch()

    def on_train_end(self, logs: Mapping | None = None) -> None:
        release(self.sampler, self)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._unused is not None:
            self._unused.end_epoch()
        self.history.append(self.sampler.distribution)

    def state_dict(self) -> dict:
        return {"history": [shares.tolist() for shares in self.history]}

    def load_state_dict(self, state: Mapping) -> None:
        self.history = [np.asarray(shares, dtype=np.float64) for shares in state["history"]]


def whole_epoch(value: Any, name: str, least: int = 0) -> int:
    """`value` as int; raises unless it is a whole number of at least `least`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        bound = "not be negative" if whole and least == 0 else f"be a whole number of at least {least}"
        raise ValueError(f"`{name}` must {bound}. Received: {name}={value!r}.")
    return int(value)
