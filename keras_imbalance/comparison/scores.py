"""From probabilities to decisions, and from both to the scores of the table."""

import warnings
from typing import NamedTuple

import numpy as np

from keras_imbalance._core import class_ids, invalid, rows_by_class
from keras_imbalance.comparison.method import Method, Run
from keras_imbalance.comparison.training import Trained
from keras_imbalance.decisions import correct_prior
from keras_imbalance.metrics import functional

FOLDS = 5
BINS = 15
SMALLEST = 1e-15


class Metric(NamedTuple):
    """What the table calls a score, and whether more of it is better."""

    title: str
    higher: bool = True


METRICS = {
    "macro_recall": Metric("macro recall"),
    "macro_f1": Metric("macro F1"),
    "worst_recall": Metric("worst recall"),
    "average_precision": Metric("avg. prec."),
    "auc": Metric("AUC"),
    "log_loss": Metric("log loss", higher=False),
    "calibration_error": Metric("calibr. error", higher=False),
    "cost": Metric("cost", higher=False),
}


class Scored(NamedTuple):
    """Scores of validation and of test rows, by name."""

    validation: dict[str, float]
    test: dict[str, float]


def score(method: Method, run: Run, trained: Trained) -> Scored:
    """Decides as the method does, and scores it.

    A decision is tuned on the validation rows alone. Its score on them is that of rows that were held out from tuning, in up to
    five parts, so that what fits chance does not win.

    Probabilities are scored as they are used: moved from the class shares that they speak for to those of use; where the
    decision gives probabilities, as it gives them. Rows are weighted to the shares of use, where these were given.
    """
    run.output_prior = trained.output_prior
    labels, test_labels = (run.data.labels(rows) for rows in (run.split.validation, run.split.test))
    validation = run.data.scored(run.split.validation, trained.validation)
    test = run.data.scored(run.split.test, trained.test)
    if method.decide is None:
        decided = [_likeliest(run, p) for p in (validation, test)]
    else:
        rule = _quietly(method.decide, run, validation, labels)
        decided = [_held_out(method, run, validation, labels), _decided(run, rule, test)]
    parts = zip((labels, test_labels), (validation, test), decided, strict=True)
    weights = [run.weights_of_use(own) for own in (labels, test_labels)]
    return Scored(*(_scores(run, *part, own) for part, own in zip(parts, weights, strict=True)))


def _held_out(method, run, probabilities, labels):
    """Decisions of rows that tuning did not see: each part is decided by what was tuned on the others."""
    part_of = _row_folds(run)[run.data.row_of(run.split.validation)]
    decided: np.ndarray | None = None
    for part in np.unique(part_of):
        inside = part_of == part
        rule = _quietly(method.decide, run, probabilities[~inside], labels[~inside])
        found = _decided(run, rule, probabilities[inside])
        decided = np.empty((len(labels), *found.shape[1:]), found.dtype) if decided is None else decided
        decided[inside] = found
    return decided


def _decided(run, rule, probabilities):
    """What a rule makes of probabilities; raises unless that is a decision, or probabilities, for each row."""
    if not callable(rule):
        raise invalid("decide", "give a function from probabilities to decisions", received=f"a {type(rule).__name__}")
    found, several = np.asarray(rule(probabilities)), run.data.multi_label
    if found.shape not in ([] if several else [probabilities.shape[:1]]) + [probabilities.shape]:
        requirement = "labels (N, L)" if several else "class ids (N,) or probabilities (N, C)"
        received = f"shape {found.shape} for probabilities of shape {probabilities.shape}"
        raise invalid("decide", f"give a function from probabilities to {requirement}", received=received)
    return class_ids(found, run.num_classes, "decisions") if found.ndim == 1 else found


def _row_folds(run):
    """The part of each validation row: the positions of one mask are never tuned on and scored."""
    return folds(run.data.row_classes(run.split.validation), FOLDS, run.seed)


def parts_with(run: Run) -> np.ndarray:
    """In how many of the parts of the validation rows each class is, int `(C,)`; of labels, both with and without."""
    parts = _row_folds(run)
    found = np.array([run.data.counts(run.split.validation[parts == part]) > 0 for part in np.unique(parts)])
    return (found.all(axis=-1) if run.data.multi_label else found).sum(axis=0)


def folds(labels: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """The part of each row, `(N,)`: every class is spread over the parts evenly.

    Example:
    >>> part = folds(np.array([0] * 8 + [1] * 2), 2, seed=0)
    >>> np.bincount(part[:8]), np.bincount(part[8:])
    (array([4, 4]), array([1, 1]))
    """
    part_of = np.empty(len(labels), dtype=np.int64)
    rng, first = np.random.default_rng(seed), 0
    for members in filter(len, rows_by_class(labels)):
        rows = rng.permutation(members)
        part_of[rows] = (first + np.arange(len(rows))) % parts
        first += len(rows)
    return part_of


def _quietly(decide, run, probabilities, labels):
    """Without the advice that functions of ours give on few rows: `needs` has said already whether there are enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return decide(run, probabilities, labels)


def _likeliest(run, probabilities):
    """The class of the largest probability, or the labels above 0.5."""
    return (probabilities > 0.5).astype(np.int64) if run.data.multi_label else probabilities.argmax(axis=-1)


def _scores(run, labels, probabilities, decided, weights):
    several = run.data.multi_label
    if decided.dtype.kind == "f" if several else decided.ndim == 2:
        natural, decided = decided, _likeliest(run, decided)
    else:
        natural = correct_prior(probabilities, run.output_prior, run.true_prior, multi_label=several)
    found = (_of_labels if several else _of_classes)(run, labels, natural, decided, weights)
    return {name: float(value) for name, value in found.items()}


def _of_classes(run, labels, natural, decided, weights):
    """Scores of one class a row or position."""
    counts = functional.confusion_matrix(labels, decided, num_classes=run.num_classes, weights=weights)
    present = functional.support(counts) > 0
    rankable = np.flatnonzero(present & (np.bincount(labels, minlength=run.num_classes) < len(labels)))
    found = {
        "macro_recall": functional.balanced_accuracy(counts),
        **_of_counts(counts, present),
        **_of_ranking([(labels == c, natural[:, c]) for c in rankable], weights),
        "log_loss": -np.average(np.log(np.maximum(natural[np.arange(len(labels)), labels], SMALLEST)), weights=weights),
        "calibration_error": calibration_error(labels, natural, weights=weights),
    }
    if run.cost_matrix is not None:
        found["cost"] = functional.expected_cost(counts, run.cost_matrix)
    return found


def _of_labels(run, labels, natural, decided, weights):
    """Scores of several labels a row, means over the labels; recall is that of rows with and without a label."""
    counts = functional.label_matrices(labels, decided, weights=np.broadcast_to(weights[:, None], labels.shape))
    held = counts.sum(axis=-1) > 0  # (L, 2), whether there are rows without and with a label
    sides = functional.recall(functional.each_label(functional.tally(counts)))
    pairs = np.stack([1 - natural, natural], axis=-1)
    true = np.maximum(np.take_along_axis(pairs, labels[..., None], axis=-1)[..., 0], SMALLEST)
    errors = [
        calibration_error(*column, weights=weights) for column in zip(labels.T, np.moveaxis(pairs, 1, 0), strict=True)
    ]
    return {
        "macro_recall": np.mean([side[there].mean() for side, there in zip(sides, held, strict=True)]),
        **_of_counts(counts, held[:, 1]),
        **_of_ranking([(labels[:, c], natural[:, c]) for c in np.flatnonzero(held.all(axis=1))], weights),
        "log_loss": -np.average(np.log(true).mean(axis=1), weights=weights),
        "calibration_error": np.mean(errors),
    }


def _of_counts(counts, present):
    """Means over the classes, or labels, and the lowest recall of those that have rows."""
    return {
        "macro_f1": functional.macro_mean(functional.f_beta(counts), counts),
        "macro_precision": functional.macro_mean(functional.precision(counts), counts),
        "worst_recall": functional.recall(counts)[present].min() if present.any() else np.nan,
    }


def _of_ranking(columns, weights):
    """Means over columns of labels and probabilities."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    functions = {"average_precision": average_precision_score, "auc": roc_auc_score}
    return {
        name: np.mean([function(*column, sample_weight=weights) for column in columns]) if columns else np.nan
        for name, function in functions.items()
    }


def calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS, weights: np.ndarray | None = None
) -> float:
    """Expected calibration error: |share right - mean confidence| of rows in bins of equal width, weighted by their rows.

    The confidence is the largest probability of a row.

    Example:
    >>> calibration_error(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]))
    0.25

    Reference: Guo et al., On Calibration of Modern Neural Networks, 2017, https://arxiv.org/abs/1706.04599
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    weights = np.ones(len(labels)) if weights is None else weights
    gaps = np.bincount(bin_of, weights * (right - confidence), bins)
    return float(np.abs(gaps).sum() / weights.sum())
