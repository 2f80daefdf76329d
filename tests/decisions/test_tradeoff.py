"""The curve of recall and precision over q, against scikit-learn and corrected probabilities."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from keras_imbalance import correct_prior, target_distribution, tradeoff_curve

RNG = np.random.default_rng(0)
LABELS = RNG.choice(3, 400, p=[0.8, 0.15, 0.05])
LOGITS = RNG.normal(size=(400, 3)) + 1.5 * np.eye(3)[LABELS]
P = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
Q = [0.0, 0.75, 1.0]
WEIGHTS = RNG.uniform(0.5, 2, 400)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("train_prior", ["balanced", [0.5, 0.3, 0.2]])
def test_each_point_is_argmax_of_corrected_probabilities_scored_by_scikit_learn(train_prior, weights):
    curve = tradeoff_curve(LABELS, P, train_prior, q=Q, sample_weight=weights)
    counts = np.bincount(LABELS, weights)
    for i, q in enumerate(Q):
        decided = correct_prior(P, train_prior, target_distribution(counts, q)).argmax(axis=1)
        options = {"average": None, "zero_division": 0, "sample_weight": weights}
        np.testing.assert_allclose(curve.recall[i], recall_score(LABELS, decided, **options))
        np.testing.assert_allclose(curve.precision[i], precision_score(LABELS, decided, **options))
        np.testing.assert_allclose(curve.f1[i], f1_score(LABELS, decided, **options))
    np.testing.assert_array_equal(curve.q, Q)


def test_the_recall_of_the_rarest_class_falls_with_q_and_that_of_the_commonest_rises():
    curve = tradeoff_curve(LABELS, P, "balanced")
    assert len(curve.q) == 21
    assert (np.diff(curve.recall[:, 2]) <= 0).all()
    assert (np.diff(curve.recall[:, 0]) >= 0).all()
    assert curve.recall[0, 2] > curve.recall[-1, 2]


def test_labels_may_be_names_of_the_classes():
    names = ["ok", "worn", "broken"]
    found = tradeoff_curve(np.array(names)[LABELS], P, {"broken": 1, "ok": 1, "worn": 1}, q=Q, class_names=names)
    np.testing.assert_array_equal(found.recall, tradeoff_curve(LABELS, P, "balanced", q=Q).recall)


def test_one_sigmoid_masks_and_ignored_positions():
    positive, p = (LABELS > 0).astype(int), P[:, 1:].sum(axis=1)
    wanted = tradeoff_curve(positive, np.stack([1 - p, p], axis=1), "balanced", q=Q)
    ignored = np.where(np.arange(420) < 400, np.append(positive, [0] * 20), 255)
    junk = np.append(p, [np.nan] * 20)
    for labels, given, options in (
        (positive, p, {}),
        (positive.reshape(20, 20), p.reshape(20, 20, 1), {}),
        (ignored, junk, {"ignore_class": 255}),
    ):
        found = tradeoff_curve(labels, given, {"yes": 1, "no": 1}, q=Q, class_names=["no", "yes"], **options)
        np.testing.assert_array_equal(found.recall, wanted.recall)
    moved = tradeoff_curve(LABELS.reshape(20, 20), np.moveaxis(P.reshape(20, 20, 3), -1, 1), "balanced", q=Q, axis=1)
    np.testing.assert_array_equal(moved.f1, tradeoff_curve(LABELS, P, "balanced", q=Q).f1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"q": [-1.0]}, "`q` must be a finite number of at least 0"),
        ({"q": []}, "`q` must hold one number"),
        ({"q": 0.5}, "`q` must hold one number"),
        ({"train_prior": 0.5}, r"`train_prior`.*\[1 - p, p\]"),
        ({"y_true": LABELS % 2}, "`y_true` must hold rows of every class.* class 2"),
        ({"probabilities": P * 2}, "`probabilities` must"),
        ({"class_names": ["a", "b"]}, "`class_names`"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        tradeoff_curve(**{"y_true": LABELS, "probabilities": P, "train_prior": "balanced", **arguments})
