"""Metrics of binned scores: within their own bounds of scikit-learn's, and equal to it where bins hold the scores apart."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import examples
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from keras_imbalance import (
    PerClassAUC,
    PerClassAveragePrecision,
    PerClassPrecisionAtRecall,
    PerClassRecallAtPrecision,
)
from keras_imbalance._keras import keras

quick = settings(max_examples=examples(40))
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


def recall_at_precision(labels, scores, sample_weight=None):
    precision, recall, _ = precision_recall_curve(labels, scores, sample_weight=sample_weight)
    return recall[precision >= 0.7].max()  # the last point of the curve has precision 1 and recall 0


def precision_at_recall(labels, scores, sample_weight=None):
    precision, recall, _ = precision_recall_curve(labels, scores, sample_weight=sample_weight)
    return precision[recall >= 0.6].max()


def area(labels, scores, sample_weight=None):
    return roc_auc_score(labels, scores, sample_weight=sample_weight) if len(np.unique(labels)) == 2 else 0.0


# Each entry: how to build the metric, and the oracle's value of one class.
KINDS = {
    "average_precision": (PerClassAveragePrecision, average_precision_score),
    "auc": (PerClassAUC, area),
    "recall_at_precision": (lambda *a, **kw: PerClassRecallAtPrecision(*a, precision=0.7, **kw), recall_at_precision),
    "precision_at_recall": (lambda *a, **kw: PerClassPrecisionAtRecall(*a, recall=0.6, **kw), precision_at_recall),
}


def spread_scores(rng, rows, size):
    """Scores of which no two are so close that rounding could swap them, some of them ties."""
    ranks = rng.integers(1, 400, size=(rows, size))
    return (1 / (1 + np.exp(-(ranks / 40 - 5)))).astype("float32")


@pytest.mark.parametrize("name", KINDS)
@quick
@given(
    seed=st.integers(0, 9999),
    number=st.integers(1, 60),
    num_bins=st.integers(2, 60),
    weighted=st.booleans(),
    fine=st.booleans(),
)
def test_the_oracle_lies_within_the_bounds(name, seed, number, num_bins, weighted, fine):
    build, oracle = KINDS[name]
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(4, size=(number, 3)) == 0, spread_scores(rng, number, 3)
    weights = rng.choice([0.5, 1, 2], number) if weighted else None
    metric = build(3, multi_label=True, num_bins=2048 if fine else num_bins)
    for part in (slice(None, number // 2), slice(number // 2, None)):
        metric.update_state(labels[part] * 1.0, scores[part], None if weights is None else weights[part])
    values, _ = per_class(metric)
    low, high = metric.bounds()
    for k in np.flatnonzero(labels.any(axis=0)):
        exact = oracle(labels[:, k], scores[:, k], sample_weight=weights)
        assert low[k] - 1e-6 <= exact <= high[k] + 1e-6
        assert low[k] - 1e-6 <= values[k] <= high[k] + 1e-6
        if fine:  # a step of 1/40 in the log-odds is more than a bin
            np.testing.assert_allclose(values[k], exact, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_means_over_classes(name):
    build, oracle = KINDS[name]
    rng = np.random.default_rng(5)
    labels, scores = rng.integers(3, size=90), spread_scores(rng, 90, 4)
    metric = build(4, average=["macro", "weighted", "micro"], zero_division=np.nan)
    metric.update_state(labels, scores)
    result = {key: float(value) for key, value in metric.result().items()}
    each = [oracle(labels == k, scores[:, k]) for k in range(3)]
    assert np.isnan(result[f"{name}/3"])  # no row is of it
    np.testing.assert_allclose([result[f"{name}/{k}"] for k in range(3)], each, atol=1e-6)
    np.testing.assert_allclose(result[name], np.mean(each), atol=1e-6)
    np.testing.assert_allclose(result[f"{name}_weighted"], np.average(each, weights=np.bincount(labels)), atol=1e-6)
    together = oracle(np.eye(4)[labels].reshape(-1) == 1, scores.reshape(-1))
    np.testing.assert_allclose(result[f"{name}_micro"], together, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "theirs"), [("recall_at_precision", "RecallAtPrecision"), ("precision_at_recall", "PrecisionAtRecall")]
)
def test_operating_points_are_those_of_keras(name, theirs):
    rng = np.random.default_rng(2)
    labels = (rng.random(400) < 0.2) * 1.0
    scores = (0.2 * labels + rng.integers(1, 80, size=400) / 100).astype("float32")
    ours = KINDS[name][0](2)
    ours.update_state(labels[:, None], scores[:, None])
    keras_metric = getattr(keras.metrics, theirs)(0.7 if name == "recall_at_precision" else 0.6, num_thresholds=2000)
    keras_metric.update_state(labels, scores)
    np.testing.assert_allclose(per_class(ours)[0][1], float(keras_metric.result()), atol=1e-6)


def test_ten_thousand_rows_with_one_percent_positives_are_close_to_exact():
    """What the docstring promises; 2,048 bins are off by up to .006 here."""
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        labels = np.arange(10_000) < 100
        logits = ((rng.normal(size=10_000) + 3 * labels) * (0.5, 1, 2)[seed % 3] - 6).astype("float32")
        metric = PerClassAveragePrecision(2, from_logits=True, log_classes=False)
        metric.update_state(labels[:, None] * 1.0, logits[:, None])
        errors.append(metric.exact_scores()[1] - average_precision_score(labels, logits))
    assert np.abs(errors).max() <= 2e-3
    assert np.abs(errors).mean() <= 5e-4


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


@pytest.mark.parametrize("scale", [2.0**-120, 2.0**-60, 2.0**60, 2.0**115])
def test_the_size_of_the_weights_does_not_matter(scale):
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(3, size=40), softmax(rng.normal(size=(40, 3)))
    weights = rng.choice([0.5, 1, 2], 40)
    metric = PerClassAveragePrecision(3)
    metric.update_state(labels, scores, (weights * scale).astype("float32"))
    values, macro = per_class(metric)
    np.testing.assert_allclose(values, expected(labels, scores, weights), atol=0.02)
    np.testing.assert_allclose(macro, values.mean(), atol=1e-6)
    plain = PerClassAveragePrecision(3)
    plain.update_state(labels, scores, weights)
    np.testing.assert_allclose(values, per_class(plain)[0], atol=1e-6)
    np.testing.assert_allclose(metric.bounds(), plain.bounds(), atol=1e-6)
