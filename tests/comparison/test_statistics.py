"""The test of scikit-learn's example on comparing models, Holm's rule, and scores against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from kerases import keras_3_only
from scipy.stats import t
from sklearn import metrics

from keras_imbalance import Method, correct_prior
from keras_imbalance.comparison.method import Run
from keras_imbalance.comparison.rows import data_of
from keras_imbalance.comparison.scores import calibration_error, score
from keras_imbalance.comparison.splits import Split
from keras_imbalance.comparison.statistics import corrected_t_test, differences, holm
from keras_imbalance.comparison.training import Trained

finite = st.floats(-1, 1).map(lambda value: round(value, 3))


pytestmark = keras_3_only("compare_methods needs Keras 3")


@given(arrays(float, st.integers(2, 12), elements=finite), st.floats(0.05, 1))
def test_the_corrected_test_is_that_of_the_example_of_scikit_learn(values, ratio):
    """https://scikit-learn.org/stable/auto_examples/model_selection/plot_grid_search_stats.html"""
    n_train, n_test = 1.0, ratio
    corrected_std = np.sqrt(np.var(values, ddof=1) * (1 / len(values) + n_test / n_train))
    if corrected_std < 1e-9:
        return
    expected = 2 * t.sf(np.abs(np.mean(values) / corrected_std), df=len(values) - 1)
    assert corrected_t_test(values, ratio) == pytest.approx(expected, rel=1e-9)


def test_equal_differences_and_a_single_one():
    assert corrected_t_test(np.zeros(5), 0.3) == 1
    assert np.isnan(corrected_t_test(np.full(5, 0.25), 0.3))
    assert np.isnan(corrected_t_test(np.array([0.1, 0.2, 0.3]), None))
    assert np.isnan(corrected_t_test(np.array([0.1]), 0.3))


@given(arrays(float, st.integers(1, 8), elements=st.floats(0, 1)))
def test_holm_by_its_definition(p_values):
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    for rank, i in enumerate(order):
        expected = max(min(1.0, (len(order) - k) * p_values[order[k]]) for k in range(rank + 1))
        assert adjusted[i] == pytest.approx(expected)


def test_differences_are_paired_by_split_and_turn_where_less_is_better():
    scores = {"plain": np.array([0.5, 0.6, np.nan]), "other": np.array([0.6, 0.5, 0.9])}
    found = differences(scores, "plain", 0.3)["other"]
    assert (found.mean, found.above, found.splits) == (pytest.approx(0), 1, 2)
    assert differences({"plain": np.ones(2), "other": np.zeros(2)}, "plain", 0.3, higher=False)["other"].above == 2


def planted_run(labels, shares=(0.7, 0.2, 0.1)):
    """A run whose validation and test rows have these labels."""
    counts = (np.array(shares) * 100).round().astype(int)
    y = np.concatenate([np.repeat(np.arange(3), counts), labels, labels])
    rows = np.split(np.arange(len(y)), [100, 100 + len(labels)])
    return Run(
        data_of(np.zeros((len(y), 1)), y),
        Split(*rows),
        32,
        1,
        0,
        cost_matrix=np.array([[0, 1, 2], [3, 0, 1], [9, 1, 0.0]]),
    )


@pytest.mark.parametrize("absent", [False, True], ids=["all classes", "one class absent"])
def test_scores_are_those_of_scikit_learn(absent):
    rng = np.random.default_rng(0)
    labels = rng.choice(2 if absent else 3, size=80)
    p = rng.dirichlet([1, 1, 1], size=80)
    run = planted_run(labels)
    found = score(Method("m"), run, Trained(p, p, np.array([0.2, 0.3, 0.5]))).test
    natural = correct_prior(p, [0.2, 0.3, 0.5], run.prior)  # scores of probabilities are for the shares of the data
    decided = p.argmax(axis=1)
    counts = metrics.confusion_matrix(labels, decided, labels=range(3))
    present = np.unique(labels)
    expected = {
        "macro_recall": metrics.recall_score(labels, decided, labels=present, average="macro"),
        "macro_f1": metrics.f1_score(labels, decided, average="macro"),
        "macro_precision": metrics.precision_score(labels, decided, average="macro", zero_division=0),
        "worst_recall": metrics.recall_score(labels, decided, labels=present, average=None).min(),
        "average_precision": np.mean([metrics.average_precision_score(labels == c, natural[:, c]) for c in present]),
        "auc": np.mean([metrics.roc_auc_score(labels == c, natural[:, c]) for c in present]),
        "log_loss": metrics.log_loss(labels, natural, labels=range(3)),
        "cost": (counts * run.cost_matrix).sum() / len(labels),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    assert found["calibration_error"] == pytest.approx(calibration_error(labels, natural))


def test_rows_count_as_their_class_does_in_use():
    rng = np.random.default_rng(0)
    labels, p = rng.choice(3, size=80, p=[0.7, 0.2, 0.1]), rng.dirichlet([1, 1, 1], size=80)
    run = planted_run(labels)
    run.prior_of_use = np.array([0.2, 0.3, 0.5])
    found = score(Method("m"), run, Trained(p, p, run.prior))
    moved = correct_prior(p, run.prior, run.prior_of_use)
    weights = run.weights_of_use(labels)
    np.testing.assert_allclose(np.bincount(labels, weights) / len(labels), run.prior_of_use)
    decided = p.argmax(axis=1)
    expected = {
        "macro_f1": metrics.f1_score(labels, decided, average="macro", sample_weight=weights),
        "log_loss": metrics.log_loss(labels, moved, sample_weight=weights),
        "auc": np.mean([metrics.roc_auc_score(labels == c, moved[:, c], sample_weight=weights) for c in range(3)]),
        "calibration_error": calibration_error(labels, moved, weights=weights),
    }
    for name, value in expected.items():
        assert found.validation[name] == pytest.approx(value), name
        assert found.test[name] == pytest.approx(value), name


def test_the_calibration_error_by_its_definition():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], size=500)
    labels = rng.choice(3, size=500)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence >= low) & (confidence < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(labels, p) == pytest.approx(expected)


def test_a_decision_is_scored_on_validation_rows_that_it_was_not_tuned_on():
    labels = np.random.default_rng(0).choice(3, size=60, p=[0.6, 0.2, 0.2])
    seen = []

    def learns_by_heart(run, probabilities, labels):
        seen.append(len(labels))
        known = {tuple(row): label for row, label in zip(probabilities.tolist(), labels, strict=True)}
        return lambda p: np.array([known.get(tuple(row), 0) for row in p.tolist()])

    p = np.random.default_rng(1).dirichlet([1, 1, 1], size=60)
    found = score(Method("m", decide=learns_by_heart), planted_run(labels), Trained(p, p, np.ones(3) / 3))
    assert found.validation["macro_recall"] == pytest.approx(1 / 3)  # rows that were held out all fall into class 0
    assert found.test["macro_recall"] == 1  # the same rows: the rule that decides was tuned on all
    assert sorted(seen) == [48] * 5 + [60]
