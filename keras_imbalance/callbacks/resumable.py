"""What callbacks that know more than the epoch have in common: a state that a resumed run goes on from."""

from collections.abc import Mapping
from typing import Any

from keras_imbalance.backend import Callback


class ResumableCallback(Callback):
    """A callback whose state `TrainingState` and `BackupAndRestore` of this package keep.

    A subclass gives what it knows beyond the epoch in `state_dict` and takes it back in `load_state_dict`; one that overrides
    `on_epoch_begin` calls this one first, so that the state is there before it is used, whatever the order of the callbacks.

    Attributes:
        keeper: the callback of the same fit that keeps the state, or None.
    """

    keeper: Any = None

    def state_dict(self) -> dict:
        """What a resumed run needs, as JSON types."""
        return {}

    def load_state_dict(self, state: Mapping) -> None:
        """Goes on from what `state_dict` gave."""

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if self.keeper is not None and self.keeper.params is self.params:
            self.keeper.restore(epoch)
