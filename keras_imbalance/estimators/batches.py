"""The batches of the members, in an order that depends on the seed, the member and the epoch alone."""

from typing import Any

import numpy as np

from keras_imbalance._keras import Callback, PyDataset
from keras_imbalance.estimators.arrays import num_rows, take


def epoch_order(rows: np.ndarray, seed: int, member: int, epoch: int) -> np.ndarray:
    """The rows of a member in the order in which an epoch takes them."""
    return np.random.default_rng([seed, member, epoch]).permutation(rows)


class Batches(PyDataset):
    """Batches of the rows of one member, or of several side by side, each in an order of its own, anew in every epoch.

    One iteration holds all epochs of a fit, which costs a quarter of an iteration an epoch where batches are few. Where a step
    takes several batches, it must not reach into the next epoch, and each epoch is an iteration.

    Args:
        arrays: `(x, y)` or `(x, y, sample_weight)`, nests of arrays of N rows.
        rows: the rows of each member `(M, K)`.
        members: the members' indices.
        batch_size: rows a batch.
        epochs: how many epochs one iteration holds; None for the one that `FirstEpoch` names.
        seed: the ensemble's.
        side_by_side: whether batches have the shape `(B, M, ...)`, not `(B, ...)`.
    """

    def __init__(
        self,
        arrays: tuple,
        rows: np.ndarray,
        members: range,
        batch_size: int,
        epochs: int | None,
        seed: int,
        side_by_side: bool = False,
    ):
        super().__init__()
        self.arrays, self.rows, self.members, self.batch_size = arrays, rows, members, batch_size
        self.epochs, self.seed, self.side_by_side = epochs, seed, side_by_side
        self.steps = -(-rows.shape[1] // batch_size)
        self.first_epoch = 0
        self._latest: tuple[int, Any] = (-1, None)

    def __len__(self):
        return self.steps * (self.epochs or 1)

    def __getitem__(self, index):
        epoch, step = divmod(index, self.steps)
        rows = self._order(self.first_epoch + epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        return take(self.arrays, rows)

    def _order(self, epoch):
        if self._latest[0] != epoch:
            orders = [epoch_order(rows, self.seed, m, epoch) for m, rows in zip(self.members, self.rows, strict=True)]
            self._latest = epoch, np.stack(orders, axis=1) if self.side_by_side else orders[0]
        return self._latest[1]


class SameForAll(PyDataset):
    """All rows in their order, `(B, M, ...)`: the same to each of M members."""

    def __init__(self, arrays: tuple, num_members: int, batch_size: int):
        super().__init__()
        self.arrays, self.num_members, self.batch_size = arrays, num_members, batch_size

    def __len__(self):
        return -(-num_rows(self.arrays) // self.batch_size)  # noqa: PLE0303

    def __getitem__(self, index):
        rows = np.arange(index * self.batch_size, min((index + 1) * self.batch_size, num_rows(self.arrays)))
        return take(self.arrays, np.repeat(rows[:, None], self.num_members, axis=1))


class FirstEpoch(Callback):
    """Tells `batches` which epoch an iteration begins with."""

    def __init__(self, batches: Batches):
        super().__init__()
        self.batches, self.begun = batches, False

    def on_epoch_begin(self, epoch, logs=None):
        if self.batches.epochs is None or not self.begun:
            self.batches.first_epoch = epoch
        self.begun = True
