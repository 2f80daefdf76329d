"""StreamSampler with `epoch_size`: epochs of known length, exact to a row, from repeated and endless sources; resume."""

import gc
import json
import weakref

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from training_steps import fitted_batches

from keras_imbalance import ArraySampler, ProgressiveSampling, StreamSampler
from keras_imbalance._keras import keras
from keras_imbalance.sampling.stream_epochs import StreamEpoch

Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [300, 150, 50]))
X = np.arange(500.0, dtype="float32")[:, None]
SHARES = [[0.1, 0.2, 0.7], [0.2, 0.2, 0.6], [1 / 3, 1 / 3, 1 / 3], [0.7, 0.2, 0.1], [0.9, 0.05, 0.05]]


def finite():
    return tf.data.Dataset.from_tensor_slices((X, Y))


def repeated():
    return finite().batch(50).repeat()


def endless():
    """Rows that never come again: a new iterator goes on where the one before stood."""
    rng = np.random.default_rng(1)

    def rows():
        while True:
            y = rng.choice(3, p=[0.6, 0.3, 0.1])
            yield rng.random((1,), dtype="float32"), y

    spec = (tf.TensorSpec((1,), tf.float32), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(rows, output_signature=spec)


def stream(source=None, **arguments):
    arguments = {"batch_size": 32, "num_classes": 3, "epoch_size": 200, "seed": 0, **arguments}
    return StreamSampler(repeated() if source is None else source, **arguments)


def epoch(sampler):
    parts = [(x.numpy()[:, 0], y.numpy()) for x, y in sampler.dataset()]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def small_model(**arguments):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", **arguments)
    return model


class Told(keras.callbacks.Callback):
    def __init__(self, sampler):
        super().__init__()
        self.sampler = sampler

    def on_epoch_begin(self, epoch, logs=None):
        self.sampler.target = SHARES[epoch]


STEPS = {"steps_per_execution": 4} if keras.backend.backend() != "torch" else {}


@pytest.mark.parametrize(
    ("make", "spe"),
    [
        (lambda: ArraySampler(X, Y, batch_size=32, epoch_size=200, seed=0), STEPS),
        (lambda: stream(repeated()), {}),
        (lambda: stream(finite()), {}),
        pytest.param(lambda: stream(endless()), STEPS, marks=pytest.mark.slow),
    ],
)
def test_five_shares_told_and_drawn_in_five_epochs_of_fit_are_equal_within_a_row(make, spe):
    sampler = make()
    small_model(**spe).fit(sampler.dataset(), epochs=5, callbacks=[Told(sampler)], verbose=0)
    assert len(sampler.history) == 5
    for told, drawn in zip(SHARES, sampler.history, strict=True):
        assert drawn.sum() == 200
        assert np.abs(drawn - 200 * np.array(told)).max() <= 1


@pytest.mark.parametrize(
    ("epoch_size", "own"), [(200, "7 of the sampler"), (None, "one pass of a stream of the sampler")]
)
def test_epochs_of_fit_that_are_not_those_of_the_stream_are_refused(epoch_size, own):
    sampler = stream(finite().repeat(9), epoch_size=epoch_size)
    progress = ProgressiveSampling(sampler, start_target="balanced")
    with pytest.raises(ValueError, match=rf"5 batches an epoch of fit, {own}.*epoch_size=5 \* batch_size"):
        small_model().fit(sampler.dataset(), epochs=2, steps_per_epoch=5, callbacks=[progress], verbose=0)


def test_progressive_sampling_over_a_repeated_stream_draws_what_it_says():
    sampler = stream(class_counts=[6, 3, 1], num_classes=None, epoch_size=300)
    progress = ProgressiveSampling(sampler, start_target=[0.6, 0.3, 0.1])
    small_model().fit(sampler.dataset(), epochs=5, callbacks=[progress], verbose=0)
    for told, drawn, shares in zip(progress.targets, sampler.history, progress.history, strict=True):
        assert np.abs(drawn - 300 * told).max() <= 1
        np.testing.assert_allclose(shares, drawn / 300)


def test_the_training_steps_see_the_rows_that_a_loop_sees_and_the_whole_epoch():
    sampler, other = stream(), stream()
    seen = fitted_batches(sampler, epochs=3)
    for batches in seen:
        assert [len(labels) for _, labels in batches] == [32] * 6 + [8]
        np.testing.assert_array_equal(np.concatenate([rows for rows, _ in batches]), epoch(other)[0])
    assert len(sampler.history) == 3
    assert int(sampler.dataset().cardinality()) == 7


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.lists(st.integers(20, 90), min_size=1, max_size=6),
    st.integers(0, 10**6),
)
def test_an_epoch_of_blocks_with_every_class_is_exact_within_a_row(weights, sizes, seed):
    """Whatever the blocks hold, the totals of the epoch are shares * rows, floored or ceiled."""
    rng = np.random.default_rng(seed)
    shares = np.array(weights) / sum(weights)
    sampled = StreamEpoch(0, seed, len(weights), shares=lambda read: shares, rows=sum(sizes))
    for size in sizes:
        ids = np.concatenate([np.arange(len(weights)), rng.integers(0, len(weights), size - len(weights))])
        copies = np.bincount(np.concatenate(list(sampled.draw(ids))), minlength=size)
        assert copies.sum() == size
        for c in range(len(weights)):  # rows of a class are passed on alike
            assert np.ptp(copies[ids == c]) <= 1
    assert sampled.left == 0
    assert np.abs(sampled.drawn - sum(sizes) * shares).max() <= 1 + 1e-9


def test_what_a_class_is_owed_goes_to_the_next_epoch_and_ends_with_one_that_never_comes():
    def after(ids, before):
        made = StreamEpoch(0, 0, 2, shares=lambda read: np.array([0.5, 0.5]), rows=100, before=before)
        list(made.draw(np.array(ids)))
        return made

    lacking = after([0] * 100, None)
    assert lacking.drawn.tolist() == [100, 0]
    assert lacking.owed.tolist() == [-50, 50]
    np.testing.assert_array_equal(after([0] * 50 + [1] * 50, lacking).drawn, [0, 100])
    for _ in range(5):
        lacking = after([0] * 100, lacking)
    assert np.abs(lacking.owed).max() <= 100


def test_natural_passes_the_rows_on_as_they_come():
    sampler = stream(finite(), target="natural", epoch_size=250)
    rows = np.concatenate([epoch(sampler)[0] for _ in range(2)])
    np.testing.assert_array_equal(np.sort(rows), X[:, 0])


@pytest.mark.parametrize("batch", [None, 37])
def test_the_stream_goes_on_where_it_was_and_a_look_loses_no_row(batch):
    source = finite() if batch is None else finite().batch(batch)
    sampler, other = (stream(source, target="natural", epoch_size=100, block_bytes=12 * 40) for _ in range(2))
    for i in range(6):
        for _ in range(i % 3):
            next(iter(sampler.dataset()))  # as a build probe of Keras does
        rows = epoch(sampler)[0]
        np.testing.assert_array_equal(np.sort(rows), (np.arange(100) + 100 * i) % 500 if i < 5 else np.sort(rows))
        np.testing.assert_array_equal(rows, epoch(other)[0])
    assert sampler.state_dict() == other.state_dict()


def test_counts_are_those_of_epoch_size_rows_however_many_epochs_were_read():
    sampler = stream(target="natural", epoch_size=500)
    np.testing.assert_array_equal(sampler.class_counts, [0, 0, 0])
    for _ in range(3):
        epoch(sampler)
        np.testing.assert_array_equal(sampler.class_counts, [300, 150, 50])
    np.testing.assert_array_equal(sampler.exposure, [900, 450, 150])


@pytest.mark.slow
def test_several_iterations_at_once_each_have_an_epoch():
    sampler = stream()
    dataset = sampler.dataset()
    old = iter(dataset)
    found = [next(old)]
    for _ in range(45):
        iterator = iter(dataset)
        next(iterator), next(iterator)
    for (x, _), (z, _) in zip(dataset, dataset, strict=True):
        assert x.shape == z.shape
    found += list(old)
    assert sum(len(y) for _, y in found) == 200
    assert len(sampler.history) >= 46
    del old, iterator
    gc.collect()
    assert not sampler._running


def test_an_empty_or_used_up_source_and_a_class_that_never_comes_raise(monkeypatch):
    rows = iter([(np.zeros(1, "float32"), 0)] * 10)
    spec = (tf.TensorSpec((1,), tf.float32), tf.TensorSpec((), tf.int64))
    used_up = tf.data.Dataset.from_generator(lambda: rows, output_signature=spec)
    for source in (finite().take(0), used_up):
        with pytest.raises(tf.errors.OpError, match="`dataset` must give rows in every epoch"):
            epoch(stream(source))
    monkeypatch.setattr("keras_imbalance.sampling.stream_epochs.MOST_IDLE", 1000)
    monkeypatch.setattr("keras_imbalance.sampling.stream_epochs.IDLE_EPOCHS", 1)
    with pytest.raises(tf.errors.OpError, match="`target` must give a share to classes that the stream has"):
        epoch(stream(finite().filter(lambda x, y: y < 2), target=[0, 0, 1]))


@pytest.mark.parametrize(
    "arguments",
    [pytest.param({}, marks=pytest.mark.slow), {"block_bytes": 12 * 70, "epoch_size": 130}, {"epoch_size": None}],
)
def test_a_killed_run_goes_on_bit_exact(arguments):
    source = finite() if arguments.get("epoch_size", 1) is None else finite().batch(50)
    sampler = stream(source, **arguments)
    for shares in SHARES[:3]:
        sampler.target = shares
        epoch(sampler)
    sampler.target = "sqrt"
    state = json.loads(json.dumps(sampler.state_dict()))
    resumed = stream(source, **arguments)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    for _ in range(3):
        for one, other in zip(epoch(sampler), epoch(resumed), strict=True):
            np.testing.assert_array_equal(one, other)
    assert resumed.state_dict() == sampler.state_dict()


def test_a_state_after_a_look_at_the_next_epoch_is_that_before_it():
    sampler, resumed = stream(epoch_size=90), stream(epoch_size=90)
    epoch(sampler)
    next(iter(sampler.dataset()))
    resumed.load_state_dict(sampler.state_dict())
    np.testing.assert_array_equal(epoch(resumed)[0], epoch(sampler)[0])


def test_a_source_that_gives_other_rows_is_refused_or_goes_on_where_it_stands():
    sampler = stream(endless())
    epoch(sampler)
    state = sampler.state_dict()
    with pytest.raises(ValueError, match="`skip_on_resume` must be False where the source does not give the same rows"):
        stream(endless().skip(7)).load_state_dict(state)
    resumed = stream(endless().skip(7), skip_on_resume=False)
    resumed.load_state_dict(state)
    assert len(resumed.history) == 1
    rows, labels = epoch(resumed)
    assert len(rows) == 200
    assert np.abs(np.bincount(labels) - 200 / 3).max() <= 1
    with pytest.raises(ValueError, match=r"`state` must be of a sampler .* with epoch_size=100"):
        stream(epoch_size=100).load_state_dict(state)


@pytest.mark.slow
def test_a_sampler_its_dataset_and_its_source_are_freed_together():
    kept = []
    for _ in range(3):
        sampler = stream(finite())
        dataset = sampler.dataset()
        epoch(sampler)
        kept += [weakref.ref(sampler), weakref.ref(sampler._source)]
        del sampler
        gc.collect()
        assert sum(len(y) for _, y in dataset) == 200  # the dataset alone keeps it
        del dataset
    gc.collect()
    assert not any(reference() for reference in kept)


def test_shards_of_an_epoch_are_the_batch_of_one_process():
    alone, *workers = (stream() for _ in range(3))
    datasets = [worker.dataset(num_shards=2, shard_index=i) for i, worker in enumerate(workers)]
    assert [int(dataset.cardinality()) for dataset in datasets] == [7, 7]
    for whole, *parts in zip(alone.dataset(), *datasets, strict=True):
        np.testing.assert_array_equal(np.sort(np.concatenate([x for x, _ in parts]), axis=0), np.sort(whole[0], axis=0))
