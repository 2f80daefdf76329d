"""From labels and predictions to matrices of counts, and from counts to scores. Every formula of a score stands here.

A confusion matrix holds `counts[i, j]`: how much of class i was predicted as class j. Multi-label counts are one 2 x 2 matrix
a label, `(C, 2, 2)`. Most scores need only the four counts of each class, a `Tally`, which grows with C and not with C x C:
every function takes one in place of a matrix, but for `expected_cost` and a `cohen_kappa` with penalties. All functions are
pure. They take tensors or NumPy arrays (float64: exact) and return the same kind.

- counts: `confusion_matrix`, `label_matrices`, `tally`, `tally_of`, `support`, `present`
- a score of each class, by name in `SCORES`: `precision`, `recall`, `specificity`, `f_beta`, `g_mean`; and `iou`
- means over classes: `macro_mean`, `weighted_mean`, `mean_over`; all classes as one: `pooled`, `micro`
- one number, those of a report by name in `SUMMARIES`: `balanced_accuracy`, `geometric_mean`, `matthews_correlation`,
  `accuracy`, `cohen_kappa`, `expected_cost`

Example:
>>> counts = np.array([[90.0, 5.0], [2.0, 3.0]])
>>> recall(counts).round(3), f_beta(counts).round(3)
(array([0.947, 0.6  ]), array([0.963, 0.462]))
>>> float(macro_mean(recall(counts), counts).round(3))
0.774
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_imbalance._keras import ops, segment_sum

# From labels to counts


class Tally(NamedTuple):
    """True positives, false negatives, false positives and true negatives of every class, each `(..., C)`.

    With `multi_label` each class is a label of its own; else the counts are those of one class a row.
    """

    tp: Any
    fn: Any
    fp: Any
    tn: Any
    multi_label: bool = False


def confusion_matrix(labels: Any, predictions: Any, *, num_classes: int, weights: Any) -> Any:
    """Counts every pair of true and predicted class.

    Args:
        labels: int `(N,)`, true class ids.
        predictions: int `(N,)`, predicted class ids.
        num_classes: number of classes C.
        weights: float `(N,)`, what each row counts.

    Returns:
        float `(C, C)`: rows are the true classes, columns the predicted ones.

    Example:
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), num_classes=2, weights=np.ones(3))
    array([[1., 1.],
           [0., 1.]])
    """
    pairs, cells = labels * num_classes + predictions, num_classes * num_classes
    if _namespace(weights) is np:
        return np.bincount(pairs, weights, cells).reshape(num_classes, num_classes)
    return ops.reshape(segment_sum(weights, pairs, cells), (num_classes, num_classes))


def label_matrices(labels: Any, predictions: Any, *, weights: Any) -> Any:
    """One 2 x 2 confusion matrix a label.

    Args:
        labels: numbers `(N, C)`, 0 or 1.
        predictions: numbers `(N, C)`, 0 or 1.
        weights: float `(N, C)`, what each position counts.

    Returns:
        float `(C, 2, 2)`: without and with the label; rows are the truth, columns the prediction.

    Example:
    >>> label_matrices(np.array([[0, 1], [1, 1]]), np.array([[0, 1], [1, 0]]), weights=np.ones((2, 2)))[1]
    array([[0., 0.],
           [1., 1.]])
    """
    xp = _namespace(weights)
    rows = [
        [xp.sum(weights * truth * decision, axis=0) for decision in (1 - predictions, predictions)]
        for truth in (1 - labels, labels)
    ]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def tally(counts: Any) -> Tally:
    """Every class taken as the positive one. Every score takes a tally too, made once for several of them."""
    if isinstance(counts, Tally):
        return counts
    if len(counts.shape) == 3:
        return Tally(counts[:, 1, 1], counts[:, 1, 0], counts[:, 0, 1], counts[:, 0, 0], multi_label=True)
    xp = _namespace(counts)
    # Sums over the others instead of differences of sums: what is 0 comes out as 0, whatever the weights round to.
    wrong = counts * (1 - xp.eye(counts.shape[-1], dtype=counts.dtype))
    return tally_of(xp.diagonal(counts), xp.sum(wrong, axis=1), xp.sum(wrong, axis=0))


def tally_of(tp: Any, fn: Any, fp: Any) -> Tally:
    """The tally of one class a row, from three sums of each class `(C,)`: a true negative is a row of another class.

    Example:
    >>> tally_of(np.array([90.0, 3.0]), np.array([5.0, 2.0]), np.array([2.0, 5.0])).tn
    array([ 3., 90.])
    """
    return Tally(tp, fn, fp, _namespace(tp).maximum(_sum_of_others(tp + fn) - fp, 0.0))


def each_label(counts: Tally) -> Tally:
    """A multi-label tally `(C,)` as C tallies of two classes, without and with the label, `(C, 2)`."""
    xp, (tp, fn, fp, tn, _) = _namespace(counts.tp), counts
    pairs = [(tn, tp), (fp, fn), (fn, fp), (tp, tn)]
    return Tally(*(xp.stack(pair, axis=-1) for pair in pairs))


def pooled(counts: Any, *, excluded: int | None = None) -> Tally:
    """The counts of all classes as those of one, `(1,)`, without the class `excluded`."""
    of = tally(counts)
    xp = _namespace(of.tp)
    tp, fn, fp, tn = (xp.sum(_without(part, excluded), axis=-1, keepdims=True) for part in of[:4])
    return Tally(tp, fn, fp, tn, of.multi_label)


# A score of each class


def recall(counts: Any, *, zero_division: float = 0.0) -> Any:
    """Share of each class's rows that were found: TP / (TP + FN), `(C,)`."""
    of = tally(counts)
    return _ratio(of.tp, of.tp + of.fn, zero_division)


def precision(counts: Any, *, zero_division: float = 0.0) -> Any:
    """Share of each class's predictions that were right: TP / (TP + FP), `(C,)`."""
    of = tally(counts)
    return _ratio(of.tp, of.tp + of.fp, zero_division)


def f_beta(counts: Any, *, beta: float = 1.0, zero_division: float = 0.0) -> Any:
    """F1, or F-beta, of each class: (1 + b^2) TP / ((1 + b^2) TP + b^2 FN + FP), `(C,)`; b > 1 favours recall."""
    of, square = tally(counts), beta * beta
    return _ratio((1 + square) * of.tp, (1 + square) * of.tp + square * of.fn + of.fp, zero_division)


def specificity(counts: Any, *, zero_division: float = 0.0) -> Any:
    """Share of the other classes' rows that were not taken for the class: TN / (TN + FP), `(C,)`."""
    of = tally(counts)
    return _ratio(of.tn, of.tn + of.fp, zero_division)


def g_mean(counts: Any, *, zero_division: float = 0.0) -> Any:
    """Geometric mean of each class's recall and specificity, sqrt(TPR TNR), `(C,)` (Kubat & Matwin, 1997)."""
    of = tally(counts)
    return _namespace(of.tp).sqrt(
        recall(of, zero_division=zero_division) * specificity(of, zero_division=zero_division)
    )


def iou(counts: Any, *, zero_division: float = 0.0) -> Any:
    """Intersection over union of each class, TP / (TP + FN + FP), `(C,)` (Jaccard, 1912)."""
    of = tally(counts)
    return _ratio(of.tp, of.tp + of.fn + of.fp, zero_division)


SCORES: dict[str, Callable[..., Any]] = {
    "precision": precision,
    "recall": recall,
    "specificity": specificity,
    "f1": f_beta,
    "g_mean": g_mean,
}


# Which classes count, and means over them


def support(counts: Any) -> Any:
    """Rows of each class, TP + FN, `(C,)`."""
    of = tally(counts)
    return of.tp + of.fn


def present(counts: Any, *, excluded: int | None = None) -> Any:
    """1 for a class that a macro mean counts, else 0, `(C,)`: one labelled or predicted at least once; with multi-label all.

    The class `excluded`, an ignored one, never counts.
    """
    of = tally(counts)
    xp = _namespace(of.tp)
    if of.multi_label:
        return xp.ones_like(of.tp)
    seen = _without(of.tp + of.fn + of.fp, excluded)
    return xp.where(seen > 0, xp.ones_like(seen), xp.zeros_like(seen))


def macro_mean(scores: Any, counts: Any, *, excluded: int | None = None) -> Any:
    """Mean of scores `(..., C)` over the classes that are labelled or predicted; undefined (NaN) scores do not count.

    These are the classes scikit-learn averages over when `labels` is not given, without `excluded`, an ignored one. The mean is
    0 before any row was seen, and NaN when no score is defined or when the counts themselves hold NaN.
    """
    return mean_over(present(counts, excluded=excluded), scores, counts)


def weighted_mean(scores: Any, counts: Any, *, excluded: int | None = None) -> Any:
    """Mean of scores `(..., C)` weighted by the rows of each class, as scikit-learn's average="weighted".

    The class `excluded`, an ignored one, does not count.
    """
    return mean_over(_without(support(counts), excluded), scores, counts)


def micro(score: Callable[[Tally], Any], counts: Any, *, excluded: int | None = None) -> Any:
    """A score of all classes counted as one, as scikit-learn's average="micro"; 0 before any row, NaN where counts are."""
    value, total = score(pooled(counts, excluded=excluded))[..., 0], _total(counts)
    xp = _namespace(total)
    return _nan_if_counts_are(counts, xp.where(xp.equal(total, 0), xp.zeros_like(value), value))


def mean_over(weights: Any, scores: Any, counts: Any) -> Any:
    """Mean of the defined scores `(..., C)` weighted by `weights` `(C,)`; 0 before any row, NaN when counts hold NaN."""
    xp = _namespace(scores)
    defined = xp.where(xp.isnan(scores), xp.zeros_like(scores), weights)
    total = xp.sum(xp.where(defined > 0, scores * defined, xp.zeros_like(scores)), axis=-1)
    size = xp.sum(defined, axis=-1)
    undefined = xp.where(_total(counts) > 0, xp.full_like(total, float("nan")), xp.zeros_like(total))
    safe = xp.where(size > 0, size, xp.ones_like(size))
    return _nan_if_counts_are(counts, xp.where(size > 0, total / safe, undefined))


# One number from counts (C, C)


def accuracy(counts: Any) -> Any:
    """Share of the rows that were decided right; 0 before any row."""
    of = tally(counts)
    xp = _namespace(of.tp)
    return _ratio(xp.sum(of.tp, axis=-1), xp.sum(of.tp + of.fn, axis=-1), 0.0)


def balanced_accuracy(counts: Any, *, excluded: int | None = None) -> Any:
    """Mean recall of the classes that have rows, without `excluded`, an ignored one (Brodersen et al., 2010)."""
    of = tally(counts)
    rows = _without(support(of), excluded)
    xp = _namespace(rows)
    return mean_over(xp.where(rows > 0, xp.ones_like(rows), xp.zeros_like(rows)), recall(of), of)


def geometric_mean(counts: Any, *, correction: float = 0.0, excluded: int | None = None) -> Any:
    """C-th root of the product of the recalls of the classes that are labelled or predicted; a recall of 0 is `correction`.

    The class `excluded`, an ignored one, does not count.
    """
    of = tally(counts)
    xp, found = _namespace(of.tp), recall(of)
    lifted = xp.where(xp.equal(found, 0), xp.full_like(found, correction), found)
    counted = present(of, excluded=excluded)
    # The product is 0 by rule, not by log 0, of which NumPy warns.
    logarithms = xp.log(xp.where(xp.logical_and(counted > 0, lifted > 0), lifted, xp.ones_like(lifted)))
    never_found = xp.sum(xp.where(xp.equal(lifted, 0), counted, xp.zeros_like(counted)), axis=-1)
    size = xp.sum(counted, axis=-1)
    mean = xp.exp(xp.sum(logarithms, axis=-1) / xp.maximum(size, 1.0))
    mean = xp.where(xp.logical_or(never_found > 0, xp.equal(size, 0)), xp.zeros_like(mean), mean)
    return _nan_if_counts_are(of, mean)


def matthews_correlation(counts: Any) -> Any:
    """Correlation of truth and prediction over C classes (Gorodkin, 2004); 0 where either holds one class only.

    sum_k (TP_k TN_k - FN_k FP_k) / sqrt(sum_k t_k (s - t_k)) / sqrt(sum_k p_k (s - p_k)), with t, p the rows that are, and
    are predicted as, class k, and s all rows.
    """
    of = tally(counts)
    xp = _namespace(of.tp)
    covariance = xp.sum(of.tp * of.tn - of.fn * of.fp, axis=-1)
    spread = [xp.sum(part * _sum_of_others(part), axis=-1) for part in (of.tp + of.fn, of.tp + of.fp)]
    return _ratio(covariance, xp.sqrt(spread[0]) * xp.sqrt(spread[1]), 0.0)


SUMMARIES: dict[str, Callable[..., Any]] = {
    "balanced_accuracy": balanced_accuracy,
    "geometric_mean": geometric_mean,
    "matthews_correlation": matthews_correlation,
    "accuracy": accuracy,
}


def cohen_kappa(counts: Any, penalties: Any = None, *, zero_division: float = float("nan")) -> Any:
    """1 - (observed penalty) / (penalty expected by chance) (Cohen, 1968); 0 before any row.

    Args:
        counts: `(..., C, C)`, or a tally where every mistake counts 1.
        penalties: `(C, C)`, 0 on the diagonal, such as |i - j|. Defaults to None, 1 for every mistake.
        zero_division: value where chance would make no mistake either.
    """
    if penalties is None:
        of = tally(counts)
        xp, rows, columns = _namespace(of.tp), of.tp + of.fn, of.tp + of.fp
        total, observed = xp.sum(rows, axis=-1), xp.sum(of.fn, axis=-1)
        shares = _sum_of_others(columns) / xp.maximum(total, 1e-30)[..., None]
        expected = xp.sum(rows * shares, axis=-1)
    else:
        xp = _namespace(counts)
        rows, columns = xp.sum(counts, axis=-1), xp.sum(counts, axis=-2)
        total, observed = xp.sum(rows, axis=-1), xp.sum(penalties * counts, axis=(-2, -1))
        shares = columns / xp.maximum(total, 1e-30)[..., None]
        expected = xp.sum(penalties * rows[..., :, None] * shares[..., None, :], axis=(-2, -1))
    kappa = _ratio(expected - observed, expected, zero_division)
    return xp.where(xp.equal(total, 0), xp.zeros_like(kappa), kappa)


def expected_cost(counts: Any, cost_matrix: Any) -> Any:
    """Mean of cost_matrix[true, predicted] over the rows of `(..., C, C)`; 0 before any row."""
    xp = _namespace(counts)
    return _ratio(xp.sum(cost_matrix * counts, axis=(-2, -1)), xp.sum(counts, axis=(-2, -1)), 0.0)


def _ratio(numerator, denominator, zero_division):
    """`numerator / denominator`, and `zero_division` where the denominator is 0."""
    xp = _namespace(denominator)
    empty = xp.equal(denominator, 0)
    safe = xp.where(empty, xp.ones_like(denominator), denominator)
    return xp.where(empty, xp.full_like(denominator, zero_division), numerator / safe)


def _nan_if_counts_are(counts, mean):
    """`mean`, NaN where the counts hold NaN: what a wrong label spoiled must not be averaged away."""
    total = _total(counts)
    xp = _namespace(total)
    return xp.where(xp.isnan(total), xp.full_like(mean, float("nan")), mean)


def _total(counts):
    """The sum of counts: 0 before any row, NaN where any is NaN."""
    if not isinstance(counts, Tally):
        return _namespace(counts).sum(counts)
    rows = counts.tp + counts.fn
    return _namespace(rows).sum(rows + counts.fp + counts.tn if counts.multi_label else rows, axis=-1)


def _sum_of_others(rows):
    """The sum over all other classes, of each `(..., C)`: without the largest no difference loses digits."""
    xp = _namespace(rows)
    largest = xp.equal(xp.arange(rows.shape[-1]), xp.expand_dims(xp.argmax(rows, axis=-1), -1))
    rest = xp.sum(xp.where(largest, xp.zeros_like(rows), rows), axis=-1, keepdims=True)
    total = rest + xp.max(rows, axis=-1, keepdims=True)
    return xp.where(largest, rest, total - rows)


def _without(values, excluded):
    """`values` `(..., C)`, 0 for the excluded class."""
    if excluded is None:
        return values
    xp = _namespace(values)
    return xp.where(np.arange(values.shape[-1]) == excluded, xp.zeros_like(values), values)


def _namespace(counts):
    """NumPy for its arrays, Keras's ops for tensors: both know the functions used here by one name."""
    return np if isinstance(counts, (np.ndarray, np.generic)) else ops
