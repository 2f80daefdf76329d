"""Thresholds that suit a score: one for a sigmoid, one a label, or offsets of the classes of a softmax."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_imbalance.decisions.checks import check_probabilities, check_weights, is_one_channel, line_up
from keras_imbalance.decisions.offsets import tune_offsets
from keras_imbalance.decisions.progress import Progress
from keras_imbalance.decisions.scoring import Objective, best_cut, make_objective, running

BELOW_ALL = -1.0


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Tuned thresholds; see `tune_thresholds`.

    Attributes:
        values: "binary": the threshold, a float. "multi_label": one a label, float64 `(C,)`. "multi_class": what is added to
            the logarithm of each class's probability before the largest is taken, float64 `(C,)` that sums to 0.
        score: the objective on the rows that they were tuned on, an optimistic figure; for "expected_cost" the mean cost.
        kind: "binary", "multi_label" or "multi_class".
    """

    values: Any
    score: float
    kind: str

    def predict(self, probabilities: Any) -> np.ndarray:
        """Decides by these thresholds.

        Args:
            probabilities: in the form that the thresholds were tuned on, any number of rows.

        Returns:
            int64 array: 0 or 1 `(N,)` for "binary", where a probability above the threshold is 1; 0 or 1 `(N, C)` for
            "multi_label"; class numbers `(N,)` for "multi_class", the first among equals.
        """
        given = check_probabilities(probabilities, self.kind == "multi_label").astype(np.float64)
        channels = given[:, None] if given.ndim == 1 else given
        expected = np.size(self.values)
        if channels.shape[-1] != expected:
            remedy = " Of a softmax of two classes take [:, 1]." if (expected, channels.shape[-1]) == (1, 2) else ""
            raise ValueError(
                f"`probabilities` must have {expected} channels, as those that the thresholds were tuned on. "
                f"Received: shape {given.shape}.{remedy}"
            )
        if self.kind == "multi_class":
            with np.errstate(divide="ignore"):
                return (np.log(channels) + self.values).argmax(axis=-1).astype(np.int64)
        decided = (channels > self.values).astype(np.int64)
        return decided[..., 0] if self.kind == "binary" else decided


def tune_thresholds(
    y_true: Any,
    probabilities: Any,
    objective: str | Callable = "balanced_accuracy",
    cost_matrix: Any = None,
    sample_weight: Any = None,
    multi_label: bool = False,
    verbose: int = 0,
) -> Thresholds:
    """Searches the thresholds under which decisions score best.

    - One sigmoid: every cut between two different probabilities is tried, and neither a row and all rows positive.
    - `multi_label`: the same for each label by itself; the score is the mean over the labels.
    - A softmax: argmax_k (log p_k + offset_k). One offset after the other is set to the best of all cuts, until none gains any
      more (coordinate ascent), once from offsets of 0 and once from -log of the class shares. With two classes that is the
      best there is; with more it may be a local best.

    Of equally good cuts the one nearest to 0.5 (to the offset before) is taken; each lies midway between two probabilities.

    Tune on validation rows: that no training step saw, distributed as the rows to decide on, not resampled. On training rows
    the thresholds fit what the model memorised, and where a class has few rows they fit chance; the `score` on the very rows
    tells of neither. Report the score of other rows. Thresholds belong to the probabilities that they were tuned on: after
    `correct_prior` or a new training, tune again.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, or one-hot `(N, C)`; 0 or 1 beside sigmoids. Every class must have rows (every
            label rows with and without it).
        probabilities: `(N, C)`, rows that sum to 1; of one sigmoid `(N,)` or `(N, 1)`; with multi_label any in [0, 1]. Axes in
            between are places.
        objective: one of

            - "balanced_accuracy": mean recall of the classes
            - "f1": F1 of class 1 (of each label); of a softmax the mean over the classes
            - "expected_cost": mean of cost_matrix[true, predicted], minimised
            - `objective(y_true, y_pred)` of two int64 arrays `(N,)`, the larger the better, such as a score of scikit-learn;
              with `sample_weight` it is given that by name. It is called once for every cut: on 100,000 rows pass
              `probabilities.round(3)`, of which there are few.
        cost_matrix: for "expected_cost": `(C, C)`, `(2, 2)` for sigmoids; row = true class, column = decision.
        sample_weight: `(N,)`, what each row counts. Defaults to None, 1.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        verbose: 1 shows the cuts tried, as Keras shows its steps. Defaults to 0.

    Returns:
        `Thresholds`: `.values`, `.score`, and `.predict(probabilities)`.

    Raises:
        ValueError: for probabilities that are none, labels that do not line up, a class without rows, probabilities that are
            the same in every row, and an objective that is unknown or gives no number.

    Example:
    >>> y_true = np.array([0, 0, 0, 0, 1, 1])
    >>> probabilities = np.array([0.05, 0.1, 0.2, 0.35, 0.3, 0.4])
    >>> thresholds = tune_thresholds(y_true, probabilities)
    >>> thresholds.values, thresholds.score
    (0.25, 0.875)
    >>> thresholds.predict([0.22, 0.28])
    array([0, 1])

    The highest precision at a recall of at least 0.9 is a function that falls below 0 where the recall is not reached. Other
    rows may miss it by chance, so ask for somewhat more:

    >>> def precision_at_recall(y_true, y_pred, least=0.9):
    ...     found = (y_true * y_pred).sum()
    ...     recall = found / y_true.sum()
    ...     return found / y_pred.sum() if recall >= least else recall - 1
    >>> thresholds = tune_thresholds(y_true, probabilities, precision_at_recall)
    >>> thresholds.values, round(thresholds.score, 4)
    (0.25, 0.6667)

    References: Provost, Machine Learning from Imbalanced Data Sets 101, 2000; Lipton et al., Optimal Thresholding of
    Classifiers to Maximize F1 Measure, 2014, https://arxiv.org/abs/1402.1892
    """
    given = check_probabilities(probabilities, multi_label)
    kind = "multi_label" if multi_label else "binary" if is_one_channel(given) else "multi_class"
    num_classes = given.shape[-1] if kind == "multi_class" else 2
    scoring = make_objective(objective, cost_matrix, num_classes)
    labels, rows = line_up(y_true, given, multi_label)
    places = given.shape if given.ndim == 1 else given.shape[:-1]
    weights = check_weights(sample_weight, places)
    counted = weights > 0
    labels, rows, weights = labels[counted], rows[counted], weights[counted]
    passed = None if sample_weight is None else weights
    progress = Progress(verbose)
    if kind == "multi_class":
        _check_classes(labels, num_classes)
        if (rows == rows[0]).all():
            raise ValueError(_constant("every row"))
        values, score = tune_offsets(labels, rows, weights, scoring, passed, progress)
        progress.end()
        return Thresholds(values, score, kind)
    cuts = []
    for j in range(rows.shape[1]):
        where = f" of label {j}" if multi_label else ""
        _check_classes(labels[:, j], 2, where)
        if (rows[:, j] == rows[0, j]).all():
            raise ValueError(_constant(f"every row{where}"))
        cuts.append(_cuts(rows[:, j]))
    progress.expect(sum(map(len, cuts)))
    best = [_best_cut(labels[:, j], rows[:, j], cut, weights, scoring, passed, progress) for j, cut in enumerate(cuts)]
    progress.end()
    thresholds, scores = np.array(best).T
    return Thresholds(thresholds if multi_label else float(thresholds[0]), float(scores.mean()), kind)


def _cuts(p: np.ndarray) -> np.ndarray:
    """A threshold below all probabilities, one between any two neighbours, and one above all, ascending, in the dtype of `p`.

    They are numbers of that dtype, so that a comparison in it decides as one in float64.
    """
    levels = np.unique(p)
    zero, one, half = p.dtype.type(0), p.dtype.type(1), p.dtype.type(0.5)
    lower, upper = np.concatenate([[zero], levels]), np.concatenate([levels, [one]])
    cuts = (lower + (upper - lower) * half).astype(p.dtype)
    cuts = np.where((cuts < upper) | (lower == one), cuts, lower)  # no number lies between: the lower one cuts as well
    if levels[0] == 0:
        cuts[0] = BELOW_ALL
    return cuts


def _best_cut(
    labels: np.ndarray,
    p: np.ndarray,
    cuts: np.ndarray,
    weights: np.ndarray,
    objective: Objective,
    passed: np.ndarray | None,
    progress: Progress,
) -> tuple[float, float]:
    """The cut of the best score, the nearest to 0.5 among equals, and its score."""
    if objective.function is None:
        # Sums over the rows above each cut, from the top, so that no difference of sums is taken.
        order = np.argsort(-p, kind="stable")
        above = np.searchsorted(-p[order], -cuts, side="left")
        found = running(weights[order] * labels[order])[above]
        alarms = running(weights[order] * (1 - labels[order]))[above]
        total = weights @ labels, weights @ (1 - labels)
        gains = objective.of_two(found, alarms, *total)
        progress.add(len(cuts))
    else:
        gains = np.empty(len(cuts))
        for i, cut in enumerate(cuts):
            gains[i] = objective.call(labels, (p > cut).astype(np.int64), passed)
            progress.add(1)
    chosen = best_cut(gains, cuts.astype(np.float64), 0.5)
    return float(cuts[chosen]), objective.score(float(gains[chosen]))


def _check_classes(labels, num_classes, where=""):
    absent = np.setdiff1d(np.arange(num_classes), labels)
    if absent.size:
        raise ValueError(
            f"`y_true` must hold rows of every class{where}: a threshold cannot be tuned for a class not seen. "
            f"Received: no rows that count of class {', '.join(map(str, absent))}. Take more validation rows."
        )


def _constant(where):
    return (
        f"`probabilities` must differ between rows. Received: the same in {where}, which no threshold can tell apart. "
        "Check what the model has learnt."
    )
