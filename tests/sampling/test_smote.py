"""SMOTE in the pipeline: scikit-learn's neighbours as the oracle of where new points may lie."""

import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from sklearn.neighbors import NearestNeighbors

from keras_imbalance import SMOTE, ArraySampler
from keras_imbalance._keras import keras

COUNTS = (60, 12, 4)


def labelled(counts=COUNTS, shape=(3,), dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return (rng.normal(size=(len(labels), *shape)) + 10 * labels.reshape(-1, *[1] * len(shape))).astype(dtype), labels


def one_epoch(sampler):
    """All features (a flat list of leaves) and labels of one epoch."""
    batches = [(tf.nest.flatten(batch[0]), batch[1]) for batch in sampler.dataset().as_numpy_iterator()]
    leaves = [np.concatenate(parts) for parts in zip(*(leaves for leaves, _ in batches), strict=True)]
    return leaves, np.concatenate([labels for _, labels in batches])


def split(made, own):
    """Rows of `own` that each row of `made` equals, and the rows of `made` that equal none."""
    equal = (made.reshape(len(made), 1, -1) == own.reshape(1, len(own), -1)).all(axis=2)
    return np.flatnonzero(equal.any(axis=0)), equal.sum(axis=0), made[~equal.any(axis=1)]


def off_segment(points, own, k):
    """How far each point lies from the nearest segment between a row and one of its k nearest rows, and where on it."""
    points, own = (np.asarray(part, np.float64).reshape(len(part), -1) for part in (points, own))
    near = NearestNeighbors(n_neighbors=k).fit(own).kneighbors(return_distance=False)
    start, end = own[np.repeat(np.arange(len(own)), k)], own[near.reshape(-1)]
    step = end - start
    u = np.einsum("psd,sd->ps", points[:, None] - start, step) / (step**2).sum(axis=1)
    distance = np.linalg.norm(start + u.clip(0, 1)[:, :, None] * step - points[:, None], axis=2)
    best = distance.argmin(axis=1)
    return distance.min(axis=1), u[np.arange(len(points)), best]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((3,), "float32"), ((3,), "float64"), ((3,), "float16"), ((4, 5, 2), "float32"), ((6, 2), "float32")],
)
@pytest.mark.parametrize("k", [1, 5])
def test_new_points_lie_between_a_row_and_a_near_row_of_its_class(shape, dtype, k):
    x, y = labelled(shape=shape, dtype=dtype)
    sampler = ArraySampler(x, y, batch_size=12, epoch_size=1200, smote=SMOTE(k), seed=0)
    (features,), labels = one_epoch(sampler)
    assert features.dtype == x.dtype
    assert features.shape == (1200, *shape)
    for label, number in enumerate(COUNTS):
        own = x[y == label]
        kept, times, made = split(features[labels == label], own)
        np.testing.assert_array_equal(kept, np.arange(number))
        assert len(made) >= 400 - number - (20 if dtype == "float16" else 0)
        if dtype != "float16":
            assert (times == 1).all()
        distance, u = off_segment(made, own, min(k, number - 1))
        assert distance.max() < (0.1 if dtype == "float16" else 1e-5)
        if k == 1 and dtype != "float16":
            # One neighbour: the place on the segment is known up to its direction.
            folded = np.minimum(u, 1 - u) * 2
            assert stats.kstest(folded, "uniform").pvalue > 1e-4


def test_all_near_rows_are_neighbours_equally_often():
    x, y = labelled((60, 6))
    sampler = ArraySampler(x, y, batch_size=100, epoch_size=6000, target=[0, 1], smote=SMOTE(5), seed=0)
    (features,), _ = one_epoch(sampler)
    own = x[y == 1].astype(np.float64)
    _, _, made = split(features, x[y == 1])
    a, b = np.triu_indices(6, 1)
    step = own[b] - own[a]
    u = np.einsum("psd,sd->ps", made[:, None] - own[a], step) / (step**2).sum(axis=1)
    pair = np.linalg.norm(own[a] + u[:, :, None] * step - made[:, None], axis=2).argmin(axis=1)
    assert stats.chisquare(np.bincount(pair, minlength=15)).pvalue > 1e-4
    assert stats.kstest(u[np.arange(len(u)), pair], "uniform").pvalue > 1e-4


@pytest.mark.parametrize("exact", [True, False])
def test_each_epoch_has_every_own_row_once_and_new_points(exact):
    x, y = labelled()
    sampler = ArraySampler(x, y, batch_size=16, epoch_size=240, exact=exact, smote=SMOTE(), seed=0)
    made = []
    for _ in range(3):
        (features,), labels = one_epoch(sampler)
        for label in (0, 1, 2):
            _, times, new = split(features[labels == label], x[y == label])
            assert (times == 1).all()
            assert len(new) == (labels == label).sum() - COUNTS[label]
            made.append(new)
    made = np.concatenate(made)
    assert len(np.unique(made, axis=0)) == len(made)


def test_a_class_drawn_less_than_its_rows_gets_no_new_point():
    x, y = labelled()
    sampler = ArraySampler(x, y, batch_size=20, smote=SMOTE(), seed=0)
    seen = np.zeros(60)
    for _ in range(3):
        (features,), labels = one_epoch(sampler)
        _, times, new = split(features[labels == 0], x[y == 0])
        assert len(new) == 0
        seen += times
    assert seen.sum() >= 75
    assert set(seen) == {1, 2}


def test_passes_cover_the_rows_across_changes_of_the_distribution():
    """Rows are drawn as without SMOTE: each once before any twice; what goes beyond their number in an epoch is new."""
    x, y = labelled()
    sampler = ArraySampler(x, y, batch_size=16, epoch_size=96, smote=SMOTE(), seed=0)
    seen = np.zeros(12, dtype=int)
    for share in (5 / 96, 1 / 4, 7 / 96, 1 / 2):
        sampler.target = {1: share, 2: 0.25}
        (features,), labels = one_epoch(sampler)
        _, times, new = split(features[labels == 1], x[y == 1])
        assert len(new) == max((labels == 1).sum() - 12, 0)
        seen += times
        assert seen.max() - seen.min() <= 1
    assert seen.sum() == 5 + 12 + 7 + 12


def test_seeds():
    x, y = labelled()

    def points(seed=0, smote_seed=None):
        return one_epoch(ArraySampler(x, y, batch_size=16, epoch_size=240, smote=SMOTE(seed=smote_seed), seed=seed))[0][
            0
        ]

    np.testing.assert_array_equal(points(), points())
    assert not np.array_equal(points(0), points(1))
    other = points(0, 9)
    assert not np.array_equal(points(0), other)
    drawn = (points()[:, None] == x[None]).all(axis=2).any(axis=1)
    np.testing.assert_array_equal(points()[drawn], other[drawn])


@pytest.mark.parametrize("number", [2, 3, 5, 6])
def test_a_class_with_no_more_rows_than_neighbours_uses_those_it_has(number):
    x, y = labelled((40, number))
    sampler = ArraySampler(x, y, batch_size=10, smote=SMOTE(5), epoch_size=200, seed=0)
    (features,), labels = one_epoch(sampler)
    _, times, made = split(features[labels == 1], x[y == 1])
    assert (times == 1).all()
    assert off_segment(made, x[y == 1], number - 1)[0].max() < 1e-5


def test_rows_that_are_all_equal_give_that_row():
    x, y = labelled((20, 4))
    x[y == 1] = 7
    (features,), labels = one_epoch(ArraySampler(x, y, batch_size=10, smote=SMOTE(), seed=0))
    assert (features[labels == 1] == 7).all()


def test_a_class_of_one_row_cannot_be_oversampled_whenever_that_is_asked():
    x, y = labelled((40, 8, 1))
    message = "`smote` must be None .* class of one row.*a share of at most"
    with pytest.raises(ValueError, match=message):
        ArraySampler(x, y, smote=SMOTE(), seed=0)
    sampler = ArraySampler(x, y, target="natural", smote=SMOTE(), seed=0)
    for wrong in ([0.4, 0.3, 0.3], [0, 0, 1]):
        with pytest.raises(ValueError, match=message):
            sampler.target = wrong
    with pytest.raises(ValueError, match=message):
        sampler.target = "balanced"
    with pytest.raises(ValueError, match=message):
        sampler.load_state_dict({**sampler.state_dict(), "target": [0.2, 0.2, 0.6]})
    np.testing.assert_allclose(sampler.distribution, np.array([40, 8, 1]) / 49)
    sampler.target = [0.5, 0.5, 0]
    (features,), labels = one_epoch(sampler)
    assert set(labels) == {0, 1}
    assert np.isfinite(features).all()


def test_categorical_columns_hold_a_category_of_the_neighbour():
    rng = np.random.default_rng(0)
    x, y = labelled((200, 30), (4,))
    x[:, 1], x[:, 3] = rng.integers(0, 4, 230), rng.choice([2.5, 70.0], 230)
    smote = SMOTE(3, categorical=[1, 3])
    (features,), labels = one_epoch(ArraySampler(x, y, batch_size=20, epoch_size=800, smote=smote, seed=0))
    own = x[y == 1]
    _, _, made = split(features[labels == 1], own)
    assert len(made) == 370
    assert set(made[:, 1]) <= set(own[:, 1])
    assert set(made[:, 3]) <= {2.5, 70.0}


def test_bases_come_in_turn_and_the_category_is_the_neighbours():
    """On 0, 1, 3, 7, 15, 31 the nearest of each but the first is the one before: a place tells its base and neighbour."""
    places = 2.0 ** np.arange(6) - 1
    x = np.concatenate([np.stack([places, 10.0 + np.arange(6)], axis=1), np.zeros((50, 2)) - 5])
    y = np.repeat([1, 0], [6, 50])
    smote = SMOTE(1, categorical=[1])
    sampler = ArraySampler(x, y, batch_size=15, epoch_size=150, target=[0.3, 0.7], smote=smote, seed=0)
    made = []
    for _ in range(3):
        (features,), labels = one_epoch(sampler)
        made.append(split(features[labels == 1], x[:6])[2])
        base = np.searchsorted(places, np.concatenate(made)[:, 0])
        times = np.bincount(base, minlength=6)[1:]
        # The first two rows are each other's nearest.
        bases = np.array([times[0] / 2, *times[1:]])
        assert bases.max() - bases.min() <= 1
        far = base > 1
        np.testing.assert_array_equal(np.concatenate(made)[far, 1], 10 + base[far] - 1)
    assert len(np.concatenate(made)) == 3 * 99


def test_a_category_counts_as_the_median_spread_of_the_others():
    """Two rows at the spread's distance in the plain columns and one that differs in a category alone: the nearer is found."""
    x = np.array([[0, 0, 0], [0.9, 0, 0], [0, 0, 1], [-5, 1, 2], [5, -1, 3]], dtype="float64")
    spread = np.median(x[:, :2].std(axis=0))
    x[1, 0] = spread * 0.99
    synthesizer = ArraySampler(
        np.concatenate([x, x + 50]), np.repeat([0, 1], 5), smote=SMOTE(1, categorical=[2]), seed=0
    )._feed.synthesizer
    spread = np.median(x[:, :2].std(axis=0))
    expected = 1 if x[1, 0] < spread else 2
    assert synthesizer.neighbors_of(0)[0].tolist() == [expected]
    features = synthesizer.features(np.arange(5))
    np.testing.assert_allclose(np.linalg.norm(features[0] - features[2]), spread, rtol=1e-12)


def test_nests_go_to_the_same_neighbour_by_the_same_part():
    x, y = labelled(shape=(2,))
    inputs = {"a": x, "b": (x[:, 0].astype("float64"), np.repeat(x[:, :, None], 3, axis=2))}
    sampler = ArraySampler(inputs, y, batch_size=12, epoch_size=240, smote=SMOTE(), seed=0)
    (a, first, repeated), labels = one_epoch(sampler)
    assert (a.dtype, first.dtype, repeated.shape) == (np.float32, np.float64, (240, 2, 3))
    np.testing.assert_allclose(first, a[:, 0], rtol=1e-5)
    np.testing.assert_allclose(repeated, np.repeat(a[:, :, None], 3, axis=2), rtol=1e-5)
    _, _, made = split(a[labels == 2], x[y == 2])
    assert len(made) == 76
    assert off_segment(made, x[y == 2], 3)[0].max() < 1e-5


def test_labels_and_weights_are_those_of_the_class_and_the_row():
    x, y = labelled()
    weights = (y + 1).astype("float32")
    sampler = ArraySampler(x, np.eye(3)[y], weights, batch_size=12, epoch_size=240, smote=SMOTE(), seed=0)
    for features, labels, weight in sampler.dataset().as_numpy_iterator():
        np.testing.assert_array_equal(labels.argmax(axis=1), np.round(features.mean(axis=1) / 10).clip(0, 2))
        np.testing.assert_array_equal(weight, labels.argmax(axis=1) + 1)


def test_extreme_features_stay_finite():
    x, y = labelled((20, 4), dtype="float16")
    x[y == 1] = np.array([[-6e4], [6e4], [-5e4], [5e4]], dtype="float16")
    (features,), labels = one_epoch(ArraySampler(x, y, batch_size=10, epoch_size=200, smote=SMOTE(), seed=0))
    assert np.isfinite(features).all()
    assert np.abs(features[labels == 1]).max() <= 6e4


def test_the_arrays_stay_as_they_are():
    x, y = labelled()
    before = x.copy()
    one_epoch(ArraySampler(x, y, epoch_size=500, smote=SMOTE(), seed=0))
    np.testing.assert_array_equal(x, before)


def test_state_continues_with_the_points_that_would_have_come():
    x, y = labelled()
    arguments = {"batch_size": 16, "epoch_size": 240, "seed": 3}
    sampler = ArraySampler(x, y, smote=SMOTE(), **arguments)
    one_epoch(sampler)
    sampler.target = [0.2, 0.3, 0.5]
    one_epoch(sampler)
    state = json.loads(json.dumps(sampler.state_dict()))
    resumed = ArraySampler(x, y, smote=SMOTE(), **arguments)
    resumed.load_state_dict(state)
    assert resumed.exposure_report() == sampler.exposure_report()
    for _ in range(2):
        (expected,), labels = one_epoch(sampler)
        (features,), others = one_epoch(resumed)
        np.testing.assert_array_equal(features, expected)
        np.testing.assert_array_equal(labels, others)


def test_fit_on_images():
    x, y = labelled(shape=(4, 4, 1))
    sampler = ArraySampler(x, y, batch_size=16, smote=SMOTE(), seed=0)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(sampler.dataset(), epochs=2, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    shares = 2 * sampler.epoch_rows / 3  # places of each class in two epochs, to within a row an epoch
    for part in sampler.exposure_report().values():
        assert abs(part["synthetic"] - max(0, shares - 2 * part["rows"])) < 2
