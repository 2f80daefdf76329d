"""`dataset(map_fn=...)`: each row of the plan through the function, in the plan's batches; and the blocks that NumPy makes."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_imbalance import SMOTE, ArraySampler
from keras_imbalance.sampling import tf_data

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [20, 8, 2]))
X = np.random.default_rng(1).normal(size=(30, 3)).astype("float32")


def batches(dataset):
    return list(dataset.as_numpy_iterator())


def assert_equal(found, wanted):
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        for a, b in zip(tf.nest.flatten(ours), tf.nest.flatten(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def mapped_file(folder):
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r")


@pytest.mark.parametrize("held", ["variable", "table"])
def test_a_function_may_hold_a_variable_or_a_table(held):
    variable = tf.Variable(2.0)
    names = tf.constant(["0", "1", "2"])
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, [10, 11, 12]), -1)

    def function(x, y):
        return (x * variable, y) if held == "variable" else (x, table.lookup(tf.strings.as_string(y)))

    options = {"batch_size": 8, "seed": 0}
    found = batches(ArraySampler(X, LABELS, **options).dataset(map_fn=function))
    plain = batches(ArraySampler(X, LABELS, **options).dataset())
    assert_equal(found, [(2 * x, y) if held == "variable" else (x, y + 10) for x, y in plain])


@settings(max_examples=6)
@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 3), st.booleans(), st.integers(1, 16))
def test_each_delivery_gives_the_same_batches(each, rows, shards, smote, block):
    """From tensors, in blocks from NumPy, and row by row: what one of them gives is the oracle of the others."""
    size = each * shards
    if 0 < rows % size < shards:
        rows += size - rows % size

    def sampler():
        made = SMOTE(1) if smote else None
        return ArraySampler(
            (X, {"text": X[:, 0].astype(str)}) if not smote else X,
            LABELS,
            batch_size=size,
            epoch_size=rows,
            target=[0.5, 0.3, 0.2],
            smote=made,
            seed=0,
        )

    arguments = {"num_shards": shards, "shard_index": shards - 1}
    plain, by_row, blocks = sampler(), sampler(), sampler()
    blocks._feed.on_disk = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf_data, "BLOCK_BATCHES", block)
        in_blocks = blocks.dataset(**arguments)
        one_by_one = by_row.dataset(map_fn=lambda x, y: (x, y), **arguments)
        for _ in range(2):
            expected = batches(plain.dataset(**arguments))
            assert_equal(batches(in_blocks), expected)
            assert_equal(batches(one_by_one), expected)
    assert int(one_by_one.cardinality()) == int(in_blocks.cardinality()) == len(expected)
    np.testing.assert_array_equal(plain.exposure, by_row.exposure)


@pytest.mark.parametrize("rows", [30, 24, 27])
def test_a_worker_of_several_replicas_gets_the_batches_of_each(rows):
    def dataset(**arguments):
        sampler = ArraySampler(X, LABELS, batch_size=8, epoch_size=rows, seed=0)
        context = tf.distribute.InputContext(num_input_pipelines=1, input_pipeline_id=0, num_replicas_in_sync=2)
        return batches(sampler.worker_dataset(context, **arguments))

    found = dataset(map_fn=lambda x, y: (x, y))
    assert len(found) == 2 * -(-rows // 8)
    assert_equal(found, dataset())


def test_only_rows_that_are_drawn_are_read(tmp_path):
    paths = [tmp_path / f"{i}.txt" for i in range(30)]
    for i, path in enumerate(paths):
        path.write_text(str(i))
    read = []

    def load(path, label):
        def note(path):
            read.append(path)
            return np.int64(open(path).read())

        return tf.numpy_function(note, [path], tf.int64), label

    sampler = ArraySampler(paths, LABELS, batch_size=6, epoch_size="undersample", seed=0)
    rows = np.concatenate([x for x, _ in batches(sampler.dataset(map_fn=load))])
    assert len(read) == len(rows) == len(set(rows)) == 6
    assert {f"{row}.txt" for row in rows} == {path.decode().rpartition("/")[2] for path in read}


def test_repeats_are_how_often_the_row_came_before(tmp_path):
    sampler = ArraySampler(mapped_file(tmp_path), LABELS, np.arange(30.0), batch_size=7, seed=0)
    dataset = sampler.dataset(map_fn=lambda x, y, w, repeats: (w, repeats), pass_repeats=True)
    seen = dict.fromkeys(range(30), 0)
    for _ in range(3):
        for rows, repeats in batches(dataset):
            for row, times in sorted(
                zip(rows.astype(int).tolist(), repeats.tolist(), strict=True), key=lambda pair: pair[1]
            ):
                assert times == seen[row]
                seen[row] += 1
    assert max(seen.values()) > 10


def test_new_points_go_through_the_function_too():
    def sampler():
        return ArraySampler(X, LABELS, batch_size=6, smote=SMOTE(), seed=0)

    expected = batches(sampler().dataset())
    assert not np.isin(np.concatenate([x for x, _ in expected]), X).all()
    doubled = batches(sampler().dataset(map_fn=lambda x, y: (2 * x, y)))
    assert_equal(doubled, [(2 * x, y) for x, y in expected])


@pytest.mark.parametrize("scope", [False, True])
def test_a_build_probe_reads_no_more_than_it_asks_for_and_is_no_epoch(scope):
    read = []

    def note(x, y):
        return tf.numpy_function(lambda y: (read.append(1), y)[1], [y], y.dtype), y

    sampler = ArraySampler(X, LABELS, batch_size=2, seed=0)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope() if scope else np.errstate():
        next(iter(sampler.dataset(map_fn=note)))
    assert 2 <= len(read) <= (16 if scope else 2)
    assert sampler.state_dict()["epoch"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"map_fn": 3}, "`map_fn` must"),
        ({"pass_repeats": True}, "`pass_repeats` must be False where"),
        ({"map_fn": lambda x, y: (x, y), "pass_repeats": 1}, "`pass_repeats` must be True or False"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        ArraySampler(X, LABELS, seed=0).dataset(**arguments)
