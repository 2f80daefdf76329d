"""How far members disagree, against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.stats
from ensembles import bag, labelled
from hypothesis import given
from hypothesis import strategies as st
from kerases import keras_3_only

from keras_imbalance.estimators import disagreement

pytestmark = keras_3_only("BalancedBagging refuses it")


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
def test_disagreement_equals_numpy_and_scipy(members, rows, channels, seed):
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.ones(channels), (members, rows)) if channels > 1 else rng.uniform(size=(members, rows, 1))
    both = values if channels > 1 else np.concatenate([1 - values, values], axis=-1)
    spread = np.sqrt(((both - both.mean(axis=0)) ** 2).mean(axis=0)).mean(axis=-1)
    np.testing.assert_allclose(disagreement(values), spread, atol=1e-12)
    for row in range(rows):
        votes = np.bincount(both[:, row].argmax(axis=-1), minlength=both.shape[-1]) / members
        entropy = scipy.stats.entropy(votes, base=both.shape[-1])
        np.testing.assert_allclose(disagreement(values, kind="vote_entropy")[row], entropy, atol=1e-12)


def test_disagreement_comes_from_the_members():
    x, y = labelled()
    bagging = bag(members=3)
    bagging.fit(x, y, verbose=0)
    predicted = bagging.predict_members(x).astype("float64")
    np.testing.assert_allclose(bagging.disagreement(x), predicted.std(axis=0).mean(axis=-1))
    assert set(np.round(bagging.disagreement(x, kind="vote_entropy"), 6)) <= {
        round(float(scipy.stats.entropy(votes, base=3)), 6) for votes in ([3, 0, 0], [2, 1, 0], [1, 1, 1])
    }


def test_disagreement_refuses_what_is_none():
    for values, kind, match in (
        (np.zeros((2, 3)), "std", "members, rows, channels"),
        (np.full((2, 3, 1), 1.5), "std", r"\[0, 1\]"),
        (np.full((2, 3, 1), np.nan), "std", r"\[0, 1\]"),
        (np.zeros((2, 3, 1)), "variance", "kind"),
    ):
        with pytest.raises(ValueError, match=match):
            disagreement(values, kind=kind)
