"""Offsets of a softmax: the best of every cut with two classes; with more, what does best on held-out rows."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score, f1_score, fbeta_score, matthews_corrcoef

from keras_imbalance import tune_thresholds

COSTS = np.array([[0.0, 1.0, 2.0], [1.0, 0.5, 1.0], [15.0, 3.0, 0.0]])
PRIOR = np.array([0.8, 0.14, 0.04, 0.02])


def macro_f1(y_true, y_pred, sample_weight=None):
    return f1_score(y_true, y_pred, average="macro", sample_weight=sample_weight)


def negative_cost(y_true, y_pred, sample_weight=None):
    return -np.average(COSTS[y_true, y_pred], weights=sample_weight)


def precision_of_confusion(confusion):
    """Mean precision, for matrices `(..., C, C)`."""
    predicted = confusion.sum(axis=-2)
    return (np.diagonal(confusion, axis1=-2, axis2=-1) / np.where(predicted > 0, predicted, 1)).mean(axis=-1)


SCORES = {"balanced_accuracy": balanced_accuracy_score, "f1": macro_f1, "cost": negative_cost, "mcc": matthews_corrcoef}


def tuned(objective, labels, p, **more):
    costs = COSTS[: p.shape[1], : p.shape[1]] if objective == "cost" else None
    return tune_thresholds(labels, p, objective=objective, cost_matrix=costs, **more)


def gain(objective, found):
    return -found.score if objective == "cost" else found.score


def decide(p, offsets):
    with np.errstate(divide="ignore"):
        return (np.log(p) + offsets).argmax(axis=1)


@st.composite
def tasks(draw, num_classes):
    count = draw(st.integers(num_classes, 20))
    labels = draw(arrays(np.int64, count, elements=st.integers(0, num_classes - 1)))
    parts = draw(arrays(np.int64, (count, num_classes), elements=st.integers(0, 7)))
    parts[:, 0] += parts.sum(axis=1) == 0
    weights = draw(arrays(np.float64, count, elements=st.sampled_from([0.3, 1.0, 2.5])))
    assume(len(set(labels)) == num_classes)
    p = parts / parts.sum(axis=1, keepdims=True)
    assume(len(np.unique(p, axis=0)) > 1)
    return labels, p, weights


# Some exponent is better on each part, and none on all rows.
EXPONENT_OF_PARTS_ALONE = (
    np.array([0, 2, 1, 1, 1, 2, 0, 1, 1, 1, 1, 1, 1, 1, 1]),
    np.array([[1 / 3] * 3] * 7 + [[0.5, 0.25, 0.25]] + [[1 / 3] * 3] * 7),
    np.array([2.5, 1.0] + [2.5] * 13),
)


@pytest.mark.parametrize("objective", SCORES)
@settings(max_examples=40)
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
@settings(max_examples=40)
@given(task=tasks(3))
@example(task=EXPONENT_OF_PARTS_ALONE)
def test_the_score_is_that_of_the_decisions_and_few_rows_get_no_offset_a_class(objective, task):
    labels, p, weights = task
    found = tuned(objective, labels, p, sample_weight=weights)
    reached = SCORES[objective](labels, found(p), sample_weight=weights)
    assert reached == pytest.approx(gain(objective, found), abs=1e-12)
    assert found.values.sum() == pytest.approx(0, abs=1e-9)
    np.testing.assert_array_equal(found(p), decide(p, found.values))
    assert found.rule in ("nothing", "exponent")
    if found.rule == "nothing":
        np.testing.assert_array_equal(found.values, 0)
    else:
        # In proportion to the logarithms of the shares.
        log_shares = np.log(np.bincount(labels, weights))
        centred = log_shares - log_shares.mean()
        exponent = -(found.values @ centred) / (centred @ centred)
        np.testing.assert_allclose(found.values, -exponent * centred, atol=1e-9)
        assert 0 < exponent < 1.55


def mixture(count, seed=0, prior=PRIOR, biased=None):
    """Labels and the true probabilities of four Gaussian classes; `biased`: log-factors that spoil the probabilities."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0, 0], [1.5, 0], [0, 1.5], [1.5, 1.5]])
    labels = rng.choice(4, count, p=prior)
    x = centres[labels] + rng.normal(size=(count, 2))
    density = np.exp(-0.5 * ((x[:, None] - centres) ** 2).sum(axis=2)) * prior
    density *= np.exp(0 if biased is None else biased)
    return labels, density / density.sum(axis=1, keepdims=True)


def test_true_probabilities_are_tuned_to_what_theory_says_on_other_rows():
    """Balanced accuracy is best at p_k / prior_k (Menon et al., 2021); what is tuned on some rows comes near it on others."""
    labels, p = mixture(3000)
    found = tune_thresholds(labels, p, objective="balanced_accuracy")
    new_labels, new_p = mixture(20_000, seed=1)
    ideal = balanced_accuracy_score(new_labels, decide(new_p, -np.log(PRIOR)))
    reached = balanced_accuracy_score(new_labels, found(new_p))
    plain = balanced_accuracy_score(new_labels, new_p.argmax(axis=1))
    assert plain + 0.1 < reached
    assert reached > ideal - 0.02
    assert found.rule in ("exponent", "offsets")
    assert found.cross_validated_score == pytest.approx(reached, abs=0.06)


BIAS = np.array([0.0, 2.0, -2.0, 1.0])


def recall_of_confusion(confusion):
    """Mean recall, for matrices `(..., C, C)`."""
    return (np.diagonal(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=-1)).mean(axis=-1)


@pytest.mark.parametrize("objective", ["balanced_accuracy", "f1", "mcc", recall_of_confusion])
def test_where_no_exponent_helps_one_offset_a_class_is_found(objective):
    """Probabilities off by a factor a class: the factor comes out, as good as a random search on the same rows finds."""
    even = np.full(4, 0.25)
    labels, p = mixture(2000, prior=even, biased=BIAS)
    found = tune_thresholds(labels, p, objective=objective)
    assert found.rule == "offsets"
    score = SCORES.get(objective, balanced_accuracy_score)
    rng = np.random.default_rng(0)
    others = max(score(labels, decide(p, 1.5 * rng.normal(size=4) - BIAS / 2)) for _ in range(60))
    assert found.score >= others - 1e-3
    new_labels, new_p = mixture(20_000, seed=1, prior=even, biased=BIAS)
    assert score(new_labels, found(new_p)) > score(new_labels, decide(new_p, -BIAS)) - 0.02
    assert found.cross_validated_score == pytest.approx(score(new_labels, found(new_p)), abs=0.03)


@pytest.mark.parametrize("rows", [19, 20])
def test_below_20_rows_a_class_no_offset_a_class_is_taken(rows):
    labels, p = mixture(4000, prior=np.full(4, 0.25), biased=BIAS)
    kept = np.concatenate([np.flatnonzero(labels == k)[: rows if k == 2 else 60] for k in range(4)])
    found = tune_thresholds(labels[kept], p[kept], objective="balanced_accuracy")
    assert (found.rule == "offsets") == (rows == 20)


def test_a_class_of_one_row_leaves_the_decisions_as_they_are():
    labels, p = mixture(500, prior=np.array([0.6, 0.3, 0.1, 0]) + 1e-9)
    labels[0] = 3
    found = tune_thresholds(labels, p)
    assert found.rule == "nothing"
    assert found.cross_validated_score == found.score == pytest.approx(macro_f1(labels, p.argmax(axis=1)))


@pytest.mark.parametrize(
    ("options", "score"),
    [
        ({"objective": "fbeta", "beta": 2}, lambda y, d: fbeta_score(y, d, beta=2, average="macro")),
        ({"objective": "mcc"}, matthews_corrcoef),
        ({"objective": precision_of_confusion}, None),
    ],
)
def test_scores_are_those_of_scikit_learn(options, score):
    labels, p = mixture(1500)
    found = tune_thresholds(labels, p, **options)
    if score is None:
        counts = np.zeros((4, 4))
        np.add.at(counts, (labels, found(p)), 1)
        score = lambda y, d: precision_of_confusion(counts)  # noqa: E731
    assert found.score == pytest.approx(score(labels, found(p)), abs=1e-12)
    assert found.score >= score(labels, p.argmax(axis=1)) - 1e-12


def test_recall_at_a_precision_is_met_where_it_can_be():
    labels, p = mixture(3000)
    found = tune_thresholds(labels, p, objective="recall_at_precision", at=0.5)
    decided = found(p)
    precision = np.mean([(labels[decided == k] == k).mean() for k in range(4)])
    assert precision >= 0.5
    assert found.score == pytest.approx(balanced_accuracy_score(labels, decided), abs=1e-12)
    with pytest.warns(UserWarning, match="`at`=0.999 is reached by no threshold"):
        tune_thresholds(labels, p, objective="recall_at_precision", at=0.999)


def test_forms_of_labels_positions_and_precision():
    labels, p = mixture(240)
    found = tune_thresholds(labels, p)
    for form in (labels[:, None], np.eye(4)[labels]):
        np.testing.assert_array_equal(tune_thresholds(form, p).values, found.values)
    positions = tune_thresholds(labels.reshape(24, 10), p.reshape(24, 10, 4))
    np.testing.assert_array_equal(positions.values, found.values)
    np.testing.assert_array_equal(positions(p.reshape(24, 10, 4)), found(p).reshape(24, 10))
    single = p.astype("float32")
    tuned_single = tune_thresholds(labels, single)
    assert tuned_single.score == pytest.approx(macro_f1(labels, tuned_single(single)), abs=1e-12)
    assert tuned_single.kind == "multi_class"


def test_every_class_must_have_rows():
    _, p = mixture(50)
    with pytest.raises(ValueError, match="no rows that count of class 2, 3"):
        tune_thresholds(np.arange(50) % 2, p)


SETS = {5: 5, 20: 6, 100: 2}  # rows of the rarest class, and how many splits


@pytest.mark.parametrize("rows", SETS)
def test_on_new_rows_tuning_is_never_worse_than_none_in_the_median(rows):
    """The few draws here of what benchmarks/decisions.py measures on 50 splits of each set."""
    gains = {"f1": [], "balanced_accuracy": []}
    new_labels, new_p = mixture(6000, seed=99)
    for seed in range(SETS[rows]):
        labels, p = mixture(round(rows / PRIOR.min()), seed=seed)
        if np.bincount(labels, minlength=4).min() < 1:
            continue
        for objective, of_seeds in gains.items():
            score = SCORES[objective]
            found = tune_thresholds(labels, p, objective=objective)
            of_seeds.append(score(new_labels, found(new_p)) - score(new_labels, new_p.argmax(axis=1)))
    for objective, of_seeds in gains.items():
        assert np.median(of_seeds) >= 0, (objective, of_seeds)
    assert np.median(gains["balanced_accuracy"]) > 0.05 or rows == 5
