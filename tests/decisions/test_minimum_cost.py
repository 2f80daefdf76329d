"""minimum_cost_decision against a search by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_imbalance import minimum_cost_decision

NAN = float("nan")
COSTS = [[0, 1, 4], [2, 0, 1], [9, 3, 0]]


def distributions(num_classes, rows=8):
    """Rows over few levels, so that ties are common."""
    parts = arrays(np.int64, (rows, num_classes), elements=st.integers(0, 4)).filter(
        lambda table: table.sum(axis=1).all()
    )
    return parts.map(lambda table: table / table.sum(axis=1, keepdims=True))


@given(distributions(3), arrays(np.float64, (3, 3), elements=st.floats(0, 100)))
def test_no_other_decision_costs_less(p, costs):
    chosen = minimum_cost_decision(p, costs)
    assert chosen.dtype == np.int64
    for row, k in zip(p, chosen, strict=True):
        expected = [sum(row[j] * costs[j, other] for j in range(3)) for other in range(3)]
        assert expected[k] <= min(expected) + 1e-12


@given(distributions(5))
def test_costs_of_0_and_1_give_the_first_of_the_likeliest(p):
    np.testing.assert_array_equal(minimum_cost_decision(p, 1 - np.eye(5)), p.argmax(axis=1))
    np.testing.assert_array_equal(minimum_cost_decision(p, 1e-3 - 1e-3 * np.eye(5)), p.argmax(axis=1))


@given(distributions(3), st.integers(0, 5), st.integers(-20, 20), st.permutations(range(3)))
def test_neither_a_constant_of_a_row_nor_the_unit_nor_the_order_of_classes_matters(p, constant, exponent, order):
    costs = np.array(COSTS, float)
    p = p + np.array([1e-3, 2e-3, 5e-3])  # no ties, which the first class would win
    p /= p.sum(axis=1, keepdims=True)
    chosen = minimum_cost_decision(p, costs)
    np.testing.assert_array_equal(
        minimum_cost_decision(p, (costs + np.array([[constant], [0], [1]])) * 2.0**exponent), chosen
    )
    renamed = minimum_cost_decision(p[:, order], costs[np.ix_(order, order)])
    np.testing.assert_array_equal(np.array(order)[renamed], chosen)


@given(arrays(np.float64, 20, elements=st.floats(0, 1)), st.floats(0.1, 10), st.floats(0.1, 10))
def test_two_classes_are_told_apart_at_a_share_of_the_costs(p, false_alarm, miss):
    cut = false_alarm / (false_alarm + miss)
    p = p[np.abs(p - cut) > 1e-12]
    costs = [[0, false_alarm], [miss, 0]]
    for form in (p, p[:, None], np.stack([1 - p, p], axis=1)):
        np.testing.assert_array_equal(minimum_cost_decision(form, costs), p > cut)


def test_positions_and_empty_batches_and_half_precision():
    p = np.random.default_rng(0).dirichlet(np.ones(3), (4, 5))
    flat = minimum_cost_decision(p.reshape(20, 3), COSTS)
    np.testing.assert_array_equal(minimum_cost_decision(p, COSTS), flat.reshape(4, 5))
    assert minimum_cost_decision(p[:0], COSTS).shape == (0, 5)
    half = p.astype("float16")
    np.testing.assert_array_equal(minimum_cost_decision(half, COSTS), minimum_cost_decision(half.astype(float), COSTS))


def test_costs_all_alike_give_the_first_class():
    assert (minimum_cost_decision([[0.2, 0.8]], [[0, 0], [0, 0]]) == 0).all()


@pytest.mark.parametrize(
    "p",
    [
        [[0.5, 0.6]],
        [[0.5, NAN]],
        [[-0.1, 1.1]],
        [1.2],
        0.5,
        ["a"],
        [[2.0, -1.0, 3.0]],
        [[0.5, 0.5], [1.0]],
        np.zeros((2, 0)),
        None,
    ],
)
def test_probabilities_must_be_such(p):
    with pytest.raises(ValueError, match="`probabilities` must"):
        minimum_cost_decision(p, [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    "costs", [[[0, 1]], [[0, 1, 1]] * 3, [[0, -1], [1, 0]], [[0, NAN], [1, 0]], 3, None, [["a", "b"]] * 2, [[0]]]
)
def test_costs_must_be_a_square_matrix_of_the_classes(costs):
    with pytest.raises(ValueError, match="`cost_matrix` must"):
        minimum_cost_decision([[0.5, 0.5]], costs)
