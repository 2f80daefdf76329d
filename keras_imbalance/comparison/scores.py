"""From probabilities to decisions, and from both to the scores of the table."""

import warnings
from typing import NamedTuple

import numpy as np

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
    "average_precision": Metric("avg. precision"),
    "auc": Metric("AUC"),
    "log_loss": Metric("log loss", higher=False),
    "calibration_error": Metric("calibr. error", higher=False),
    "cost": Metric("cost", higher=False),
}
MORE = ("macro_precision",)  # for the picture


class Scored(NamedTuple):
    """Scores of validation and of test rows, by name."""

    validation: dict[str, float]
    test: dict[str, float]


def score(method: Method, run: Run, trained: Trained) -> Scored:
    """Decides as the method does, and scores it.

    A decision is tuned on the validation rows alone. Its score on them is that of rows that were held out from tuning, in up to
    five parts, so that what fits chance does not win.

    Probabilities are scored as they are used: moved from the class shares that they speak for to those of use; where the
    decision gives probabilities, as it gives them. Validation rows are weighted to the shares of use, where these were given.
    """
    run.output_prior = trained.output_prior
    labels = run.data.y[run.split.validation]
    validation, test = trained.validation, trained.test
    if method.decide is None:
        decided = [p.argmax(axis=1) for p in (validation, test)]
        parts = [(labels, validation, decided[0]), (run.data.y[run.split.test], test, decided[1])]
    else:
        held_out = _held_out(method, run, validation, labels)
        rule = _quietly(method.decide, run, validation, labels)
        parts = [(labels, validation, held_out), (run.data.y[run.split.test], test, np.asarray(rule(test)))]
    weights = [run.weights_of_use(labels), np.ones(len(test))]
    return Scored(*(_scores(run, *part, own) for part, own in zip(parts, weights, strict=True)))


def _held_out(method, run, probabilities, labels):
    """Decisions of rows that tuning did not see: each part is decided by what was tuned on the others."""
    part_of = folds(labels, FOLDS, run.seed)
    decided: np.ndarray | None = None
    for part in np.unique(part_of):
        inside = part_of == part
        rule = _quietly(method.decide, run, probabilities[~inside], labels[~inside])
        found = np.asarray(rule(probabilities[inside]))
        decided = np.empty((len(labels), *found.shape[1:]), found.dtype) if decided is None else decided
        decided[inside] = found
    return decided


def folds(labels: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """The part of each row, `(N,)`: every class is spread over the parts evenly.

    Example:
    >>> part = folds(np.array([0] * 8 + [1] * 2), 2, seed=0)
    >>> np.bincount(part[:8]), np.bincount(part[8:])
    (array([4, 4]), array([1, 1]))
    """
    part_of = np.empty(len(labels), dtype=np.int64)
    rng, first = np.random.default_rng(seed), 0
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        part_of[rows] = (first + np.arange(len(rows))) % parts
        first += len(rows)
    return part_of


def _quietly(decide, run, probabilities, labels):
    """Without the advice that functions of ours give on few rows: `needs` has said already whether there are enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return decide(run, probabilities, labels)


def _scores(run, labels, probabilities, decided, weights):
    if decided.ndim == 2:
        probabilities, decided = decided, decided.argmax(axis=1)
        natural = probabilities
    else:
        natural = correct_prior(probabilities, run.output_prior, run.true_prior)
    counts = functional.confusion_matrix(labels, decided, num_classes=run.num_classes, weights=weights)
    present = functional.support(counts) > 0
    found = {
        "macro_recall": functional.balanced_accuracy(counts),
        "macro_f1": functional.macro_mean(functional.f_beta(counts), counts),
        "macro_precision": functional.macro_mean(functional.precision(counts), counts),
        "worst_recall": functional.recall(counts)[present].min(),
        **_of_ranking(labels, natural, present, weights),
        "log_loss": -np.average(np.log(np.maximum(natural[np.arange(len(labels)), labels], SMALLEST)), weights=weights),
        "calibration_error": calibration_error(labels, natural, weights=weights),
    }
    if run.cost_matrix is not None:
        found["cost"] = functional.expected_cost(counts, run.cost_matrix)
    return {name: float(value) for name, value in found.items()}


def _of_ranking(labels, probabilities, present, weights):
    """Means over the classes that have rows and do not have all of them."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    classes = np.flatnonzero(present & (np.bincount(labels, minlength=len(present)) < len(labels)))
    functions = {"average_precision": average_precision_score, "auc": roc_auc_score}
    return {
        name: np.mean([function(labels == c, probabilities[:, c], sample_weight=weights) for c in classes])
        if len(classes)
        else np.nan
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
