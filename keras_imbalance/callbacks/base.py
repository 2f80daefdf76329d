"""What all callbacks of this package have in common."""

import copy
from collections.abc import Mapping
from typing import Any

from keras_imbalance._core import Sampler
from keras_imbalance._keras import Callback, Model, separate_averages
from keras_imbalance.callbacks.nan_loss import warn_of_nan_loss


class ImbalanceCallback(Callback):
    """Base of the callbacks of this package.

    A deep copy acts on the very sampler of the original. KerasTuner makes one for every trial, and fits `dataset()` of the
    sampler that its user has; a copy of that sampler would draw nothing.

    On JAX a fit with `use_ema=True` leaves each weight and its average in one place in memory, and the next fit, which gives
    both away, fails. Here each average gets a place of its own when a fit begins and when it ends.

    Attributes:
        copied: whether this is a deep copy.
    """

    copied = False

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        separate_averages(getattr(model, "optimizer", None))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        warn_of_nan_loss(self.model, logs)

    def on_train_end(self, logs: Mapping | None = None) -> None:
        separate_averages(self.model.optimizer)

    def __deepcopy__(self, memo: dict) -> Any:
        for kept in self.__dict__.values():
            for part in kept if isinstance(kept, list) else [kept]:
                if isinstance(part, (Sampler, Model)):
                    memo.setdefault(id(part), part)
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        copied.copied = True
        return copied
