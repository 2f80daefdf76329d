"""Prior correction against its formulas and against a model of all data."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, recall_score

from keras_imbalance import correct_prior, minimum_cost_decision

NAN, INF = float("nan"), float("inf")
RARE = [0.98, 0.02]
shares = st.lists(st.floats(1e-6, 1), min_size=4, max_size=4)


@given(arrays(np.float64, (6, 4), elements=st.floats(-300, 300)), shares, shares)
def test_correction_is_a_shift_of_the_logits(logits, train, true):
    expected = softmax(logits + np.log(np.array(true) / train), axis=1)
    p = softmax(logits, axis=1)
    p[p < 1e-290] = 0  # a number that has lost digits has no logit to compare with
    expected[p == 0] = 0
    got = correct_prior(p, train, true)
    np.testing.assert_allclose(got, expected / expected.sum(axis=1, keepdims=True), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-12)


@given(arrays(np.float64, 20, elements=st.floats(0, 1)), st.floats(1e-6, 1))
def test_correction_of_an_undersampled_majority_is_the_beta_formula(p, beta):
    kept = np.array([0.9 * beta, 0.1])
    expected = beta * p / (beta * p - p + 1)
    # Undersampling kept a share beta of class 0: the odds of class 1 were divided by beta.
    for form in (p, p[:, None]):
        got = correct_prior(form, kept, [0.9, 0.1])
        assert got.shape == form.shape
        np.testing.assert_allclose(got.reshape(-1), expected, rtol=1e-9, atol=1e-12)
    pairs = correct_prior(np.stack([1 - p, p], axis=1), kept, [0.9, 0.1])
    np.testing.assert_allclose(pairs[:, 1], expected, rtol=1e-9, atol=1e-12)


@given(arrays(np.float64, 20, elements=st.floats(1e-12, 1 - 1e-12)), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_correction_back_gives_what_was_there(p, one, other):
    one, other = [1 - one, one], [1 - other, other]
    np.testing.assert_allclose(correct_prior(correct_prior(p, one, other), other, one), p, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(correct_prior(p, one, one), p, rtol=1e-12)


def test_probabilities_near_0_keep_their_digits_and_sure_ones_stay_sure():
    tiny = np.array([1e-300, 1e-30, 1e-9])
    np.testing.assert_allclose(correct_prior(tiny, "balanced", [0.99, 0.01]), tiny / 99, rtol=1e-9)
    near_1 = correct_prior(np.stack([tiny, 1 - tiny], axis=1), [0.5, 0.5], [0.99, 0.01])
    np.testing.assert_allclose(near_1[:, 0], tiny * 99, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(correct_prior([0.0, 1.0], "balanced", [0.99, 0.01]), [0, 1])
        np.testing.assert_array_equal(correct_prior([[0.0, 1.0, 0.0]], [1, 1, 1], [1, 1e-9, 1]), [[0, 1, 0]])


def test_forms_of_priors_and_positions():
    p = np.random.default_rng(0).uniform(size=(3, 4, 1))
    expected = expit(np.log(p / (1 - p)) + np.log(0.02 / 0.98))
    for train, true in (("balanced", RARE), ([1, 1], [98, 2]), (np.array([0.5, 0.5]), {1: 2, 0: 98})):
        np.testing.assert_allclose(correct_prior(p, train, true), expected, rtol=1e-12)
    assert correct_prior(p.astype("float32"), "balanced", RARE).dtype == np.float64


def test_balanced_shares_are_equal_shares_of_as_many_classes_as_there_are_channels():
    p = np.random.default_rng(0).dirichlet(np.ones(4), 9)
    np.testing.assert_array_equal(correct_prior(p, [4, 3, 2, 1], "balanced"), correct_prior(p, [4, 3, 2, 1], [1] * 4))
    np.testing.assert_array_equal(correct_prior(p, "balanced", [4, 3, 2, 1]), correct_prior(p, [1] * 4, [4, 3, 2, 1]))


@pytest.mark.parametrize("number", [0.01, 0.5, 1, 2, np.float32(0.02), np.array(0.5)])
def test_a_bare_number_is_refused_with_the_remedy(number):
    p, good = [0.2, 0.7], [0.5, 0.5]
    for argument, call in {
        "train_prior": lambda: correct_prior(p, number, good),
        "true_prior": lambda: correct_prior(p, good, number),
    }.items():
        with pytest.raises(ValueError, match=rf"`{argument}`.*\[1 - p, p\]"):
            call()


def test_class_weights_move_the_prior_by_the_share_times_the_weight():
    counts = np.random.default_rng(0).integers(1, 50, size=(6, 3))  # rows of each class for each of six inputs
    weights = np.array([1.0, 7.0, 30.0])
    # Cross-entropy with class weights is lowest where the probabilities are the weighted shares.
    trained = counts * weights / (counts * weights).sum(axis=1, keepdims=True)
    rows = counts.sum(axis=0)
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(correct_prior(trained, rows * weights, rows), expected, rtol=1e-12)


def simulated(rows, positives, seed):
    """Two Gaussian classes whose true probabilities are known: features, labels."""
    rng = np.random.default_rng(seed)
    y = (np.arange(rows) < round(positives * rows)).astype(int)
    return rng.normal(size=(rows, 2)) + y[:, None] * np.array([1.5, 1.0]), y


def test_corrected_probabilities_are_as_good_as_those_of_a_model_of_all_data():
    x, y = simulated(40_000, 0.02, seed=0)
    x_new, y_new = simulated(200_000, 0.02, seed=1)
    kept = np.concatenate([np.flatnonzero(y == 0)[:800], np.flatnonzero(y == 1)])
    resampled = LogisticRegression(C=1e6).fit(x[kept], y[kept]).predict_proba(x_new)[:, 1]
    complete = LogisticRegression(C=1e6).fit(x, y).predict_proba(x_new)[:, 1]
    corrected = correct_prior(resampled, "balanced", RARE)
    as_trained, of_all, after = (brier_score_loss(y_new, p) for p in (resampled, complete, corrected))
    assert as_trained > 5 * of_all
    # The standard error of a Brier score over these rows is about .0003; the difference of the two has less.
    assert abs(after - of_all) < 2e-4
    # Corrected probabilities rarely exceed one half, so that recall at 0.5 falls; the threshold of the costs brings it back.
    assert recall_score(y_new, corrected > 0.5) < 0.3 < 0.8 < recall_score(y_new, resampled > 0.5)
    decided = minimum_cost_decision(corrected, [[0, 1], [49, 0]])
    assert recall_score(y_new, decided) == pytest.approx(recall_score(y_new, resampled > 0.5), abs=1e-9)


BAD_PRIORS = [
    0.0,
    1.0,
    1.5,
    NAN,
    INF,
    [0.5, 0.5, 0.0],
    [0.2, 0.8, 0.1, 0.1],
    [1, -1, 1],
    [NAN, 1, 1],
    "x",
    "natural",
    {0: 1, 1: 1},
    {0: 1, 1: 1, 3: 1},
    None,
    [1],
    True,
]


@pytest.mark.parametrize("prior", [*BAD_PRIORS, [[0.5, 0.5]], 0.5, ["a", "b", "c"]])
def test_priors_must_hold_positive_shares_of_the_classes(prior):
    p, good = [[0.2, 0.3, 0.5]], [1, 1, 1]
    with pytest.raises(ValueError, match="`train_prior`"):
        correct_prior(p, prior, good)
    with pytest.raises(ValueError, match="`true_prior`"):
        correct_prior(p, good, prior)


@pytest.mark.parametrize("p", [[[0.2, 0.2]], [1.5], [NAN], "a", [[0.5, 0.5, 0.5]]])
def test_probabilities_must_be_such(p):
    with pytest.raises(ValueError, match="`probabilities` must"):
        correct_prior(p, "balanced", "balanced")


def test_classes_may_go_by_name():
    p = np.random.default_rng(0).dirichlet(np.ones(3), 9)
    names, shares = ["a", "b", "c"], {"c": 1, "a": 6, "b": 3}
    expected = correct_prior(p, "balanced", [6, 3, 1])
    np.testing.assert_array_equal(correct_prior(p, "balanced", shares, class_names=names), expected)
    with pytest.raises(ValueError, match="`true_prior` must have one of"):
        correct_prior(p, "balanced", {"a": 1, "bb": 1, "c": 1}, class_names=names)
    with pytest.raises(ValueError, match="`class_names`"):
        correct_prior(p, "balanced", shares, class_names=["a", "b"])
