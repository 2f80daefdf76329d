"""Thresholds of sigmoids against a search of every cut, and against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    fbeta_score,
    matthews_corrcoef,
    precision_recall_curve,
    recall_score,
)
from sklearn.model_selection import TunedThresholdClassifierCV

from keras_imbalance import tune_thresholds

NAN = float("nan")
COSTS = np.array([[0.5, 3.0], [40.0, 1.0]])


def mean_cost(y_true, y_pred, sample_weight=None, costs=COSTS):
    return np.average(costs[y_true, y_pred], weights=sample_weight)


SCORES = {
    "balanced_accuracy": balanced_accuracy_score,
    "f1": f1_score,
    "cost": lambda *args, **kw: -mean_cost(*args, **kw),
}


def options(objective):
    return {"objective": objective, "cost_matrix": COSTS if objective == "cost" else None}


def shown(objective, gain):
    return -gain if objective == "cost" else gain


def best_of_all_cuts(score, labels, p, weights=None):
    cuts = [-1.0, *np.unique(p)]
    return max(score(labels, (p > cut).astype(int), sample_weight=weights) for cut in cuts)


@st.composite
def tasks(draw, rows=None):
    count = rows or draw(st.integers(2, 25))
    labels = draw(arrays(np.int64, count, elements=st.integers(0, 1)))
    p = draw(arrays(np.float64, count, elements=st.one_of(st.integers(0, 6).map(lambda i: i / 6), st.floats(0, 1))))
    weights = draw(arrays(np.float64, count, elements=st.sampled_from([0.0, 0.3, 1.0, 2.5])))
    assume(len(set(labels[weights > 0])) == 2)
    assume(len(set(p[weights > 0])) > 1)
    return labels, p, weights


@pytest.mark.parametrize("objective", SCORES)
@settings(max_examples=25)
@given(task=tasks())
def test_a_threshold_is_the_best_of_all_cuts(objective, task):
    labels, p, weights = task
    for given_weights, passed in ((weights, weights), (np.ones(len(p)), None)):
        kept = given_weights > 0
        if len(set(p[kept])) < 2:
            continue
        found = tune_thresholds(labels, p, sample_weight=passed, **options(objective))
        expected = best_of_all_cuts(SCORES[objective], labels[kept], p[kept], given_weights[kept])
        assert found.score == pytest.approx(shown(objective, expected), abs=1e-12)
        reached = SCORES[objective](labels, found(p), sample_weight=given_weights)
        assert reached == pytest.approx(expected, abs=1e-12)
        assert found.kind == "binary"


def f1_of(confusion):
    """F1 of class 1 of matrices `(..., 2, 2)`."""
    return 2 * confusion[..., 1, 1] / (confusion[..., 1, :].sum(-1) + confusion[..., 1].sum(-1))


@settings(max_examples=25)
@given(tasks(), st.sampled_from(["float16", "float32", "float64"]))
def test_a_function_gives_the_threshold_that_its_name_gives_in_any_precision(task, dtype):
    labels, p, weights = task
    p = p.astype(dtype)
    assume(len(set(p[weights > 0])) > 1)
    by_name = tune_thresholds(labels, p, objective="f1", sample_weight=weights)
    by_function = tune_thresholds(labels, p, objective=f1_of, sample_weight=weights)
    assert by_function.values == by_name.values
    assert by_function.score == pytest.approx(by_name.score, abs=1e-12)
    # The threshold is a value of that precision: metrics that compare in it decide alike.
    assert p.dtype.type(by_name.values) == by_name.values
    np.testing.assert_array_equal(p > p.dtype.type(by_name.values), by_name(p))


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1", "mcc"])
def test_scikit_learn_tunes_to_the_same_score(metric):
    class Given(ClassifierMixin, BaseEstimator):
        """A fitted classifier whose probability of class 1 is its only feature."""

        classes_ = np.array([0, 1])

        def fit(self, x, y):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def predict_proba(self, x):
            return np.hstack([1 - x, x])

    rng = np.random.default_rng(2)
    labels = (rng.uniform(size=400) < 0.1).astype(int)
    p = np.clip(0.3 * rng.normal(size=400) + 0.2 + 0.3 * labels, 0, 1).round(2)
    found = tune_thresholds(labels, p, objective=metric)
    levels = np.unique(p)
    cuts = np.concatenate([[0], (levels[1:] + levels[:-1]) / 2, [1.01]])
    theirs = TunedThresholdClassifierCV(
        Given(), scoring="matthews_corrcoef" if metric == "mcc" else metric, thresholds=cuts, cv="prefit", refit=False
    )
    theirs.fit(p[:, None], labels)
    assert found.score == pytest.approx(theirs.best_score_, abs=1e-12)
    np.testing.assert_array_equal(found(p), theirs.predict(p[:, None]))


@settings(max_examples=12)
@given(st.lists(tasks(rows=12), min_size=2, max_size=4))
def test_each_label_has_the_threshold_it_has_alone(several):
    labels, p = (np.stack(parts, axis=1) for parts in list(zip(*several, strict=True))[:2])
    assume(((labels.sum(axis=0) > 0) & (labels.sum(axis=0) < 12)).all())
    for objective in SCORES:
        together = tune_thresholds(labels, p, multi_label=True, **options(objective))
        alone = [tune_thresholds(labels[:, j], p[:, j], **options(objective)) for j in range(labels.shape[1])]
        np.testing.assert_array_equal(together.values, [one.values for one in alone])
        assert together.score == pytest.approx(np.mean([one.score for one in alone]), abs=1e-12)
        decided = [one(p[:, j]) for j, one in enumerate(alone)]
        np.testing.assert_array_equal(together(p), np.stack(decided, axis=1))
        assert together.kind == "multi_label"


@pytest.mark.parametrize("constant", [0, 1])
def test_a_label_that_no_row_has_or_every_row_does_not_stop_the_others(constant):
    rng = np.random.default_rng(0)
    labels, p = rng.integers(2, size=(24, 3)), rng.uniform(size=(24, 3))
    labels[:, 1] = constant
    with pytest.warns(UserWarning, match="`y_true`.*label 1. There the threshold stays 0.5"):
        found = tune_thresholds(labels, p, objective="f1", multi_label=True)
    alone = [tune_thresholds(labels[:, j], p[:, j], objective="f1") for j in (0, 2)]
    np.testing.assert_array_equal(found.values, [alone[0].values, 0.5, alone[1].values])
    assert found.score == pytest.approx(np.mean([one.score for one in alone]), abs=1e-12)


def test_forms_of_labels_and_positions_give_the_same():
    rng = np.random.default_rng(0)
    labels, p = rng.integers(2, size=24), rng.uniform(size=24)
    expected = tune_thresholds(labels, p)
    weights = rng.uniform(size=24)
    weighted = tune_thresholds(labels, p, sample_weight=weights)
    for truth, scores in (
        (labels[:, None], p),
        (labels, p[:, None]),
        (labels > 0, p),
        (labels.astype(float), p.tolist()),
    ):
        assert tune_thresholds(truth, scores).values == expected.values
    image = tune_thresholds(labels.reshape(4, 6), p.reshape(4, 6, 1), sample_weight=weights.reshape(4, 6))
    assert (image.values, image.score) == (weighted.values, weighted.score)
    assert image(p.reshape(4, 6, 1)).shape == (4, 6)
    assert isinstance(expected.values, float)
    assert expected(p).dtype == np.int64


def test_neighbouring_numbers_are_told_apart():
    for dtype in ("float16", "float32", "float64"):
        low = np.array(0.3, dtype)
        p = np.array([low, np.nextafter(low, np.array(1, dtype))])
        np.testing.assert_array_equal(tune_thresholds([0, 1], p)(p), [0, 1])
    np.testing.assert_array_equal(tune_thresholds([0, 1], [0.0, 5e-324])([0.0, 5e-324]), [0, 1])
    almost = np.nextafter(1.0, 0)
    np.testing.assert_array_equal(tune_thresholds([0, 1], [almost, 1.0])([almost, 1.0]), [0, 1])


def test_all_and_none_are_cuts_too():
    labels, p = [1, 0, 0, 1], [0.0, 0.2, 0.7, 1.0]
    dear_misses = tune_thresholds(labels, p, objective="cost", cost_matrix=[[0, 1], [100, 0]])
    dear_alarms = tune_thresholds(labels, p, objective="cost", cost_matrix=[[0, 100], [1, 0]])
    assert dear_misses(p).tolist() == [1, 1, 1, 1]
    assert (dear_misses.score, dear_alarms.score) == (0.5, 0.25)
    assert tune_thresholds([1, 0, 0, 1], [0.1, 0.2, 1.0, 0.3], objective="cost", cost_matrix=[[0, 100], [1, 0]])(
        [0.3, 1.0]
    ).tolist() == [0, 0]


def test_of_equal_cuts_the_one_nearest_to_one_half_is_taken():
    options = {"objective": "balanced_accuracy"}
    assert tune_thresholds([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.8], **options).values == pytest.approx(0.55)
    assert tune_thresholds([0, 1, 0, 1], [0.2, 0.7, 0.8, 0.9], **options).values == pytest.approx(0.45)


def test_other_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    labels, p = rng.integers(2, size=40), rng.uniform(size=40)
    for options, score in (
        ({"objective": "mcc"}, matthews_corrcoef),
        ({"objective": "fbeta", "beta": 2}, lambda a, b: fbeta_score(a, b, beta=2)),
        ({"objective": "fbeta", "beta": 0.5}, lambda a, b: fbeta_score(a, b, beta=0.5)),
    ):
        brute = max(score(labels, (p > cut).astype(int)) for cut in [-1.0, *p])
        assert tune_thresholds(labels, p, **options).score == pytest.approx(brute, abs=1e-12)


@settings(max_examples=25)
@given(tasks(), st.sampled_from([0.5, 0.9, 1.0]))
def test_the_best_precision_at_a_recall_is_that_of_scikit_learn(task, least):
    labels, p, _ = task
    assume(len(set(labels)) == 2 and len(set(p)) > 1)
    precision, recall, _ = precision_recall_curve(labels, p)
    found = tune_thresholds(labels, p, objective="precision_at_recall", at=least)
    assert found.score == pytest.approx(precision[recall >= least].max(), abs=1e-12)
    assert recall_score(labels, found(p)) >= least - 1e-9
    wanted = recall[:-1][precision[:-1] >= least]
    wanted = wanted[wanted > 0]
    if len(wanted):
        found = tune_thresholds(labels, p, objective="recall_at_precision", at=least)
        assert found.score == pytest.approx(wanted.max(), abs=1e-12)
    else:
        with pytest.warns(UserWarning, match=f"`at`={least} is reached by no threshold"):
            assert tune_thresholds(labels, p, objective="recall_at_precision", at=least).score == 0


def test_the_cross_validated_score_is_that_of_rows_held_out():
    """Chance tells no rows apart: on the rows tuned on the score rises, held out it does not."""
    gaps = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels, p = rng.integers(2, size=60), rng.uniform(size=60)
        found = tune_thresholds(labels, p, objective="balanced_accuracy")
        gaps.append((found.score - 0.5, found.cross_validated_score - 0.5))
    tuned, held_out = np.mean(gaps, axis=0)
    assert tuned > 0.06 > 0.03 > held_out
    labels, p = np.array([0] * 4 + [1] * 4), np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    assert tune_thresholds(labels, p).cross_validated_score == 1
    assert np.isnan(tune_thresholds([0, 0, 1], [0.1, 0.2, 0.3]).cross_validated_score)


LABELS, P = [0, 1, 1, 0], [0.1, 0.6, 0.7, 0.4]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"objective": "accuracy"}, "`objective` must be one of"),
        ({"objective": 3}, "`objective` must be one of"),
        ({"objective": "precision"}, r"A function of confusion matrices \(\.\.\., C, C\)"),
        ({"objective": "f_1"}, "Did you mean 'f1'"),
        ({"multi_label": "False"}, "`multi_label` must be True or False"),
        ({"objective": lambda c: c[..., 0, 0] * NAN}, "`objective` must return one finite number"),
        ({"objective": lambda c: 1.0}, "`objective` must return one finite number"),
        ({"objective": lambda c: [1, 2]}, "`objective` must return one finite number"),
        ({"objective": lambda c: None}, "`objective` must return one finite number"),
        ({"objective": "fbeta"}, "`beta` must be given"),
        ({"objective": "fbeta", "beta": 0}, "`beta` must be .* more than 0"),
        ({"beta": 2}, "`beta` must be given with"),
        ({"objective": "recall_at_precision"}, "`at` must be given"),
        ({"objective": "precision_at_recall", "at": 1.5}, "`at` must be a finite number in"),
        ({"objective": "f1", "at": 0.5}, "`at` must be given with"),
        ({"objective": "cost"}, "`cost_matrix` must be given"),
        ({"cost_matrix": COSTS}, "`cost_matrix` must be given with"),
        ({"objective": "cost", "cost_matrix": np.ones((3, 3))}, "`cost_matrix` must be 2 x 2"),
        ({"objective": "cost", "cost_matrix": [[0, -1], [1, 0]]}, "`cost_matrix` must hold"),
        ({"probabilities": [0.1, 0.6, 0.7, 1.4]}, r"`probabilities` must lie in \[0, 1\]"),
        ({"probabilities": [0.1, 0.6, 0.7, NAN]}, r"`probabilities` must lie in \[0, 1\]"),
        ({"probabilities": [[0.1, 0.6]] * 4}, "rows that sum to 1"),
        ({"probabilities": [0.3] * 4}, "`probabilities` must differ between rows"),
        ({"probabilities": [[0.3, 0.7]] * 4}, "`probabilities` must differ between rows"),
        ({"y_true": [0, 0, 0, 0]}, "rows of every class.*class 1"),
        ({"y_true": [0, 1, 2, 0]}, "`y_true`"),
        ({"y_true": [0, 0.5, 1, 0]}, "`y_true` must hold hard labels"),
        ({"y_true": [1, -1, 1, -1]}, "`y_true` must hold hard labels.* Received: -1.* anew.*ignore_class=-1"),
        ({"y_true": ["no", "yes", "no", "no"]}, "`y_true` must hold class ids.*names.index"),
        ({"y_true": [0, 1, 1]}, r"`y_true` must line up.*y_true.shape=\(3,\), y_pred.shape=\(4, 1\)"),
        ({"y_true": [], "probabilities": []}, "rows of every class"),
        ({"sample_weight": [1, 0, 0, 1]}, "rows of every class.*class 1"),
        ({"sample_weight": [1, 1, 1]}, "`sample_weight` must have"),
        ({"sample_weight": [1, 1, 1, -1]}, "`sample_weight` must hold"),
        ({"sample_weight": [1, 1, 1, NAN]}, "`sample_weight` must hold .* Received: nan in row 3"),
        ({"sample_weight": {0: 1, 1: 9}}, "Of class weights take that of each row's class"),
        ({"y_true": [[0, 1], [0, 1]], "probabilities": [[0.1, 0.2], [0.8, 0.3]], "multi_label": True}, "of label 0"),
        ({"y_true": [[0, 1], [1, 0]], "probabilities": [[0.1, 0.3], [0.8, 0.3]], "multi_label": True}, "of label 1"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        tune_thresholds(**{"y_true": LABELS, "probabilities": P, **arguments})


def test_decisions_are_taken_on_as_many_channels_as_were_tuned():
    binary = tune_thresholds(LABELS, P)
    with pytest.raises(ValueError, match=r"must have 1 channels.*take \[:, 1\]"):
        binary([[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        binary([3.0])
