"""Tomek links: the definition, by all N x N distances, as the oracle; imbalanced-learn where data have no ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import EditedNearestNeighbours, TomekLinks

from keras_imbalance import ArraySampler, tomek_keep_indices, tomek_links
from keras_imbalance._keras import keras

quick = settings(max_examples=150)


def links_by_definition(x, y):
    """y_i != y_j and no z with d(i, z) < d(i, j) or d(j, z) < d(i, j); squared distances of whole numbers are exact."""
    x, y = np.asarray(x, dtype=np.float64).reshape(len(x), -1), np.asarray(y)
    distances = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.min(axis=1)
    linked = (distances == nearest[:, None]) & (distances == nearest[None]) & (y[:, None] != y[None])
    return np.argwhere(np.triu(linked))


@st.composite
def rows_with_ties(draw):
    number, features = draw(st.integers(2, 60)), draw(st.integers(1, 4))
    classes, values = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    offset = draw(st.sampled_from([0, 1e6, -1e6]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    x = rng.integers(0, values, (number, features)) + offset
    x = np.concatenate([x, x[rng.integers(0, number, draw(st.integers(0, 20)))]])
    shares = rng.dirichlet(np.full(classes, 0.7))
    return x.astype(draw(st.sampled_from(["float32", "float64"]))), rng.choice(classes, len(x), p=shares)


@quick
@given(rows_with_ties())
def test_links_are_those_of_the_definition(rows):
    x, y = rows
    links = tomek_links(x, y)
    assert links.dtype == np.int64
    np.testing.assert_array_equal(links, links_by_definition(x, y))


def continuous(number=2000, features=10, shares=(0.7, 0.2, 0.1)):
    rng = np.random.default_rng(0)
    return rng.normal(size=(number, features)), rng.choice(len(shares), number, p=shares)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.7, 0.2, 0.1)])
@pytest.mark.parametrize(
    ("remove", "strategy"), [("majority", "majority"), ("both", "all"), ("not_minority", "not minority")]
)
def test_on_continuous_data_the_kept_rows_are_those_of_imbalanced_learn(remove, strategy, shares, dtype):
    x, y = continuous(shares=shares)
    x = x.astype(dtype)
    cleaner = TomekLinks(sampling_strategy=strategy)
    cleaner.fit_resample(x, y)
    kept = tomek_keep_indices(x, y, remove=remove)
    np.testing.assert_array_equal(kept, np.sort(cleaner.sample_indices_))
    assert len(kept) < len(x)


@pytest.mark.parametrize("offset", [0, 1e6, 1e8])
def test_a_large_offset_changes_nothing(offset):
    """Steps of 2^-20 near the offset are exact in float64 and lost in float32."""
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 2**20, (300, 3)) / 2**20, rng.choice(2, 300, p=[0.8, 0.2])
    np.testing.assert_array_equal(tomek_links(x + offset, y), links_by_definition(x, y))


def test_features_of_very_different_scales():
    x, y = continuous(400, 4)
    x = x * [1e6, 1, 1, 1e-6]
    np.testing.assert_array_equal(tomek_links(x, y), links_by_definition(x, y))


def test_far_clusters_of_close_rows():
    """Within a cluster float32 sees one point; the links are there all the same."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 50, (200, 2)) / 1024 + 2**20 * (np.arange(200) % 2)[:, None]
    y = rng.choice(2, 200, p=[0.8, 0.2])
    np.testing.assert_array_equal(tomek_links(x, y), links_by_definition(x, y))


@pytest.mark.parametrize(
    ("x", "y", "links"),
    [
        ([[0.0], [1.0]], [0, 1], [[0, 1]]),
        ([[0.0], [0.0]], [0, 1], [[0, 1]]),
        ([[0.0], [1.0]], [0, 0], []),
        ([[0.0], [1.0]], [1, 1], []),
        ([[3.0]], [0], []),
        ([[0.0], [0.0], [0.0], [5.0]], [0, 1, 1, 0], [[0, 1], [0, 2]]),
        ([[0.0], [1.0], [2.0]], [0, 1, 0], [[0, 1], [1, 2]]),
        ([[0.0], [1.0], [1.5]], [0, 1, 1], []),
    ],
)
def test_small_cases(x, y, links):
    np.testing.assert_array_equal(tomek_links(x, y), np.reshape(links, (-1, 2)))


def test_many_exact_duplicates_of_both_classes():
    x, y = np.zeros((40, 3)), np.arange(40) % 4 // 3
    np.testing.assert_array_equal(tomek_links(x, y), links_by_definition(x, y))
    assert len(tomek_links(x, y)) == 300


def test_what_is_removed():
    x, y = np.array([[0.0], [1.0], [10.0], [11.0], [20.0], [21.0], [40.0], [60.0], [90.0]]), [0, 1, 1, 2, 2, 0, 0, 0, 1]
    np.testing.assert_array_equal(tomek_links(x, y), [[0, 1], [2, 3], [4, 5]])
    np.testing.assert_array_equal(tomek_keep_indices(x, y), [1, 2, 3, 4, 6, 7, 8])
    np.testing.assert_array_equal(tomek_keep_indices(x, y, remove="both"), [6, 7, 8])
    np.testing.assert_array_equal(tomek_keep_indices(x, y, remove="not_minority"), [3, 4, 6, 7, 8])


def test_every_form_of_rows_and_labels():
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 9, (60, 3, 4), dtype="uint8"), rng.choice(3, 60, p=[0.6, 0.3, 0.1])
    expected = links_by_definition(images, y)
    assert len(expected)
    for x in (images, images[..., None], images.reshape(60, 12).astype("float16"), images.tolist()):
        for labels in (y, y[:, None], np.eye(3)[y], y.astype(float)):
            np.testing.assert_array_equal(tomek_links(x, labels), expected)


def test_labels_may_leave_numbers_out():
    x, y = continuous(200)
    np.testing.assert_array_equal(tomek_links(x, y * 5), tomek_links(x, y))
    np.testing.assert_array_equal(
        tomek_keep_indices(x, y * 5, remove="not_minority"), tomek_keep_indices(x, y, remove="not_minority")
    )


def test_any_cleaner_of_imbalanced_learn_runs_before_the_sampler():
    x, y = continuous()
    cleaner = EditedNearestNeighbours(sampling_strategy="majority")
    cleaned_x, cleaned_y = cleaner.fit_resample(x, y)
    sampler = ArraySampler(cleaned_x, cleaned_y, batch_size=30, seed=0)
    np.testing.assert_array_equal(sampler.class_counts, np.bincount(y[cleaner.sample_indices_]))
    for _, labels in sampler.dataset().take(3):
        np.testing.assert_array_equal(np.bincount(labels), [10, 10, 10])


def test_links_in_the_embedding_space_of_a_model():
    x, y = continuous(300, 4)
    embed = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, activation="tanh")])
    embedded = embed.predict(x, verbose=0)
    kept = tomek_keep_indices(embedded, y)
    cleaner = TomekLinks(sampling_strategy="majority")
    cleaner.fit_resample(embedded.astype("float64"), y)
    np.testing.assert_array_equal(kept, np.sort(cleaner.sample_indices_))
    sampler = ArraySampler(x[kept], y[kept], batch_size=30, seed=0)
    np.testing.assert_array_equal(sampler.class_counts, np.bincount(y[kept]))


@pytest.mark.parametrize("scale", [1e-25, 1e18, 1e25, 1e160])
def test_links_do_not_depend_on_the_unit(scale):
    x, y = np.random.default_rng(1).normal(size=(60, 3)), np.random.default_rng(2).integers(0, 2, 60)
    np.testing.assert_array_equal(tomek_links(x * scale, y), tomek_links(x, y))
