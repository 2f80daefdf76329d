"""Estimated priors: kept unless refuted, else the most likely one, against the truth, SciPy and plain EM."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import chi2

from keras_imbalance import estimate_prior
from keras_imbalance.decisions.prior_estimate import chi_square_tail

NAN = float("nan")
RARE = np.array([0.98, 0.02])


def drawn(rows, prior, train, rng, distance=2.0):
    """Probabilities that speak for `train`, of rows of Gaussian classes drawn by another prior."""
    train, size = np.array(train), len(train)
    y = rng.choice(size, rows, p=prior)
    x = rng.normal(size=(rows, size)) + distance * np.eye(size)[y]
    return softmax(distance * x + np.log(train), axis=1)


def by_em(p, train, steps=2000):
    """The most likely prior by the steps of Saerens et al. 2002, without pseudo-rows."""
    prior = np.array(train)
    for _ in range(steps):
        prior = prior * ((1 / (p / train @ prior)) @ (p / train)) / len(p)
    return prior


@pytest.mark.parametrize("degrees", [1, 2, 3, 9, 10, 99, 1000])
def test_the_tail_of_chi_square_is_that_of_scipy(degrees):
    for value in (0.0, 0.1, 1.0, 6.6, 21.7, 130.0, 1100.0):
        assert chi_square_tail(value, degrees) == pytest.approx(chi2.sf(value, degrees), abs=1e-10)


DRAWS = [pytest.param(25, id="25"), pytest.param(200, id="200", marks=pytest.mark.slow)]


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("rows", [100, 500, 5000])
def test_rows_of_the_train_prior_leave_it_as_it_is(rows, draws):
    for train in (RARE, np.array([0.7, 0.2, 0.06, 0.04])):
        kept = [estimate_prior(drawn(rows, train, train, np.random.default_rng(s)), train) for s in range(draws)]
        assert np.mean([np.array_equal(prior, train) for prior in kept]) >= 0.95


@pytest.mark.parametrize("draws", DRAWS)
@pytest.mark.parametrize("rows", [500, 5000])
def test_a_tenfold_shift_of_a_rare_class_is_found(rows, draws):
    """2 % to 20 %: within two standard errors of EM, those of the observed information."""
    near = []
    for seed in range(draws if rows == 500 or draws > 25 else 10):
        p = drawn(rows, [0.8, 0.2], RARE, np.random.default_rng(seed))
        em = by_em(p, RARE, 300)
        ratio = p / RARE
        error = 1 / np.sqrt((((ratio[:, 1] - ratio[:, 0]) / (ratio @ em)) ** 2).sum())
        near.append(abs(estimate_prior(p, RARE)[1] - em[1]) <= 2 * error)
    assert np.mean(near) >= 0.9


@pytest.mark.parametrize("prior", [[0.9, 0.07, 0.03], [0.05, 0.15, 0.8], [0.5, 0.49, 0.01]])
def test_an_estimated_prior_is_the_shifted_one(prior):
    got = estimate_prior(drawn(50_000, prior, [0.5, 0.3, 0.2], np.random.default_rng(5)), [0.5, 0.3, 0.2])
    np.testing.assert_allclose(got, prior, atol=0.01)
    assert got.sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=30)
@given(arrays(np.float64, (30, 3), elements=st.floats(0.02, 1)), st.lists(st.floats(0.1, 1), min_size=3, max_size=3))
def test_an_estimated_prior_has_the_highest_likelihood_with_one_pseudo_row_a_class(parts, train):
    p, train = parts / parts.sum(axis=1, keepdims=True), np.array(train) / np.sum(train)

    def loss(z):
        prior = softmax(np.append(z, 0))
        return -np.log((p / train) @ prior).sum() - 3 * train @ np.log(prior)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        got = estimate_prior(p, train, significance=1)
    assert (got > 0).all()
    assert loss(np.log(got[:2] / got[2])) <= minimize(loss, np.zeros(2), method="BFGS").fun + 1e-6


@pytest.mark.parametrize("significance", [0.001, 0.2])
def test_the_train_prior_goes_where_the_likelihood_ratio_test_says_so(significance):
    changed = set()
    for seed in range(12):
        p = drawn(150, [0.92, 0.08], RARE, np.random.default_rng(seed))
        ratio = 2 * np.log(p / RARE @ by_em(p, RARE) / 1.0).sum()
        refuted = chi2.sf(ratio, 1) <= significance
        assert np.array_equal(estimate_prior(p, RARE, significance=significance), RARE) != refuted
        changed.add(bool(refuted))
    assert changed == {False, True}


def test_an_estimated_prior_of_one_sigmoid_equals_that_of_the_pair():
    p = np.random.default_rng(0).beta(0.5, 1.5, size=500)
    expected = estimate_prior(np.stack([1 - p, p], axis=1), [0.5, 0.5])
    assert expected[1] < 0.4
    for form in (p, p[:, None], p.reshape(5, 100, 1)):
        np.testing.assert_allclose(estimate_prior(form, "balanced"), expected, rtol=1e-12)
    by_name = estimate_prior(p, {"yes": 1, "no": 1}, class_names=["no", "yes"])
    np.testing.assert_array_equal(by_name, expected)


def test_many_rows_in_parts_give_what_all_at_once_give():
    train = np.array([0.6, 0.3, 0.1])
    p = drawn(60_001, [0.3, 0.3, 0.4], train, np.random.default_rng(0))
    slope = (1 / (p / train @ estimate_prior(p, train))) @ (p / train) / len(p)
    np.testing.assert_allclose(slope, 1, atol=3 * 3 / len(p))  # those of the most likely prior are 1


@pytest.mark.parametrize(
    ("claimed", "spoken_for", "true", "message"),
    [
        ([0.5, 0.5], RARE, RARE, "class 1 comes out as absent although"),
        (RARE, [0.5, 0.5], RARE, "class 1 rises from a share of 0.02"),
        (RARE, RARE, [0.8, 0.2], None),
        ([0.5, 0.5], [0.5, 0.5], RARE, None),
    ],
)
def test_probabilities_that_contradict_the_train_prior_grossly_warn(claimed, spoken_for, true, message):
    p = drawn(5000, true, spoken_for, np.random.default_rng(1), distance=1.4)
    if message:
        with pytest.warns(UserWarning, match=f"`train_prior` grossly.*{message}.*output_prior"):
            estimate_prior(p, claimed)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            estimate_prior(p, claimed)


def test_what_does_not_converge_warns():
    p = np.random.default_rng(0).uniform(0.3, 0.9, size=50)
    with pytest.warns(RuntimeWarning, match="did not converge: after max_iterations=1 "):
        estimate_prior(p, "balanced", max_iterations=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimate_prior(p, "balanced")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_prior": 0.5}, r"`train_prior`.*\[1 - p, p\]"),
        ({"train_prior": [0.5, 0]}, "`train_prior` must hold positive"),
        ({"train_prior": [1, 1, 1]}, "`train_prior`"),
        ({"max_iterations": 0}, "`max_iterations`"),
        ({"max_iterations": 1.5}, "`max_iterations`"),
        ({"tolerance": -1.0}, "`tolerance`"),
        ({"tolerance": NAN}, "`tolerance`"),
        ({"significance": 0}, "`significance`"),
        ({"significance": 1.1}, "`significance`"),
        ({"class_names": ["a"]}, "`class_names`"),
        ({"probabilities": [1.5]}, "`probabilities` must"),
        ({"probabilities": [[0.5, 0.4]]}, "`probabilities` must"),
        ({"probabilities": np.zeros((0, 2))}, "at least one row"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        estimate_prior(**{"probabilities": [0.5], "train_prior": "balanced", **arguments})
