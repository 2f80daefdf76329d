"""The callbacks of members that are trained in one graph."""

import time
from collections.abc import Sequence
from typing import Any

from keras_imbalance._keras import Callback, CallbackList
from keras_imbalance.estimators.checks import shared_rate_error
from keras_imbalance.estimators.progress import line_of, short_logs, write_line

BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class MemberCallbacks(Callback):
    """Hands every member's callbacks that member and its own logs, as if it were trained alone.

    A member that stops is trained on with the others, but gets back the weights that it had when it stopped.

    Args:
        members: the members.
        callbacks: the callbacks of each member.
        epochs: how many epochs there are at most.
        steps: batches an epoch.
        verbose: True writes a line an epoch.
    """

    def __init__(self, members: Sequence[Any], callbacks: Sequence[list], epochs: int, steps: int, verbose: bool):
        super().__init__()
        self.members, self.epochs, self.verbose = members, epochs, verbose
        self.lists = [
            CallbackList(own, add_history=True, model=member, verbose=0, epochs=epochs, steps=steps)
            for own, member in zip(callbacks, members, strict=True)
        ]
        self.stopped: dict[int, list] = {}

    @property
    def histories(self) -> list[dict]:
        """The logs of every member, a list of values a key."""
        return [member.history.history for member in self.members]

    def on_train_begin(self, logs=None):
        self.learning_rates = [float(member.optimizer.learning_rate) for member in self.members]
        for member, callbacks in zip(self.members, self.lists, strict=True):
            member.stop_training = False
            callbacks.on_train_begin()

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()
        _ = self.model  # on JAX this gives the members the weights that training has reached
        for i in self._active():
            self.lists[i].on_epoch_begin(epoch)

    def on_epoch_end(self, epoch, logs=None):
        _ = self.model
        for i in self._active():
            self.lists[i].on_epoch_end(epoch, member_logs(logs, i))
            self._check_learning_rate(i)
            if self.members[i].stop_training:
                self.lists[i].on_train_end()
                self.stopped[i] = self.members[i].get_weights()
        if self.verbose:
            write_line(self._line(epoch, logs))
        if not self._active():
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        _ = self.model
        for i in self._active():
            self.lists[i].on_train_end()
        for i, weights in self.stopped.items():
            self.members[i].set_weights(weights)

    def _active(self):
        return [i for i in range(len(self.members)) if i not in self.stopped]

    def _check_learning_rate(self, i):
        given = float(self.members[i].optimizer.learning_rate)
        if given != self.learning_rates[i]:
            raise shared_rate_error(f"a callback that set {given} for member {i}")

    def _line(self, epoch, logs):
        seconds = time.perf_counter() - self.began
        means = {}
        for key in short_logs(member_logs(logs, 0)):
            values = [member_logs(logs, i)[key] for i in range(len(self.members))]
            means[key] = sum(map(float, values)) / len(values)
        training = f"{len(self._active())} of {len(self.members)} members in training"
        return f"Epoch {epoch + 1}/{self.epochs} - {seconds:.1f}s - {training} - mean {line_of(means)}"


class MemberBatchCallbacks(MemberCallbacks):
    """The same, for callbacks that act on batches too; it costs the transfer of the logs of each batch."""

    def on_train_batch_begin(self, batch, logs=None):
        for i in self._active():
            self.lists[i].on_train_batch_begin(batch, {})

    def on_train_batch_end(self, batch, logs=None):
        _ = self.model
        for i in self._active():
            self.lists[i].on_train_batch_end(batch, member_logs(logs, i))


def acts_on_batches(callback: Any) -> bool:
    """Whether a callback does anything at a batch."""
    return any(getattr(type(callback), hook) is not getattr(Callback, hook) for hook in BATCH_HOOKS)


def member_logs(logs: Any, member: int) -> dict:
    """The logs of one member among those of `SideBySide`, by the names that they have when it is trained alone."""
    own = {}
    for key, value in (logs or {}).items():
        prefix = "val_" if key.startswith("val_") else ""
        index, _, name = key[len(prefix) :].partition("/")
        if index == str(member):
            own[prefix + name] = value
    return own
