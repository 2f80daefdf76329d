"""tf.data service in a process of its own: the source of a StreamSampler; a sampler's own batches do not go through it."""

import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_imbalance import ArraySampler, StreamSampler
from keras_imbalance._keras import keras

pytestmark = pytest.mark.slow
COUNTS = np.array([900, 90, 10])


@pytest.fixture(scope="module")
def address():
    script = Path(__file__).with_name("data_service.py")
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in process.stdout], daemon=True).start()
    try:
        line = lines.get(timeout=240)
        while not line.startswith("ADDRESS"):
            line = lines.get(timeout=240)
        yield line.split()[1]
    finally:
        process.kill()
        process.wait(timeout=30)


def rows_and_labels():
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(3), COUNTS))
    return np.arange(len(y), dtype="float32")[:, None], y


def through_the_service(dataset, address, mode="distributed_epoch"):
    return dataset.apply(tf.data.experimental.service.distribute(processing_mode=mode, service=address))


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(("mode", "times"), [("distributed_epoch", 1), ("parallel_epochs", 2)])
def test_a_stream_from_the_service_is_rebalanced(address, mode, times, batched):
    """Two workers: together they read the source once, or each reads it once."""
    rows = tf.data.Dataset.from_tensor_slices(rows_and_labels())
    source = through_the_service(rows.batch(50) if batched else rows, address, mode)
    sampler = StreamSampler(source, batch_size=50, class_counts=COUNTS, seed=0)
    labels = rows_and_labels()[1]
    for epoch in range(1, 3):
        drawn, classes = (np.concatenate(part) for part in zip(*sampler.dataset().as_numpy_iterator(), strict=True))
        np.testing.assert_array_equal(labels[drawn[:, 0].astype(int)], classes)
        np.testing.assert_allclose(np.bincount(classes, minlength=3), times * 1000 / 3, atol=1)
        np.testing.assert_allclose(sampler.exposure, epoch * times * 1000 / 3, atol=2)


def test_every_row_comes_once_where_nothing_is_rebalanced(address):
    source = through_the_service(tf.data.Dataset.from_tensor_slices(rows_and_labels()), address)
    sampler = StreamSampler(source, batch_size=64, num_classes=3, target="natural", seed=0)
    drawn = np.concatenate([x for x, _ in sampler.dataset().as_numpy_iterator()])
    np.testing.assert_array_equal(np.sort(drawn[:, 0]), np.arange(1000))
    np.testing.assert_array_equal(sampler.class_counts, COUNTS)


def test_fit_on_a_stream_from_the_service(address):
    source = through_the_service(tf.data.Dataset.from_tensor_slices(rows_and_labels()), address)
    sampler = StreamSampler(source, batch_size=50, class_counts=COUNTS, seed=0)
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(sampler.dataset(), epochs=2, verbose=0)
    np.testing.assert_allclose(sampler.exposure, 2 * 1000 / 3, atol=2)


def test_the_batches_of_a_sampler_do_not_go_through_the_service(address):
    """Every worker would draw an epoch of its own, where it finds the sampler at all."""
    x, y = rows_and_labels()
    rows = tf.data.Dataset.from_tensor_slices((x, y))
    for sampler in (
        ArraySampler(x, y, batch_size=50, seed=0),
        StreamSampler(rows, batch_size=50, class_counts=COUNTS, seed=0),
    ):
        for dataset in (
            sampler.dataset(),
            sampler.dataset(num_shards=2, shard_index=0),
            sampler.dataset().map(lambda x, y: (x + 1, y)),
        ):
            with pytest.raises(tf.errors.FailedPreconditionError, match="PyFunc is stateful"):
                next(iter(through_the_service(dataset, address)))
