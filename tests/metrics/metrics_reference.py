"""The values of scikit-learn and imbalanced-learn, and batches to compare on."""

from dataclasses import dataclass

import numpy as np
import sklearn.metrics as oracle
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imblearn.metrics import geometric_mean_score, specificity_score

import keras_imbalance as ki

COSTS = (np.arange(36).reshape(6, 6) % 7 * (1.0 - np.eye(6))).tolist()


@dataclass
class Batch:
    """Labels, decided predictions and weights of C classes, with the cuts between batches."""

    num_classes: int
    labels: np.ndarray
    predictions: np.ndarray
    weights: np.ndarray
    cuts: list

    def update(self, metric, weighted=True):
        parts = (self.labels, scores_of(self.predictions, self.num_classes), self.weights)
        for labels, scores, weights in zip(*(np.split(part, self.cuts) for part in parts), strict=True):
            metric.update_state(labels, scores, weights if weighted else None)
        return metric


def scores_of(predictions, num_classes):
    """Softmax-like rows whose largest channel is the prediction."""
    rows = np.full((len(predictions), num_classes), 0.4 / num_classes, dtype="float32")
    rows[np.arange(len(predictions)), predictions] += 0.6
    return rows


@st.composite
def batches(draw):
    """Some rows of 2 to 6 classes: some classes absent, weights, cut into batches that may be empty."""
    num_classes = draw(st.integers(2, 6))
    number = draw(st.integers(1, 25))
    ids = arrays(np.int64, number, elements=st.integers(0, num_classes - 1))
    weights = arrays(np.float32, number, elements=st.sampled_from([0.25, 0.75, 1.0, 3.0]))
    cuts = sorted(draw(st.lists(st.integers(0, number), max_size=2)))
    return Batch(num_classes, draw(ids), draw(ids), draw(weights), cuts)


# Each entry: how to build the metric for C classes, and the oracle's values of each class, (C,), from labels, predictions, C
# and keyword arguments.
PER_CLASS = {
    "PerClassPrecision": (
        ki.PerClassPrecision,
        lambda y, p, labels, **kw: oracle.precision_score(y, p, labels=labels, average=None, **kw),
    ),
    "PerClassRecall": (
        ki.PerClassRecall,
        lambda y, p, labels, **kw: oracle.recall_score(y, p, labels=labels, average=None, **kw),
    ),
    "PerClassF1": (
        ki.PerClassF1,
        lambda y, p, labels, **kw: oracle.f1_score(y, p, labels=labels, average=None, **kw),
    ),
    "PerClassIoU": (
        ki.PerClassIoU,
        lambda y, p, labels, zero_division, **kw: np.where(
            np.isin(labels, [*y, *p]),  # scikit-learn has no NaN here
            oracle.jaccard_score(y, p, labels=labels, average=None, zero_division=0, **kw),
            zero_division,
        ),
    ),
    "PerClassF1 beta=2": (
        lambda *args, **kw: ki.PerClassF1(*args, beta=2.0, **kw),
        lambda y, p, labels, **kw: oracle.fbeta_score(y, p, labels=labels, average=None, beta=2.0, **kw),
    ),
    "PerClassSpecificity": (
        ki.PerClassSpecificity,
        lambda y, p, labels, **kw: [oracle.recall_score(y != k, p != k, **kw) for k in labels],
    ),
}
# Each entry: how to build the metric for C classes, and the oracle's value.
SUMMARY = {
    "BalancedAccuracy": (ki.BalancedAccuracy, oracle.balanced_accuracy_score),
    "GeometricMean": (ki.GeometricMean, geometric_mean_score),
    "GeometricMean corrected": (
        lambda *args, **kw: ki.GeometricMean(*args, correction=0.01, **kw),
        lambda y, p, **kw: geometric_mean_score(y, p, correction=0.01, **kw),
    ),
    "MacroF1": (ki.MacroF1, lambda y, p, **kw: oracle.f1_score(y, p, average="macro", zero_division=0, **kw)),
    "MatthewsCorrelation": (ki.MatthewsCorrelation, oracle.matthews_corrcoef),
    "CohenKappa": (ki.CohenKappa, oracle.cohen_kappa_score),
    "CohenKappa linear": (
        lambda *args, **kw: ki.CohenKappa(*args, weights="linear", **kw),
        lambda y, p, **kw: oracle.cohen_kappa_score(y, p, weights="linear", labels=range(6), **kw),
    ),
    "CohenKappa quadratic": (
        lambda *args, **kw: ki.CohenKappa(*args, weights="quadratic", **kw),
        lambda y, p, **kw: oracle.cohen_kappa_score(y, p, weights="quadratic", labels=range(6), **kw),
    ),
    "ExpectedCost": (
        lambda number, **kw: ki.ExpectedCost(np.array(COSTS)[:number, :number], **kw),
        lambda y, p, sample_weight=None: np.average(np.array(COSTS)[y, p], weights=sample_weight),
    ),
}
imblearn_specificity = specificity_score
