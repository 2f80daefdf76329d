"""The batches that a worker of MultiWorkerMirroredStrategy sees, from every sampler and by both ways.

Usage: python two_worker_batches.py FOLDER. Writes FOLDER/result-INDEX.npz: row numbers of each part and of the whole batch.
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf

import keras_imbalance as ki


def samplers(folder, index):
    """Functions that build a sampler; each draws every row once, in 4 batches of 16 and one of 10."""
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [50, 16, 8]))
    x = np.arange(74, dtype="int64")
    rows = tf.data.Dataset.from_tensor_slices((x, y))
    path = f"{folder}/{index}.tfrecord"  # every worker has a copy
    with tf.io.TFRecordWriter(path) as writer:
        for pair in zip(x, y, strict=True):
            writer.write(tf.io.serialize_tensor(tf.constant(pair, tf.int64)).numpy())

    def parsed(record):
        pair = tf.ensure_shape(tf.io.parse_tensor(record, tf.int64), (2,))
        return pair[0], pair[1]

    records = tf.data.TFRecordDataset(path).map(parsed)

    def stream(source):
        return lambda: ki.StreamSampler(source, batch_size=16, num_classes=3, target="natural", block_bytes=320, seed=4)

    return {
        "arrays": lambda: ki.ArraySampler(x, y, batch_size=16, target="natural", seed=4),
        "rows": stream(rows),
        "records": stream(records),
    }


def main(folder):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    ways = {
        "divided": lambda sampler: strategy.experimental_distribute_dataset(sampler.dataset()),
        "by worker": lambda sampler: strategy.distribute_datasets_from_function(sampler.worker_dataset),
    }
    seen = {}
    for source, build in samplers(folder, index).items():
        for way, distribute in ways.items():
            for i, (x, _) in enumerate(build().dataset()):
                seen[f"{source} {way} whole{i}"] = x.numpy()
            for i, (x, _) in enumerate(distribute(build())):
                seen[f"{source} {way} part{i}"] = np.concatenate(strategy.experimental_local_results(x))
    np.savez(f"{folder}/result-{index}.npz", **seen)


if __name__ == "__main__":
    main(sys.argv[1])
