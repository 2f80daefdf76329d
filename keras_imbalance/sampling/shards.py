"""Which shard of each batch a worker takes: several workers draw the same batches and divide them."""

import json
import os
from typing import NamedTuple

import numpy as np

from keras_imbalance._core import check_whole, invalid

# Batches that a build probe of Keras takes under a strategy: 5 were seen, and 2 more where rows are fetched ahead.
PROBED_BATCHES = 8


class Shards(NamedTuple):
    """Shards `first` to `first + kept` of the `num_shards` into which every batch is divided."""

    num_shards: int = 1
    first: int = 0
    kept: int = 1
    probed: int = 1  # batches that a build probe may take: an iteration of no more is no epoch

    def probed_under(self, strategy: bool) -> "Shards":
        """These shards, and as many probed batches as where the dataset is made: within the scope of a strategy or not."""
        return self._replace(probed=PROBED_BATCHES if strategy else 1)

    def read_ahead(self, batches: int) -> "Shards":
        """These shards, for a loader that asks for so many batches before it needs them."""
        return self._replace(probed=1 + batches)

    def counts_from(self, num_batches: int) -> int:
        """The batch that is taken, from 0, with which an epoch counts as one: the first that no probe takes, or the last."""
        return self.kept * min(self.probed, num_batches - 1)

    def check(self, batch_size: int, seeded: bool) -> None:
        """Raises unless a batch can be divided like this, alike in every process."""
        if batch_size % self.num_shards:
            requirement = "divide `batch_size`, the rows of all workers together: a mean over workers weighs them alike"
            received = f"num_shards={self.num_shards}, batch_size={batch_size}"
            raise invalid("num_shards", requirement, received=received)
        if not seeded and (self.num_shards > self.kept or workers_of_tensorflow() > 1):
            requirement = "be given to a sampler whose batches several workers divide: each draws all of them by itself"
            raise invalid("seed", requirement, None, "Give every worker the same whole number.")


def workers_of_tensorflow() -> int:
    """How many workers TF_CONFIG names, which tells a strategy too; 1 where it is not set."""
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    return max(1, sum(len(cluster.get(task, ())) for task in ("chief", "worker")))


def one_shard(num_shards: int, shard_index: int) -> Shards:
    """The shard of one of `num_shards` workers; raises unless these are whole numbers in range."""
    num_shards = check_whole(num_shards, "num_shards", 1)
    return Shards(num_shards, check_whole(shard_index, "shard_index", 0, most=num_shards - 1))


def positions_of_shard(classes: np.ndarray, num_shards: int, shard_index: int, shift: np.ndarray) -> np.ndarray:
    """Positions of each batch that belong to one shard, when every class of the batch is dealt to all shards in turn.

    So a shard has floor or ceil of its share of every class, and so of the target where the batch has.

    Args:
        classes: class of every position `(K, B)`. One batch, or B a multiple of `num_shards`.
        num_shards: among how many each batch is divided.
        shard_index: which of them.
        shift: int `(K,)`, by how much the shards take turns in each batch, so that the same one does not always begin.

    Returns:
        int64 `(K, b)`, in ascending order, with b the ceil or floor of B / num_shards.
    """
    order = np.argsort(classes, axis=1, kind="stable")
    begin = (shard_index + shift) % num_shards
    size = -(-(classes.shape[1] - int(begin[0])) // num_shards)
    turns = begin[:, None] + num_shards * np.arange(max(size, 0))
    return np.sort(np.take_along_axis(order, turns, axis=1), axis=1)
