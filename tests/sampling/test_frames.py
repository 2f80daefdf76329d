"""Rows and labels from data frames, dicts of columns, text and masked arrays: pandas as the oracle of what a column holds."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import IS_TF_KERAS, keras_3_only

from keras_imbalance import (
    ArraySampler,
    class_weights,
    classification_report,
    count_classes,
    target_distribution,
    tomek_links,
)
from keras_imbalance._core import arrays_of
from keras_imbalance._keras import keras
from keras_imbalance.estimators.arrays import data_of
from keras_imbalance.sampling import rarest_classes

quick = settings(max_examples=60)
ROWS = 12
X, Y = np.arange(2.0 * ROWS).reshape(ROWS, 2), np.repeat([0, 1], [8, 4])
TOWNS = np.array(["Ulm", "Bonn", "Kiel"])[np.arange(ROWS) % 3]


def columns():
    """A frame with a column of every kind that holds numbers."""
    number = np.arange(ROWS)
    return pd.DataFrame(
        {
            "float": number / 4,
            "int": number,
            "bool": number % 2 == 0,
            "Int64": pd.array(number, dtype="Int64"),
            "Float64": pd.array(number / 8, dtype="Float64"),
            "boolean": pd.array(number % 3 == 0, dtype="boolean"),
            "object": pd.Series([*range(ROWS - 1), 2.5], dtype=object),
            "codes": pd.Series(number % 2).astype("category"),
            "sparse": pd.arrays.SparseArray(number % 4),
        }
    )


def one_epoch(sampler):
    return list(sampler.dataset().as_numpy_iterator())


def rows_of(batches, part=0):
    return np.concatenate([batch[part] for batch in batches])


@pytest.mark.parametrize("kept", [["float", "bool"], ["int", "bool"], ["Int64"], ["Float64", "object"], None])
def test_a_frame_of_numbers_is_one_array(kept):
    frame = columns()[kept] if kept else columns()
    expected = np.column_stack([frame[name].astype("float64") for name in frame])
    found = arrays_of(frame, "x")
    assert found.dtype.kind in "if"
    np.testing.assert_array_equal(found, expected)
    if not IS_TF_KERAS:  # BalancedBagging needs Keras 3
        np.testing.assert_array_equal(data_of(frame, Y, None)[0], expected)


def test_dummies_are_drawn_as_they_are():
    frame = pd.get_dummies(pd.DataFrame({"row": np.arange(ROWS) / 2, "town": TOWNS}))
    sampler = ArraySampler(frame, pd.Series(Y, dtype="Int64"), batch_size=4, seed=0)
    batches = one_epoch(sampler)
    drawn, labels = rows_of(batches), rows_of(batches, 1)
    assert drawn.dtype == np.float64
    assert labels.dtype == np.int64
    row = (2 * drawn[:, 0]).astype(int)
    np.testing.assert_array_equal(drawn, frame.astype("float64").to_numpy()[row])
    np.testing.assert_array_equal(labels, Y[row])
    np.testing.assert_array_equal(np.bincount(labels), [6, 6])


@pytest.mark.parametrize("kind", ["frame", "dict", "category"])
def test_text_columns_come_as_a_dict_of_columns(kind):
    frame = pd.DataFrame({"row": np.arange(ROWS), "town": TOWNS})
    if kind == "category":
        frame = frame.astype({"town": "category"})
    x = dict(frame) if kind == "dict" else frame
    lookup = keras.layers.StringLookup(vocabulary=["Bonn", "Kiel", "Ulm"], num_oov_indices=0)
    for batch, labels in ArraySampler(x, Y, batch_size=6, seed=0).dataset():
        assert set(batch) == {"row", "town"}
        row = np.asarray(batch["row"])
        np.testing.assert_array_equal([town.decode() for town in np.asarray(batch["town"])], TOWNS[row])
        np.testing.assert_array_equal(np.asarray(lookup(batch["town"])), np.unique(TOWNS, return_inverse=True)[1][row])
        np.testing.assert_array_equal(labels, Y[row])


@pytest.mark.slow
@keras_3_only("no FeatureSpace of such arguments")
def test_a_feature_space_learns_from_a_frame_and_trains_on_it():
    frame = pd.DataFrame({"row": np.arange(ROWS) * 1.0, "town": TOWNS})
    space = keras.utils.FeatureSpace(features={"row": "float_normalized", "town": "string_categorical"})
    sampler = ArraySampler(frame, Y, batch_size=6, target="natural", seed=0)
    space.adapt(sampler.dataset().map(lambda x, y: x))
    encoded = np.asarray(space({"row": [5.5], "town": ["Ulm"]}))
    np.testing.assert_allclose(encoded[0, 0], 0, atol=1e-6)  # the mean of the rows
    assert encoded[0, 1:].sum() == 1
    net = keras.Sequential([keras.layers.Dense(2)])
    net.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    net.fit(sampler.dataset().map(lambda x, y: (space(x), y)), epochs=2, shuffle=False, verbose=0)
    assert [counts.sum() for counts in sampler.history[-2:]] == [ROWS, ROWS]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pd.Series([*TOWNS[1:], None]),
            r"`x\['c'\]` must hold no missing values.*1 missing of 12, the first in row 11",
        ),
        (pd.Series([*range(11), None], dtype=object), r"`x\['c'\]` must hold no missing values.*row 11"),
        (pd.Series([*range(11), None], dtype="Int64"), r"`x\['c'\]` must hold no missing values.*row 11"),
        (pd.Series([None] * 12, dtype="boolean"), r"`x\['c'\]` must hold no missing values"),
        (pd.Series([None, *TOWNS[1:]]).astype("category"), r"`x\['c'\]` must hold no missing values.*row 0"),
        (pd.Series([(1, 2)] * 12), r"`x\['c'\]` must hold numbers, text or categories"),
        (pd.date_range("2020-01-01", periods=12).to_series(index=range(12)), r"`x\['c'\]` must .*dt\.days"),
    ],
)
def test_errors_name_the_column(column, message):
    with pytest.raises(ValueError, match=message):
        ArraySampler(pd.DataFrame({"a": np.arange(ROWS), "c": column}), Y)


def test_a_dict_of_columns_names_its_key():
    with pytest.raises(ValueError, match=r"`x\['c'\]` must hold no missing values.*row 0"):
        ArraySampler({"a": X, "c": [None] * ROWS}, Y)
    frame = pd.DataFrame({0: np.arange(ROWS), 1: TOWNS})
    with pytest.raises(ValueError, match=r"`x` must have text as names of its columns.*\[0, 1\].*astype\(str\)"):
        ArraySampler(frame, Y)


def test_no_column_is_lost_where_two_have_one_name():
    frame = pd.DataFrame(np.column_stack([X, Y]), columns=["a", "a", "ill"])
    batch, labels = next(iter(ArraySampler(frame, "ill", batch_size=4, seed=0).dataset()))
    assert batch.shape == (4, 2)
    np.testing.assert_array_equal(labels, Y[(batch[:, 0] / 2).numpy().astype(int)])
    with pytest.raises(ValueError, match=r"`x` must have columns of different names.*\['a'\]"):
        ArraySampler(frame.assign(town=TOWNS), Y)
    with pytest.raises(ValueError, match=r"`y` must name one column of `x`.*'a', the name of 2"):
        ArraySampler(frame, "a")


@pytest.mark.parametrize("make", [dict, pd.DataFrame, lambda columns: (np.array(columns["file"]), columns["age"])])
def test_paths_are_text_wherever_they_stand(make):
    names = [f"images/{i}.png" for i in range(ROWS)]
    x = make({"file": [Path(name) for name in names], "age": np.arange(ROWS)})
    for batch, _ in one_epoch(ArraySampler(x, Y, batch_size=4, seed=0)):
        file, age = batch if isinstance(batch, tuple) else (batch["file"], batch["age"])
        np.testing.assert_array_equal(file.astype(str), np.array(names)[age])


def test_missing_floats_stay_nan():
    found = arrays_of(pd.DataFrame({"a": [1.0, np.nan], "b": pd.array([None, 2.5], dtype="Float64")}), "x")
    np.testing.assert_array_equal(found, [[1.0, np.nan], [np.nan, 2.5]])


@pytest.mark.parametrize("make", [pd.DataFrame, dict])
def test_y_names_the_column_that_holds_the_labels(make):
    x = make({"a": np.arange(ROWS), "b": TOWNS, "ill": Y})
    for batch, labels in ArraySampler(x, "ill", batch_size=4, seed=0).dataset().as_numpy_iterator():
        assert set(batch) == {"a", "b"}
        np.testing.assert_array_equal(labels, Y[batch["a"]])
    with pytest.raises(ValueError, match=r"`y` must hold the labels, or name the column.*Did you mean 'ill'"):
        ArraySampler(x, "il")
    with pytest.raises(ValueError, match=r"`y` must hold the labels, or name the column.*data frame or a dict"):
        ArraySampler(X, "ill")


@pytest.mark.parametrize(
    "form",
    [
        np.array,
        list,
        pd.Series,
        lambda y: pd.Series(y, dtype="category"),
        lambda y: np.array(y)[:, None],
        lambda y: np.char.encode(y, "utf-8"),
        lambda y: pd.DataFrame({"state": y}),
    ],
    ids=["array", "list", "series", "category", "column", "bytes", "frame"],
)
@pytest.mark.parametrize("class_names", [None, ["sick", "healthy"]])
def test_text_labels_are_drawn_as_class_ids(form, class_names):
    words = np.array(["healthy", "sick"])[Y]
    sampler = ArraySampler(np.arange(ROWS), form(words), batch_size=4, class_names=class_names, seed=0)
    names = class_names or ["healthy", "sick"]
    assert sampler.class_names == names
    np.testing.assert_array_equal(sampler.class_counts, [(words == name).sum() for name in names])
    batches = one_epoch(sampler)
    assert rows_of(batches, 1).dtype == np.int64
    np.testing.assert_array_equal(np.array(names)[rows_of(batches, 1).reshape(-1)], words[rows_of(batches)])


def test_text_labels_that_are_no_names():
    with pytest.raises(ValueError, match=r"`class_names` must hold every name in `y`, \['sick'\] too"):
        ArraySampler(X, np.array(["healthy", "sick"])[Y], class_names=["healthy", "ill"])
    with pytest.raises(ValueError, match=r"`y` must be numbers where its text holds numbers.*y\.astype\('int64'\)"):
        ArraySampler(X, np.array(["10", "2"])[Y])
    sampler = ArraySampler(X, np.array(["10", "2"])[Y], class_names=["2", "10"])
    np.testing.assert_array_equal(sampler.class_counts, [4, 8])


@quick
@given(st.lists(st.sampled_from(["cat", "dog", "Émile", "x"]), min_size=1, max_size=30))
def test_counts_of_text_are_those_of_pandas(labels):
    expected = pd.Series(labels).value_counts().sort_index()
    for form in (labels, pd.Series(labels), pd.Series(labels, dtype="category"), [label.encode() for label in labels]):
        np.testing.assert_array_equal(count_classes(form), expected)
    names = ["x", "new", *sorted(set(labels) - {"x"})]
    np.testing.assert_array_equal(count_classes(labels, class_names=names), [labels.count(name) for name in names])


def test_nullable_and_object_labels_are_counted():
    for labels in (pd.Series(Y, dtype="Int64"), Y.astype(object), pd.Series(Y).astype("category"), pd.Series(Y == 1)):
        np.testing.assert_array_equal(count_classes(labels), [8, 4])
    np.testing.assert_allclose(class_weights(pd.Series([8, 4], dtype="Int64")), [0.75, 1.5])
    with pytest.raises(ValueError, match="`labels`"):
        count_classes(pd.Series([0, None], dtype="Int64"))


def test_words_and_q_go_over_the_classes_that_have_rows():
    y = np.repeat([1, 4, 9], [8, 3, 1])
    for target, expected in (("balanced", [1, 1, 1]), ("sqrt", [8**0.5, 3**0.5, 1]), (0.25, [8**0.25, 3**0.25, 1])):
        sampler = ArraySampler(np.arange(12.0), y, target=target, batch_size=12, seed=0)
        shares = np.zeros(10)
        shares[[1, 4, 9]] = np.divide(expected, sum(expected))
        np.testing.assert_allclose(sampler.distribution, shares)
        np.testing.assert_array_equal(np.unique(rows_of(one_epoch(sampler), 1)), [1, 4, 9])
    with pytest.raises(ValueError, match=r"`target` must give the share 0 .* class \[0\]"):
        target_distribution(sampler.class_counts, {0: 0.1})
    undersampled = ArraySampler(np.arange(12.0), y, epoch_size="undersample")
    assert undersampled.epoch_rows == 3


def test_labels_are_copied():
    y = np.repeat([0, 1], [8, 4])
    sampler = ArraySampler(np.arange(ROWS), y, batch_size=4, seed=0)
    y[:] = 1
    batches = one_epoch(sampler)
    np.testing.assert_array_equal(rows_of(batches, 1), Y[rows_of(batches)])


def test_masked_arrays_are_refused_where_a_value_is_masked():
    mask = np.zeros(X.shape, dtype=bool)
    whole = np.ma.MaskedArray(X, mask)
    np.testing.assert_array_equal(arrays_of(whole, "x"), X)
    mask[3, 1] = True
    holed = np.ma.MaskedArray(X, mask)
    for call in (lambda: ArraySampler(holed, Y), lambda: tomek_links(holed, Y), lambda: ArraySampler({"a": holed}, Y)):
        with pytest.raises(ValueError, match=r"`x.*` must hold no masked values. Received: 1 masked of 24.*filled"):
            call()
    labels = np.ma.MaskedArray(Y, Y == 1)
    for call in (lambda: ArraySampler(X, labels), lambda: tomek_links(X, labels)):
        with pytest.raises(ValueError, match="`y` must hold no masked values"):
            call()
    with pytest.raises(ValueError, match=r"`labels` must hold no masked values. Received: 4 masked of 12"):
        count_classes(labels)


@pytest.mark.parametrize("x", [np.zeros((ROWS, 0)), (X, np.zeros((ROWS, 3, 0))), pd.DataFrame(index=range(ROWS))])
def test_features_without_a_column_are_refused(x):
    with pytest.raises(ValueError, match=r"`x` must have at least one value in each row.*, 0\)"):
        ArraySampler(x, Y)


def test_neighbours_need_a_column():
    with pytest.raises(ValueError, match=r"`x` must hold at least one row and one column. Received: shape \(12, 0\)"):
        tomek_links(np.zeros((ROWS, 0)), Y)


# the rarest class of a row


def rarest_by_definition(sets, size):
    rows = [sum(label in held for held in sets) for label in range(size)]
    return [min(held, key=lambda label: (rows[label], label)) if held else size for held in sets]


@quick
@given(st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=20))
def test_the_rarest_label_of_a_row_is_that_of_the_definition(sets):
    labels = np.array([[label in held for label in range(5)] for held in sets])
    expected = rarest_by_definition(sets, 5)
    for form in (labels, labels.astype("float32"), labels.tolist(), pd.DataFrame(labels)):
        assert rarest_classes(form).tolist() == expected
    unknown = np.where(labels, 1, np.where(np.arange(5) % 2, 0, -1))  # a label that is not known counts as not set
    assert rarest_classes(unknown, ignore_class=-1).tolist() == expected
    # The same sets as masks: the ids that a row holds, 255 where it holds fewer.
    masks = np.full((len(sets), 3, 2), 255)
    for mask, held in zip(masks, sets, strict=True):
        mask.reshape(-1)[: len(held)] = sorted(held)
    for form in (masks, masks[..., None], masks.astype("uint8"), masks.astype("float32")):
        assert rarest_classes(form, num_classes=5, ignore_class=255).tolist() == expected


def test_masks_of_channels():
    masks = np.random.default_rng(0).integers(0, 3, (6, 4, 4))
    expected = rarest_classes(masks)
    assert expected.tolist() == rarest_by_definition([set(mask.reshape(-1)) for mask in masks], 3)
    for one_hot in (np.eye(3)[masks], np.eye(3, dtype="uint8")[masks]):
        np.testing.assert_array_equal(rarest_classes(one_hot), expected)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full((4, 3), 0.5), r"`y` must hold 0 and 1 in the shape \(N, L\).*y > 0.5"),
        (np.array([[0, 2], [1, 1]]), r"`y` must hold 0 and 1.*y\[\.\.\., None\]"),
        (np.array([[0, -1], [1, 1]]), r"`y` must hold 0 and 1.* Received: -1.*rarest_classes\(y, ignore_class=-1\)"),
        (np.array([[0, np.nan], [1, 1]]), r"`y` must hold 0 and 1.* Received: nan.*not NaN"),
        (np.arange(4), "`y` must hold labels .* or masks.*leave `classes` out"),
        (np.full((2, 2, 2), -1), "`y` must hold class ids"),
        ({"a": np.zeros((2, 2))}, "`classes` must be given for each row"),
    ],
)
def test_labels_that_hold_no_classes(y, message):
    with pytest.raises(ValueError, match=message):
        rarest_classes(y)


def test_a_sampler_of_masks_with_void_pixels_names_the_function_that_is_told_of_them():
    with pytest.raises(ValueError, match=r"`y` must hold class ids.*255.*rarest_classes\(y, .*ignore_class=255\)"):
        ArraySampler(np.zeros(2), np.full((2, 3, 3), 255), classes="rarest", class_names=["a", "b"])
    with pytest.raises(ValueError, match=r"`classes` must hold class ids.* Received: 2.*\[\*names, \"none\"\]"):
        ArraySampler(np.zeros(2), np.zeros((2, 2)), classes=rarest_classes(np.zeros((2, 2))), class_names=["a", "b"])


def test_a_sampler_by_the_rarest_label():
    rng = np.random.default_rng(0)
    labels = rng.random((200, 3)) < [0.5, 0.2, 0.05]
    sampler = ArraySampler(
        np.arange(200), labels, classes="rarest", class_names=["a", "b", "c"], batch_size=40, epoch_size=400, seed=0
    )
    assert sampler.class_names == ["a", "b", "c", "none"]
    classes = rarest_classes(labels)
    np.testing.assert_array_equal(sampler.class_counts, np.bincount(classes))
    batches = one_epoch(sampler)
    np.testing.assert_array_equal(rows_of(batches, 1), labels[rows_of(batches)])
    np.testing.assert_array_equal(np.bincount(classes[rows_of(batches)]), [100] * 4)
    with pytest.raises(ValueError, match=r"`y` must be one-hot.*classes='rarest'"):
        ArraySampler(np.arange(200.0), labels)


# reports of text


@quick
@given(st.lists(st.tuples(*[st.sampled_from(["cat", "dog", "eel"])] * 2), min_size=1, max_size=30))
def test_reports_of_text_are_those_of_scikit_learn(pairs):
    truth, decided = (list(part) for part in zip(*pairs, ("ant", "cat"), strict=True))
    theirs = oracle.classification_report(truth, decided, output_dict=True, zero_division=0)
    for form in (list, np.array, pd.Series, lambda words: pd.Series(words, dtype="category")):
        ours = classification_report(form(truth), form(decided)).to_dict()["classes"]
        assert set(ours) == set(truth) | set(decided)
        for name, scores in ours.items():
            np.testing.assert_allclose(scores["recall"], theirs[name]["recall"])
            np.testing.assert_allclose(scores["support"], theirs[name]["support"])


def test_reports_of_text_beside_probabilities():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.7, 0.1]])
    truth = ["eel", "cat", "dog"]
    report = classification_report(truth, probabilities, class_names=["eel", "dog", "cat"])
    assert report.class_names == ["eel", "dog", "cat"]
    np.testing.assert_array_equal(report.confusion, np.eye(3))
    for y_true, names, message in (
        (
            ["eel", "cat", "cow"],
            ["eel", "dog", "cat"],
            r"`class_names` must hold every name in `y_true`, \['cow'\] too",
        ),
        (["eel", "cat", "cat"], ["eel", "cat"], "`class_names` must be for 3 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            classification_report(y_true, probabilities, class_names=names)


@pytest.mark.parametrize(
    "count", [count_classes, lambda labels, **names: ArraySampler(X, labels, **names).class_counts]
)
def test_names_of_which_the_rarer_sorts_first_are_warned_of(count):
    """A sigmoid then speaks for the frequent class: of "fraud" and "ok" for "ok"."""
    labels = np.where(np.arange(len(X)) < 2, "fraud", "ok")
    with pytest.warns(UserWarning, match=r"'fraud', the rarer class, is 0.*class_names=\['ok', 'fraud'\]"):
        assert count(labels).tolist() == [2, len(X) - 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count(labels, class_names=["ok", "fraud"]).tolist() == [len(X) - 2, 2]
        assert count(labels, class_names=["fraud", "ok"]).tolist() == [2, len(X) - 2]
        assert count(np.where(labels == "ok", "a", "b")).tolist() == [len(X) - 2, 2]
