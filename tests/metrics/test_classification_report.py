"""The report against scikit-learn and imbalanced-learn."""

import json
import re
import warnings

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imblearn.metrics import geometric_mean_score, specificity_score

from keras_imbalance import ClassificationReport, ConfusionMatrix, classification_report

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ["ok", "fraud", "unsure"]


def scores_of(predictions, size):
    return np.eye(size)[predictions] * 0.6 + 0.1


@settings(max_examples=30)
@given(st.data(), st.integers(2, 5), st.integers(1, 30), st.booleans())
def test_equals_scikit_learn_to_the_last_digit(data, size, number, weighted):
    ids = arrays(np.int64, number, elements=st.integers(0, size - 1))
    labels, predictions = data.draw(ids), data.draw(ids)
    weights = data.draw(arrays(np.float64, number, elements=st.floats(0.1, 5))) if weighted else None
    report = classification_report(labels, scores_of(predictions, size), sample_weight=weights)
    theirs = oracle.classification_report(
        labels, predictions, labels=range(size), output_dict=True, zero_division=0, sample_weight=weights
    )
    ours = report.to_dict()
    for k in range(size):
        for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score"), ("support", "support")):
            np.testing.assert_allclose(ours["classes"][str(k)][name], theirs[str(k)][key], rtol=1e-12)
    for name, score in (
        ("precision", oracle.precision_score),
        ("recall", oracle.recall_score),
        ("f1", oracle.f1_score),
    ):
        for average in ("macro", "weighted"):
            mean = score(labels, predictions, average=average, zero_division=0, sample_weight=weights)
            np.testing.assert_allclose(ours[average][name], mean, rtol=1e-12)
    options = {"sample_weight": weights}
    np.testing.assert_allclose(
        ours["balanced_accuracy"], oracle.balanced_accuracy_score(labels, predictions, **options)
    )
    np.testing.assert_allclose(ours["geometric_mean"], geometric_mean_score(labels, predictions, **options), atol=1e-12)
    # Of a single class the correlation is 0 for any weights; with some, scikit-learn divides what is left by rounding.
    single = len(set(labels)) == 1 or len(set(predictions)) == 1
    correlation = oracle.matthews_corrcoef(labels, predictions, sample_weight=None if single else weights)
    np.testing.assert_allclose(ours["matthews_correlation"], correlation, atol=1e-12)
    np.testing.assert_allclose(ours["accuracy"], oracle.accuracy_score(labels, predictions, **options))
    if not weighted:
        specificity = specificity_score(labels, predictions, labels=range(size), average=None)
        np.testing.assert_allclose(report.scores["specificity"], specificity, rtol=1e-12)
        g_mean = geometric_mean_score(labels, predictions, labels=range(size), average=None)
        np.testing.assert_allclose(report.scores["g_mean"], g_mean, rtol=1e-12)


def test_every_form_of_labels_and_predictions():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(3, size=(2, 40))
    scores = scores_of(predictions, 3)
    expected = classification_report(labels, scores).confusion
    np.testing.assert_array_equal(expected, oracle.confusion_matrix(labels, predictions))
    for truth in (labels, labels[:, None], np.eye(3)[labels], labels.tolist()):
        np.testing.assert_array_equal(classification_report(truth, scores).confusion, expected)
    for decided in (predictions, predictions.astype(float), predictions.tolist(), scores.reshape(40, 3)):
        np.testing.assert_array_equal(classification_report(labels, decided).confusion, expected)
    np.testing.assert_array_equal(classification_report(labels[:, None], predictions).confusion, expected)
    images = classification_report(labels.reshape(2, 4, 5), scores.reshape(2, 4, 5, 3), sample_weight=[1, 0])
    np.testing.assert_array_equal(images.confusion, oracle.confusion_matrix(labels[:20], predictions[:20]))


def test_one_sigmoid_channel_and_several_labels():
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(2, size=30), rng.random(30)
    for given_scores in (scores, scores[:, None]):
        report = classification_report(labels, given_scores, threshold=0.7)
        np.testing.assert_array_equal(report.confusion, oracle.confusion_matrix(labels, scores > 0.7))
    many, probabilities = (rng.random((30, 4)) < 0.3).astype(int), rng.random((30, 4))
    weights = rng.random(30)
    report = classification_report(many, probabilities, multi_label=True, sample_weight=weights)
    expected = oracle.multilabel_confusion_matrix(many, probabilities > 0.5, sample_weight=weights)
    np.testing.assert_allclose(report.confusion, expected)
    f1 = oracle.f1_score(many, probabilities > 0.5, average=None, sample_weight=weights)
    np.testing.assert_allclose(report.scores["f1"], f1)
    cuts = np.array([0.2, 0.4, 0.6, 0.8])
    report = classification_report(many, probabilities, multi_label=True, threshold=cuts)
    np.testing.assert_array_equal(report.confusion, oracle.multilabel_confusion_matrix(many, probabilities > cuts))
    assert report.summary == {}
    assert "balanced" not in str(report)


def test_groups_by_training_rows():
    counts = [500, 101, 100, 20, 19, 3]
    labels = np.repeat(np.arange(6), 10)
    predictions = np.where(np.arange(60) % 10 < np.repeat([9, 8, 7, 6, 5, 4], 10), labels, (labels + 1) % 6)
    report = classification_report(labels, predictions, class_counts=counts)
    groups = report.groups()
    assert [groups[name]["classes"] for name in ("many", "medium", "few")] == [2, 2, 2]
    np.testing.assert_allclose([groups[name]["recall"] for name in ("many", "medium", "few")], [0.85, 0.65, 0.45])
    few = oracle.f1_score(labels, predictions, average=None)[4:].mean()
    np.testing.assert_allclose(groups["few"]["f1"], few)
    assert "few (2 classes)" in str(report)
    report = classification_report([0, 1], [0, 1], class_counts=[500, 400])
    assert list(report.groups()) == ["many"]
    assert "0 classes" not in str(report)
    unseen = classification_report([0, 1], [0, 1], class_counts=[500, 400, 3])
    assert unseen.to_dict()["groups"]["few"] == {"classes": 1, "support": 0.0} | dict.fromkeys(unseen.scores)
    assert re.search(r"^few \(1 class\)( +-){5} +0$", str(unseen), flags=re.MULTILINE)


def test_to_dict_is_plain_and_from_a_metric():
    metric = ConfusionMatrix(3, class_names=NAMES)
    metric.update_state(np.array([0, 1, 2, 2]), scores_of(np.array([0, 1, 2, 1]), 3))
    report = ClassificationReport(metric.matrix(), class_names=metric.class_names, class_counts=[50, 5, 500])
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()
    assert report.to_dict()["classes"]["unsure"]["recall"] == 0.5


def test_text_is_aligned():
    report = ClassificationReport(
        [[90, 5, 0], [2, 3, 0], [0, 0, 1e6]],
        class_names=["ok", "a very long class name", "x"],
        class_counts=[9, 99, 999],
    )
    lines = [line for line in str(report).splitlines() if line]
    table = lines[:9]
    assert len({len(line) for line in table}) == 1
    assert table[0].split() == ["precision", "recall", "specificity", "f1", "g_mean", "support"]
    assert table[1].split()[-1] == "95"
    assert table[3].split()[-1] == "1000000"
    assert [line.split("  ")[0] for line in table[4:6]] == ["macro mean", "weighted mean"]
    assert "accuracy" in lines[-1]
    assert "balanced accuracy" in lines[-4]
    assert len(report.text(digits=2)) < len(str(report))
    assert repr(report) == str(report)


def test_weighted_support_keeps_the_columns():
    labels, weights = np.repeat([0, 1], 30), np.full(60, 1 / 3 + 1)
    lines = str(classification_report(labels, labels, sample_weight=weights)).splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["40", "40"]
    lines = str(classification_report(labels, labels, sample_weight=weights**2)).splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == [f"{30 * 16 / 9:.2f}"] * 2
    assert len({len(line) for line in lines[:3]}) == 1


@settings(max_examples=30)
@given(arrays(np.int64, st.tuples(st.integers(2, 4)).map(lambda n: n * 2), elements=st.integers(0, 2)), st.booleans())
def test_a_class_that_is_never_found_is_no_warning(counts, with_intervals):
    options = {"class_counts": np.arange(len(counts)) * 60 + 1, "confidence_level": 0.9 if with_intervals else None}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = ClassificationReport(counts, **options)
        assert str(report)
        assert report._repr_html_()
        assert json.dumps(report.to_dict(), allow_nan=False)
    if not np.diagonal(counts).all():
        assert report.summary["geometric_mean"] == 0 or (counts[np.diagonal(counts) == 0].sum(axis=1) == 0).any()


def test_zero_division():
    report = ClassificationReport([[5, 0], [0, 0]], zero_division=np.nan)
    assert np.isnan(report.scores["recall"][1])
    assert str(report).splitlines()[2].split() == ["1", "-", "-", "1.000", "-", "-", "0"]
    assert report.to_dict()["classes"]["1"]["recall"] is None
    np.testing.assert_allclose(report.weighted()["recall"], 1)  # as scikit-learn with zero_division=nan


@pytest.mark.parametrize(
    ("y_true", "y_pred", "options", "message"),
    [
        ([0, 3], scores_of(np.array([0, 1]), 3), {}, "y_true"),
        ([0, 1, 2], scores_of(np.array([0, 1]), 3), {}, "line up"),
        (np.full((2, 3), 1 / 3), scores_of(np.array([0, 1]), 3), {}, "soft"),
        ([-1, 1], [0.2, 0.7], {}, "-1.*Number classes"),
        (["ok", "fraud"], [0.2, 0.7], {}, "`class_names` must be given where text stands next to numbers"),
        ([0, 1], ["ok", "fraud"], {}, "`class_names` must be given where text stands next to numbers"),
        (["ok", "ok"], ["ok", "ok"], {}, r"`class_names` must name two classes or more.*\['ok'\]"),
        ([0, 1], None, {}, "`y_pred` must hold numbers"),
        ([0, 1], np.eye(2), {"class_names": ["a", "b", "c"]}, "`class_names` must be for 2 classes"),
        ([0, 1], np.eye(2), {"class_counts": [5, 5, 5]}, "`class_counts` must be for 2 classes"),
        ([0, 1], np.eye(2), {"num_classes": 3}, "`num_classes` must be for 2 classes"),
        ([0, 1], np.eye(2), {"num_classes": 2.5}, "`num_classes` must be None or a whole number"),
        ([0, 1], np.eye(2), {"multi_label": "False"}, "`multi_label` must be True or False"),
        ([0, 1], [-1.2, 0.7], {}, "`y_pred` must lie in .* unless `threshold`.*-1.2.*sigmoid"),
        ([0, 1], [[0.2], [1.7]], {}, "`y_pred` must lie in .* unless `threshold`.*1.7.*threshold=0.0"),
        ([[0, 1]], [[-0.2, 0.7]], {"multi_label": True}, "`y_pred` must lie in .* unless `threshold`.*-0.2"),
        ([0, 1], [0.2, 0.7], {"threshold": "half"}, "`threshold`"),
        ([0, 1], [0.2, 0.7], {"threshold": [0.1, 0.2]}, "`threshold`"),
        ([0, 1], [0.2, 0.7], {"sample_weight": [1, -1]}, "`sample_weight`.*-1.*row 1"),
        ([0, 1], [0.2, 0.7], {"sample_weight": [np.nan, 1]}, "`sample_weight`.*nan.*row 0"),
        ([0, 1], [0.2, 0.7], {"sample_weight": {0: 1, 1: 9}}, "`sample_weight`.*each row's class"),
        ([0, 1], [[np.nan, 1], [0, 1]], {}, "`y_pred`.*NaN"),
        ([0, 1], [0, 1], {"class_names": ["a", "b", "b"]}, "`class_names`"),
        ([0, 2], [0, 1], {"class_names": ["a", "b"]}, "y_true"),
        ([0, 1], [0, 1], {"class_counts": [5, 0]}, "`class_counts`.*positive"),
        ([0, 1], [0, 1], {"sample_weight": [1, 2, 3]}, "sample_weight"),
        ([0, 1], [0, 1], {"digits": -1}, "`digits` must be a whole number of at least 0"),
        ([0, 1], [0, 1], {"confidence_level": 95}, "`confidence_level` must be None or a finite number"),
        ([0, 1], [0, 1], {"confidence_level": 0.9, "sample_weight": [1, 2]}, "`sample_weight` must be 0 or 1 where"),
    ],
)
def test_bad_input(y_true, y_pred, options, message):
    with pytest.raises(ValueError, match=message):
        classification_report(y_true, y_pred, **options)


@pytest.mark.parametrize("confusion", [[[1, 2]], [[1, -1], [0, 1]], [[1, np.nan], [0, 1]], 3, np.zeros((2, 3, 3))])
def test_invalid_matrices(confusion):
    with pytest.raises(ValueError, match="confusion"):
        ClassificationReport(confusion)


def test_logits_of_one_channel_are_decided_by_a_given_threshold():
    rng = np.random.default_rng(3)
    labels, logits = rng.integers(2, size=40), rng.normal(size=40)
    report = classification_report(labels, logits, threshold=0.0)
    np.testing.assert_array_equal(report.confusion, oracle.confusion_matrix(labels, logits > 0))
    weights = (np.abs(logits) < 0.5).astype(int)  # what does not count may hold anything
    report = classification_report(labels, np.where(weights, np.abs(logits), logits), sample_weight=weights)
    assert report.confusion.sum() == weights.sum()


def test_one_channel_of_several_labels_is_one_label():
    y_true, y_pred = np.array([[0], [1], [1], [0], [1], [0]]), np.array([[0.1], [0.9], [0.2], [0.6], [0.8], [0.3]])
    report = classification_report(y_true, y_pred, multi_label=True)
    np.testing.assert_array_equal(report.confusion, [[[2, 1], [1, 2]]])


def test_whole_numbers_that_may_be_ids_or_one_hot_rows_need_the_number_of_classes():
    y_true, y_pred = np.array([[0, 1], [1, 0], [0, 1], [1, 0]]), np.array([[0, 1], [1, 1], [0, 0], [1, 0]])
    with pytest.raises(ValueError, match="num_classes"):
        classification_report(y_true, y_pred)
    with pytest.raises(ValueError, match="num_classes"):
        classification_report(np.array([0, 1]), np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), num_classes=5)
