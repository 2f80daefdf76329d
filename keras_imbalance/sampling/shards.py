"""Which part of each batch a worker takes: several workers draw the same batches and divide them."""

import json
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_imbalance.sampling.inputs import whole_number


class Parts(NamedTuple):
    """Parts `first` to `first + kept` of the `number` into which every batch is divided."""

    number: int = 1
    first: int = 0
    kept: int = 1

    def check(self, batch_size: int, seeded: bool) -> None:
        """Raises unless a batch can be divided like this, alike in every process."""
        if batch_size % self.number:
            raise ValueError(
                "`num_shards` must divide `batch_size`, which is that of all workers together: a mean over workers weighs "
                f"their parts alike. Received: num_shards={self.number}, batch_size={batch_size}."
            )
        if not seeded and (self.number > self.kept or workers_of_tensorflow() > 1):
            raise ValueError(
                "`seed` must be given to a sampler whose batches several workers divide: each draws all of them by itself. "
                "Received: seed=None. Give every worker the same whole number."
            )

    def options(self) -> tf.data.Options:
        """Options of a dataset of these parts: batches as they come, whole ones divided by tf.distribute row by row."""
        options = tf.data.Options()
        options.deterministic = True
        # A worker of the tf.data service would draw an epoch of its own, or find no sampler in its process: none may have it.
        options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.FAIL
        policy = tf.data.experimental.AutoShardPolicy
        options.experimental_distribute.auto_shard_policy = policy.DATA if self.number == 1 else policy.OFF
        return options


def workers_of_tensorflow() -> int:
    """How many workers TF_CONFIG names, which says it to a strategy too; 1 where it is not set."""
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    return max(1, sum(len(cluster.get(task, ())) for task in ("chief", "worker")))


def one_part(num_shards: int, index: int) -> Parts:
    """The part of one of `num_shards` workers; raises unless these are whole numbers in range."""
    num_shards = whole_number(num_shards, "num_shards")
    index = whole_number(index, "index", least=0)
    if index >= num_shards:
        raise ValueError(f"`index` must be below `num_shards`. Received: index={index}, num_shards={num_shards}.")
    return Parts(num_shards, index)


def parts_of_worker(context: tf.distribute.InputContext) -> Parts:
    """One part for each replica of a worker of a strategy."""
    if not isinstance(context, tf.distribute.InputContext):
        raise ValueError(f"`context` must be a tf.distribute.InputContext. Received: {type(context)}.")
    replicas, workers = context.num_replicas_in_sync, context.num_input_pipelines
    if replicas < workers or replicas % workers:
        raise ValueError(
            "`context` must have the same number of replicas, at least one, for every worker. Received: "
            f"num_replicas_in_sync={replicas}, num_input_pipelines={workers}."
        )
    each = replicas // workers
    return Parts(replicas, context.input_pipeline_id * each, each)


def places_of_part(classes: np.ndarray, num_parts: int, part: int, shift: np.ndarray) -> np.ndarray:
    """Places of each batch that belong to one part, when every class of the batch is dealt to all parts in turn.

    So a part has floor or ceil of its share of every class, and so of the target where the batch has.

    Args:
        classes: class of every place `(K, B)`. One batch, or B a multiple of `num_parts`.
        num_parts: among how many each batch is divided.
        part: which of them.
        shift: int `(K,)`, by how many the parts change places in each batch, so that none always begins.

    Returns:
        int64 `(K, b)`, in ascending order, with b the ceil or floor of B / num_parts.
    """
    order = np.argsort(classes, axis=1, kind="stable")
    begin = (part + shift) % num_parts
    size = -(-(classes.shape[1] - int(begin[0])) // num_parts)
    turns = begin[:, None] + num_parts * np.arange(max(size, 0))
    return np.sort(np.take_along_axis(order, turns, axis=1), axis=1)
