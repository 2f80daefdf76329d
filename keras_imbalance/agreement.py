"""One number from a confusion matrix: how well truth and prediction agree, every class heard alike. Pure functions.

All take counts `(C, C)`, rows the true classes, as tensors or NumPy arrays, and return a scalar. See `confusion` for the
scores of each class.
"""

from typing import Any

from keras_imbalance.confusion import mean_over, namespace, others, present, ratio, recall, tally


def balanced_accuracy(counts: Any) -> Any:
    """Mean recall of the classes that have rows (Brodersen et al., 2010)."""
    xp = namespace(counts)
    rows = xp.sum(counts, axis=1)
    return mean_over(xp.where(rows > 0, xp.ones_like(rows), xp.zeros_like(rows)), recall(counts), counts)


def geometric_mean(counts: Any, correction: float = 0.0) -> Any:
    """C-th root of the product of the recalls of the classes that are labelled or predicted; a recall of 0 is `correction`."""
    xp = namespace(counts)
    found = recall(counts)
    lifted = xp.where(xp.equal(found, 0), xp.full_like(found, correction), found)
    # log 0 is minus infinity and its exponential 0 again; classes that do not count are kept out before that.
    logarithms = xp.log(xp.where(present(counts) > 0, lifted, xp.ones_like(lifted)))
    number = xp.sum(present(counts))
    mean = xp.exp(xp.sum(logarithms) / xp.maximum(number, 1.0))
    mean = xp.where(number > 0, mean, xp.zeros_like(mean))
    return xp.where(xp.isnan(xp.sum(counts)), xp.full_like(mean, float("nan")), mean)


def matthews_correlation(counts: Any) -> Any:
    """Correlation of truth and prediction over C classes (Gorodkin, 2004); 0 where either knows one class only.

    sum_k (TP_k TN_k - FN_k FP_k) / sqrt(sum_k t_k (s - t_k)) / sqrt(sum_k p_k (s - p_k)), with t, p the rows that are, and
    are predicted as, class k, and s all rows.
    """
    xp = namespace(counts)
    of = tally(counts)
    truth, predicted = of.tp + of.fn, of.tp + of.fp
    covariance = xp.sum(of.tp * of.tn - of.fn * of.fp)
    spread = [xp.sum(part * xp.matmul(others(counts), part)) for part in (truth, predicted)]
    return ratio(covariance, xp.sqrt(spread[0]) * xp.sqrt(spread[1]), 0.0)


def cohen_kappa(counts: Any, penalties: Any, zero_division: float = float("nan")) -> Any:
    """1 - (observed penalty) / (penalty expected by chance) (Cohen, 1968).

    Args:
        counts: `(C, C)`.
        penalties: `(C, C)`, 0 on the diagonal: 1 elsewhere, or |i - j|, or (i - j)^2.
        zero_division: value where chance would make no mistake either.
    """
    xp = namespace(counts)
    rows, columns = xp.sum(counts, axis=1), xp.sum(counts, axis=0)
    total = xp.maximum(xp.sum(rows), 1e-30)
    expected = xp.sum(penalties * rows[:, None] * (columns / total)[None, :])
    return ratio(expected - xp.sum(penalties * counts), expected, zero_division)


def expected_cost(counts: Any, costs: Any) -> Any:
    """Mean of cost[true, predicted] over the rows; 0 before any row."""
    xp = namespace(counts)
    return ratio(xp.sum(costs * counts), xp.sum(counts), 0.0)
