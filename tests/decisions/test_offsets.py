"""Offsets of a softmax: the best of every cut with two classes, best in each coordinate with more."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from keras_imbalance import tune_thresholds

COSTS = np.array([[0.0, 1.0, 2.0], [1.0, 0.5, 1.0], [15.0, 3.0, 0.0]])


def macro_f1(y_true, y_pred, sample_weight=None):
    return f1_score(y_true, y_pred, average="macro", sample_weight=sample_weight)


def negative_cost(y_true, y_pred, sample_weight=None):
    return -np.average(COSTS[y_true, y_pred], weights=sample_weight)


SCORES = {"balanced_accuracy": balanced_accuracy_score, "f1": macro_f1, "expected_cost": negative_cost}


def tuned(objective, labels, p, **more):
    costs = COSTS[: p.shape[1], : p.shape[1]] if objective == "expected_cost" else None
    return tune_thresholds(labels, p, objective, cost_matrix=costs, **more)


def gain(objective, found):
    return -found.score if objective == "expected_cost" else found.score


def decide(p, offsets):
    with np.errstate(divide="ignore"):
        return (np.log(p) + offsets).argmax(axis=1)


@st.composite
def tasks(draw, num_classes):
    number = draw(st.integers(num_classes, 20))
    labels = draw(arrays(np.int64, number, elements=st.integers(0, num_classes - 1)))
    parts = draw(arrays(np.int64, (number, num_classes), elements=st.integers(0, 7)))
    parts[:, 0] += parts.sum(axis=1) == 0
    weights = draw(arrays(np.float64, number, elements=st.sampled_from([0.3, 1.0, 2.5])))
    assume(len(set(labels)) == num_classes)
    p = parts / parts.sum(axis=1, keepdims=True)
    assume(len(np.unique(p, axis=0)) > 1)
    return labels, p, weights


@pytest.mark.parametrize("objective", SCORES)
@settings(max_examples=40, deadline=None)
@given(task=tasks(2))
def test_with_two_classes_they_are_the_best_there_are(objective, task):
    labels, p, weights = task
    found = tuned(objective, labels, p, sample_weight=weights)
    cuts = [-1.0, *np.unique(p[:, 1][p[:, 1] < 1])] if (p[:, 1] > 0).any() else [0.0]
    # A class whose probability is 0 is never chosen, one whose probability is 1 always.
    decisions = [np.where(p[:, 1] == 0, 0, p[:, 1] > cut).astype(int) for cut in cuts]
    best = max(SCORES[objective](labels, decided, sample_weight=weights) for decided in decisions)
    assert gain(objective, found) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("objective", SCORES)
@settings(max_examples=40, deadline=None)
@given(task=tasks(3))
def test_no_other_offset_of_any_one_class_is_better(objective, task):
    labels, p, weights = task
    found = tuned(objective, labels, p, sample_weight=weights)
    score = SCORES[objective]
    assert found.values.sum() == pytest.approx(0, abs=1e-9)
    assert score(labels, found.predict(p), sample_weight=weights) == pytest.approx(gain(objective, found), abs=1e-12)
    assert gain(objective, found) >= score(labels, p.argmax(axis=1), sample_weight=weights) - 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        for k in range(3):
            others = np.delete(np.log(p) + found.values, k, axis=1).max(axis=1)
            turning = others - np.log(p[:, k])
            turning = np.unique(turning[np.isfinite(turning)])
            middle = (turning[1:] + turning[:-1])[np.diff(turning) > 1e-9] / 2
            for offset in [-1e6, *middle, 1e6]:
                moved = found.values.copy()
                moved[k] = offset
                other = score(labels, decide(p, moved), sample_weight=weights)
                assert other <= gain(objective, found) + 1e-9


@pytest.mark.parametrize(("objective", "function"), [("balanced_accuracy", balanced_accuracy_score), ("f1", macro_f1)])
@settings(max_examples=40, deadline=None)
@given(task=tasks(3))
def test_a_function_gives_the_offsets_that_its_name_gives(objective, function, task):
    labels, p, weights = task
    by_name = tuned(objective, labels, p, sample_weight=weights)
    by_function = tune_thresholds(labels, p, function, sample_weight=weights)
    np.testing.assert_allclose(by_function.values, by_name.values, atol=1e-9)
    assert by_function.score == pytest.approx(by_name.score, abs=1e-12)


def long_tailed(number=3000, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[0, 0], [1.5, 0], [0, 1.5], [1.5, 1.5]])
    prior = np.array([0.8, 0.14, 0.04, 0.02])
    labels = rng.choice(4, number, p=prior)
    x = centres[labels] + rng.normal(size=(number, 2))
    density = np.exp(-0.5 * ((x[:, None] - centres) ** 2).sum(axis=2)) * prior
    return labels, density / density.sum(axis=1, keepdims=True)


def test_true_probabilities_are_tuned_to_what_theory_says_on_other_rows():
    """Balanced accuracy is best at p_k / prior_k (Menon et al., 2021); what is tuned on some rows comes near it on others."""
    labels, p = long_tailed()
    found = tune_thresholds(labels, p)
    new_labels, new_p = long_tailed(20_000, seed=1)
    ideal = balanced_accuracy_score(new_labels, decide(new_p, -np.log([0.8, 0.14, 0.04, 0.02])))
    reached = balanced_accuracy_score(new_labels, found.predict(new_p))
    plain = balanced_accuracy_score(new_labels, new_p.argmax(axis=1))
    assert plain + 0.1 < reached
    assert reached > ideal - 0.02
    # The score on the very rows is no worse than any that a random search finds there.
    rng = np.random.default_rng(0)
    others = [balanced_accuracy_score(labels, decide(p, 4 * rng.normal(size=4))) for _ in range(300)]
    assert found.score >= max(others)


def test_forms_of_labels_places_and_precision():
    labels, p = long_tailed(240)
    found = tune_thresholds(labels, p, "f1")
    for form in (labels[:, None], np.eye(4)[labels]):
        np.testing.assert_array_equal(tune_thresholds(form, p, "f1").values, found.values)
    places = tune_thresholds(labels.reshape(24, 10), p.reshape(24, 10, 4), "f1")
    np.testing.assert_array_equal(places.values, found.values)
    np.testing.assert_array_equal(places.predict(p.reshape(24, 10, 4)), found.predict(p).reshape(24, 10))
    single = p.astype("float32")
    tuned_single = tune_thresholds(labels, single, "f1")
    reached = macro_f1(labels, tuned_single.predict(single))
    assert tuned_single.score == pytest.approx(reached, abs=1e-12)
    assert tuned_single.kind == "multi_class"


def test_many_rows_take_seconds_and_the_score_is_that_of_the_confusion_matrix():
    labels, p = long_tailed(100_000)
    found = tune_thresholds(labels, p, "expected_cost", cost_matrix=1 + np.arange(16).reshape(4, 4) % 5 - np.eye(4))
    counts = confusion_matrix(labels, found.predict(p))
    costs = 1 + np.arange(16).reshape(4, 4) % 5 - np.eye(4)
    assert found.score == pytest.approx((counts * costs).sum() / 100_000, abs=1e-12)


def test_every_class_must_have_rows():
    _, p = long_tailed(50)
    with pytest.raises(ValueError, match="no rows that count of class 2, 3"):
        tune_thresholds(np.arange(50) % 2, p)


def test_the_score_is_that_of_the_decisions_where_classes_tie_but_for_rounding():
    # The shares 1 : 2 make the last row a tie of classes 1 and 2, 0.6 / 0.5 and 0.3 / 0.25, that rounding decides.
    labels = np.array([0, 1, 2, 1, 1])
    p = np.array([[0.1, 0.4, 0.5], [0.4, 0.1, 0.5], [0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.6, 0.3]])
    weights = np.array([2.0, 1.0, 2.0, 2.0, 1.0])
    costs = np.array([[0.0, 1.0, 2.0], [5.0, 0.0, 1.0], [9.0, 3.0, 0.0]])
    found = tune_thresholds(labels, p, "expected_cost", cost_matrix=costs, sample_weight=weights)
    paid = costs[labels, decide(p, found.values)]
    np.testing.assert_allclose(found.score, np.average(paid, weights=weights), rtol=1e-12)
    np.testing.assert_array_equal(found.predict(p), decide(p, found.values))
