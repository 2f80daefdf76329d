"""Losses inside the graphs that people build of TensorFlow, and on the values that only a graph lets through."""

import common_checks as checks
import numpy as np
import pytest
from loss_gradients import BACKEND, loss_and_gradient, to_float64

from keras_imbalance import FocalLoss
from keras_imbalance._keras import ops

pytestmark = [pytest.mark.slow, pytest.mark.every_backend]

ROWS = 2
SOFTMAX = {**checks.SOFTMAX_LOSSES, **checks.OVERLAP_LOSSES}
FORMS = {"softmax": SOFTMAX, "binary": checks.BINARY_LOSSES, "multi_label": checks.MULTI_LABEL_LOSSES}
NAMES = [(kind, name) for kind, losses in FORMS.items() for name in losses]
ON_TENSORFLOW = pytest.mark.skipif(BACKEND != "tensorflow", reason="graphs, loops and tapes of TensorFlow")


def shares_and_logits():
    """One-hot and soft labels, of the same shape as the logits, in batches of one row."""
    labels, logits = checks.softmax_batch((ROWS, 1))
    hard = checks.one_hot(labels)
    return {"one-hot": hard, "soft": 0.8 * hard + 0.2 * checks.one_hot((labels + 1) % checks.C)}, logits


def ways_to_build_a_graph(loss):
    """Functions of labels and predictions that give the losses of the batches and the gradient of their sum."""
    import tensorflow as tf

    function = tf.function(loss, autograph=False)

    def one_by_one(y_true, y_pred):
        return tf.stack([function(y_true[i], y_pred[i]) for i in range(ROWS)])

    def mapped(y_true, y_pred):
        return tf.map_fn(lambda row: loss(*row), (y_true, y_pred), fn_output_signature=tf.float32)

    def looped(y_true, y_pred):
        losses = tf.zeros([ROWS])
        for i in tf.range(ROWS):
            losses += loss(y_true[i], y_pred[i]) * tf.one_hot(i, ROWS)
        return losses

    def taped(losses_of):
        def run(y_true, y_pred):
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                losses = losses_of(y_true, y_pred)
            return losses, tape.gradient(losses, y_pred)

        return run

    return {
        "a tape around a function": taped(one_by_one),
        "a function in a function": tf.function(taped(one_by_one), autograph=False),
        "map_fn": tf.function(taped(mapped), autograph=False),
        "a loop": tf.function(taped(tf.autograph.to_graph(looped)), autograph=False),
    }


@ON_TENSORFLOW
@pytest.mark.parametrize(("kind", "name"), [pair for pair in NAMES if pair[0] != "binary"])
def test_a_loss_gives_one_value_and_gradient_however_its_graph_is_built(kind, name):
    loss = FORMS[kind][name]()
    of_labels, logits = shares_and_logits()
    ways = ways_to_build_a_graph(loss)
    for form, labels in of_labels.items():
        eager = [loss_and_gradient(loss, labels[i], logits[i]) for i in range(ROWS)]
        wanted, wanted_gradient = (np.stack(parts) for parts in zip(*eager, strict=True))
        assert np.abs(wanted_gradient).max() > 1e-3
        for way, run in ways.items():
            found, gradient = run(ops.convert_to_tensor(labels), ops.convert_to_tensor(logits))
            np.testing.assert_allclose(to_float64(found), wanted, rtol=1e-5, atol=1e-7, err_msg=f"{form}, {way}")
            np.testing.assert_allclose(to_float64(gradient), wanted_gradient, rtol=1e-4, atol=1e-6, err_msg=way)


def gradient_in_a_graph(loss, labels, logits, jit_compile=False):
    """The loss and its gradient from a graph whose shapes are all known."""
    import tensorflow as tf

    @tf.function(jit_compile=jit_compile)
    def run(y_true, y_pred):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred)
        return value, tape.gradient(value, y_pred)

    return run(tf.constant(labels), tf.constant(logits))


@ON_TENSORFLOW
@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_an_empty_batch_of_known_shape_gives_0_in_a_graph(kind, name):
    loss = FORMS[kind][name]()
    channels = 1 if kind == "binary" else checks.C
    logits = np.zeros((0, channels), "float32")
    forms = [logits, np.zeros((0,), "int64")] if kind == "softmax" else [logits]
    for labels in forms:
        value, gradient = gradient_in_a_graph(loss, labels, logits)
        assert float(value) == 0
        assert tuple(gradient.shape) == logits.shape


@ON_TENSORFLOW
def test_an_empty_batch_of_known_shape_gives_0_under_xla():
    logits = np.zeros((0, checks.C), "float32")
    for labels in (logits, np.zeros((0,), "int64")):
        assert float(gradient_in_a_graph(SOFTMAX["FocalLoss"](), labels, logits, jit_compile=True)[0]) == 0


@pytest.mark.parametrize("name", [*SOFTMAX, "cross-entropy"])
def test_a_class_without_a_share_and_a_logit_of_minus_infinity_adds_nothing(name):
    # Two ways to say that a class is out of the question: minus infinity, and a logit that float32 cannot tell from it.
    loss = FocalLoss(0, from_logits=True) if name == "cross-entropy" else SOFTMAX[name]()
    soft = np.array([[0.7, 0.3, 0, 0], [0, 0.5, 0.5, 0], [0, 1, 0, 0]], "float32")
    logits = np.array([[1, 2, -1, 0], [3, 0, 1, -2], [-2, 1, 0, 4]], "float32")
    far, infinite = logits.copy(), logits.copy()
    for row, column in ((0, 3), (1, 0), (2, 2)):
        far[row, column], infinite[row, column] = -1e3, -np.inf
    wanted, wanted_gradient = loss_and_gradient(loss, soft, far)
    found, gradient = loss_and_gradient(loss, soft, infinite)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(gradient, wanted_gradient, rtol=1e-5, atol=1e-7)
