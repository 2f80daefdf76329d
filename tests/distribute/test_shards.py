"""Parts of batches for several workers: no row in common, together the batch of one process, each class shared evenly."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import SMOTE, ArraySampler, StreamSampler
from keras_imbalance._keras import keras

quick = settings(max_examples=12)


def rows_and_labels(counts, seed=0):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    return np.arange(len(labels), dtype="float32")[:, None], labels


def epoch(dataset):
    """Batches of one epoch, each a pair of row numbers and labels."""
    return [(x.numpy()[:, 0], y.numpy()) for x, y in dataset]


def context(workers, index, replicas):
    return tf.distribute.InputContext(workers, index, replicas)


def in_order(rows, labels):
    order = np.lexsort((labels, rows))
    return rows[order], labels[order]


def assert_same_rows(parts, batch):
    """The parts hold what the batch holds, each as often."""
    rows, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    for found, expected in zip(in_order(rows, labels), in_order(*batch), strict=True):
        np.testing.assert_array_equal(found, expected)


@st.composite
def divided(draw):
    counts = draw(st.lists(st.integers(1, 40), min_size=2, max_size=4))
    workers, each = draw(st.integers(2, 5)), draw(st.integers(1, 9))
    shares = st.lists(st.integers(0, 5), min_size=len(counts), max_size=len(counts)).filter(any)
    full, rest = draw(st.integers(0, 4)), draw(st.integers(0, workers * each - 1))
    rows = full * workers * each + (rest if rest >= workers else 0) or workers * each
    return counts, workers, each, rows, draw(st.lists(shares, min_size=2, max_size=2))


@pytest.mark.slow
@quick
@given(divided(), st.integers(0, 1000))
def test_parts_are_together_the_batch_of_one_process_and_each_has_its_share(setting, seed):
    counts, workers, each, rows, distributions = setting
    x, y = rows_and_labels(counts, seed)
    alone, *samplers = (
        ArraySampler(x, y, batch_size=workers * each, epoch_size=rows, seed=seed) for _ in range(workers + 1)
    )
    for shares in distributions:  # two epochs
        for sampler in (alone, *samplers):
            sampler.target = shares
        whole = epoch(alone.dataset())
        parts = [epoch(sampler.dataset(num_shards=workers, shard_index=i)) for i, sampler in enumerate(samplers)]
        assert {len(part) for part in parts} == {len(whole)}
        for batch, *pieces in zip(whole, *parts, strict=True):
            assert_same_rows(pieces, batch)
            sizes = [len(labels) for _, labels in pieces]
            assert max(sizes) - min(sizes) <= 1
            for _, labels in pieces if len(batch[1]) == workers * each else ():
                in_part = np.bincount(labels, minlength=len(counts))
                asked = each * np.array(shares) / sum(shares)
                assert (np.abs(in_part - asked) < 1 + 1e-9).all()
        assert {str(sampler.state_dict()) for sampler in (alone, *samplers)} == {str(alone.state_dict())}


def test_parts_of_a_batch_have_no_row_in_common():
    """Every row has its own number, and no class gives more rows to a batch than it has."""
    x, y = rows_and_labels((300, 90, 60))
    samplers = [ArraySampler(x, y, batch_size=60, epoch_size=120, seed=5) for _ in range(3)]
    parts = [epoch(sampler.dataset(num_shards=3, shard_index=i)) for i, sampler in enumerate(samplers)]
    for pieces in zip(*parts, strict=True):
        rows = np.concatenate([rows for rows, _ in pieces])
        assert len(set(rows)) == len(rows) == 60


def test_no_worker_is_left_without_a_class():
    """A class with one place in each batch comes to every worker in its turn."""
    x, y = rows_and_labels((90, 10))
    samplers = [ArraySampler(x, y, batch_size=10, target="natural", epoch_size=2000, seed=0) for _ in range(2)]
    rare = [
        sum(int(labels.sum()) for _, labels in epoch(s.dataset(num_shards=2, shard_index=i)))
        for i, s in enumerate(samplers)
    ]
    assert sum(rare) == 200
    assert min(rare) > 100 - 4 * np.sqrt(200) / 2  # four standard deviations of a fair coin


@pytest.mark.parametrize(
    ("build", "rows"),
    [(ArraySampler, 64), (ArraySampler, 70), (StreamSampler, 60)],  # the last batch: full, of 6, of 4
)
def test_a_worker_of_a_strategy_takes_a_part_for_each_of_its_replicas(build, rows):
    x, y = rows_and_labels((50, 20))

    def sampler():
        if build is ArraySampler:
            return ArraySampler(x, y, batch_size=8, epoch_size=rows, seed=1)
        source = tf.data.Dataset.from_tensor_slices((x, y)).take(rows)
        return StreamSampler(source, batch_size=8, class_counts=[50, 20], seed=1)

    single = [epoch(sampler().dataset(num_shards=4, shard_index=i)) for i in range(4)]
    for index in range(2):
        both = sampler().worker_dataset(context(2, index, 4))
        expected = [part for parts in zip(*single[2 * index : 2 * index + 2], strict=True) for part in parts]
        found = epoch(both)
        assert len(found) == len(expected)
        assert build is StreamSampler or int(both.cardinality()) == len(found)
        for (rows_found, labels_found), (rows_expected, labels_expected) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(rows_found, rows_expected)
            np.testing.assert_array_equal(labels_found, labels_expected)


def test_new_points_are_those_of_one_process():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 3)), np.repeat([0, 1], [70, 10])
    alone, *samplers = (
        ArraySampler(x, y, batch_size=20, epoch_size=70, smote=SMOTE(k_neighbors=3), seed=2) for _ in range(3)
    )
    whole = [batch.numpy() for batch, _ in alone.dataset()]
    parts = [
        [batch.numpy() for batch, _ in sampler.dataset(num_shards=2, shard_index=i)]
        for i, sampler in enumerate(samplers)
    ]
    known = {tuple(row) for row in x}
    assert any(tuple(row) not in known for batch in whole for row in batch)
    for batch, *pieces in zip(whole, *parts, strict=True):
        both = np.concatenate(pieces)
        np.testing.assert_array_equal(both[np.lexsort(both.T)], batch[np.lexsort(batch.T)])


def test_a_state_of_one_worker_is_that_of_any_other_and_of_one_process():
    x, y = rows_and_labels((50, 20))
    one, other, alone = (ArraySampler(x, y, batch_size=10, seed=3) for _ in range(3))
    epoch(one.dataset(num_shards=2, shard_index=0))
    for sampler in (other, alone):
        sampler.load_state_dict(one.state_dict())
    for batch, *pieces in zip(
        epoch(alone.dataset()),
        epoch(one.dataset(num_shards=2, shard_index=0)),
        epoch(other.dataset(num_shards=2, shard_index=1)),
        strict=True,
    ):
        assert_same_rows(pieces, batch)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_on_one_stream_share_each_batch(workers):
    x, y = rows_and_labels((900, 100))
    source = tf.data.Dataset.from_tensor_slices((x, y))
    alone, *samplers = (
        StreamSampler(source, batch_size=30, class_counts=[900, 100], seed=0) for _ in range(workers + 1)
    )
    for _ in range(2):
        whole = epoch(alone.dataset())
        parts = [epoch(sampler.dataset(num_shards=workers, shard_index=i)) for i, sampler in enumerate(samplers)]
        for batch, *pieces in zip(whole, *parts, strict=True):
            assert_same_rows(pieces, batch)
        for part in parts:
            labels = np.concatenate([labels for _, labels in part])
            # What a worker gets is a random part: five standard deviations of a draw with replacement.
            assert abs(labels.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(labels))
    np.testing.assert_array_equal(samplers[0].exposure, alone.exposure)


def test_workers_on_streams_of_their_own_have_no_row_in_common_and_hit_the_target_together():
    x, y = rows_and_labels((4500, 500))
    source = tf.data.Dataset.from_tensor_slices((x, y))
    drawn = [
        epoch(StreamSampler(source.shard(2, i), batch_size=16, class_counts=[4500, 500], seed=i).dataset())
        for i in range(2)
    ]
    rows = [set(np.concatenate([rows for rows, _ in part])) for part in drawn]
    assert rows[0].isdisjoint(rows[1])
    labels = np.concatenate([labels for part in drawn for _, labels in part])
    # Each repeats its own rare rows exactly; how many it has is the draw of `shard`.
    own = [int(y[i::2].sum()) for i in range(2)]
    assert labels.sum() == pytest.approx(sum(own) * 5, abs=2)
    assert labels.mean() == pytest.approx(0.5, abs=0.01)


def samplers_of(**arguments):
    x, y = rows_and_labels((50, 20))
    stream = tf.data.Dataset.from_tensor_slices((x, y))
    return [
        ArraySampler(x, y, batch_size=12, **arguments),
        StreamSampler(stream, batch_size=12, class_counts=[50, 20], **arguments),
    ]


@pytest.mark.parametrize(
    ("num_shards", "index", "message"),
    [
        (5, 0, "`num_shards` must divide `batch_size`.*num_shards=5, batch_size=12"),
        (0, 0, "`num_shards` must be a whole number of at least 1"),
        (2.0, 0, "`num_shards` must be a whole number"),
        (2, 2, r"`shard_index` must .*in \[0, 1\]. Received: shard_index=2"),
        (2, -1, r"`shard_index` must .*in \[0, 1\]"),
    ],
)
def test_bad_shards_are_refused(num_shards, index, message):
    for sampler in samplers_of(seed=0):
        with pytest.raises(ValueError, match=message):
            sampler.dataset(num_shards=num_shards, shard_index=index)


@pytest.mark.parametrize(("rows", "remedy"), [(25, 24), (26, 24), (2, 12)])
def test_a_last_batch_with_fewer_rows_than_workers_is_refused(rows, remedy):
    x, y = rows_and_labels((50, 20))
    sampler = ArraySampler(x, y, batch_size=12, epoch_size=rows, seed=0)
    assert sum(len(labels) for _, labels in epoch(sampler.dataset())) == rows
    message = f"`epoch_size` must leave a row.*each of 3 .*{rows} rows.*Pass epoch_size={remedy}."
    with pytest.raises(ValueError, match=message):
        sampler.dataset(num_shards=3, shard_index=0)
    with pytest.raises(ValueError, match=message):
        sampler.worker_dataset(context(1, 0, 3))
    assert len(
        epoch(ArraySampler(x, y, batch_size=12, epoch_size=remedy, seed=0).dataset(num_shards=3, shard_index=2))
    ) == max(remedy // 12, 1)


def test_a_stream_may_leave_a_worker_without_rows():
    rows = tf.data.Dataset.from_tensor_slices(rows_and_labels((10, 3)))
    samplers = [StreamSampler(rows, batch_size=12, num_classes=2, target="natural", seed=0) for _ in range(2)]
    assert [[len(y) for _, y in epoch(s.dataset(num_shards=2, shard_index=i))] for i, s in enumerate(samplers)] == [
        [6, 1],
        [6, 0],
    ]


def test_workers_without_a_common_seed_are_refused():
    for sampler in samplers_of():
        with pytest.raises(ValueError, match="`seed` must be given"):
            sampler.dataset(num_shards=2, shard_index=0)
        with pytest.raises(ValueError, match="`seed` must be given"):
            sampler.worker_dataset(context(2, 0, 2))
        assert epoch(sampler.worker_dataset(context(1, 0, 2)))  # the replicas of one process need none


def test_tensorflow_says_that_there_are_several_workers(monkeypatch):
    for spec, refused in (({"worker": ["a:1"]}, False), ({"chief": ["a:1"], "worker": ["b:1"]}, True)):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": spec, "task": {"type": "worker", "index": 0}}))
        for sampler in samplers_of():
            if refused:
                with pytest.raises(ValueError, match="`seed` must be given"):
                    sampler.dataset()
            else:
                assert epoch(sampler.dataset())
        for sampler in samplers_of(seed=0):
            assert epoch(sampler.dataset())


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (3, "`context` must be a tf.distribute.InputContext. Received: <class 'int'>"),
        (context(2, 0, 3), re.escape("num_replicas_in_sync=3, num_input_pipelines=2")),
    ],
)
def test_a_context_that_divides_nothing_is_refused(received, message):
    for sampler in samplers_of(seed=0):
        with pytest.raises(ValueError, match=message):
            sampler.worker_dataset(received)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a strategy of TensorFlow")
@pytest.mark.parametrize("which", [0, 1])
def test_the_build_probe_under_a_strategy_is_no_epoch(which):
    """It fetches several batches ahead there, which the sampler knows when its dataset is made within the scope."""
    fitted, looped = (samplers_of(seed=0)[which] for _ in range(2))
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        dataset = fitted.dataset()
    for epochs in (1, 2):
        model.fit(dataset, epochs=epochs, shuffle=False, verbose=0)
        for _ in range(epochs):
            epoch(looped.dataset())
        assert fitted.state_dict() == looped.state_dict()
