"""Splits hold every row once, by class and by group, and data that have no single class a row are refused."""

import numpy as np
import pandas as pd
import pytest
from kerases import keras_3_only
from sklearn.model_selection import GroupKFold, StratifiedKFold

from keras_imbalance import ArraySampler
from keras_imbalance.comparison.rows import data_of, take
from keras_imbalance.comparison.splits import given_data, make_splits

pytestmark = keras_3_only("compare_methods needs Keras 3")
KFOLD = StratifiedKFold(4, shuffle=True, random_state=0)
Y = np.repeat([0, 1, 2], [60, 30, 10])
X = np.arange(100.0)[:, None]


def splits_of(splits=3, groups=None, validation=0.2, test=0.2, seed=0, y=Y):
    return make_splits(data_of(X, y), splits, groups, validation, test, seed)


@pytest.mark.parametrize("splits", [3, StratifiedKFold(4, shuffle=True, random_state=0)])
def test_every_row_is_in_one_part_and_every_class_has_its_share(splits):
    for split in splits_of(splits):
        parts = (split.train, split.validation, split.test)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(100))
        for part in parts:
            np.testing.assert_allclose(np.bincount(Y[part], minlength=3) / len(part), [0.6, 0.3, 0.1], atol=0.04)
        assert len(split.validation) == 20


def test_the_same_seed_gives_the_same_splits_and_more_of_them_begin_alike():
    for one, other in zip(splits_of(2), splits_of(4), strict=False):
        np.testing.assert_array_equal(one.test, other.test)
        np.testing.assert_array_equal(one.train, other.train)
    assert not np.array_equal(splits_of(2)[0].test, splits_of(2, seed=1)[0].test)


@pytest.mark.parametrize("splits", [4, GroupKFold(4)])
def test_no_group_is_in_two_parts(splits):
    groups = np.arange(100) // 2 % 25
    for split in splits_of(splits, groups=groups):
        found = [set(groups[part]) for part in (split.train, split.validation, split.test)]
        assert sum(map(len, found)) == len(set.union(*found)) == 25


def test_a_bool_for_each_row_is_a_part():
    in_test = np.arange(100) % 4 == 0
    (split,) = splits_of([(~in_test, in_test)])
    np.testing.assert_array_equal(split.test, np.flatnonzero(in_test))


@pytest.mark.parametrize("labels", [list, lambda names: pd.DataFrame({"y": names})])
def test_given_parts_become_one_with_the_rows_of_each(labels):
    frames = [pd.DataFrame({"a": [1.0, 2.0], "b": ["u", "v"]}), pd.DataFrame({"a": [3.0], "b": ["u"]})]
    given = {"train": (frames[0], ["no", "yes"]), "validation": (frames[1], ["no"]), "test": (frames[1], ["yes"])}
    data, split = given_data({name: (x, labels(y)) for name, (x, y) in given.items()})
    np.testing.assert_array_equal(take(data.x, split.train)["b"], ["u", "v"])
    np.testing.assert_array_equal(data.y, [0, 1, 0, 1])
    assert data.class_names == ["no", "yes"]
    assert split.test.tolist() == [3]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: data_of(X, np.zeros((100, 4, 4), int)), "`y` must hold at least two classes"),
        (lambda: data_of(X, np.full((100, 3), 0.5)), "For several labels a row pass multi_label=True"),
        (lambda: data_of(X, {"a": Y, "b": Y}), "`y` must hold the labels of one output"),
        (lambda: data_of(X[:9], Y), "`x` must have as many rows as y, 100"),
        (lambda: data_of(X, np.zeros(100, int)), "`y` must hold at least two classes"),
        (lambda: data_of(X, Y + 1), r"`y` must hold rows of every class.*none of class \[0\].*numpy.unique"),
        (lambda: data_of(X, Y.reshape(100, 1, 1) * [[[0, 255]]]), "`y` must hold rows of every class.*`ignore_class`"),
        (lambda: splits_of(groups=[None, *range(99)]), "`groups` must hold no missing values.*first in row 0"),
        (lambda: splits_of(groups=[np.nan, *range(99)]), "`groups` must hold no missing values.*1 missing of 100"),
        (lambda: splits_of(0), "`splits` must be a whole number"),
        (lambda: splits_of("five"), "`splits` must be a number, a scikit-learn splitter"),
        (lambda: splits_of(test=0.9), "`test` must be a finite number"),
        (lambda: splits_of(groups=[1, 2]), "`groups` must hold one group for each of 100 rows"),
        (lambda: splits_of(y=np.repeat([0, 1], [99, 1])), "`test` must be a share in which the classes can be divided"),
        (lambda: splits_of([(np.arange(70), np.arange(70, 100))]), "`y` must leave training rows of every class"),
        (lambda: splits_of([(np.arange(100), np.arange(0, 100, 2))]), "50 rows in both parts of split 1"),
        (lambda: splits_of([(np.arange(60), np.arange(60, 101))]), "row numbers from 0 to 99"),
        (lambda: splits_of([(np.arange(60).repeat(2), np.arange(60, 100))]), "different row numbers"),
        (lambda: splits_of([(np.arange(60) / 2, np.arange(60, 100))]), "row numbers from 0 to 99"),
        (lambda: splits_of(KFOLD, groups=np.arange(100) // 4), "`splits` must keep each of `groups` in one part"),
    ],
)
def test_what_cannot_be_divided_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def given(**changed):
    """Three parts of 20 rows of two classes; `changed` by the name of the part."""
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    return {**dict.fromkeys(("train", "validation", "test"), (x, y)), **changed}


FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (given(train=(np.zeros((9, 2)), np.zeros(9, int))), r"`train` must hold rows of every class.*none of \['1'\]"),
        (
            given(validation=(np.zeros((2, 3)), [0, 1])),
            r"`validation` must hold rows like those of train.*x: numbers of shape \(N, 3\); in train.*\(N, 2\)",
        ),
        (given(test=({"a": np.zeros(2)}, [0, 1])), r"`test` must hold rows like.*x: nothing; in train: numbers"),
        (
            given(test=(np.zeros((2, 2)), np.eye(2))),
            r"`test`.*y: numbers of shape \(N, 2\); in train: numbers of shape \(N,\)",
        ),
        (given(validation=(np.zeros((2, 2)), ["a", "b"])), "`validation`.*y: text of shape .*in train: numbers"),
        (
            given(test=(np.zeros((2, 2)), [0, 1, 1])),
            "`test` must hold rows, in x as many as in y. Received: 2 and 3 rows",
        ),
        (given(test=(np.zeros((0, 2)), np.zeros(0, int))), "`test` must hold rows.*0 rows"),
        (
            given(train=(FRAME, [0, 1]), validation=(FRAME, [0, 1]), test=(FRAME[["b", "a"]], [0, 1])),
            r"`test`.*in the columns \['b', 'a'\]; in train.*\['a', 'b'\]",
        ),
    ],
)
def test_given_parts_that_do_not_go_together_are_refused(parts, said):
    with pytest.raises(ValueError, match=said):
        given_data(parts)


def test_a_column_name_and_missing_labels_say_what_to_do():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "label": ["u", None, "v"]})
    with pytest.raises(ValueError, match=r"`y` must be an array.*Pass the column itself, as frame\['label'\]"):
        data_of(frame[["a"]], "label")
    for call in (lambda y: data_of(frame[["a"]], y), lambda y: ArraySampler(frame[["a"]], y, batch_size=2)):
        for y in (["u", None, "v"], np.array(["u", np.nan, "v"], object), frame["label"].astype("string")):
            with pytest.raises(ValueError, match=r"`y` must hold no missing values. Received: 1 missing of 3.*row 1"):
                call(y)
    with pytest.raises(ValueError, match="Leave out rows without a label"):
        data_of(frame[["a"]], np.array([0, np.nan, 1]))
