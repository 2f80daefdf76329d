"""What callbacks that set a sampler's target have in common: their history, and the epochs that are theirs."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from keras_imbalance._core import Sampler, check_sampler
from keras_imbalance.callbacks.ownership import claim, note_target, release
from keras_imbalance.callbacks.resumable import ResumableCallback
from keras_imbalance.callbacks.sampler_watch import SamplerWatch
from keras_imbalance.callbacks.state_schema import Kind, list_of, number


class SamplingCallback(ResumableCallback):
    """Base of the callbacks that set the target of `sampler`.

    When training ends, the target is again what it was before. After a fit that was broken off, as by an interrupted cell, it
    is put back when the next fit with such a callback begins. The history is kept across a resumed run. An epoch in
    which the sampler draws nothing is a warning: fit then trains on other data. So is an epoch that draws other shares than it
    was told. What an epoch drew is in its logs as `sampling/{class}`.

    Attributes:
        history: the class shares that each epoch really drew, a list of arrays `(C,)`; zeros where it drew nothing.
        targets: the class shares that each epoch was asked for, likewise.
    """

    state_schema: ClassVar[Mapping[str, Kind]] = dict.fromkeys(
        ("history", "targets"), list_of(list_of(number(least=0)))
    )

    def __init__(self, sampler: Sampler):
        super().__init__()
        self.sampler = check_sampler(sampler)
        self.history: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []
        self._watch: SamplerWatch | None = None

    def own_epochs(self) -> tuple[int, int | None]:
        """The first epoch whose target this callback sets, and the first that it sets no more, or None."""
        raise NotImplementedError

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self.history, self.targets = [], []
        claim(self, *self.own_epochs())
        self._watch = SamplerWatch(self)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        if self._watch is None:
            note_target(self.sampler)
        else:
            self._watch.begin_epoch()

    def on_test_begin(self, logs: Mapping | None = None) -> None:
        if self._watch is not None:
            self._watch.end_training()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.targets.append(self.sampler.distribution)
        if self._watch is not None:
            self.history.append(self._watch.end_epoch(epoch, logs))
        super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        super().on_train_end(logs)
        release(self)

    def state_dict(self) -> dict:
        return {name: [shares.tolist() for shares in getattr(self, name)] for name in ("history", "targets")}

    def load_state_dict(self, state: Mapping) -> None:
        for name in ("history", "targets"):
            setattr(self, name, [np.asarray(shares, dtype=np.float64) for shares in state[name]])
        note_target(self.sampler)  # a run without a further epoch puts the target of before back too
