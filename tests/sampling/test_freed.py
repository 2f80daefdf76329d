"""A sampler, its arrays and its datasets are freed together, and none before the last that reads from it."""

import gc
import os
import weakref

import numpy as np
import pytest
import tensorflow as tf

from keras_imbalance import SMOTE, ArraySampler
from keras_imbalance._keras import keras

ROWS = 2000
reads_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="memory in use is read from /proc")


def arrays():
    y = np.arange(ROWS) % 3
    return np.random.default_rng(0).normal(size=(ROWS, 100)).astype("float32"), y


def sampled(kind, folder=None):
    """A dataset, and weak references to what it stands on."""
    x, y = arrays()
    if kind == "memory map":
        np.save(folder / "x.npy", x)
        x = np.load(folder / "x.npy", mmap_mode="r")
    sampler = ArraySampler(x, y, batch_size=100, smote=SMOTE() if kind == "smote" else None, seed=0)
    dataset = sampler.dataset(map_fn=(lambda x, y: (x + 1, y)) if kind == "map_fn" else None)
    return dataset, [weakref.ref(value) for value in (sampler, sampler._feed, x, y)]


def resident():
    """Bytes of memory that this process uses now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def alive(references):
    gc.collect()
    return [reference() is not None for reference in references]


KINDS = ["tensors", "smote", "memory map", "map_fn"]
CHAINS = {
    "map, prefetch": lambda dataset: dataset.map(lambda x, y: (2 * x, y)).prefetch(2),
    "repeat, take, cache, with_options": lambda dataset: (
        dataset.repeat(2).take(30).cache().with_options(tf.data.Options())
    ),
    "zip": lambda dataset: tf.data.Dataset.zip((dataset, dataset)),
}


@pytest.mark.parametrize(
    ("kind", "chain"), [(kind, None) for kind in KINDS] + [(kind, chain) for kind in KINDS[:2] for chain in CHAINS]
)
def test_the_rows_live_as_long_as_a_dataset_made_of_them(kind, chain, tmp_path):
    dataset, references = sampled(kind, tmp_path)
    dataset = CHAINS[chain](dataset) if chain else dataset
    gc.collect()
    assert sum(1 for _ in dataset) in (20, 30)
    assert alive(references[1:2]) == [True]
    del dataset
    assert not any(alive(references))


@pytest.mark.parametrize("kind", ["tensors", "map_fn"])
def test_an_iterator_alone_keeps_the_rows(kind, tmp_path):
    dataset, references = sampled(kind, tmp_path)
    iterator = iter(dataset.map(lambda x, y: (2 * x, y)))
    next(iterator)
    del dataset
    gc.collect()
    assert sum(1 for _ in iterator) == 19
    assert alive(references[1:2]) == [True]
    del iterator
    assert not any(alive(references))


def test_a_distributed_dataset_keeps_the_rows():
    dataset, references = sampled("smote")
    distributed = tf.distribute.OneDeviceStrategy("/cpu:0").experimental_distribute_dataset(dataset)
    del dataset
    gc.collect()
    assert sum(1 for _ in distributed) == 20
    del distributed
    assert not any(alive(references))


def test_after_a_fit_nothing_is_kept():
    dataset, references = sampled("smote")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(dataset.map(lambda x, y: (x, tf.cast(y, "float32"))), shuffle=False, verbose=0)
    del dataset
    assert not any(alive(references))


@pytest.mark.slow
@reads_proc
@pytest.mark.parametrize("kind", ["tensors", "smote"])
def test_folds_of_cross_validation_stay_flat(kind):
    """12 folds of 8 MB, which are held twice where they are tensors."""

    def fold():
        x, y = np.ones((20_000, 100), "float32"), np.arange(20_000) % 2
        x += np.arange(20_000, dtype="float32")[:, None]
        sampler = ArraySampler(x, y, batch_size=500, smote=SMOTE() if kind == "smote" else None, seed=0)
        return sum(1 for _ in sampler.dataset())

    used = []
    for _ in range(12):
        assert fold() == 40
        gc.collect()
        used.append(resident())
    assert used[-1] - used[4] < 5 * 8e6


@reads_proc
def test_an_iteration_holds_no_rows_of_its_own():
    x, y = np.ones((20_000, 800), dtype="float32"), np.arange(20_000) % 3
    dataset = ArraySampler(x, y, batch_size=100, seed=0).dataset()
    held = resident()
    iterators = [iter(dataset) for _ in range(3)]
    assert resident() - held < x.nbytes / 2
    assert len(iterators) == 3
