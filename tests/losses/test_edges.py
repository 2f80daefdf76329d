"""Edges of the losses: empty batches, wide dtypes, saturated probabilities, second derivatives, activations."""

import common_checks as checks
import numpy as np
import pytest
from loss_gradients import BACKEND, compiled, double_precision, loss_and_gradient, second_derivatives, to_float64

from keras_imbalance import (
    CosineDense,
    CostMatrixLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    PerClassAveragePrecision,
    PerClassF1,
)
from keras_imbalance._keras import keras, ops


@pytest.mark.parametrize("shape", [(0,), (0, 1), (0, 3)])
def test_an_empty_batch_of_any_form_gives_0(shape):
    for loss in (FocalLoss(), CostMatrixLoss(np.ones((3, 3))), LogitAdjustedLoss([1, 2, 3])):
        assert float(loss(np.zeros(shape, "float32"), np.zeros((0, 3), "float32"))) == 0


LOSSES = {
    **{f"softmax {name}": build for name, build in (checks.SOFTMAX_LOSSES | checks.OVERLAP_LOSSES).items()},
    **{f"binary {name}": build for name, build in checks.BINARY_LOSSES.items()},
    **{f"multi_label {name}": build for name, build in checks.MULTI_LABEL_LOSSES.items()},
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_that_is_negative_is_an_error_and_nan_where_no_graph_can_raise(name):
    loss = LOSSES[name]()
    labels, logits = checks.softmax_batch()
    if not name.startswith("softmax"):
        logits = logits[:, : 1 if name.startswith("binary") else checks.C]
        labels = (logits > 0).astype("float32")
    in_graph = compiled(loss)
    for weight in (-0.5, np.inf):
        weights = np.ones(12, "float32")
        weights[3] = weight
        with pytest.raises(ValueError, match=r"`sample_weight` must hold finite weights that are not negative.* row 3"):
            loss(labels, logits, weights)
        if BACKEND != "torch":  # which makes no one graph of a gradient written by hand
            batch = [ops.convert_to_tensor(part) for part in (labels, logits, weights)]
            assert np.isnan(to_float64(in_graph(*batch)))


def test_float64_is_computed_in_float64():
    logits, labels = np.array([[3.0, 0.0, -20.0]]), np.array([0])
    expected = -np.log(np.exp(3.0) / (np.exp(3.0) + 1 + np.exp(-20.0)))
    for y_true in (labels, np.eye(3)[labels]):
        with double_precision():
            value = ops.convert_to_numpy(FocalLoss(0, from_logits=True, dtype="float64")(y_true, logits))
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, expected, rtol=1e-14)


def test_a_saturated_sigmoid_gives_what_float32_still_knows():
    # 1 - 2^-25 is the middle between the two largest float32 probabilities; its logit is 17.3.
    value = float(FocalLoss(0)(np.zeros((1, 1), "float32"), np.ones((1, 1), "float32")))
    np.testing.assert_allclose(value, 25 * np.log(2), rtol=1e-5)


def test_predictions_need_a_channel_axis():
    with pytest.raises(ValueError, match=r"y_pred\[:, None\]"):
        FocalLoss()(np.array([0, 0, 1.0, 0]), np.array([0.1, 0.2, 0.7, 0.1], "float32"))


@pytest.mark.parametrize("loss", [LDAMLoss([5, 5, 5]), FocalLoss(from_logits=True)], ids=lambda loss: loss.name)
def test_from_logits_on_the_output_of_an_activation_is_refused(loss):
    output = keras.layers.Dense(3, activation="softmax")(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="`from_logits` must be False"):
        loss(np.array([0, 1]), output)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_second_derivatives_are_those_of_cross_entropy(smoothing):
    logits = np.array([[1.0, 0.3, -0.5]], "float32")
    loss = FocalLoss(0, from_logits=True, label_smoothing=smoothing)
    step = 1e-2
    columns = []
    for j in range(3):
        moved = [logits + sign * step * np.eye(3, dtype="float32")[[j]] for sign in (1, -1)]
        up, down = (loss_and_gradient(loss, np.array([1]), z)[1] for z in moved)
        columns.append((up - down)[0] / (2 * step))
    p = np.exp(logits[0]) / np.exp(logits[0]).sum()
    np.testing.assert_allclose(np.array(columns), np.diag(p) - np.outer(p, p), atol=1e-3)


def test_a_loss_is_differentiated_twice():
    logits = np.array([[1.0, 0.3, -0.5]], "float32")
    p = np.exp(logits[0]) / np.exp(logits[0]).sum()
    for loss in (FocalLoss(0, from_logits=True), FocalLoss(0, from_logits=True, label_smoothing=0.1)):
        found = second_derivatives(loss, np.array([1]), logits)
        np.testing.assert_allclose(found, np.diag(p) - np.outer(p, p), atol=1e-5)


def test_masks_pass_through_cosine_dense():
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0]])
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), keras.layers.Embedding(5, 3, mask_zero=True), CosineDense(3)]
    )
    model.compile("sgd", loss=LDAMLoss([5, 3, 2]))
    labels = np.array([[0, 1, 2, 2], [2, 0, 0, 0]])
    cosines = model.predict(tokens, verbose=0)
    kept = tokens > 0
    expected = to_float64(LDAMLoss([5, 3, 2])(labels[kept], cosines[kept]))
    np.testing.assert_allclose(model.evaluate(tokens, labels, verbose=0), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: FocalLoss(gamma="2"), "gamma"),
        (lambda: FocalLoss(gamma=None), "gamma"),
        (lambda: FocalLoss(label_smoothing=None), "label_smoothing"),
        (lambda: FocalLoss(axis=None), "axis"),
        (lambda: FocalLoss(from_logits=None), "from_logits"),
        (lambda: FocalLoss(ignore_class="a"), "ignore_class"),
        (lambda: CostMatrixLoss([[0, 1], [1]]), "cost_matrix"),
        (lambda: LDAMLoss([[1], [1, 2]], multi_label=True), "class_counts"),
    ],
)
def test_values_of_a_wrong_kind_raise_and_name_the_argument(build, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        build()


@pytest.mark.parametrize(
    "make", [list, lambda names: np.array(list(names)), lambda names: np.array(list(names), object)]
)
def test_names_in_place_of_class_numbers_are_named(make):
    predictions = np.full((2, 3), 1 / 3, "float32")
    for use in (FocalLoss(), PerClassF1(3).update_state, PerClassAveragePrecision(3).update_state):
        with pytest.raises(ValueError, match=r"`y_true` must be numbers.*names.index\(name\) for name in labels"):
            use(make(["ok", "worn"]), predictions)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has tensors of text")
def test_names_in_a_dataset_are_named_before_any_step():
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((np.zeros((4, 2), "float32"), ["ok", "ok", "worn", "ok"])).batch(2)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", FocalLoss())
    with pytest.raises(ValueError, match="`y_true` must be numbers"):
        model.fit(rows, verbose=0)
