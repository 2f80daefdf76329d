"""What grows with the number of classes: three sums each, whatever the classes, and nothing with their square."""

import tracemalloc
import warnings

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import examples

import keras_imbalance as ki
from keras_imbalance._keras import keras
from keras_imbalance.callbacks.class_scores import class_scores
from keras_imbalance.metrics import functional

MANY = 20_000
LINEAR = ("PerClassPrecision", "PerClassRecall", "PerClassF1", "PerClassSpecificity", "PerClassIoU", "PerClassReport")
LINEAR += ("MacroF1", "BalancedAccuracy", "GeometricMean", "MatthewsCorrelation", "CohenKappa")


@pytest.mark.parametrize("name", LINEAR)
def test_memory_is_linear_in_the_classes(name):
    metric = getattr(ki, name)(MANY, **({"log_classes": False} if name.startswith("PerClass") else {}))
    assert sum(int(np.prod(variable.shape)) for variable in metric.variables) <= 6 * MANY + 3


@pytest.mark.parametrize("kind", [ki.PerClassF1, ki.PerClassReport, ki.PerClassAUC])
def test_many_classes_in_the_logs_of_every_batch_are_warned_of(kind):
    with pytest.warns(UserWarning, match=r"101 classes.*log_classes=False.*PerClassLogger\(\).*PerClassTable\(\)"):
        kind(101)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind(100)
        kind(101, log_classes=False)


def test_scores_on_validation_data_take_no_matrix():
    """A matrix of so many classes is refused."""
    labels = np.array([7, 7, 49_999])

    class Model:
        def predict(self, x, **_):
            return np.eye(1, 50_000, 7, dtype="float32").repeat(3, axis=0)

    found = class_scores(Model(), (labels, labels), num_classes=50_000, score="f1")
    assert found[7] == pytest.approx(oracle.f1_score(labels == 7, [True] * 3))
    assert found[49_999] == 0
    assert np.isnan(np.delete(found, labels)).all()


def test_a_matrix_of_too_many_classes_is_refused():
    for build in (ki.ConfusionMatrix, lambda size: ki.CohenKappa(size, weights="linear")):
        with pytest.raises(ValueError, match="`num_classes` must"):
            build(50_000)


def test_twenty_thousand_classes_in_a_fit_equal_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.choice(MANY, 40)[rng.integers(40, size=64)]
    x = np.where(rng.random(64) < 0.6, labels, rng.permutation(labels))[:, None]
    inputs = keras.Input((1,), dtype="int32")
    outputs = keras.layers.CategoryEncoding(MANY, output_mode="one_hot")(inputs)
    model = keras.Model(inputs, outputs)
    metrics = [ki.PerClassF1(MANY, log_classes=False, average=["macro", "weighted"]), ki.MatthewsCorrelation(MANY)]
    metrics += [ki.BalancedAccuracy(MANY), ki.PerClassSpecificity(MANY, log_classes=False), ki.CohenKappa(MANY)]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=metrics)
    logs = model.evaluate(x, labels, batch_size=24, verbose=0, return_dict=True)
    decided = x[:, 0]
    assert 0.3 < (decided == labels).mean() < 0.9
    np.testing.assert_allclose(logs["f1"], oracle.f1_score(labels, decided, average="macro"), atol=1e-6)
    np.testing.assert_allclose(logs["f1_weighted"], oracle.f1_score(labels, decided, average="weighted"), atol=1e-6)
    np.testing.assert_allclose(logs["matthews_correlation"], oracle.matthews_corrcoef(labels, decided), atol=1e-5)
    np.testing.assert_allclose(logs["cohen_kappa"], oracle.cohen_kappa_score(labels, decided), atol=1e-5)
    np.testing.assert_allclose(
        logs["balanced_accuracy"],
        oracle.recall_score(labels, decided, labels=np.unique(labels), average="macro"),
        atol=1e-6,
    )
    specificity = [oracle.recall_score(labels != k, decided != k) for k in np.unique(labels)]
    np.testing.assert_allclose(logs["specificity"], np.mean(specificity), atol=1e-6)
    exact = metrics[0].class_values()
    assert len(exact) == MANY
    assert exact[f"f1/{labels[0]}"] == pytest.approx(oracle.f1_score(labels == labels[0], decided == labels[0]))


@settings(max_examples=examples(50))
@given(st.lists(st.floats(0, 1e9, width=32), min_size=1, max_size=8))
def test_a_true_negative_is_a_row_of_another_class_without_loss_of_digits(rows):
    rows = np.array(rows, "float32")
    zeros = np.zeros_like(rows)
    found = functional.tally_of(rows, zeros, zeros).tn
    exact = [np.delete(rows, k).sum(dtype="float64") for k in range(len(rows))]
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    assert (found[np.array(exact) == 0] == 0).all()


def test_a_report_of_twenty_thousand_classes_equals_scikit_learn_and_takes_no_matrix():
    rng = np.random.default_rng(1)
    labels = rng.choice(MANY, 300)[rng.integers(300, size=2000)]
    decided = np.where(rng.random(2000) < 0.6, labels, rng.permutation(labels))
    weights = rng.uniform(0.5, 2, 2000)
    tracemalloc.start()
    report = ki.classification_report(labels, decided, num_classes=MANY, sample_weight=weights)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 100 * 8 * MANY  # a matrix takes 20,000
    options = {"labels": range(MANY), "average": None, "zero_division": 0, "sample_weight": weights}
    for name in ("precision", "recall", "f1"):
        np.testing.assert_allclose(report.scores[name], getattr(oracle, f"{name}_score")(labels, decided, **options))
    correlation = oracle.matthews_corrcoef(labels, decided, sample_weight=weights)
    assert report.summary["matthews_correlation"] == pytest.approx(correlation)
    assert len(str(report).splitlines()) < 120
    assert len(report._repr_html_()) < 10**6
    assert len(report.to_dict()["classes"]) == len(report.to_frame()) == MANY


def test_of_many_classes_the_matrix_is_put_together_where_it_is_read():
    labels, decided = np.random.default_rng(2).integers(1500, size=(2, 400))
    report = ki.classification_report(labels, decided, num_classes=1500, confidence_level=0.9)
    expected = oracle.confusion_matrix(labels, decided, labels=range(1500))
    np.testing.assert_array_equal(report.confusion, expected)
    of_matrix = ki.ClassificationReport(expected, confidence_level=0.9)
    for found, wanted in ((report.scores, of_matrix.scores), (report.intervals, of_matrix.intervals)):
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values)
    assert report.summary == pytest.approx(of_matrix.summary)
    with pytest.raises(ValueError, match="`confusion` must be read of at most 46340 classes"):
        _ = ki.classification_report(labels, decided, num_classes=50_000).confusion


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_report_of_what_a_metric_has_counted(multi_label):
    labels, decided = np.random.default_rng(3).integers(
        2 if multi_label else 4, size=(2, 60, 4) if multi_label else (2, 60)
    )
    scores = decided * 0.8 + 0.1 if multi_label else np.eye(4)[decided]
    metric = ki.PerClassF1(4, multi_label=multi_label)
    metric.update_state(labels.astype("float32"), scores)
    expected = ki.classification_report(labels, scores, multi_label=multi_label)
    for tally in (metric.exact_tally(), metric.tally()):
        report = ki.ClassificationReport(tally)
        assert str(report) == str(expected)
        assert report.to_dict() == expected.to_dict()
        with pytest.raises(ValueError, match="`confusion` must be read of a report of pairs of classes"):
            _ = report.confusion
    halves = functional.Tally(*(part / 2 for part in metric.exact_tally()[:4]), multi_label)
    with pytest.raises(ValueError, match="`confusion` must hold whole numbers"):
        ki.ClassificationReport(halves, confidence_level=0.9)
    with pytest.raises(ValueError, match="`confusion` must hold counts of each class"):
        ki.ClassificationReport(functional.Tally(*(-part for part in metric.exact_tally()[:4]), multi_label))
