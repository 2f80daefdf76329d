"""Class shares and the function that moves logits from one prior to another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_imbalance._core import check_shares, log_ratio


class Series(dict):
    """What a pandas Series looks like, without pandas: values that know which class they are of."""

    def to_dict(self):
        return dict(self)


SHARES = st.lists(st.floats(1e-3, 1.0), min_size=4, max_size=4)


@pytest.mark.parametrize(
    "shares",
    [
        [0.5, 0.3, 0.2],
        [50, 30, 20],
        np.array([5, 3, 2]),
        Series({2: 0.2, 0: 0.5, 1: 0.3}),
        {1: 0.3, 0: 0.5, 2: 0.2},
        {"b": 0.3, "a": 0.5, "c": 0.2},
        {"b": 3, np.int64(0): 5, "c": 2},
        Series({"c": 0.2, "a": 0.5, "b": 0.3}),
    ],
    ids=str,
)
def test_every_form_of_shares_means_the_same(shares):
    found = check_shares(shares, "true_prior", class_names=["a", "b", "c"])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [0.5, 0.3, 0.2], rtol=1e-15)


def test_balanced_takes_the_number_of_classes_from_what_is_known():
    np.testing.assert_array_equal(check_shares("balanced", "p", num_classes=5), np.full(5, 0.2))
    np.testing.assert_allclose(log_ratio("balanced", [1, 3]), np.log([0.5, 1.5]))
    np.testing.assert_allclose(log_ratio({0: 1, 1: 3}, "balanced"), -np.log([0.5, 1.5]))
    np.testing.assert_array_equal(log_ratio("balanced", "balanced", 3), np.zeros(3))


@pytest.mark.parametrize("number", [0.02, 1, np.float32(0.5), np.array(0.5), True])
def test_a_bare_number_is_refused_with_both_ways_to_write_it(number):
    with pytest.raises(ValueError, match=r"`true_prior`.*\[1 - p, p\].*target_distribution\(class_counts, q\)"):
        check_shares(number, "true_prior", num_classes=2)


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        ("blanced", "Did you mean 'balanced'"),
        ("natural", "class_prior"),
        ([0.5, 0.5], "3 positive shares"),
        ([[0.5, 0.3, 0.2]], "3 positive shares"),
        ([0.5, 0.5, 0.0], "small share"),
        ([0.5, 0.5, np.nan], "positive, finite"),
        ([0.5, 0.5, -0.1], "positive, finite"),
        (["a", "b", "c"], "3 positive shares"),
        ({"a": 0.5, "b": 0.5}, r"\['c'\] are missing"),
        ({"a": 0.5, "b": 0.3, "see": 0.2}, "'see'"),
        ({"a": 0.5, "b": 0.3, 3: 0.2}, "'c'.* key 3"),
        ({"a": 0.5, "b": 0.3, True: 0.2}, "key True"),
        ({"a": "much", "b": 0.3, "c": 0.2}, "3 positive shares"),
        (None, "be 'balanced' or one share a class"),
    ],
    ids=str,
)
def test_what_is_no_shares_is_refused(shares, word):
    with pytest.raises(ValueError, match=f"`prior`.*{word}"):
        check_shares(shares, "prior", class_names=["a", "b", "c"])


def test_balanced_needs_to_know_how_many_classes_there_are():
    with pytest.raises(ValueError, match=r"`train_prior`.*1 / C"):
        log_ratio("balanced", "balanced")
    with pytest.raises(ValueError, match=r"`true_prior`.*2 positive shares"):
        log_ratio([1, 1], [1, 1, 1])


@given(SHARES, SHARES, SHARES)
def test_ratios_add_up_and_come_back(a, b, c):
    np.testing.assert_allclose(log_ratio(a, b) + log_ratio(b, c), log_ratio(a, c), atol=1e-12)
    np.testing.assert_allclose(log_ratio(a, b), -log_ratio(b, a), atol=1e-12)


@given(SHARES, SHARES, SHARES)
def test_moved_logits_are_the_rule_of_bayes(likelihood, before, after):
    likelihood, before, after = map(np.array, (likelihood, before, after))
    moved = np.log(likelihood * before / before.sum()) + log_ratio(before, after)
    np.testing.assert_allclose(np.exp(moved), likelihood * after / after.sum(), rtol=1e-9)
