"""Prior correction against its formulas and against a model of all data; estimated priors against the truth."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import expit, softmax
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, recall_score

from keras_imbalance import correct_prior, estimate_prior, minimum_cost_decision

NAN, INF = float("nan"), float("inf")
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
    np.testing.assert_allclose(correct_prior(correct_prior(p, one, other), other, one), p, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(correct_prior(p, one, one), p, rtol=1e-12)


def test_probabilities_near_0_keep_their_digits_and_sure_ones_stay_sure():
    tiny = np.array([1e-300, 1e-30, 1e-9])
    np.testing.assert_allclose(correct_prior(tiny, 0.5, 0.01), tiny / 99, rtol=1e-9)
    near_1 = correct_prior(np.stack([tiny, 1 - tiny], axis=1), [0.5, 0.5], [0.99, 0.01])
    np.testing.assert_allclose(near_1[:, 0], tiny * 99, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(correct_prior([0.0, 1.0], 0.5, 0.01), [0, 1])
        np.testing.assert_array_equal(correct_prior([[0.0, 1.0, 0.0]], [1, 1, 1], [1, 1e-9, 1]), [[0, 1, 0]])


def test_forms_of_priors_and_places():
    p = np.random.default_rng(0).uniform(size=(3, 4, 1))
    expected = expit(np.log(p / (1 - p)) + np.log(0.02 / 0.98))
    for train, true in ((0.5, 0.02), ([1, 1], [98, 2]), (np.array([0.5, 0.5]), np.float32(0.02))):
        np.testing.assert_allclose(correct_prior(p, train, true), expected, rtol=1e-6)
    assert correct_prior(p.astype("float32"), 0.5, 0.02).dtype == np.float64


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
    corrected = correct_prior(resampled, 0.5, 0.02)
    as_trained, of_all, after = (brier_score_loss(y_new, p) for p in (resampled, complete, corrected))
    assert as_trained > 5 * of_all
    # The standard error of a Brier score over these rows is about .0003; the difference of the two has less.
    assert abs(after - of_all) < 2e-4
    # Honest probabilities rarely exceed one half, so that recall at 0.5 falls; the threshold of the costs brings it back.
    assert recall_score(y_new, corrected > 0.5) < 0.3 < 0.8 < recall_score(y_new, resampled > 0.5)
    decided = minimum_cost_decision(corrected, [[0, 1], [49, 0]])
    assert recall_score(y_new, decided) == pytest.approx(recall_score(y_new, resampled > 0.5), abs=1e-9)


@pytest.mark.parametrize("prior", [[0.9, 0.07, 0.03], [0.05, 0.15, 0.8], [0.5, 0.49, 0.01]])
def test_an_estimated_prior_is_the_shifted_one(prior):
    rng = np.random.default_rng(5)
    centres, train = np.array([[0, 0], [2, 0], [0, 2]]), np.array([0.5, 0.3, 0.2])
    y = rng.choice(3, 60_000, p=prior)
    x = centres[y] + rng.normal(size=(len(y), 2))
    density = norm.pdf(x[:, None] - centres).prod(axis=2)
    p = density * train / (density @ train)[:, None]
    got = estimate_prior(p, train)
    np.testing.assert_allclose(got, prior, atol=0.01)
    assert got.sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (30, 3), elements=st.floats(0.02, 1)), st.lists(st.floats(0.1, 1), min_size=3, max_size=3))
def test_an_estimated_prior_has_the_highest_likelihood(parts, train):
    p, train = parts / parts.sum(axis=1, keepdims=True), np.array(train) / np.sum(train)

    def loss(z):
        return -np.log((p / train) @ softmax(np.append(z, 0))).mean()

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # nearly equal classes are slow; what is found is good all the same
        got = estimate_prior(p, train, max_iterations=3000)
    best = minimize(loss, np.zeros(2), method="BFGS").fun
    assert -np.log((p / train) @ got).mean() <= best + 1e-6


def test_an_estimated_prior_of_one_sigmoid_equals_that_of_the_pair():
    p = np.random.default_rng(0).beta(0.5, 1.5, size=500)
    expected = estimate_prior(np.stack([1 - p, p], axis=1), [0.5, 0.5])
    for form in (p, p[:, None], p.reshape(5, 100, 1)):
        np.testing.assert_allclose(estimate_prior(form, 0.5), expected, rtol=1e-12)


def test_what_does_not_converge_warns():
    p = np.random.default_rng(0).uniform(0.3, 0.7, size=50)
    with pytest.warns(RuntimeWarning, match="did not converge: after max_iterations=2"):
        estimate_prior(p, 0.5, max_iterations=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate_prior(p, 0.5)


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
    with pytest.raises(ValueError, match="`train_prior`"):
        estimate_prior(p, prior)


@pytest.mark.parametrize("p", [[[0.2, 0.2]], [1.5], [NAN], "a", [[0.5, 0.5, 0.5]]])
def test_probabilities_must_be_such(p):
    for function in (lambda: correct_prior(p, 0.5, 0.1), lambda: estimate_prior(p, 0.5)):
        with pytest.raises(ValueError, match="`probabilities` must"):
            function()


def test_other_arguments_are_checked():
    for wrong in (0, 1.5, True):
        with pytest.raises(ValueError, match="`max_iterations`"):
            estimate_prior([0.5], 0.5, max_iterations=wrong)
    for wrong in (-1.0, NAN, "a"):
        with pytest.raises(ValueError, match="`tolerance`"):
            estimate_prior([0.5], 0.5, tolerance=wrong)
    with pytest.raises(ValueError, match="at least one row"):
        estimate_prior(np.zeros((0, 2)), 0.5)
