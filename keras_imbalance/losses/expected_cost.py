"""Expected costs of rows from logits, in log space, with gradients written by hand."""

from typing import Any

from keras_imbalance._keras import custom_gradient, ops, row_maximum
from keras_imbalance.losses.log_space import TINY, are_ids, at_least, cross_entropy, focal, marked, relative


def expected_cost(logits: Any, costs: Any) -> Any:
    """sum_j costs_j p_j of every row.

    Costs are taken relative to that of the likeliest class, so that a row of costs with a constant added has the same
    gradient to the last digit and a certain prediction keeps all its digits.

    Args:
        logits: float `(..., C)`.
        costs: float `(..., C)`, the cost of each decision for the row.

    Returns:
        float `(...)`.
    """

    @custom_gradient
    def loss(logits, costs):
        cost, by_logits = _expected_cost(ops.exp(relative(logits)), costs)

        def grad(upstream):
            return ops.expand_dims(upstream, -1) * by_logits()

        return cost, grad

    return loss(logits, costs)


def sigmoid_expected_cost(logits: Any, of_0: Any, more_of_1: Any) -> Any:
    """of_0 (1 - p) + (of_0 + more_of_1) p with p = sigmoid(logits), element by element.

    The cost is taken relative to that of the likelier class, so that a certain prediction keeps all its digits.
    """

    @custom_gradient
    def loss(logits, of_0, more_of_1):
        is_positive = logits >= 0
        small = ops.exp(ops.where(is_positive, -logits, logits))
        less_likely = small / (1 + small)

        def grad(upstream):
            return upstream * more_of_1 * less_likely * (1 - less_likely)

        cost = ops.where(is_positive, of_0 + more_of_1 - more_of_1 * less_likely, of_0 + more_of_1 * less_likely)
        return cost, grad

    return loss(logits, of_0, more_of_1)


def regularized_cost(logits: Any, targets: Any, costs: Any, weight: float) -> Any:
    """Cross-entropy + weight * expected cost `(...)`, from one set of exponentials where the labels are hard.

    Args:
        logits: float `(..., C)`.
        targets: int32 ids `(...)` or shares `(..., C)`.
        costs: float `(..., C)`, the cost of each decision for the row.
        weight: weight of the cost.
    """
    if not are_ids(targets):
        return cross_entropy(logits, targets) + weight * expected_cost(logits, costs)

    @custom_gradient
    def loss(logits, is_true, costs):
        shifted = relative(logits)
        exponentials = ops.exp(shifted)
        zeros = ops.zeros_like(logits)
        rest = at_least(ops.sum(ops.where(is_true, zeros, exponentials), axis=-1, keepdims=True), TINY)
        true = ops.sum(ops.where(is_true, shifted, zeros), axis=-1)
        cost, by_logits = _expected_cost(exponentials, costs)

        def grad(upstream):
            total = rest + ops.exp(ops.expand_dims(true, -1))
            entropy = ops.where(is_true, -rest, exponentials) / total
            return ops.expand_dims(upstream, -1) * (entropy + weight * by_logits())

        return focal(true - ops.log(ops.squeeze(rest, -1)), 0.0) + weight * cost, grad

    return loss(logits, marked(targets, logits.shape[-1]), costs)


def _expected_cost(exponentials, costs):
    """Expected cost of rows with these exponentials, the largest of which is 1, and its gradient as a function."""
    zeros = ops.zeros_like(costs)
    base = row_maximum(ops.where(exponentials >= 1, costs, zeros))
    above = costs - base
    total = ops.sum(exponentials, axis=-1, keepdims=True)
    excess = ops.sum(above * exponentials, axis=-1, keepdims=True) / total

    def by_logits():
        return exponentials / total * (above - excess)

    return ops.squeeze(base + excess, -1), by_logits
