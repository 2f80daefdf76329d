"""The decision that costs least."""

from typing import Any

import numpy as np

from keras_imbalance.decisions.checks import check_probabilities, two_channels
from keras_imbalance.losses.cost_matrix import check_cost_matrix


def minimum_cost_decision(probabilities: Any, cost_matrix: Any) -> np.ndarray:
    """The class whose expected cost is lowest: argmin_k sum_j p_j cost[j, k], the first among equals.

    Costs 0 and 1 give the likeliest class. With two classes, no cost for being right, a for a false alarm and b for a miss,
    class 1 is taken where p > a / (a + b): a rare class that is costly to miss is taken at a low probability. This holds for
    probabilities as frequent as they say. Those of a model trained on resampled data or with class weights are not:
    `correct_prior` first, or the costs are counted twice.

    Args:
        probabilities: `(N, C)` or `(..., C)`, rows that sum to 1; or the probability of class 1, `(N,)` or `(..., 1)`.
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = decision.

    Returns:
        int64 array of class numbers, `(N,)` or `(...)`.

    Raises:
        ValueError: for probabilities outside [0, 1] or rows that do not sum to 1, and for a matrix that is not square, of
            another size than the probabilities, negative or not finite.

    Example:
    >>> missing_fraud_costs_10 = [[0, 1], [10, 0]]
    >>> minimum_cost_decision([0.02, 0.2, 0.9], missing_fraud_costs_10)
    array([0, 1, 1])

    Reference: Elkan, The Foundations of Cost-Sensitive Learning, 2001.
    """
    p = two_channels(check_probabilities(probabilities).astype(np.float64))
    return expected_costs(p, relative_costs(cost_matrix, p.shape[-1])).argmin(axis=-1).astype(np.int64)


def expected_costs(probabilities: Any, costs: Any) -> Any:
    """Expected cost `(..., C)` of every decision; both arguments are NumPy arrays or both are tensors.

    One product a true class instead of a matrix product, which accelerators compute with fewer digits and in an order of their
    own: equal costs come out equal.
    """
    total = probabilities[..., :1] * costs[0]
    for j in range(1, costs.shape[0]):
        total = total + probabilities[..., j : j + 1] * costs[j]
    return total


def relative_costs(cost_matrix: Any, num_classes: int | None = None) -> np.ndarray:
    """Costs less the largest of their row, in a unit in which the largest is about 1; no decision changes by either.

    Costs 0 and 1 become minus the identity matrix, whose expected cost is exactly -p.
    """
    costs = check_cost_matrix(cost_matrix)
    if num_classes not in (None, len(costs)):
        raise ValueError(
            f"`cost_matrix` must be {num_classes} x {num_classes} for these probabilities. "
            f"Received: {len(costs)} x {len(costs)}."
        )
    costs = costs - costs.max(axis=1, keepdims=True)
    return np.ldexp(costs, -int(np.frexp(np.abs(costs).max())[1]))
