"""Binned average precision: within its own bounds of scikit-learn's, and equal to it where the bins hold the scores apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from keras_imbalance import PerClassAveragePrecision

quick = settings(deadline=None, max_examples=40)
pytestmark = pytest.mark.filterwarnings("ignore")


def per_class(metric):
    result = {key: float(value) for key, value in metric.result().items()}
    exact = metric.class_values(metric.name)
    np.testing.assert_allclose([result[key] for key in exact], list(exact.values()), atol=1e-6)
    return np.array(list(exact.values())), result[metric.name]


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def expected(labels, scores, weights=None):
    return np.array(
        [average_precision_score(labels == k, scores[:, k], sample_weight=weights) for k in range(scores.shape[1])]
    )


@quick
@given(st.integers(0, 9999), st.integers(2, 60), st.integers(2, 40), st.booleans(), st.booleans())
def test_scikit_learn_lies_within_the_bounds(seed, number, num_bins, weighted, from_logits):
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=number)
    logits = rng.normal(scale=3, size=(number, 3)).astype("float32")
    if rng.random() < 0.5:
        logits = np.round(logits)  # ties
    weights = rng.choice([0.5, 1, 2], number) if weighted else None
    metric = PerClassAveragePrecision(3, num_bins=num_bins, from_logits=from_logits)
    for part in (slice(None, number // 2), slice(number // 2, None)):
        scores = logits[part] if from_logits else softmax(logits[part])
        metric.update_state(labels[part], scores, None if weights is None else weights[part])
    low, high = metric.bounds()
    values, macro = per_class(metric)
    exact = expected(labels, softmax(logits.astype("float64")), weights)
    assert (low - 1e-6 <= exact).all()
    assert (exact <= high + 1e-6).all()
    assert (low - 1e-6 <= values).all()
    assert (values <= high + 1e-6).all()
    np.testing.assert_allclose(macro, values[np.unique(labels)].mean(), atol=1e-6)


@quick
@given(st.integers(0, 9999), st.integers(1, 60), st.booleans())
def test_equals_scikit_learn_where_bins_hold_the_scores_apart(seed, number, multi_label):
    rng = np.random.default_rng(seed)
    steps = rng.integers(-20, 21, size=(number, 4))
    scores = (1 / (1 + np.exp(-steps * 0.5 - 0.01))).astype("float32")
    if multi_label:
        labels = (rng.random((number, 4)) < 0.3).astype(int)
        metric = PerClassAveragePrecision(4, multi_label=True)
        wanted = np.array([average_precision_score(labels[:, k], scores[:, k]) for k in range(4)])
    else:
        labels = rng.integers(2, size=number)
        metric = PerClassAveragePrecision(2)
        wanted = np.array(
            [average_precision_score(labels == 0, -steps[:, 0]), average_precision_score(labels, steps[:, 0])]
        )
        labels, scores = labels[:, None], scores[:, :1]
    metric.update_state(labels, scores)
    np.testing.assert_allclose(per_class(metric)[0], wanted, atol=1e-6)


def test_the_default_bins_are_fine_enough_for_rare_classes():
    rng = np.random.default_rng(0)
    labels = (rng.random(200_000) < 0.002).astype(int)
    logits = (rng.normal(size=200_000) - 9 + 3 * labels).astype("float32")
    metric = PerClassAveragePrecision(2)
    for part in np.array_split(np.arange(200_000), 7):
        metric.update_state(labels[part, None], 1 / (1 + np.exp(-logits[part, None])))
    exact = average_precision_score(labels, logits)
    value, (low, high) = per_class(metric)[0][1], metric.bounds()
    assert low[1] <= exact <= high[1]
    assert abs(value - exact) < 3e-3
    uniform = np.floor(1 / (1 + np.exp(-logits)) * 2048)  # bins of equal width in the probability lose more
    assert abs(average_precision_score(labels, uniform) - exact) > abs(value - exact)


def test_permuting_classes_ignoring_and_absent_classes():
    rng = np.random.default_rng(1)
    labels, logits = rng.integers(3, size=90), rng.normal(size=(90, 4)).astype("float32")
    new = rng.permutation(4)
    plain, permuted = (PerClassAveragePrecision(4, from_logits=True) for _ in range(2))
    plain.update_state(labels, logits)
    moved = np.empty_like(logits)
    moved[:, new] = logits
    permuted.update_state(new[labels], moved)
    np.testing.assert_allclose(per_class(permuted)[0][new], per_class(plain)[0], atol=1e-6)
    assert per_class(plain)[0][3] == 0  # absent: zero_division
    ignoring = PerClassAveragePrecision(4, from_logits=True, ignore_class=0, zero_division=np.nan)
    ignoring.update_state(labels, logits)
    kept = PerClassAveragePrecision(4, from_logits=True, zero_division=np.nan)
    kept.update_state(labels[labels != 0], logits[labels != 0])
    np.testing.assert_allclose(per_class(ignoring)[0], per_class(kept)[0])
    assert np.isnan(per_class(kept)[0][0])
    assert per_class(kept)[1] == pytest.approx(np.nanmean(per_class(kept)[0]))


def test_extreme_scores():
    metric = PerClassAveragePrecision(2)
    metric.update_state(np.array([0, 1, 1]), np.array([[0.0], [1.0], [1e-30]], dtype="float32"))
    assert np.isfinite(per_class(metric)[0]).all()
    logits = PerClassAveragePrecision(3, from_logits=True)
    logits.update_state(np.array([0, 1]), np.array([[1e4, 0, -1e4], [-1e4, 1e4, 0]], dtype="float32"))
    np.testing.assert_allclose(per_class(logits)[0], [1, 1, 0])
