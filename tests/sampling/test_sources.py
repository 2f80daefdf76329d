"""Rows of random-access sources, each with its real library: what comes is what the library itself gives for these rows."""

import datasets
import grain
import h5py
import numpy as np
import pytest
import tensorflow as tf

from keras_imbalance import SMOTE, ArraySampler, count_classes
from keras_imbalance._keras import keras
from keras_imbalance.sampling.sources import Source, aligned, is_source, rows_of, stacked, taken

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [20, 8, 2]))
X = np.random.default_rng(1).normal(size=(30, 3)).astype("float32")


def epoch(sampler, **arguments):
    """The epoch as one nest of arrays; x holds its row number in some way that the test knows."""
    batches = list(sampler.dataset(**arguments).as_numpy_iterator())
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)


def balanced(x, y=None, **arguments):
    return ArraySampler(x, y, batch_size=6, seed=0, **arguments)


def expected():
    return epoch(balanced(X, LABELS))


def test_h5py(tmp_path):
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["x"], file["y"] = X, LABELS
        file.create_dataset("chunked", data=X, chunks=(7, 3))
        x, y = epoch(balanced({"a": file["x"], "b": (file["chunked"], X)}, file["y"]))
    for rows in (x["a"], *x["b"]):
        np.testing.assert_array_equal(rows, expected()[0])
    np.testing.assert_array_equal(y, expected()[1])


def test_masks_in_a_file_are_read_whole_for_the_rarest_class_and_row_by_row_where_classes_are_given(tmp_path):
    masks = np.where(np.arange(4) == 0, LABELS[:, None], 0).astype("uint8")[:, None]
    pairs = grain.MapDataset.source(range(30)).map(lambda row: (X[row], masks[row]))
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["masks"] = masks
        wanted = epoch(balanced(X, masks, classes=LABELS))
        for sampler in (
            balanced(X, file["masks"], classes="rarest"),
            balanced(X, file["masks"], classes=LABELS),
            balanced(pairs, classes="rarest"),
        ):
            for found, expected in zip(epoch(sampler), wanted, strict=True):
                np.testing.assert_array_equal(found, expected)


class Logged:
    """`(x, y)` of a row, and the rows that were asked for."""

    def __init__(self):
        self.read = []

    def __len__(self):
        return len(LABELS)

    def __getitem__(self, row):
        self.read.append(row)
        return X[row], int(LABELS[row])


@pytest.mark.parametrize("known", [False, True])
def test_labels_are_read_where_classes_are_not_given(known):
    source = Logged()
    sampler = balanced(source, classes=LABELS if known else None)
    assert len(source.read) == 1 + (0 if known else len(LABELS))
    for found, wanted in zip(epoch(sampler), expected(), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("chosen", [None, "numpy", "tensorflow"])
def test_hugging_face_dataset(chosen):
    columns = {"x": X.tolist(), "text": [f"row {i}" for i in range(30)], "label": LABELS.tolist()}
    source = datasets.Dataset.from_dict(columns).with_format(chosen)
    x, y = epoch(balanced(source, "label"))
    assert set(x) == {"x", "text"}
    np.testing.assert_allclose(x["x"], expected()[0], rtol=1e-6)
    assert x["text"].tolist() == [f"row {np.abs(X - row).sum(axis=1).argmin()}".encode() for row in x["x"]]
    np.testing.assert_array_equal(y, expected()[1])


def test_a_source_that_is_repeated_for_ever_is_refused_at_once():
    endless = grain.MapDataset.source(range(30)).map(lambda row: (X[row], LABELS[row])).repeat()
    for make in (lambda: ArraySampler(endless), lambda: ArraySampler(endless, LABELS), lambda: count_classes(endless)):
        with pytest.raises(ValueError, match="must have an end"):
            make()
    twice = grain.MapDataset.source(range(30)).map(lambda row: (X[row], LABELS[row])).repeat(2)
    np.testing.assert_array_equal(ArraySampler(twice).class_counts, 2 * np.bincount(LABELS))


def test_grain_sources():
    pairs = grain.MapDataset.source(range(30)).map(lambda row: (X[row], LABELS[row]))
    for found, wanted in zip(epoch(balanced(pairs)), expected(), strict=True):
        np.testing.assert_array_equal(found, wanted)
    dicts = grain.sources.RangeDataSource(0, 30, 1)
    found, _ = epoch(balanced(dicts, LABELS))
    np.testing.assert_array_equal(X[found], expected()[0])


def test_memory_map_of_another_byte_order_or_layout_is_read_row_by_row(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X.astype(">f4")))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert not mapped.flags.c_contiguous
    for x in (mapped, np.array(mapped)):
        np.testing.assert_array_equal(epoch(balanced(x, LABELS))[0], expected()[0])


def test_weights_come_with_a_source_as_third_part_or_beside_a_column():
    triples = [(X[i], LABELS[i], np.float32(i)) for i in range(30)]
    x, y, w = epoch(balanced(grain.MapDataset.source(triples)))
    np.testing.assert_array_equal(X[w.astype(int)], x)
    np.testing.assert_array_equal(LABELS[w.astype(int)], y)
    dicts = grain.MapDataset.source([{"x": X[i], "y": LABELS[i]} for i in range(30)])
    x, y, w = epoch(balanced(dicts, "y", sample_weight=np.arange(30.0)))
    np.testing.assert_array_equal(X[w.astype(int)], x["x"])
    np.testing.assert_array_equal(LABELS[w.astype(int)], y)


def of_two_shapes(size):
    return [(np.full((size(i), 2), i, "float32"), LABELS[i]) for i in range(30)]


def test_rows_of_different_shapes_need_a_function_that_brings_them_to_one():
    sampler = balanced(grain.MapDataset.source(of_two_shapes(lambda i: 1 + i % 3)))
    with pytest.raises(ValueError, match=r"`map_fn` must be given where rows differ in shape.*\(None, 2\)"):
        sampler.dataset()
    x, y = epoch(sampler, map_fn=lambda x, y: (tf.reduce_mean(x, axis=0), y))
    np.testing.assert_array_equal(LABELS[x[:, 0].astype(int)], y)


def test_a_row_that_turns_out_to_have_another_shape_is_an_error():
    sampler = balanced(grain.MapDataset.source(of_two_shapes(lambda i: 1 + (i == 7))), target="natural")
    with pytest.raises(tf.errors.OpError, match=r"`x` must give rows of"):
        list(sampler.dataset())


def test_what_no_tensor_holds_is_named_before_training_where_the_first_rows_tell():
    rows = datasets.Dataset.from_dict({"x": X.tolist(), "word": ["a", *[None] * 29], "y": LABELS.tolist()})
    with pytest.raises(ValueError, match=r"`x\['word'\]` must give numbers or text in each row. Received: None"):
        balanced(rows, "y").dataset()
    later = datasets.Dataset.from_dict({"word": [None if i == 7 else "a" for i in range(30)], "y": LABELS.tolist()})
    with pytest.raises(tf.errors.OpError, match="`x` must give numbers or text in each row"):
        list(balanced(later, "y", target="natural").dataset())
    filled = balanced(rows, "y").py_dataset(map_fn=lambda row, y: (row["x"], y, np.float32(row["word"] == "a")))
    assert sum(len(batch[1]) for batch in filled) == 30


BAD = [
    (lambda: balanced(X), "`y` must"),
    (lambda: balanced(Logged(), LABELS), r"`y` must be None where the items of `x` are \(x, y\).*classes=y"),
    (lambda: balanced(Logged(), sample_weight=np.ones(30)), "`sample_weight` must be None where"),
    (lambda: balanced(grain.MapDataset.source(X)), r"`x` must give \(x, y\)"),
    (lambda: balanced(grain.MapDataset.source(X), "label"), "`y` must name a column of `x`.*no columns"),
    (lambda: balanced(grain.MapDataset.source([{"label": 0}]), "lable"), "Did you mean 'label'"),
    (lambda: balanced(Logged(), classes=LABELS, smote=SMOTE()), "`smote` must be None where rows come from a source"),
    (lambda: balanced(Logged(), classes=LABELS[:3]), "`classes` must hold the class of each of 30 rows"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_source():
    for value in (X, X.tolist(), tf.constant(X)):
        assert not isinstance(rows_of(value, "x"), Source)
    with pytest.raises(ValueError, match="`x` must"):
        rows_of("text", "x")


class Batches(keras.utils.PyDataset if hasattr(keras.utils, "PyDataset") else keras.utils.Sequence):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise NotImplementedError


def test_a_source_of_batches_is_none_of_rows():
    assert is_source(Logged())
    assert not is_source(Batches())
    assert not is_source(tf.data.Dataset.range(3))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool", "complex64", ">i2", "U3", object])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_rows_of_arrays_are_those_that_an_index_gives(dtype, layout):
    array = np.arange(60).reshape(12, 5).astype(dtype)
    array = {"C": array, "F": np.asfortranarray(array), "strided": array[::2]}[layout]
    rows = np.array([5, 0, 5, 3])
    found = taken(array, rows)
    np.testing.assert_array_equal(found, array[rows])
    assert found.dtype.isnative
    assert layout != "C" or array.dtype.kind in "OUi" or found.ctypes.data % 64 == 0


def test_rows_of_items_are_stacked_as_numpy_stacks_them():
    items = [({"b": np.array(i), "a": np.full(2, i, "float32")}, np.array(f"row {i}")) for i in (3, 1)]
    (x, text) = stacked(items, "x")
    assert list(x) == ["b", "a"]
    np.testing.assert_array_equal(x["a"], np.stack([items[0][0]["a"], items[1][0]["a"]]))
    assert x["b"].tolist() == [3, 1]
    assert text.tolist() == ["row 3", "row 1"]
    with pytest.raises(ValueError, match=r"`x` must give rows of one shape"):
        stacked([np.zeros(2), np.zeros(3)], "x")


def test_memory_begins_where_tensorflow_needs_no_copy():
    arrays = [aligned((3, n), np.dtype("float64")) for n in range(1, 20)]
    assert all(array.ctypes.data % 64 == 0 and array.flags.c_contiguous for array in arrays)
