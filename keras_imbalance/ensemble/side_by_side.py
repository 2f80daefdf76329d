"""Members trained in one graph."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from keras_imbalance.backend import Callback
from keras_imbalance.backend.models import (
    CallbackList,
    Input,
    Model,
    counted_loss,
    graph_ends,
    tree,
    without_compilation,
)

BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


def member_part(nest: Any, member: int) -> Any:
    """What belongs to one member in batches `(B, M, ...)`."""
    return tree.map_structure(lambda leaf: leaf[:, member], nest)


class SideBySide(Model):
    """All members in one model: batches `(B, M, ...)` in, each member sees its own; the loss is the sum of theirs.

    No weight is shared, so the gradient of each is that of its own member's loss.

    Args:
        members: compiled members with inputs of the same shapes.
    """

    def __init__(self, members: Sequence[Any]):
        first, _ = graph_ends(members[0])
        inputs = tree.map_structure(
            lambda part: Input((len(members), *part.shape[1:]), dtype=part.dtype, name=part.name), first
        )
        outputs = [
            without_compilation(member, f"member_{i}")(member_part(inputs, i)) for i, member in enumerate(members)
        ]
        # A function hides the members from Keras, which has their layers from the graph already.
        self._members = lambda: members
        super().__init__(inputs=inputs, outputs=outputs)

    @property
    def metrics(self):
        found = {id(metric): metric for metric in super().metrics}
        found.update((id(metric), metric) for member in self._members() for metric in member.metrics)
        return list(found.values())

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        members = self._members()
        if len(self.losses) != sum(len(member.losses) for member in members):
            raise ValueError(
                "`joint` must be False for members with losses of activities on this backend, where such losses reach only "
                "the model that is trained."
            )
        outputs = tree.flatten(y_pred)  # of a single member Keras makes no list
        parts = [(member_part(x, i), member_part(y, i), outputs[i]) for i in range(len(members))]
        weights = [None if sample_weight is None else member_part(sample_weight, i) for i in range(len(members))]
        return sum(
            counted_loss(member, *part, weight, training)
            for member, part, weight in zip(members, parts, weights, strict=True)
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for i, (member, output) in enumerate(zip(self._members(), tree.flatten(y_pred), strict=True)):
            weight = None if sample_weight is None else member_part(sample_weight, i)
            member.compute_metrics(member_part(x, i), member_part(y, i), output, weight)
        return self.get_metrics_result()

    def get_metrics_result(self):
        results = [member.get_metrics_result() for member in self._members()]
        return {f"{i}/{key}": value for i, logs in enumerate(results) for key, value in logs.items()}


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
            write(self._line(epoch, logs))
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
            raise ValueError(
                "`callbacks` must leave the learning rate alone with joint=True, where the members share one optimizer. "
                f"Received: a callback that set {given} for member {i}. Use joint=False."
            )

    def _line(self, epoch, logs):
        seconds = time.perf_counter() - self.began
        means = {}
        for key in shown(member_logs(logs, 0)):
            values = [member_logs(logs, i)[key] for i in range(len(self.members))]
            means[key] = sum(map(float, values)) / len(values)
        training = f"{len(self._active())} of {len(self.members)} members in training"
        return f"Epoch {epoch + 1}/{self.epochs} - {seconds:.1f}s - {training} - mean {written(means)}"


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
        number, _, name = key[len(prefix) :].partition("/")
        if number == str(member):
            own[prefix + name] = value
    return own


def shown(logs: dict) -> dict:
    """The logs that fit on a line: those that are no values of a single class."""
    return {key: value for key, value in logs.items() if "/" not in key}


def written(logs: dict) -> str:
    """Logs as a line shows them."""
    return " - ".join(f"{key}: {float(value):.4f}" for key, value in logs.items())


def write(line: str) -> None:
    """A line of progress."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
