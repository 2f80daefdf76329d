"""The confusion matrix and its scores against scikit-learn and imbalanced-learn."""

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imblearn.metrics import specificity_score

from keras_imbalance._keras import ops
from keras_imbalance.metrics import functional as confusion

quick = settings(max_examples=40)


@st.composite
def weighted_pairs(draw):
    """(C, labels, predictions, weights), with classes that may be absent from either."""
    num_classes = draw(st.integers(2, 6))
    number = draw(st.integers(1, 25))
    labels = draw(arrays(np.int32, number, elements=st.integers(0, num_classes - 1)))
    predictions = draw(arrays(np.int32, number, elements=st.integers(0, num_classes - 1)))
    weights = draw(arrays(np.float32, number, elements=st.sampled_from([0.5, 1.0, 2.0, 3.25])))
    return num_classes, labels, predictions, weights


def matrix_of(pairs):
    num_classes, labels, predictions, weights = pairs
    tensors = [ops.convert_to_tensor(part) for part in (labels, predictions, weights)]
    return confusion.confusion_matrix(tensors[0], tensors[1], num_classes=num_classes, weights=tensors[2])


@quick
@given(weighted_pairs())
def test_confusion_matrix_equals_scikit_learn(pairs):
    num_classes, labels, predictions, weights = pairs
    expected = oracle.confusion_matrix(labels, predictions, labels=range(num_classes), sample_weight=weights)
    np.testing.assert_allclose(matrix_of(pairs), expected, rtol=1e-6)


@quick
@given(weighted_pairs(), st.sampled_from([0.0, 1.0]), st.sampled_from([0.5, 1.0, 2.0]))
def test_scores_equal_scikit_learn(pairs, zero_division, beta):
    num_classes, labels, predictions, weights = pairs
    matrix = matrix_of(pairs)
    common = {"sample_weight": weights, "zero_division": zero_division}
    every = {"labels": range(num_classes), "average": None, **common}
    np.testing.assert_allclose(
        confusion.recall(matrix, zero_division=zero_division),
        oracle.recall_score(labels, predictions, **every),
        atol=1e-6,
    )
    np.testing.assert_allclose(
        confusion.precision(matrix, zero_division=zero_division),
        oracle.precision_score(labels, predictions, **every),
        atol=1e-6,
    )
    scores = confusion.f_beta(matrix, beta=beta, zero_division=zero_division)
    np.testing.assert_allclose(scores, oracle.fbeta_score(labels, predictions, beta=beta, **every), atol=1e-6)
    macro = oracle.fbeta_score(labels, predictions, beta=beta, average="macro", **common)
    np.testing.assert_allclose(confusion.macro_mean(scores, matrix), macro, atol=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@quick
@given(weighted_pairs())
def test_undefined_scores_are_left_out_of_the_mean_as_in_scikit_learn(pairs):
    _, labels, predictions, weights = pairs
    matrix = matrix_of(pairs)
    for score, of_scikit_learn in (
        (confusion.recall, oracle.recall_score),
        (confusion.precision, oracle.precision_score),
    ):
        expected = of_scikit_learn(labels, predictions, average="macro", sample_weight=weights, zero_division=np.nan)
        np.testing.assert_allclose(
            confusion.macro_mean(score(matrix, zero_division=np.nan), matrix), expected, atol=1e-6
        )


@quick
@given(weighted_pairs())
def test_specificity_is_the_recall_of_all_other_classes(pairs):
    num_classes, labels, predictions, weights = pairs
    expected = [
        oracle.recall_score(labels != k, predictions != k, sample_weight=weights, zero_division=0)
        for k in range(num_classes)
    ]
    np.testing.assert_allclose(confusion.specificity(matrix_of(pairs)), expected, atol=1e-6)


def test_specificity_equals_imbalanced_learn():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(4, size=(2, 200)).astype(np.int32)
    matrix = matrix_of((4, labels, predictions, np.ones(200, np.float32)))
    expected = specificity_score(labels, predictions, labels=range(4), average=None)
    np.testing.assert_allclose(confusion.specificity(matrix), expected, atol=1e-6)


@quick
@given(weighted_pairs(), st.randoms())
def test_permuting_classes_permutes_scores(pairs, random):
    num_classes, labels, predictions, weights = pairs
    new = list(range(num_classes))
    random.shuffle(new)
    new = np.array(new, dtype=np.int32)
    plain, permuted = matrix_of(pairs), matrix_of((num_classes, new[labels], new[predictions], weights))
    for score in (confusion.recall, confusion.precision, confusion.f_beta, confusion.specificity):
        np.testing.assert_allclose(np.asarray(score(permuted))[new], score(plain), atol=1e-6)
        means = [confusion.macro_mean(score(matrix), matrix) for matrix in (plain, permuted)]
        np.testing.assert_allclose(means[0], means[1], atol=1e-6)


def test_macro_mean_at_its_ends():
    nothing = ops.zeros((3, 3))
    assert float(confusion.macro_mean(confusion.recall(nothing), nothing)) == 0
    one_row = ops.convert_to_tensor([[0.0, 1.0], [0.0, 0.0]])
    undefined = ops.full((2,), float("nan"))
    assert np.isnan(float(confusion.macro_mean(undefined, one_row)))


def test_a_wrong_label_is_not_averaged_away():
    spoiled = ops.convert_to_tensor([[5.0, 0.0], [0.0, float("nan")]])
    assert np.isnan(float(confusion.macro_mean(confusion.recall(spoiled), spoiled)))


@quick
@given(weighted_pairs())
def test_arrays_give_arrays_with_the_values_of_tensors(pairs):
    num_classes, labels, predictions, weights = pairs
    matrix = confusion.confusion_matrix(labels, predictions, num_classes=num_classes, weights=weights.astype(float))
    assert isinstance(matrix, np.ndarray)
    assert matrix.dtype == np.float64
    np.testing.assert_array_equal(matrix, matrix_of(pairs))  # the weights are exact in float32
    truth, decided = np.eye(num_classes)[labels], np.eye(num_classes)[predictions]
    by_label = confusion.label_matrices(truth, decided, weights=np.repeat(weights[:, None], num_classes, axis=1))
    for name, score in confusion.SCORES.items():
        of_tensors = np.asarray(score(matrix_of(pairs)))
        np.testing.assert_allclose(score(matrix), of_tensors, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(score(by_label), of_tensors, atol=1e-6, err_msg=name)
    for name, summary in confusion.SUMMARIES.items():
        np.testing.assert_allclose(summary(matrix), float(summary(matrix_of(pairs))), atol=1e-6, err_msg=name)
