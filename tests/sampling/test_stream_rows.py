"""What StreamSampler takes as rows: padded, ragged and bucketed batches, text labels; memory in bytes."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from keras_imbalance import StreamSampler

LENGTHS = np.random.default_rng(0).integers(1, 9, 90)
Y = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [60, 20, 10]))


def rows():
    """Row i is LENGTHS[i] times the number i + 1, with two features each."""

    def generate():
        for i, (length, label) in enumerate(zip(LENGTHS, Y, strict=True)):
            yield np.full((length, 2), i + 1, "float32"), label

    spec = (tf.TensorSpec((None, 2), tf.float32), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(generate, output_signature=spec)


def stream(source, **arguments):
    return StreamSampler(source, **{"batch_size": 16, "class_counts": [60, 20, 10], "seed": 0, **arguments})


FORMS = {
    "rows": rows,
    "padded": lambda: rows().padded_batch(8),
    "bucketed": lambda: rows().bucket_by_sequence_length(lambda x, y: tf.shape(x)[0], [3, 6], [8, 8, 8]),
    "ragged": lambda: rows().ragged_batch(8),
}


@pytest.mark.parametrize("arguments", [{}, {"epoch_size": 90}])
@pytest.mark.parametrize("form", FORMS)
def test_rows_of_different_length_stay_whole_and_hit_the_target(form, arguments):
    sampler = stream(FORMS[form](), padding_value=-1, **arguments)
    dataset = sampler.dataset()
    drawn = np.zeros(3)
    for x, y in dataset:
        assert isinstance(x, tf.RaggedTensor) == (form == "ragged")
        for row, label in zip(x, y.numpy(), strict=True):
            number = int(row[0, 0]) - 1
            own = row.numpy()[: LENGTHS[number]]
            np.testing.assert_array_equal(own, np.full((LENGTHS[number], 2), number + 1))
            assert set(row.numpy()[LENGTHS[number] :].reshape(-1)) <= ({-1.0} if form == "rows" else {-1.0, 0.0})
            assert form != "ragged" or len(row) == LENGTHS[number]
            assert label == Y[number]
        drawn += np.bincount(y, minlength=3)
    assert dataset.element_spec[0].shape.as_list() == [None, None, 2]
    assert np.abs(drawn - 30).max() <= 1


def test_a_batch_is_as_wide_as_its_longest_row():
    for x, _ in stream(rows()).dataset():
        numbers = x.numpy()[:, 0, 0].astype(int) - 1
        assert x.shape[1] == LENGTHS[numbers].max()


def test_text_of_different_length():
    words = rows().map(lambda x, y: (tf.strings.as_string(tf.cast(x[:, 0], tf.int32)), y)).padded_batch(8)
    labels = set()
    for x, y in stream(words).dataset():
        assert x.dtype == tf.string
        labels |= {int(word) - 1 for word in x.numpy()[:, 0]}
        np.testing.assert_array_equal(Y[[int(word) - 1 for word in x.numpy()[:, 0]]], y)
    assert len(labels) > 30


@pytest.mark.parametrize("batch", [None, 10])
@pytest.mark.parametrize("shape", [(90,), (90, 1)])
def test_text_labels_come_as_class_ids_where_class_names_are_given(batch, shape):
    names = ["süß", "salt", "bitter"]
    source = tf.data.Dataset.from_tensor_slices((np.arange(90), np.array(names)[Y].reshape(shape)))
    source = source if batch is None else source.batch(batch)
    sampler = StreamSampler(source, batch_size=16, class_names=names, seed=0)
    assert sampler.dataset().element_spec[1].dtype == tf.int64
    for _ in range(2):
        for x, y in sampler.dataset():
            np.testing.assert_array_equal(Y[x], y.numpy().reshape(-1))
            assert y.shape[1:] == shape[1:]
    assert np.abs(sampler.history[-1] - 30).max() <= 1
    with pytest.raises(tf.errors.OpError, match=r"`class_names` must hold every name in `y`, .*bitter.* too"):
        list(StreamSampler(source, batch_size=16, class_names=[*names[:2], "sour"], seed=0).dataset())
    with pytest.raises(ValueError, match=r"`y` must be numbers where `class_names` is not given.*StringLookup"):
        StreamSampler(source, batch_size=16, num_classes=3)


def test_what_cannot_be_drawn_row_by_row_is_refused_at_once():
    base = tf.data.Dataset.from_tensor_slices((np.eye(8, dtype="float32"), np.arange(8) % 3))
    sparse = base.map(lambda x, y: (tf.sparse.from_dense(x), y))
    with pytest.raises(ValueError, match=r"`dataset` must yield dense or ragged.*SparseTensor.*tf\.sparse\.to_dense"):
        stream(sparse.batch(4))
    with pytest.raises(ValueError, match="`dataset` must yield dense or ragged"):
        stream(base.map(lambda x, y: (x, y, None)))
    with pytest.raises(ValueError, match="`dataset` must yield dense or ragged"):
        stream(base.window(2))
    deep = tf.ragged.constant([[[1], [2, 3]], [[4]]])
    for source in (
        tf.data.Dataset.from_tensor_slices((deep, [0, 1])).batch(2),
        tf.data.Dataset.from_tensor_slices((deep, [0, 1])),
    ):
        with pytest.raises(ValueError, match="`dataset` must yield tensors that are ragged in one axis"):
            stream(source)
    with pytest.raises(ValueError, match=r"`label_fn` must give the class of each row where y is .* ragged"):
        stream(tf.data.Dataset.from_tensor_slices(([0, 1], tf.ragged.constant([[1], [2, 3]]))).batch(2))


def test_batches_whose_parts_differ_in_rows_are_an_error():
    source = tf.data.Dataset.from_tensors((np.zeros((4, 2), "float32"), np.zeros(3, "int64")))
    with pytest.raises(tf.errors.OpError):
        list(stream(source, batched=True).dataset())


def test_label_fn_sees_batches_and_may_give_names():
    source = tf.data.Dataset.from_tensor_slices((np.arange(90), {"of": Y, "size": np.arange(90) * 2}))
    names = tf.constant(["a", "b", "c"])
    sampler = StreamSampler(
        source, batch_size=16, class_names=["a", "b", "c"], label_fn=lambda x, y: tf.gather(names, y["of"]), seed=0
    )
    for x, y in sampler.dataset():
        np.testing.assert_array_equal(y["size"], 2 * x)
        np.testing.assert_array_equal(y["of"], Y[x])


def test_names_of_a_label_fn_are_refused_where_a_block_would_number_them():
    source = tf.data.Dataset.from_tensor_slices((np.arange(90), np.sort(Y).astype(str))).batch(10)
    with pytest.raises(ValueError, match="`class_names` must be given where `label_fn` returns text"):
        StreamSampler(source, batch_size=16, num_classes=3, label_fn=lambda x, y: y)
    with pytest.raises(ValueError, match="`label_fn` must return one tensor"):
        StreamSampler(source, batch_size=16, num_classes=3, label_fn=lambda x, y: (x, y))


MEMORY = """
    import resource, time
    import numpy as np, tensorflow as tf
    from keras_imbalance import StreamSampler

    def images():
        for i in range(5000):
            yield np.full((224, 224, 3), i % 7, "float32"), i % 10 == 0

    spec = (tf.TensorSpec((224, 224, 3), tf.float32), tf.TensorSpec((), tf.int64))
    rows = tf.data.Dataset.from_generator(images, output_signature=spec)
    for _ in rows.take(64).batch(32):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, read = time.perf_counter(), 0
    for x, y in StreamSampler(rows, batch_size=32, num_classes=2, seed=0).dataset():
        first = time.perf_counter() - start if not read else first
        read += len(y)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(read, int(grown), round(first, 1))
"""


@pytest.mark.slow
def test_images_take_memory_of_two_blocks():
    """5,000 rows of 224 x 224 x 3, 3 GB in all."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY)], capture_output=True, text=True, timeout=600, check=True
    )
    read, grown, first = done.stdout.split()
    assert abs(int(read) - 5000) < 50  # the shares of the classes are learnt
    assert int(grown) < 400  # MB
    assert float(first) < 30  # seconds, on a machine that does other things too
