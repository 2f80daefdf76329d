"""Softmax and sigmoid losses in log space: no clip, no epsilon, no digit lost where a prediction is certain.

Three quantities describe class j of a row of logits z: p_j its probability, x_j = -log p_j and q_j = 1 - p_j. Each is a
sum of positive terms relative to the largest logit, so that a q_j of 1e-20 has all its digits; gradients are written by
hand for the same reason (p_y - 1 would lose them).
"""

from typing import Any

from keras_imbalance._keras import custom_gradient, ops, row_maximum, row_minimum, shortcut

TINY = 1e-37  # stands for a sum of exponentials that underflows; its logarithm is -85
LOWEST = -1e37  # stands for the largest of logits that are all minus infinity
NEAR_0 = 1e-4  # below it -log(1 - q) is q + q^2 / 2


def are_ids(targets: Any) -> bool:
    """Whether targets are int32 ids `(...)`, not shares `(..., C)`."""
    return "int" in str(targets.dtype)


def true_class_log_odds(logits: Any, labels: Any, scale: float = 1.0) -> Any:
    """log(p_y / (1 - p_y)) of the true class y, equal to z_y - logsumexp of the other logits.

    Args:
        logits: float `(..., C)`, C >= 2.
        labels: int32 ids `(...)` of the true class.
        scale: what the logits are multiplied with first. Differences are scaled, not logits: that keeps their digits.

    Returns:
        float `(...)`.
    """

    @custom_gradient
    def log_odds(logits, is_true):
        value, slopes = _log_odds(logits, is_true, scale)
        return value, lambda upstream: slopes(scale * upstream)

    return log_odds(logits, marked(labels, logits.shape[-1]))


def marked(labels: Any, channels: int) -> Any:
    """Bool `(..., C)`, True at the class that int32 ids `(...)` name."""
    return ops.equal(ops.expand_dims(labels, -1), ops.arange(channels, dtype="int32"))


def _log_odds(logits, is_true, scale=1.0):
    """Log-odds of the marked class `(...)`, and a function from their derivatives to those of `scale` times the logits."""
    # Relative to the largest of the others, so that their sum is 1 or more, however far the true class leads.
    others = ops.where(is_true, ops.full_like(logits, -float("inf")), logits)
    highest = ops.stop_gradient(at_least(row_maximum(others), LOWEST))
    shares = ops.exp(others - highest if scale == 1 else scale * (others - highest))
    total = at_least(ops.sum(shares, axis=-1), TINY)
    true = ops.sum(ops.where(is_true, logits - highest, ops.zeros_like(logits)), axis=-1)

    def slopes(upstream):
        upstream = ops.expand_dims(upstream, -1)
        return ops.where(is_true, upstream, shares * (-upstream / ops.expand_dims(total, -1)))

    return (true if scale == 1 else scale * true) - ops.log(total), slopes


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

    Where all rows are one-hot, one class a row is all there is to compute.

    Args:
        logits: float `(..., C)`.
        targets: float `(..., C)`, shares that sum to 1.
        gamma: exponent, >= 0.
        weights: None, or float `(C,)`.

    Returns:
        float `(...)`.
    """
    of_shares = _shares_cross_entropy if gamma == 0 and weights is None else _shares_focal

    @custom_gradient
    def loss(logits, targets, *weighted):
        losses, slopes = shortcut(
            _all_one_hot(targets),
            lambda: _one_hot_focal(logits, targets, gamma, *weighted),
            lambda: of_shares(logits, weighted[0] if weighted else targets, gamma),
        )
        return losses, lambda upstream: ops.expand_dims(upstream, -1) * slopes

    return loss(logits, targets) if weights is None else loss(logits, targets, targets * weights)


def _all_one_hot(targets):
    of_one_class = ops.logical_and(ops.equal(row_maximum(targets)[..., 0], 1), ops.equal(ops.sum(targets, axis=-1), 1))
    return ops.all(ops.logical_and(of_one_class, row_minimum(targets)[..., 0] >= 0))


def _one_hot_focal(logits, targets, gamma, weighted=None):
    """Focal loss `(...)` of the class that a one-hot row marks, and its derivatives `(..., C)`."""
    log_odds, slopes = _log_odds(logits, targets >= 1)
    losses, by_log_odds = focal(log_odds, gamma), -ops.sigmoid(-log_odds)
    if gamma != 0:
        by_log_odds = by_log_odds * ops.exp(-gamma * ops.softplus(log_odds)) - gamma * ops.sigmoid(log_odds) * losses
    if weighted is not None:
        weight = ops.sum(weighted, axis=-1)
        losses, by_log_odds = weight * losses, weight * by_log_odds
    return losses, slopes(by_log_odds)


def _shares_focal(logits, targets, gamma):
    """`distribution_focal` `(...)` of any targets, and its derivatives `(..., C)`."""
    shifted = relative(logits)
    exponentials = ops.exp(shifted)
    zeros = ops.zeros_like(logits)
    is_highest = shifted >= 0
    rest = ops.sum(ops.where(is_highest, zeros, exponentials), axis=-1, keepdims=True)
    ties = ops.sum(ops.where(is_highest, exponentials, zeros), axis=-1, keepdims=True)
    total = rest + ties
    # A class without a share adds nothing, at a logit of minus infinity either.
    surprise = ops.where(ops.equal(targets, 0), zeros, ops.log1p(rest + (ties - 1)) - shifted)
    p = exponentials / total
    q = (rest + (ties - exponentials)) / total
    modulator = power(q, gamma)
    weighted = targets if modulator is None else targets * modulator
    by_log_p = -weighted  # derivative of each term with respect to its log p
    if modulator is not None:
        ratio = ops.where(q < NEAR_0, 1 + q / 2, surprise / at_least(q, NEAR_0))
        by_log_p = -weighted * (gamma * p * ratio + 1)
    others = ops.sum(by_log_p, axis=-1, keepdims=True) - by_log_p
    return ops.sum(weighted * surprise, axis=-1), by_log_p * q - p * others


def _shares_cross_entropy(logits, targets, gamma):
    """Cross-entropy `(...)` of any targets, and its derivatives `(..., C)`; gamma is 0."""
    shifted = relative(logits)
    exponentials, zeros = ops.exp(shifted), ops.zeros_like(logits)
    # The sum of a one-hot row leaves the true class out, so that it keeps its digits where that class is certain.
    is_true = ops.equal(targets, 1)
    has_true = ops.any(is_true, axis=-1, keepdims=True)
    others = ops.sum(ops.where(is_true, zeros, exponentials), axis=-1, keepdims=True)
    shares = ops.sum(targets, axis=-1, keepdims=True)
    # A class without a share adds nothing, at a logit of minus infinity either.
    mean = ops.sum(targets * ops.where(targets > 0, shifted, zeros), axis=-1, keepdims=True)
    total = others + ops.where(has_true, ops.exp(mean), ops.zeros_like(mean))
    likely = ops.logical_and(has_true, mean > -1)
    lead = ops.exp(-ops.where(likely, mean, ops.zeros_like(mean)))
    losses = ops.where(likely, ops.log1p(others * lead), shares * ops.log(total) - mean)
    slopes = ops.where(is_true, -others, exponentials * shares - targets * total) / total
    return ops.squeeze(losses, -1), slopes


def softmax_focal(logits: Any, targets: Any, gamma: float, weights: Any = None) -> Any:
    """Focal loss `(...)` of logits `(..., C)` under int32 ids `(...)` or shares `(..., C)`, weighted by class `(C,)`."""
    if not are_ids(targets):
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
        p_1, p_0, surprise_1, surprise_0 = _two_classes(logits)
        modulator_1, modulator_0 = power(p_0, gamma), power(p_1, gamma)
        weighted_1 = positive if modulator_1 is None else positive * modulator_1
        weighted_0 = negative if modulator_0 is None else negative * modulator_0

        def grad(upstream):
            if gamma == 0:
                return upstream * (weighted_0 * p_1 - weighted_1 * p_0)
            slope_1 = weighted_1 * (gamma * p_1 * surprise_1 + p_0)
            slope_0 = weighted_0 * (gamma * p_0 * surprise_0 + p_1)
            return upstream * (slope_0 - slope_1)

        return weighted_1 * surprise_1 + weighted_0 * surprise_0, grad

    return loss(logits, positive, negative)


def asymmetric(
    logits: Any, positive: Any, negative: Any, gamma_positive: float, gamma_negative: float, clip: float
) -> Any:
    """-positive (1 - p)^g+ log p - negative m^g- log(1 - m), p = sigmoid(logits), m = max(p - clip, 0), by element."""
    if clip == 0:
        zeros = ops.zeros_like(positive)
        of_positive = sigmoid_focal(logits, positive, zeros, gamma_positive)
        return of_positive + sigmoid_focal(logits, zeros, negative, gamma_negative)

    @custom_gradient
    def loss(logits, positive, negative):
        p_1, p_0, surprise_1, _ = _two_classes(logits)
        modulator = power(p_0, gamma_positive)
        weighted_1 = positive if modulator is None else positive * modulator
        counts = p_1 > clip
        # What is clipped is kept away from 0, where a root has no slope.
        shifted = ops.where(counts, p_1 - clip, ops.ones_like(logits) * 0.5)
        surprise_0 = -ops.log1p(-shifted)
        modulator = power(shifted, gamma_negative)
        weighted_0 = ops.where(counts, negative, ops.zeros_like(logits))
        weighted_0 = weighted_0 if modulator is None else weighted_0 * modulator

        def grad(upstream):
            slope_1 = weighted_1 * (gamma_positive * p_1 * surprise_1 + p_0)
            slope_0 = weighted_0 * p_1 * p_0 * (gamma_negative * surprise_0 / shifted + 1 / (1 - shifted))
            return upstream * (slope_0 - slope_1)

        return weighted_1 * surprise_1 + weighted_0 * surprise_0, grad

    return loss(logits, positive, negative)


def _two_classes(logits):
    """Probabilities p and 1 - p of sigmoids, and their surprises -log p and -log(1 - p), each with all its digits."""
    is_positive = logits >= 0
    small = ops.exp(ops.where(is_positive, -logits, logits))  # not of abs, which has no slope at 0
    log_total = ops.log1p(small)
    zeros = ops.zeros_like(logits)
    larger = 1 / (1 + small)
    smaller = small * larger
    return (
        ops.where(is_positive, larger, smaller),
        ops.where(is_positive, smaller, larger),
        ops.where(is_positive, zeros, -logits) + log_total,
        ops.where(is_positive, logits, zeros) + log_total,
    )


def power(base: Any, exponent: float) -> Any:
    """base^exponent for a base in [0, 1], by multiplication for small whole exponents; None stands for exponent 0."""
    if exponent == 0:
        return None
    if exponent not in (1, 2, 3, 4, 5):
        base = at_least(base, TINY)  # a root has no slope at 0
        return ops.sqrt(base) if exponent == 0.5 else ops.power(base, exponent)
    result = base
    for _ in range(int(exponent) - 1):
        result = result * base
    return result


def logits_of(probabilities: Any, sigmoid: bool, half_ulp: float) -> Any:
    """Logits whose softmax or sigmoid gives the probabilities, as far as these still know them.

    A probability holds less than its logit did: float32 cannot tell 1 - 1e-8 from 1, so that a sigmoid's logit ends at about
    17, where it also has no gradient any more.

    Args:
        probabilities: float, any shape.
        sigmoid: whether each stands for itself.
        half_ulp: half the distance from 1 to the next smaller value, in the precision that the probabilities were given in.
    """
    log_p = ops.log(at_least(probabilities, TINY))
    return log_p - ops.log(at_least(1 - probabilities, half_ulp)) if sigmoid else log_p
