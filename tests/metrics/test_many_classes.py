"""What grows with the number of classes: three sums each, whatever the classes, and nothing with their square."""

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


@settings(deadline=None, max_examples=examples(50))
@given(st.lists(st.floats(0, 1e9, width=32), min_size=1, max_size=8))
def test_a_true_negative_is_a_row_of_another_class_without_loss_of_digits(rows):
    rows = np.array(rows, "float32")
    zeros = np.zeros_like(rows)
    found = functional.tally_of(rows, zeros, zeros).tn
    exact = [np.delete(rows, k).sum(dtype="float64") for k in range(len(rows))]
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    assert (found[np.array(exact) == 0] == 0).all()
