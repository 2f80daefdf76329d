"""SMOTE where y is not the class itself, and SMOTE-NC on columns: imbalanced-learn and linear targets as oracles."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTENC

from keras_imbalance import SMOTE, ArraySampler
from keras_imbalance.sampling.smote import Synthesizer

RNG = np.random.default_rng(0)
CLASSES = np.repeat([0, 1], [40, 8])
X = RNG.normal(size=(48, 3))
SLOPES = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 0.25]])
TARGETS = X @ SLOPES
SOFT = np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)
BOXES = np.where(RNG.random((48, 4, 4)) < 0.5, 1, 0)


def epoch_of(y, classes=CLASSES, x=X, epoch_size=160, **smote):
    sampler = ArraySampler(x, y, classes=classes, batch_size=16, epoch_size=epoch_size, smote=SMOTE(**smote), seed=0)
    return list(sampler.dataset().as_numpy_iterator())


def joined(batches, part):
    return np.concatenate([batch[part] for batch in batches])


@pytest.mark.parametrize(
    ("y", "name"),
    [
        (TARGETS, "y"),
        (TARGETS[:, 0], "y"),
        (SOFT, "y"),
        (BOXES, "y"),
        ({"class": CLASSES, "value": TARGETS}, r"y\['value'\]"),
        ((CLASSES, TARGETS), r"y\[1\]"),
        (np.array(["a", "b", "c"])[np.arange(48) % 3], "y"),
    ],
    ids=["targets", "one target", "soft", "masks", "dict", "tuple", "text"],
)
def test_a_y_that_differs_within_a_class_is_refused(y, name):
    with pytest.raises(
        ValueError, match=rf"`smote` must be None, or SMOTE\(targets='interpolate'\), .* differ in `{name}`.*class 0"
    ):
        epoch_of(y)


def test_a_y_that_follows_from_the_class_is_kept():
    """Groups finer than the label, one-hot labels, several outputs of one meaning: nothing has to move."""
    groups = np.arange(48) % 4
    y = {"label": groups // 2, "one_hot": np.eye(2)[groups // 2], "name": np.array(list("abcd"))[groups]}
    batches = epoch_of(y, classes=groups)
    for _, labels in batches:
        np.testing.assert_array_equal(labels["label"], labels["one_hot"].argmax(axis=1))
        np.testing.assert_array_equal(labels["label"], np.searchsorted([b"c"], labels["name"], side="right"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_interpolated_targets_stay_on_a_linear_map(dtype):
    batches = epoch_of((X @ SLOPES).astype(dtype), targets="interpolate")
    x, y = joined(batches, 0), joined(batches, 1)
    assert y.dtype == dtype
    made = ~(x[:, None] == X[None]).all(axis=2).any(axis=1)
    assert made.sum() == 160 - 48
    np.testing.assert_allclose(y, x @ SLOPES, atol=1e-5 if dtype == "float32" else 1e-12)
    assert not np.isin(y[made, 0], y[~made, 0]).any()


def test_interpolated_soft_labels_are_distributions_and_outputs_move_alike():
    batches = epoch_of({"soft": SOFT, "value": TARGETS, "class": CLASSES}, targets="interpolate")
    for x, y in batches:
        np.testing.assert_allclose(y["soft"].sum(axis=1), 1)
        np.testing.assert_allclose(y["value"], x @ SLOPES, atol=1e-12)
        assert set(y["class"]) <= {0, 1}


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (BOXES, "`y` must hold floats, for targets='interpolate'.*int64.*one-hot"),
        ({"b": TARGETS.astype(int)}, r"`y\['b'\]` must hold floats"),
        (np.where(np.arange(48) == 5, np.nan, TARGETS[:, 0]), "`y` must be finite.* row 5"),
    ],
)
def test_targets_that_have_nothing_between_them(y, message):
    with pytest.raises(ValueError, match=message):
        epoch_of(y, targets="interpolate")


def shop_frame():
    """Two numeric columns, one of text and one of numbers that are codes."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "turnover": rng.normal(size=60),
            "town": rng.choice(["Bonn", "Kiel", "Ulm"], 60),
            "area": rng.normal(size=60) * 3,
            "kind": rng.integers(0, 4, 60),
        }
    )


SHOP_CLASSES = np.repeat([0, 1], [40, 20])


def oracle_neighbours(frame, k):
    """The k nearest rows of class 1, within it, as imbalanced-learn's SMOTENC finds them."""
    smote = SMOTENC(["town", "kind"], k_neighbors=k, random_state=0)
    smote.fit_resample(frame, SHOP_CLASSES)
    return smote.nn_k_.kneighbors(return_distance=False)[:, :k]


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("form", ["dict", "frame", "codes"])
def test_neighbours_and_categories_are_those_of_imbalanced_learn(k, form):
    frame = shop_frame()
    near = oracle_neighbours(frame, k)
    if form == "codes":
        x, columns = frame.assign(town=np.unique(frame.town, return_inverse=True)[1]).to_numpy(dtype=float), list(frame)
        categories = [x[:, 1], x[:, 3]]
    else:
        x, columns = {name: frame[name].to_numpy() for name in frame}, None
        categories = [x["kind"], x["town"]]  # leaves of a dict come in the order of its keys
    smote = SMOTE(k, categorical=["town", "kind"])
    synthesizer = Synthesizer(smote, x, SHOP_CLASSES, [np.arange(40), np.arange(40, 60)], columns)
    np.testing.assert_array_equal(synthesizer.neighbors_of(1) - 40, near)
    donors = synthesizer.donors_of(1)
    for column, values in enumerate(categories):
        for row in range(20):
            found, votes = np.unique(values[40:][near[row]], return_counts=True)
            assert values[donors[row, column]] in found[votes == votes.max()]


def test_frames_with_text_are_drawn_from():
    frame = shop_frame()
    smote = SMOTE(categorical=["town", "kind"])
    sampler = ArraySampler(frame, SHOP_CLASSES, batch_size=20, epoch_size=200, smote=smote, seed=0)
    batches = list(sampler.dataset().as_numpy_iterator())
    rows = pd.DataFrame({name: np.concatenate([x[name] for x, _ in batches]) for name in frame})
    rows["town"] = rows["town"].str.decode("utf-8")
    labels = joined(batches, 1)
    own = rows.merge(frame, on=list(frame), how="left", indicator=True)["_merge"] == "both"
    assert [int((own & (labels == label)).sum()) for label in (0, 1)] == [40, 20]
    made = rows[~own & (labels == 1)]
    assert len(made) == 80
    assert set(made.town) <= set(frame.town[40:])
    assert set(made.kind) <= set(frame.kind[40:])
    assert made.turnover.between(frame.turnover[40:].min(), frame.turnover[40:].max()).all()


def test_names_and_positions_of_one_array_are_the_same():
    frame = shop_frame().drop(columns="town")
    by_name, by_position = (
        epoch_of(SHOP_CLASSES, None, frame, categorical=categorical) for categorical in (["kind"], [2])
    )
    for one, other in zip(by_name, by_position, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.parametrize(
    ("categorical", "x", "message"),
    [
        (["tow"], shop_frame(), "`categorical` must name arrays of x, .*Did you mean 'town'"),
        ([1], shop_frame(), "`categorical` must name arrays of x"),
        (["town"], shop_frame(), r"`x\['kind'\]` must hold floats, for `smote`.*int64.*categorical=\[...\]"),
        (["kind"], shop_frame(), r"`x\['town'\]` must hold floats, for `smote`.*dtype object"),
        (["kin"], shop_frame().drop(columns="town"), "`categorical` must be columns of x, .*Did you mean 'kind'"),
        (["kind"], np.zeros((60, 3)), "`categorical` must be columns of x"),
    ],
)
def test_categorical_columns_that_are_not_there(categorical, x, message):
    with pytest.raises(ValueError, match=message):
        ArraySampler(x, SHOP_CLASSES, smote=SMOTE(categorical=categorical))
