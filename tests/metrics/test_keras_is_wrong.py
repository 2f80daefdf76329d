"""Where Keras gives a wrong number without a word: its value is stated here, so that a change of Keras is noticed."""

import numpy as np
import sklearn.metrics as oracle
from kerases import keras_3_only

import keras_imbalance as ki
from keras_imbalance._keras import keras

LABELS = np.array([0, 0, 0, 1, 1, 2])
SCORES = np.eye(3, dtype="float32")[[0, 0, 1, 1, 2, 2]] * 0.8 + 0.1
RECALL = oracle.recall_score(LABELS, SCORES.argmax(axis=1), average=None)
F1 = oracle.f1_score(LABELS, SCORES.argmax(axis=1), average=None)


def ours(metric, y_true, y_pred):
    metric.update_state(y_true, y_pred)
    result = {key: float(value) for key, value in metric.result().items()}
    return [result[f"{metric.name}/{k}"] for k in range(metric.num_classes)]


def of_keras(metric, y_true, y_pred):
    metric.update_state(y_true, y_pred)
    return np.asarray(metric.result())


@keras_3_only("refuses these labels")
def test_recall_of_a_class_from_ids():
    np.testing.assert_allclose(RECALL, [2 / 3, 1 / 2, 1])
    np.testing.assert_allclose(ours(ki.PerClassRecall(3), LABELS, SCORES), RECALL, atol=1e-6)
    # Keras takes ids for labels of which class_id picks one: 0 of everything.
    theirs = [of_keras(keras.metrics.Recall(class_id=k), LABELS, SCORES) for k in range(3)]
    np.testing.assert_array_equal(theirs, [0, 0, 0])


@keras_3_only("refuses these labels")
def test_recall_of_a_class_from_ids_of_shape_n_1():
    np.testing.assert_allclose(ours(ki.PerClassRecall(3), LABELS[:, None], SCORES), RECALL, atol=1e-6)
    # For class 0 Keras reads "class 0" as "not the class"; for the others it finds no column.
    assert of_keras(keras.metrics.Recall(class_id=0), LABELS[:, None], SCORES) == 0


@keras_3_only("refuses these labels")
def test_f1_score_from_ids_of_shape_n_1():
    np.testing.assert_allclose(F1, [4 / 5, 1 / 2, 2 / 3])
    np.testing.assert_allclose(ours(ki.PerClassF1(3), LABELS[:, None], SCORES), F1, atol=1e-6)
    theirs = of_keras(keras.metrics.F1Score(), LABELS[:, None].astype("float32"), SCORES)
    np.testing.assert_allclose(theirs, [0, 1 / 3, 1], atol=1e-6)  # the ids, 0 to 2, as labels of every class


def test_f1_score_of_one_sigmoid_column():
    labels, scores = np.array([0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.3, 0.9], dtype="float32")
    expected = oracle.f1_score(labels, scores > 0.5, average=None)
    np.testing.assert_allclose(expected, [2 / 3, 1 / 2])
    np.testing.assert_allclose(ours(ki.PerClassF1(2), labels[:, None], scores[:, None]), expected, atol=1e-6)
    # Without a threshold Keras takes the larger of one column: everything is predicted positive.
    theirs = of_keras(keras.metrics.F1Score(), labels[:, None].astype("float32"), scores[:, None])
    np.testing.assert_allclose(theirs, [oracle.f1_score(labels, np.ones(5))], atol=1e-6)


def test_macro_f1_over_an_absent_class():
    labels, scores = np.array([0, 0, 1]), np.eye(3, dtype="float32")[[0, 0, 1]]
    metric = ki.MacroF1(3)
    metric.update_state(labels, scores)
    assert float(metric.result()) == oracle.f1_score(labels, scores.argmax(axis=1), average="macro") == 1
    theirs = of_keras(keras.metrics.F1Score(average="macro"), np.eye(3, dtype="float32")[labels], scores)
    np.testing.assert_allclose(theirs, 2 / 3, atol=1e-6)  # Keras counts the absent class as 0
