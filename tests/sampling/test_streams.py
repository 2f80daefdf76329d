"""StreamSampler: one pass, rows repeated and dropped to the target, nothing read twice, memory of a block."""

import functools
import itertools
import json
import subprocess
import sys
import textwrap
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from training_steps import fitted_batches

from keras_imbalance import StreamSampler, target_distribution
from keras_imbalance._keras import keras
from keras_imbalance.sampling.stream_epochs import StreamEpoch

quick = settings(max_examples=8)
COUNTS = (900, 90, 10)


def labelled(counts=COUNTS, seed=0):
    """x holds the row number, y the class, in mixed order."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    return np.arange(len(labels), dtype="float32")[:, None], labels


def source(counts=COUNTS, batch=None, seed=0):
    rows = tf.data.Dataset.from_tensor_slices(labelled(counts, seed))
    return rows if batch is None else rows.batch(batch)


@functools.lru_cache(maxsize=4)
def dataset_of(sampler):
    return sampler.dataset()


def one_pass(sampler):
    """Row numbers and labels of every batch of one pass."""
    batches = [(x[:, 0].astype(int), y) for x, y in dataset_of(sampler).as_numpy_iterator()]
    return [rows for rows, _ in batches], [labels for _, labels in batches]


def drawn_counts(sampler):
    return np.bincount(np.concatenate(one_pass(sampler)[1]), minlength=sampler.num_classes)


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@st.composite
def streams(draw):
    counts = draw(st.lists(st.integers(1, 300), min_size=2, max_size=4))
    shares = draw(st.lists(st.integers(0, 9), min_size=len(counts), max_size=len(counts)).filter(any))
    return counts, np.array(shares) / sum(shares), draw(st.integers(1, 400)), draw(st.sampled_from([None, 1, 7, 64]))


@quick
@given(streams(), st.integers(0, 10**6))
def test_totals_hit_the_shares_within_one_row_and_rows_stay_whole(stream, seed):
    """Each class within 1 of N * share, in all; every row kept or repeated floor or ceil of its ratio a block."""
    counts, shares, block_size, batch = stream
    x, y = labelled(counts, seed)
    source = tf.data.Dataset.from_tensor_slices((x, y))
    source = source if batch is None else source.batch(batch)
    sampler = StreamSampler(
        source,
        batch_size=16,
        class_counts=counts,
        target=shares,
        block_bytes=12 * block_size,
        batched=batch is not None,
        seed=1,
    )
    rows, labels = one_pass(sampler)
    assert {len(batch) for batch in rows[:-1]} <= {16}
    rows, labels = (np.concatenate(part) if part else np.empty(0, int) for part in (rows, labels))
    np.testing.assert_array_equal(y[rows], labels)
    drawn = np.bincount(labels, minlength=len(counts))
    assert (np.abs(drawn - sum(counts) * shares) < 1 + 1e-6).all()
    np.testing.assert_array_equal(sampler.exposure, drawn)
    ratio = sum(counts) * shares / counts
    # What a class is owed carries over from block to block, so a block of m rows may give one copy more or less in all.
    blocks = -(-sum(counts) // block_size)
    for i, copies in enumerate(
        np.split(np.bincount(rows, minlength=len(y))[np.argsort(y, kind="stable")], np.cumsum(counts)[:-1])
    ):
        slack = 0 if blocks == 1 and (ratio[i] * counts[i]).round(6).is_integer() else 1
        assert copies.min() >= np.floor(ratio[i] + 1e-9) - slack
        assert copies.max() <= np.ceil(ratio[i] - 1e-9) + slack


@pytest.mark.parametrize(("batch", "block_size"), [(None, 64), (50, 4096)])
def test_copies_of_a_row_are_floor_or_ceil_of_its_ratio(batch, block_size):
    sampler = StreamSampler(
        source(batch=batch), batch_size=64, class_counts=COUNTS, block_bytes=12 * block_size, seed=0
    )
    rows, _ = one_pass(sampler)
    copies = np.bincount(np.concatenate(rows), minlength=1000)
    y = labelled()[1]
    for i, ratio in enumerate(1000 / 3 / np.array(COUNTS)):
        # A class with few rows in a block carries what it is owed, which is less than one copy, to its next row.
        slack = 0 if block_size == 4096 else 1
        assert np.floor(ratio) - slack <= copies[y == i].min()
        assert copies[y == i].max() <= np.ceil(ratio) + slack


@pytest.mark.parametrize("target", ["balanced", "sqrt", 1.0, {2: 0.6}, [0.5, 0.0, 0.5]])
@pytest.mark.parametrize("known", [True, False])
def test_targets_are_hit_whether_counts_are_known_or_learnt(target, known):
    counts = (9000, 900, 100)
    given_counts = {"class_counts": counts} if known else {"num_classes": 3}
    sampler = StreamSampler(source(counts), batch_size=100, target=target, block_bytes=6000, seed=0, **given_counts)
    wanted = target_distribution(counts, target)
    first, second = drawn_counts(sampler) / 10000, drawn_counts(sampler) / 10000
    np.testing.assert_allclose(first, wanted, atol=2e-4 if known else 0.1)
    np.testing.assert_allclose(second, wanted, atol=2e-4)
    np.testing.assert_allclose(sampler.distribution, wanted, atol=1e-9)
    assert (first[wanted == 0] == 0).all()


def test_counts_are_learnt():
    sampler = StreamSampler(source(), batch_size=64, num_classes=3, block_bytes=1200, seed=0)
    np.testing.assert_array_equal(sampler.class_counts, [0, 0, 0])
    drawn_counts(sampler)
    np.testing.assert_array_equal(sampler.class_counts, COUNTS)
    drawn_counts(sampler)
    np.testing.assert_array_equal(sampler.class_counts, COUNTS)  # of one pass


@pytest.mark.parametrize(("given_counts", "batch"), [({"class_counts": COUNTS}, 37), ({"num_classes": 3}, None)])
def test_the_natural_target_passes_every_row_on_once(given_counts, batch):
    sampler = StreamSampler(
        source(batch=batch), batch_size=64, target="natural", block_bytes=1536, seed=0, **given_counts
    )
    for _ in range(2):
        rows = np.concatenate(one_pass(sampler)[0])
        np.testing.assert_array_equal(np.sort(rows), np.arange(1000))
        assert not np.array_equal(rows, np.arange(1000))


@pytest.mark.parametrize("batch", [None, 37])
def test_each_row_is_read_once(batch):
    read = Counter()

    def note(row):
        read[int(row)] += 1
        return row

    rows = source().map(lambda x, y: (tf.ensure_shape(tf.numpy_function(note, [x[0]], tf.float32), [])[None], y))
    rows = rows if batch is None else rows.batch(batch)
    sampler = StreamSampler(rows, batch_size=64, num_classes=3, block_bytes=1200, seed=0)
    one_pass(sampler)
    assert read == Counter(range(1000))


def test_blocks_are_shuffled():
    """With one class the copies of a block come in an order that is uniform: each row is anywhere in its block."""
    sampler = StreamSampler(source((4000, 4000)), batch_size=8, target="natural", num_classes=2, block_bytes=96, seed=0)
    rows, _ = one_pass(sampler)
    place = np.array([np.flatnonzero(batch % 8 == 0)[0] for batch in rows])
    assert stats.chisquare(np.bincount(place, minlength=8)).pvalue > 1e-4


def nested_parts(x, y):
    return (
        {"wide": np.hstack([x, -x]), "pair": (x[:, 0].astype(int), np.repeat(x[:, :, None], 4, axis=2))},
        np.eye(3)[y],
        x[:, 0] / 2,
    )


@pytest.mark.parametrize("batch", [None, 50])
def test_nests_one_hot_labels_and_weights_keep_their_rows_together(batch):
    x, y = labelled()
    rows = tf.data.Dataset.from_tensor_slices(nested_parts(x, y))
    sampler = StreamSampler(
        rows if batch is None else rows.batch(batch), batch_size=64, class_counts=COUNTS, block_bytes=3600, seed=0
    )
    drawn = np.zeros(3)
    for inputs, labels, weights in sampler.dataset():
        expected = nested_parts(inputs["wide"][:, :1].numpy(), y[inputs["wide"][:, 0].numpy().astype(int)])
        for value, wanted in zip(tf.nest.flatten((inputs, labels, weights)), tf.nest.flatten(expected), strict=True):
            np.testing.assert_array_equal(value, wanted)
        drawn += labels.numpy().sum(axis=0)
    assert (np.abs(drawn - 1000 / 3) < 1).all()


def test_label_fn_names_the_class_of_nested_labels_and_tuple_inputs():
    x, y = labelled()
    rows = tf.data.Dataset.from_tensor_slices(((x, -x), {"label": y, "size": x[:, 0]}))
    sampler = StreamSampler(
        rows, batch_size=50, class_counts=COUNTS, label_fn=lambda x, y: y["label"], block_bytes=1536, seed=0
    )
    labels = []
    for (a, b), outputs in sampler.dataset():
        np.testing.assert_array_equal(a, -b)
        np.testing.assert_array_equal(outputs["label"], y[outputs["size"].numpy().astype(int)])
        labels.append(outputs["label"].numpy())
    assert (np.abs(np.bincount(np.concatenate(labels)) - 1000 / 3) < 1).all()


@pytest.mark.parametrize(
    ("rows", "known", "drawn"),
    [
        ((500, 500, 0), [500, 500, 500], [500, 500, 0]),  # absent; each ratio is (1/3) / (1/3)
        ((500, 500, 0), None, [500, 500, 0]),
        ((1000, 0, 0), None, [1000, 0, 0]),
    ],
)
def test_an_absent_class_stops_nothing(rows, known, drawn):
    given_counts = {"num_classes": 3} if known is None else {"class_counts": known}
    sampler = StreamSampler(source(rows), batch_size=64, block_bytes=1200, seed=0, **given_counts)
    np.testing.assert_allclose(drawn_counts(sampler), drawn, atol=15)


def test_no_row_at_all_where_only_absent_classes_have_a_share():
    sampler = StreamSampler(source((100, 0)), batch_size=8, num_classes=2, target=[0.0, 1.0], seed=0)
    assert one_pass(sampler) == ([], [])
    np.testing.assert_array_equal(sampler.exposure, [0, 0])


@pytest.mark.parametrize("known", [True, False])
def test_a_sorted_stream_ends(known):
    x, y = labelled()
    order = np.argsort(y, kind="stable")
    given_counts = {"class_counts": COUNTS} if known else {"num_classes": 3}
    rows = tf.data.Dataset.from_tensor_slices((x[order], y[order]))
    sampler = StreamSampler(rows, batch_size=64, block_bytes=600, seed=0, **given_counts)
    drawn = drawn_counts(sampler)
    if known:
        assert (np.abs(drawn - 1000 / 3) < 1).all()
    assert (drawn > 0).all()


MEMORY = """
    import resource
    import numpy as np, tensorflow as tf
    from keras_imbalance import StreamSampler

    def blocks():
        for i in range(250):  # 10^6 rows; a class that the counts call one in a million fills block 60
            yield np.zeros((4000, 8), "float32"), np.full(4000, int(i == 60))

    spec = (tf.TensorSpec((None, 8)), tf.TensorSpec((None,), tf.int64))
    rows = tf.data.Dataset.from_generator(blocks, output_signature=spec)
    def drawn(number, **arguments):
        total = np.zeros(2)
        for _, labels in StreamSampler(rows, batch_size=4096, seed=0, **arguments).dataset():
            total += np.bincount(labels, minlength=2)
            if total.sum() > number:
                break
        return total
    drawn(10**5, num_classes=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    learnt = drawn(10**9, num_classes=2)
    known = drawn(10**6, class_counts=[10**6, 1])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(int(known[1] > 4e5), int(learnt.sum() > 4e5), int(grown))
"""


def in_a_process(code):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.slow
def test_a_burst_of_a_class_that_was_called_rare_takes_no_memory():
    """2 * 10^9 copies are due at once there; they come in pieces."""
    known, learnt, grown = in_a_process(MEMORY)
    assert (known, learnt) == ("1", "1")
    assert int(grown) < 60  # MB


def test_no_chunk_is_larger_than_two_blocks():
    epoch = StreamEpoch(0, 0, 2, shares=lambda read: np.array([0.5, 0.5]), prior=np.array([10**6, 1]))
    chunks = list(itertools.islice(epoch.draw(np.repeat([0, 1], [45, 5])), 1000))
    assert len(chunks) == 1000
    assert 90 < max(map(len, chunks)) <= 2 * 50 + 50


@pytest.mark.parametrize(("built", "block_size", "batch"), [(True, 4096, 50), (False, 16, None), (False, 4096, 50)])
def test_fit_sees_the_batches_that_a_loop_sees(built, block_size, batch):
    arguments = {"batch_size": 64, "num_classes": 3, "block_bytes": 12 * block_size, "seed": 4}
    sampler, other = (StreamSampler(source(batch=batch), **arguments) for _ in range(2))
    seen = fitted_batches(sampler, epochs=3, built=built)
    for batches in seen:
        rows, labels = one_pass(other)
        assert same([a for a, _ in batches], rows)
        assert same([b.reshape(-1) for _, b in batches], labels)
    np.testing.assert_array_equal(sampler.exposure, other.exposure)
    np.testing.assert_array_equal(sampler.class_counts, COUNTS)


def test_a_look_at_the_first_batch_is_no_pass():
    sampler, other = (StreamSampler(source(), batch_size=64, num_classes=3, block_bytes=192, seed=4) for _ in range(2))
    next(iter(sampler.dataset()))
    np.testing.assert_array_equal(sampler.exposure, [0, 0, 0])
    for _ in range(2):
        assert same(one_pass(sampler)[0], one_pass(other)[0])


def test_a_pass_of_one_batch_counts():
    sampler = StreamSampler(source((20, 10)), batch_size=64, num_classes=2, seed=0)
    first, second = one_pass(sampler), one_pass(sampler)
    assert sampler.exposure.sum() == 60
    assert not same(first[0], second[0])


def test_same_seed_same_batches_and_passes_and_seeds_differ():
    passes = [StreamSampler(source(), batch_size=64, class_counts=COUNTS, seed=seed) for seed in (1, 1, 2)]
    one, again, other = (one_pass(sampler)[0] for sampler in passes)
    assert same(one, again)
    assert not same(one, other)
    assert not same(one, one_pass(passes[0])[0])


def test_without_a_seed_keras_seeds_it():
    drawn = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        drawn.append(one_pass(StreamSampler(source(), batch_size=64, class_counts=COUNTS))[0])
    assert same(drawn[0], drawn[1])
    assert not same(drawn[0], drawn[2])


@pytest.mark.parametrize("built", [False])
def test_a_distribution_set_at_the_end_of_an_epoch_leaves_no_stale_batch(built):
    sampler = StreamSampler(source(), batch_size=10, class_counts=COUNTS, block_bytes=768, seed=0)
    turns = np.eye(3)[[0, 2, 1]]

    def turn(epoch):
        sampler.target = turns[epoch % 3]

    seen = fitted_batches(sampler, epochs=4, built=built, at_end=turn)
    assert {label for _, labels in seen[0] for label in labels.reshape(-1)} == {0, 1, 2}
    for wanted, batches in zip([0, 2, 1], seen[1:], strict=True):
        assert len(batches) == 100
        assert sum((labels != wanted).any() for _, labels in batches) == 0


@pytest.mark.parametrize("given_counts", [{"class_counts": COUNTS}, {"num_classes": 3}])
def test_a_distribution_set_within_a_pass_waits_for_the_next(given_counts):
    sampler, other = (
        StreamSampler(source(), batch_size=64, target="sqrt", block_bytes=768, seed=0, **given_counts) for _ in range(2)
    )
    rows = []
    for step, (batch, _) in enumerate(sampler.dataset()):
        rows.append(batch.numpy()[:, 0].astype(int))
        if step == 2:
            sampler.target = [1, 0, 0]
    assert same(rows, one_pass(other)[0])
    assert set(np.concatenate(one_pass(sampler)[1])) == {0}


def test_an_infinite_stream_with_steps_per_epoch():
    sampler = StreamSampler(source().repeat(), batch_size=50, class_counts=COUNTS, block_bytes=1536, seed=0)
    seen = fitted_batches(sampler, epochs=3, built=False, steps_per_epoch=40)
    assert [len(batches) for batches in seen] == [40] * 3
    drawn = np.bincount(np.concatenate([labels.reshape(-1) for batches in seen for _, labels in batches]))
    assert (np.abs(drawn / 6000 - 1 / 3) < 0.02).all()
    assert sampler.exposure.sum() >= 6000


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("sqrt", False),
        (0.3, False),
        ({2: 0.5}, False),
        ({"few": 0.5}, False),
        ([0.2, 0.3, 0.5], True),
        ("natural", True),
    ],
)
def test_state_continues_with_the_batches_that_would_have_come(target, known):
    arguments = {"class_counts": COUNTS} if known else {"num_classes": 3}
    arguments |= {"class_names": ["many", "some", "few"], "batch_size": 64, "block_bytes": 1200, "seed": 5}
    sampler = StreamSampler(source(), **arguments)
    one_pass(sampler)
    sampler.target = target
    one_pass(sampler)
    state = json.loads(json.dumps(sampler.state_dict()))
    resumed = StreamSampler(source(), **arguments)
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(resumed.exposure, sampler.exposure)
    np.testing.assert_array_equal(resumed.class_counts, sampler.class_counts)
    np.testing.assert_allclose(resumed.distribution, sampler.distribution, rtol=1e-12)
    for _ in range(2):
        assert same(one_pass(sampler)[0], one_pass(resumed)[0])
    resumed.load_state_dict(state)
    assert json.loads(json.dumps(resumed.state_dict())) == state


def test_a_target_that_the_caller_changes_later_stays_as_it_was_checked():
    sampler = StreamSampler(source(), batch_size=64, class_counts=COUNTS, seed=0)
    shares, mapping = np.array([0.5, 0.5, 0.0]), {0: 0.5}
    sampler.target = shares
    shares[:] = np.nan
    np.testing.assert_allclose(sampler.distribution, [0.5, 0.5, 0.0])
    sampler.target = mapping
    mapping[0] = -1
    assert sampler.distribution[0] == 0.5


def test_what_is_read_is_a_copy():
    sampler = StreamSampler(source(), batch_size=64, class_counts=COUNTS, seed=0)
    for read in (sampler.distribution, sampler.class_counts, sampler.exposure):
        read[:] = 77
    np.testing.assert_allclose(sampler.distribution, np.full(3, 1 / 3))
    np.testing.assert_array_equal(sampler.class_counts, COUNTS)
    np.testing.assert_array_equal(sampler.exposure, [0, 0, 0])


def parsed(record):
    parts = tf.io.parse_single_example(
        record, {"x": tf.io.FixedLenFeature([1], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}
    )
    return parts["x"], parts["y"]


def test_record_files_and_their_shards(tmp_path):
    x, y = labelled()
    files = [str(tmp_path / f"{i}.tfrecord") for i in range(2)]
    for i, file in enumerate(files):
        with tf.io.TFRecordWriter(file) as writer:
            for row in range(i, 1000, 2):
                features = {
                    "x": tf.train.Feature(float_list=tf.train.FloatList(value=x[row])),
                    "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[y[row]])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
    records = tf.data.TFRecordDataset(files)
    sampler = StreamSampler(records.map(parsed), batch_size=64, class_counts=COUNTS, seed=0)
    rows, labels = map(np.concatenate, one_pass(sampler))
    np.testing.assert_array_equal(labels, y[rows])
    assert (np.abs(np.bincount(labels) - 1000 / 3) < 1).all()
    shards = [
        StreamSampler(records.shard(2, i).map(parsed), batch_size=64, target="natural", num_classes=3, seed=0)
        for i in range(2)
    ]
    halves = [np.concatenate(one_pass(shard)[0]) for shard in shards]
    np.testing.assert_array_equal(np.sort(np.concatenate(halves)), np.arange(1000))
    balanced = [
        set(np.concatenate(one_pass(StreamSampler(source().shard(2, i), batch_size=64, num_classes=3, seed=0))[0]))
        for i in range(2)
    ]
    assert balanced[0].isdisjoint(balanced[1])


MIRRORED = """
    import numpy as np, tensorflow as tf
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    from keras_imbalance._keras import keras
    from keras_imbalance import ArraySampler, StreamSampler

    y = np.random.default_rng(0).permutation(np.repeat([0, 1], [900, 100]))
    x = np.arange(1000, dtype="float32")[:, None]
    rows = tf.data.Dataset.from_tensor_slices((x, y))
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for sampler in (
        StreamSampler(rows, batch_size=64, class_counts=[900, 100], seed=0),
        ArraySampler(x, y, batch_size=64, epoch_size=1000, seed=0),
    ):
        replicas = [[], []]
        for batch in strategy.experimental_distribute_dataset(sampler.dataset()):
            for kept, labels in zip(replicas, strategy.experimental_local_results(batch[1])):
                kept.append(labels.numpy())
        both = np.concatenate([np.concatenate(kept) for kept in replicas])
        shares = [np.mean(np.concatenate(kept)) for kept in replicas]
        with strategy.scope():
            model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
            model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(sampler.dataset(), epochs=2, verbose=0)
        print(len(both), int(abs(both.sum() - 500) <= 16), int(np.abs(np.array(shares) - 0.5).max() < 0.06))
"""


@pytest.mark.slow
def test_replicas_of_a_strategy_share_the_batches():
    stream, arrays = np.array(in_a_process(MIRRORED), dtype=int).reshape(2, 3).tolist()
    assert stream[1:] == [1, 1]
    assert abs(stream[0] - 1000) <= 2
    assert arrays == [1000, 1, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], "`y` must hold class ids from 0 below 3. Received: 3"),
        ([0, -1], "`y` must hold class ids from 0"),
        ([0.0, 0.5], "`y` must hold class ids, which are whole"),
        ([[0.5, 0.5, 0], [1, 0, 0]], "`y` .*must be one-hot"),
    ],
)
def test_labels_in_the_stream_that_are_no_class_raise(labels, message):
    rows = tf.data.Dataset.from_tensor_slices((np.zeros((2, 5)), labels)).batch(2)
    sampler = StreamSampler(rows, batch_size=2, num_classes=3, seed=0)
    with pytest.raises(tf.errors.OpError, match=message):
        list(sampler.dataset())


def test_batches_or_rows_by_shape():
    def spec(x, y):
        return tf.data.Dataset.from_generator(
            lambda: iter(()), output_signature=(tf.TensorSpec(x), tf.TensorSpec(y, tf.int64))
        )

    def is_batched(x, y):
        return StreamSampler(spec(x, y), batch_size=2, num_classes=3)._rows._batched

    assert not is_batched((4,), ())
    assert not is_batched((28, 28), (3,))
    assert is_batched((None, 4), (None,))
    assert is_batched((None, 4), (None, 3))
    assert is_batched((32, 4), (32,))
    for ambiguous in [((3, 4), (3,)), ((3,), (3,)), (None, (3,))]:
        with pytest.raises(ValueError, match="`batched` must say whether"):
            is_batched(*ambiguous)


@pytest.mark.parametrize("batched", [True, False])
def test_batched_decides_where_shapes_do_not(batched):
    """Three rows of three features with one-hot labels of three classes: a row or a batch of them."""
    rows = tf.data.Dataset.from_tensor_slices((np.eye(3, dtype="float32"), np.eye(3))).repeat(20)
    rows = rows.batch(3, drop_remainder=True) if batched else rows
    sampler = StreamSampler(rows, batch_size=6, class_counts=[1, 1, 1], batched=batched, seed=0)
    for x, y in sampler.dataset():
        assert x.shape[1:] == (3,)
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(sampler.exposure, [20, 20, 20])
