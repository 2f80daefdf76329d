"""Softmax and sigmoid losses in log space: no clip, no epsilon, no digit lost where a prediction is sure.

Three quantities describe class j of a row of logits z: p_j its probability, x_j = -log p_j and q_j = 1 - p_j. Each is a
sum of positive terms relative to the largest logit, so that a q_j of 1e-20 has all its digits; gradients are written by
hand for the same reason (p_y - 1 would lose them).
"""

from typing import Any

from keras_imbalance.backend import concrete, custom_gradient, ops, row_maximum

TINY = 1e-37  # stands for a sum of exponentials that underflows; its logarithm is -85


def true_class_log_odds(logits: Any, labels: Any, scale: float = 1.0) -> Any:
    """log(p_y / (1 - p_y)) of the true class y, equal to z_y - logsumexp of the other logits.

    Args:
        logits: float `(..., C)`, C >= 2.
        labels: int32 ids `(...)` of the true class, or bool `(..., C)` that marks it.
        scale: what the logits are multiplied with first. Differences are scaled, not logits: that keeps their digits.

    Returns:
        float `(...)`.
    """
    is_true = labels
    if len(labels.shape) < len(logits.shape):
        is_true = ops.equal(ops.expand_dims(labels, -1), ops.arange(logits.shape[-1], dtype="int32"))

    @custom_gradient
    def log_odds(logits, is_true):
        shifted = relative(logits)
        shifted = shifted if scale == 1 else scale * shifted
        zeros = ops.zeros_like(logits)
        others = ops.where(is_true, zeros, ops.exp(shifted))
        total = at_least(ops.sum(others, axis=-1), TINY)
        true = ops.sum(ops.where(is_true, shifted, zeros), axis=-1)

        def grad(upstream):
            upstream = scale * ops.expand_dims(upstream, -1)
            return ops.where(is_true, upstream, others * (-upstream / ops.expand_dims(total, -1)))

        return true - ops.log(total), grad

    return log_odds(logits, is_true)


def relative(logits: Any) -> Any:
    """Logits `(..., C)` less the largest of their row, which counts as a constant: softmax sees no difference."""
    return logits - ops.stop_gradient(row_maximum(logits))


def focal(log_odds: Any, gamma: float) -> Any:
    """Focal loss -(1 - p)^gamma log p from the log-odds log(p / (1 - p)); gamma = 0 is cross-entropy.

    log p = -softplus(-s) and log(1 - p) = -softplus(s), so that no probability is formed. The shape is kept.
    """
    cross_entropy = ops.softplus(-log_odds)
    if gamma == 0:
        return cross_entropy
    return ops.exp(-gamma * ops.softplus(log_odds)) * cross_entropy


def at_least(x: Any, bound: float) -> Any:
    """`x`, or the bound where it is less, in the dtype of x."""
    return ops.where(x < bound, ops.full_like(x, bound), x)  # ops.maximum gives float32 of float64 on PyTorch


def distribution_focal(logits: Any, targets: Any, gamma: float, weights: Any = None) -> Any:
    """sum_j w_j t_j (1 - p_j)^gamma (-log p_j) for targets over every class; gamma = 0 is cross-entropy.

    Args:
        logits: float `(..., C)`.
        targets: float `(..., C)`, shares that sum to 1.
        gamma: exponent, >= 0.
        weights: None, or float `(C,)`.

    Returns:
        float `(...)`.
    """
    # One-hot rows are the usual case and need one power a row, not C.
    one_hot = ops.all(ops.equal(row_maximum(targets), 1.0))

    def hard():
        losses = focal(true_class_log_odds(logits, targets > 0.5), gamma)
        return losses if weights is None else losses * ops.sum(targets * weights, axis=-1)

    def soft():
        return _soft_focal(logits, targets if weights is None else targets * weights, gamma)

    known = concrete(one_hot)
    if known is not None:  # outside a compiled graph JAX would compile both ways anew at each call
        return hard() if known else soft()
    return ops.cond(one_hot, hard, soft)


def _soft_focal(logits, targets, gamma):
    @custom_gradient
    def loss(logits, targets):
        shifted = relative(logits)
        exponentials = ops.exp(shifted)
        is_highest = shifted >= 0
        rest = ops.sum(ops.where(is_highest, ops.zeros_like(logits), exponentials), axis=-1, keepdims=True)
        number = ops.sum(ops.where(is_highest, exponentials, ops.zeros_like(logits)), axis=-1, keepdims=True)
        total = rest + number
        surprise = ops.log1p(rest + (number - 1)) - shifted
        p = exponentials / total
        q = (rest + (number - exponentials)) / total
        modulator = power(q, gamma)
        weighted = targets if modulator is None else targets * modulator

        def grad(upstream):
            upstream = ops.expand_dims(upstream, -1)
            # d loss_j / d log-odds_j, and from it the derivative with respect to log p_j.
            by_log_odds = -weighted * (q if modulator is None else gamma * p * surprise + q)
            by_log_p = by_log_odds / at_least(q, TINY)
            others = ops.sum(by_log_p, axis=-1, keepdims=True) - by_log_p
            return upstream * (by_log_odds - p * others)

        return ops.sum(weighted * surprise, axis=-1), grad

    return loss(logits, targets)


def softmax_focal(logits: Any, targets: Any, gamma: float, weights: Any = None) -> Any:
    """Focal loss `(...)` of logits `(..., C)` under int32 ids `(...)` or shares `(..., C)`, weighted by class `(C,)`."""
    if "int" not in str(targets.dtype):
        return distribution_focal(logits, targets, gamma, weights)
    losses = focal(true_class_log_odds(logits, targets), gamma)
    return losses if weights is None else losses * ops.take(weights, targets, axis=0)


def cross_entropy(logits: Any, targets: Any) -> Any:
    """-log p_y `(...)` of logits `(..., C)` under int32 ids `(...)` or shares `(..., C)`."""
    return softmax_focal(logits, targets, 0.0)


def sigmoid_focal(logits: Any, positive: Any, negative: Any, gamma: float) -> Any:
    """Positive (1 - p)^gamma (-log p) + negative p^gamma (-log(1 - p)) with p = sigmoid(logits), element by element.

    Args:
        logits: float, any shape.
        positive: float of that shape: weight of class 1, the label times what class 1 counts.
        negative: float of that shape: weight of class 0.
        gamma: exponent, >= 0.
    """

    @custom_gradient
    def loss(logits, positive, negative):
        small = ops.exp(-ops.abs(logits))
        log_total = ops.log1p(small)
        surprise_1 = ops.relu(-logits) + log_total
        surprise_0 = ops.relu(logits) + log_total
        is_positive = logits >= 0
        larger = 1 / (1 + small)
        smaller = small * larger
        p_1 = ops.where(is_positive, larger, smaller)
        p_0 = ops.where(is_positive, smaller, larger)
        modulator_1, modulator_0 = power(p_0, gamma), power(p_1, gamma)
        weighted_1 = positive if modulator_1 is None else positive * modulator_1
        weighted_0 = negative if modulator_0 is None else negative * modulator_0

        def grad(upstream):
            slope_1 = weighted_1 * (gamma * p_1 * surprise_1 + p_0)
            slope_0 = weighted_0 * (gamma * p_0 * surprise_0 + p_1)
            return upstream * (slope_0 - slope_1)

        return weighted_1 * surprise_1 + weighted_0 * surprise_0, grad

    return loss(logits, positive, negative)


def asymmetric(logits: Any, labels: Any, gamma_positive: float, gamma_negative: float, clip: float) -> Any:
    """-y (1 - p)^g+ log p - (1 - y) m^g- log(1 - m), p = sigmoid(logits), m = max(p - clip, 0), element by element."""
    zeros = ops.zeros_like(labels)
    positive = sigmoid_focal(logits, labels, zeros, gamma_positive)
    if clip == 0:
        return positive + sigmoid_focal(logits, zeros, 1 - labels, gamma_negative)
    return positive + (1 - labels) * _clipped_negative(logits, gamma_negative, clip)


def _clipped_negative(logits, gamma, clip):
    """-m^gamma log(1 - m) with m = max(sigmoid(logits) - clip, 0)."""

    @custom_gradient
    def loss(logits):
        p_1, p_0 = ops.sigmoid(logits), ops.sigmoid(-logits)
        counts = p_1 > clip
        # What is clipped is kept away from 0, where a root has no slope.
        shifted = ops.where(counts, p_1 - clip, ops.ones_like(logits) * 0.5)
        surprise = -ops.log1p(-shifted)
        modulator = power(shifted, gamma)
        modulator = ops.ones_like(logits) if modulator is None else modulator
        zeros = ops.zeros_like(logits)

        def grad(upstream):
            slope = modulator * (gamma * surprise / shifted + 1 / (1 - shifted))
            return upstream * ops.where(counts, p_1 * p_0 * slope, zeros)

        return ops.where(counts, modulator * surprise, zeros), grad

    return loss(logits)


def power(base: Any, exponent: float) -> Any:
    """base^exponent for a base in [0, 1], by multiplication for small whole exponents; None stands for exponent 0."""
    if exponent == 0:
        return None
    if exponent == 0.5:
        return ops.sqrt(base)
    if exponent not in (1, 2, 3, 4, 5):
        return ops.power(base, exponent)
    result = base
    for _ in range(int(exponent) - 1):
        result = result * base
    return result


def expected_cost(logits: Any, costs: Any) -> Any:
    """sum_j costs_j p_j of every row.

    Costs are taken relative to that of the likeliest class, so that a row of costs with a constant added has the same
    gradient to the last digit and a sure prediction loses none.

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


def regularized_cost(logits: Any, targets: Any, costs: Any, weight: float) -> Any:
    """Cross-entropy + weight * expected cost `(...)`, from one set of exponentials where the labels are hard.

    Args:
        logits: float `(..., C)`.
        targets: int32 ids `(...)` or shares `(..., C)`.
        costs: float `(..., C)`, the cost of each decision for the row.
        weight: weight of the cost.
    """
    if "int" not in str(targets.dtype):
        return cross_entropy(logits, targets) + weight * expected_cost(logits, costs)
    is_true = ops.equal(ops.expand_dims(targets, -1), ops.arange(logits.shape[-1], dtype="int32"))

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

    return loss(logits, is_true, costs)


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


def logits_of(probabilities: Any, sigmoid: bool, half_ulp: float) -> Any:
    """Logits whose softmax or sigmoid gives the probabilities, as far as these still know them.

    A probability holds less than its logit did: float32 cannot tell 1 - 1e-8 from 1, so that a sigmoid's logit ends at about
    17, where it also has no gradient any more.

    Args:
        probabilities: float, any shape.
        sigmoid: whether each stands for itself.
        half_ulp: half the distance of 1 from the number before it, in the precision that the probabilities were given in.
    """
    log_p = ops.log(at_least(probabilities, TINY))
    return log_p - ops.log(at_least(1 - probabilities, half_ulp)) if sigmoid else log_p
