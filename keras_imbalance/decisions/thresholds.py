"""Thresholds that suit a score: one for a sigmoid, one a label, or offsets of the classes of a softmax."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from keras_imbalance._core import (
    check_flag,
    check_ignored,
    check_numbers,
    check_one_of,
    check_probabilities,
    check_table,
    check_whole,
    invalid,
    is_number,
    line_up,
)
from keras_imbalance._keras import largest, ops, register
from keras_imbalance.decisions.arrays import check_every_class, classes_first, largest_class
from keras_imbalance.decisions.cuts import tune_cut
from keras_imbalance.decisions.decision import ClassIds, Decision
from keras_imbalance.decisions.offsets import Rule, tune_offsets
from keras_imbalance.decisions.scoring import AT, ObjectiveName, make_objective

Kind = Literal["binary", "multi_label", "multi_class"]


@register
class Thresholds(ClassIds, Decision):
    """Tuned thresholds, called on probabilities to decide; see `tune_thresholds`, which returns them.

    They decide arrays in NumPy, int64, and are a layer on top of a trained model, saved with it.

    Args:
        values: "binary": the threshold. "multi_label": one a label, `(C,)`. "multi_class": what is added to the logarithm of
            each class's probability before the largest is taken, `(C,)`.
        kind: "binary", "multi_label" or "multi_class".
        score: the objective on the rows that they were tuned on, an optimistic figure; for "cost" the mean cost. Defaults to
            None.
        cross_validated_score: the objective of rows that were held out from tuning, in up to five parts; NaN where a class has
            one row. Defaults to None.
        rule: what was chosen: "threshold", or for "multi_class" "nothing", "exponent" or "offsets". Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.
        **kwargs: what every Keras layer takes, such as `name` and `dtype`.

    Input shape: that of the probabilities. Output: 0 or 1 for "binary", where a probability above the threshold is 1, without
    the channel axis; 0 or 1 in the shape of the input for "multi_label"; class ids for "multi_class", the first among equals,
    without the channel axis. int64 of arrays, int32 of tensors.

    Raises:
        ValueError: for thresholds that are not finite or do not suit the kind; for more or fewer channels than they were tuned
            on, and for arrays with values outside [0, 1].

    Example:
    >>> thresholds = Thresholds(0.25, kind="binary")
    >>> thresholds([0.22, 0.28])
    array([0, 1])
    """

    def __init__(
        self,
        values: npt.ArrayLike,
        *,
        kind: Kind,
        score: float | None = None,
        cross_validated_score: float | None = None,
        rule: Rule | None = None,
        axis: int = -1,
        **kwargs: Any,
    ):
        super().__init__(axis=axis, **kwargs)
        self.kind = check_one_of(kind, "kind", get_args(Kind))
        table = check_table(values, "values")
        if table.dtype.kind not in "iuf" or table.ndim != (kind != "binary") or not np.isfinite(table).all():
            size = "a finite number" if kind == "binary" else "one finite number a channel"
            raise invalid("values", f"be {size} for kind={kind!r}", values)
        self.values = float(table) if kind == "binary" else table.astype(np.float64)
        self.score = _score(score, "score")
        self.cross_validated_score = _score(cross_validated_score, "cross_validated_score")
        self.rule = check_one_of(rule, "rule", (None, *get_args(Rule)))

    def build(self, input_shape: tuple) -> None:
        self._check_channels(input_shape, input_shape[self.axis])
        self.built = True

    def of_array(self, values: np.ndarray, given: Any) -> np.ndarray:
        p = check_probabilities(values, self.kind == "multi_label", given=given).astype(np.float64)
        p = p[:, None] if p.ndim == 1 else p
        self._check_channels(np.shape(given), p.shape[-1])
        if self.kind == "multi_class":
            with np.errstate(divide="ignore"):
                scores = np.log(classes_first(p.reshape(-1, p.shape[-1]))) + np.reshape(self.values, (-1, 1))
            return largest_class(scores).reshape(p.shape[:-1])
        decided = (p > self.values).astype(np.int64)
        return decided[..., 0] if self.kind == "binary" else np.moveaxis(decided, -1, self.axis)

    def of_tensor(self, values: Any) -> Any:
        if self.kind == "multi_class":
            factors = np.exp(self.values - np.max(self.values))
            return largest(values * ops.convert_to_tensor(factors, dtype=values.dtype))
        decided = ops.cast(values > ops.convert_to_tensor(self.values, dtype=values.dtype), "int32")
        return decided[..., 0] if self.kind == "binary" else ops.moveaxis(decided, -1, self.axis)

    def _check_channels(self, shape, channels):
        expected = np.size(self.values)
        if channels != expected:
            remedy = "Of a softmax of two classes take [:, 1]." if (expected, channels) == (1, 2) else ""
            required = f"have {expected} channels, as those that the thresholds were tuned on"
            raise invalid("probabilities", required, received=f"shape {tuple(shape)}", remedy=remedy)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape) if self.kind == "multi_label" else super().compute_output_shape(input_shape)

    def get_config(self) -> dict:
        own = {"values": np.asarray(self.values).tolist(), "kind": self.kind, "score": self.score}
        own |= {"cross_validated_score": self.cross_validated_score, "rule": self.rule}
        return {**super().get_config(), **own}

    def __repr__(self) -> str:
        return f"<Thresholds {self.values} kind={self.kind!r} score={self.score} rule={self.rule!r}>"


def tune_thresholds(
    y_true: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    objective: ObjectiveName | Callable[[np.ndarray], npt.ArrayLike] = "f1",
    at: float | None = None,
    beta: float | None = None,
    cost_matrix: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
    multi_label: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Thresholds:
    """Searches the thresholds under which decisions score best.

    Tune on validation rows as they come, which no training step saw; after `correct_prior` or a new training, tune again. Read
    `cross_validated_score`: `score` is that of the very rows that were tuned on.

    - One sigmoid, or a softmax of two classes: every cut midway between two different probabilities, and no or all rows
      positive; of equally good cuts the one nearest to 0.5.
    - `multi_label`: the same for each label by itself; the score is the mean over the labels. A label that no row has, or every
      row, keeps 0.5, with a warning, and is in no mean.
    - A softmax of three classes or more, argmax_k (log p_k + offset_k): cross-validation within these rows chooses between no
      offset, an exponent of the class shares (offset_k = -s log share_k), and one offset a class; the more flexible rule must
      be better by more than the standard error. One offset a class needs 20 rows of every class, and at most 100 classes.

    Args:
        y_true: class ids `(N,)` or `(N, 1)`, or one-hot `(N, C)`; 0 or 1 for sigmoids. Every class must have rows (one label at
            least rows with and without it).
        probabilities: `(N, C)`, rows that sum to 1; of one sigmoid `(N,)` or `(N, 1)`; with multi_label any in [0, 1]. Axes in
            between are positions.
        objective: one of the following, "f1" by default; of a sigmoid the score of class 1 (of each label), of a softmax the
            mean over classes.

            - "f1", "fbeta" (with `beta`), "balanced_accuracy", "mcc" (Matthews' correlation)
            - "recall_at_precision": the highest recall with a precision of `at` or more; "precision_at_recall": the reverse.
              Other rows may miss `at` by chance, so ask for somewhat more.
            - "cost": mean of cost_matrix[true, predicted], minimised
            - a function of confusion matrices `(..., C, C)`, `(..., 2, 2)` for sigmoids, that gives one number for each,
              `(...)`, the larger the better. Row = true class, column = decision.
        at: for "recall_at_precision" and "precision_at_recall": what must be reached, in (0, 1].
        beta: for "fbeta": what recall counts against precision, positive.
        cost_matrix: for "cost": `(C, C)`, `(2, 2)` for sigmoids; row = true class, column = decision.
        sample_weight: what each row, position or, with multi_label, label counts: `(N,)` or any leading part of the shape of
            the labels. Where it is 0, labels and probabilities may hold anything. Defaults to None, 1.
        multi_label: whether the channels are independent sigmoids. Defaults to False.
        ignore_class: label whose positions count nowhere, such as 255. Defaults to None.
        axis: channel axis of the probabilities. Defaults to -1.

    Returns:
        `Thresholds`: `.values`, `.score`, `.cross_validated_score`, `.rule`, the decisions as `thresholds(probabilities)`, and
        a layer.

    Raises:
        ValueError: for probabilities outside [0, 1], labels that do not line up, a class without rows, probabilities that are
            the same in every row, and an objective that is unknown or gives no finite numbers.

    Warns:
        UserWarning: where no threshold reaches `at`; its score is 0.

    Example:
    >>> y_true = np.array([0, 0, 0, 0, 1, 1])
    >>> probabilities = np.array([0.05, 0.1, 0.2, 0.35, 0.3, 0.4])
    >>> thresholds = tune_thresholds(y_true, probabilities, objective="balanced_accuracy")
    >>> thresholds.values, thresholds.score, thresholds.cross_validated_score
    (0.25, 0.875, 0.625)
    >>> thresholds([0.22, 0.28])
    array([0, 1])

    References: Provost, Machine Learning from Imbalanced Data Sets 101, 2000; Lipton et al., Optimal Thresholding of
    Classifiers to Maximize F1 Measure, 2014, https://arxiv.org/abs/1402.1892
    """
    numbers = check_numbers(probabilities, "probabilities")
    check_flag(multi_label, "multi_label")
    rule = {"axis": check_whole(axis, "axis"), "ignore_class": check_ignored(ignore_class)}
    labels, rows, weights = line_up(y_true, numbers, multi_label, sample_weight=sample_weight, **rule)
    rows = check_probabilities(rows, multi_label, given=probabilities)
    kind: Kind = "multi_label" if multi_label else "binary" if rows.shape[-1] == 1 else "multi_class"
    num_classes = rows.shape[-1] if kind == "multi_class" else 2
    scoring = make_objective(objective, cost_matrix, beta, at, num_classes, kind != "multi_class")
    if kind == "multi_class":
        _check_tunable(labels, rows, num_classes, "")
        tuned = tune_offsets(labels, rows, weights, scoring)
        values, chosen = tuned.offsets, tuned.rule
        gains, of_held_out = np.array([tuned.gain]), np.array([tuned.cross_validated])
    else:
        values, gains, of_held_out = _tune_sigmoids(labels, rows, weights, scoring)
        chosen = "threshold"
    if scoring.name in AT and (gains < 0).any():
        warnings.warn(
            f"`at`={at} is reached by no threshold on these rows. Ask for less, or train a better model.",
            UserWarning,
            stacklevel=2,
        )
    score, cross_validated = (float(np.mean([scoring.score(gain) for gain in part])) for part in (gains, of_held_out))
    return Thresholds(
        float(values[0]) if kind == "binary" else values,
        kind=kind,
        score=score,
        cross_validated_score=cross_validated,
        rule=chosen,
        axis=axis,
    )


def _tune_sigmoids(labels, rows, weights, objective):
    """One threshold a channel `(C,)`, and gains of those tuned: on the rows, and held out."""
    columns = [(labels[w > 0, j], rows[w > 0, j], w[w > 0]) for j, w in enumerate(weights.T)]
    has_both = np.array([len(np.unique(column)) == 2 for column, _, _ in columns])
    tuned = np.flatnonzero(has_both) if has_both.any() else np.arange(rows.shape[1])
    for j in tuned:
        _check_tunable(*columns[j][:2], 2, f" of label {j}" if rows.shape[1] > 1 else "")
    if len(tuned) < rows.shape[1]:
        warnings.warn(
            f"In `y_true` no row that counts, or every one, has label {', '.join(map(str, np.flatnonzero(~has_both)))}. There "
            "the threshold stays 0.5. Take more validation rows.",
            UserWarning,
            stacklevel=3,
        )
    thresholds = np.full(rows.shape[1], 0.5)
    found = np.array([tune_cut(*columns[j], objective) for j in tuned])
    thresholds[tuned] = found[:, 0]
    return thresholds, found[:, 1], found[:, 2]


def _check_tunable(labels, rows, num_classes, where):
    """Raises unless every class has rows and the probabilities tell some rows apart."""
    check_every_class(labels, num_classes, where)
    if (rows == rows[0]).all():
        received = f"the same in every row{where}"
        raise invalid("probabilities", "differ between rows", received=received, remedy="Check what the model learnt.")


def _score(value, argument):
    """A number, NaN too, or None."""
    if value is not None and not is_number(value):
        raise invalid(argument, "be None or a number", value)
    return None if value is None else float(value)
