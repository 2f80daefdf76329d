"""Nearest rows: scikit-learn and plain float64 differences as oracles, on easy data and on data that float32 gets wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from keras_imbalance.sampling import neighbors
from keras_imbalance.sampling.neighbors import Rows, check_features, k_nearest, nearest_rows

quick = settings(max_examples=40)


def squared(x):
    """All squared distances by differences, float64; a row is infinitely far from itself."""
    x = np.asarray(x, dtype=np.float64)
    distances = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances


def two_clusters(rng):
    """Spacing 1e-3 within a cluster, 1e6 between them: float32 sees one point twice."""
    return rng.normal(size=(120, 4)) * 1e-3 + 1e6 * (np.arange(120) % 2)[:, None]


DATA = {
    "normal": lambda rng: rng.normal(size=(300, 10)),
    "one feature": lambda rng: rng.normal(size=(200, 1)),
    "float32": lambda rng: rng.normal(size=(300, 10)).astype("float32"),
    "offset 1e6": lambda rng: rng.normal(size=(300, 10)) + 1e6,
    "offset 1e6 in float32": lambda rng: (rng.normal(size=(300, 10)) + 1e6).astype("float32"),
    "two scales": lambda rng: rng.normal(size=(200, 3)) * [1e6, 1.0, 1e-6],
    "two clusters": two_clusters,
    "integers with ties": lambda rng: rng.integers(0, 3, (200, 4)).astype(float),
    "all equal": lambda rng: np.ones((30, 3)),
}


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("k", [1, 5, 29])
def test_k_nearest_are_as_near_as_those_of_scikit_learn(kind, k):
    x = DATA[kind](np.random.default_rng(0))
    found = k_nearest(Rows(x), k)
    assert found.shape == (len(x), k)
    assert (found != np.arange(len(x))[:, None]).all()
    assert (np.diff(np.sort(found, axis=1), axis=1) > 0).all()
    wide = np.asarray(x, dtype=np.float64)
    oracle = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(wide)
    expected = oracle.kneighbors(return_distance=False)
    distances = squared(x)
    np.testing.assert_array_equal(
        np.take_along_axis(distances, found, axis=1), np.sort(np.take_along_axis(distances, found, axis=1), axis=1)
    )
    np.testing.assert_allclose(
        np.take_along_axis(distances, found, axis=1),
        np.sort(np.take_along_axis(distances, expected, axis=1), axis=1),
        rtol=1e-9,
    )
    if kind == "normal":
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("tile", [1000, 100, 7, 1])
@pytest.mark.parametrize("kind", DATA)
def test_nearest_rows_are_all_that_are_nearest(kind, tile, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK_BYTES", 4 * tile * 37)  # several blocks, the last one smaller
    monkeypatch.setattr(neighbors, "TILE", tile)
    x = DATA[kind](np.random.default_rng(1))
    queries = np.arange(0, len(x), 3)
    rows = Rows(x)
    query, neighbor, distance = nearest_rows(rows, queries)
    distance = distance * rows.unit**2
    distances = squared(x)[queries]
    smallest = distances.min(axis=1)
    pairs = dict.fromkeys(queries.tolist(), ())
    for a, b, d in zip(query.tolist(), neighbor.tolist(), distance, strict=True):
        pairs[a] = (*pairs[a], b)
        np.testing.assert_allclose(d, smallest[a // 3], rtol=1e-12)
    for i, row in enumerate(queries.tolist()):
        # The oracle sums in another order: what lies within its rounding may be a tie or not.
        surely, possibly = (np.flatnonzero(distances[i] <= smallest[i] * (1 + r)) for r in (-1e-14, 1e-14))
        assert set(surely) <= set(pairs[row]) <= set(possibly)
        assert pairs[row]


@quick
@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 4), st.sampled_from([0, 1e6, -3e5]), st.integers(0, 10**6))
def test_ties_among_whole_numbers_are_exact(number, features, values, offset, seed):
    x = np.random.default_rng(seed).integers(0, values, (number + 1, features)) + offset
    rows = Rows(x)
    query, neighbor, distance = nearest_rows(rows, np.arange(len(x)))
    distance = distance * rows.unit**2
    distances = squared(x)
    expected = np.argwhere(distances == distances.min(axis=1, keepdims=True))
    order = np.lexsort((neighbor, query))
    np.testing.assert_array_equal(np.stack([query, neighbor], axis=1)[order], expected)
    np.testing.assert_array_equal(distance[order], distances[tuple(expected.T)])


def test_no_query_no_answer():
    for part in nearest_rows(Rows(np.ones((3, 2))), np.empty(0, dtype=np.int64)):
        assert len(part) == 0


def test_features_are_flattened_and_checked():
    assert check_features(np.zeros((4, 3, 2), dtype="uint8")).shape == (4, 6)
    for bad in (np.array([["a"]]), np.zeros(3), np.zeros((2, 2), dtype=complex), np.array([[None]])):
        with pytest.raises(ValueError, match=r"`x` must be numbers of shape \(N, D\)"):
            check_features(bad)
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"`features` must be finite.* row 2"):
            check_features(np.array([[0.0], [1.0], [value]]), "features")
