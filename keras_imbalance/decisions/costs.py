"""The decision that costs least."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import check_cost_matrix, invalid
from keras_imbalance.decisions.arrays import class_probabilities


def minimum_cost_decision(probabilities: npt.ArrayLike, cost_matrix: npt.ArrayLike, *, axis: int = -1) -> np.ndarray:
    """The class whose expected cost is lowest: argmin_k sum_j p_j cost[j, k], the first among equals.

    The probabilities must be calibrated. Those of a model trained on resampled data or with class weights are not:
    `correct_prior` first, or the costs are counted twice. Costs 0 and 1 give the likeliest class. With two classes, no cost for
    being right, a for a false alarm and b for a miss, class 1 is taken where p > a / (a + b): a rare class that is costly to
    miss is taken at a low probability.

    Args:
        probabilities: `(N, C)` or `(..., C)`, rows that sum to 1; or the probability of class 1, `(N,)` or `(..., 1)`.
        cost_matrix: `(C, C)`, finite, not negative; row = true class, column = decision.
        axis: channel axis of the probabilities. Defaults to -1.

    Returns:
        int64 array of class ids, `(N,)` or `(...)`.

    Raises:
        ValueError: for probabilities outside [0, 1] or rows that do not sum to 1, and for a matrix that is not square, of
            another size than the probabilities, negative or not finite.

    Example:
    >>> missing_fraud_costs_10 = [[0, 1], [10, 0]]
    >>> minimum_cost_decision([0.02, 0.2, 0.9], missing_fraud_costs_10)
    array([0, 1, 1])

    Reference: Elkan, The Foundations of Cost-Sensitive Learning, 2001.
    """
    p = class_probabilities(probabilities, axis)
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


def relative_costs(cost_matrix: npt.ArrayLike, num_classes: int | None = None) -> np.ndarray:
    """Costs less the largest of their row, in a unit in which the largest is about 1; no decision changes by either.

    Costs 0 and 1 become minus the identity matrix, whose expected cost is exactly -p.
    """
    costs = costs_of_classes(cost_matrix, num_classes)
    costs = costs - costs.max(axis=1, keepdims=True)
    return np.ldexp(costs, -int(np.frexp(np.abs(costs).max())[1]))


def costs_of_classes(cost_matrix: npt.ArrayLike, num_classes: int | None) -> np.ndarray:
    """`cost_matrix` as float64 `(C, C)`; raises unless it is for as many classes as the probabilities."""
    costs = check_cost_matrix(cost_matrix)
    if num_classes not in (None, len(costs)):
        size = f"{num_classes} x {num_classes}"
        raise invalid("cost_matrix", f"be {size} for these probabilities", received=f"shape {costs.shape}")
    return costs
