"""Masks, sample weights and reductions, with the values of Keras's own losses.

The cases are those of Keras's `loss_test.py` and `losses_test.py` (Keras 3.15), for its cross-entropy and for ours.
"""

import numpy as np
import pytest
from kerases import IS_TF_KERAS, keras_3_only
from loss_gradients import BACKEND, to_float64

from keras_imbalance import FocalLoss
from keras_imbalance._keras import keras, ops

MASK, WEIGHTS = np.array([True, False, True, True]), np.array([0.4, 0.3, 0.2, 0.1], "float32")
IDS, LOGITS = np.array([0, 2, 1, 1]), np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", None)


def masked(y_pred, mask):
    y_pred = ops.convert_to_tensor(y_pred) * 1
    if mask is None:
        return y_pred
    if IS_TF_KERAS:
        y_pred._keras_mask = ops.convert_to_tensor(mask)
    else:
        keras.src.backend.set_keras_mask(y_pred, ops.convert_to_tensor(mask))
    return y_pred


def both(y_true, y_pred, mask, weights, reduction):
    """Keras's cross-entropy and ours."""
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    ours = FocalLoss(0, from_logits=True, reduction=reduction)

    def given():  # anew for each: on PyTorch Keras multiplies weights by the mask in place
        return None if weights is None else ops.convert_to_tensor(weights.copy())

    return [to_float64(loss(ops.convert_to_tensor(y_true), masked(y_pred, mask), given())) for loss in (theirs, ours)]


@keras_3_only("tf-keras broadcasts a mask (N, 1) beside one loss a row to (N, N), and has fewer reductions")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", [None, WEIGHTS, WEIGHTS[:, None], np.zeros(4, "float32")], ids=str)
@pytest.mark.parametrize("mask", [None, MASK, MASK[:, None], np.zeros(4, bool)], ids=str)
def test_one_loss_a_row(mask, weights, reduction):
    theirs, ours = both(IDS, LOGITS, mask, weights, reduction)
    np.testing.assert_allclose(ours.reshape(-1), theirs.reshape(-1), rtol=1e-5, atol=1e-7)


@keras_3_only("tf-keras has fewer reductions")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weights", [None, (5, 4), (5, 4, 1), (5, 1)], ids=str)
@pytest.mark.parametrize("mask", [None, (5, 4), (5, 4, 1), (5, 1), (1, 4)], ids=str)
def test_one_loss_a_position(mask, weights, reduction):
    """Sequences `(N, T)`, with masks of every shape that broadcasts."""
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.integers(3, size=(5, 4)), rng.normal(size=(5, 4, 3)).astype("float32")
    given = None if mask is None else rng.random(mask) < 0.6
    of_positions = None if weights is None else rng.uniform(0.5, 2, weights).astype("float32")
    spread = [
        None if part is None else np.ones((5, 4), part.dtype) * part.reshape(part.shape[:2])
        for part in (given, of_positions)
    ]
    # Keras divides by the sum of the weights before it spreads them, so that such a mean is T times too large; on PyTorch
    # it multiplies weights by a mask in place, which fails where they have fewer values.
    as_given = BACKEND != "torch" and (reduction != "mean_with_sample_weight" or (5, 4) in (mask, weights))
    theirs = both(y_true, y_pred, *((given, of_positions) if as_given else spread), reduction)[0]
    loss = FocalLoss(0, from_logits=True, reduction=reduction)
    ours = to_float64(loss(y_true, masked(y_pred, given), of_positions))
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


def test_a_mask_of_rows_hides_whole_rows():
    """Keras broadcasts a mask `(N,)` beside losses `(N, T)` along T, or fails; ours hides rows."""
    rng = np.random.default_rng(2)
    y_true, y_pred = rng.integers(3, size=(4, 4)), rng.normal(size=(4, 4, 3)).astype("float32")
    loss = FocalLoss(0, from_logits=True)
    found = to_float64(loss(y_true, masked(y_pred, MASK)))
    np.testing.assert_allclose(found, to_float64(loss(y_true[MASK], y_pred[MASK])), rtol=1e-5)


def test_the_examples_of_keras_with_one_row_masked():
    """`test_mask`, `test_mask_and_sample_weight` and their edge cases, by hand in float64."""
    entropies = -(LOGITS - np.log(np.exp(LOGITS.astype("float64")).sum(axis=1, keepdims=True)))[np.arange(4), IDS]
    loss = FocalLoss(0, from_logits=True)
    np.testing.assert_allclose(to_float64(loss(IDS, masked(LOGITS, MASK))), entropies[MASK].mean(), rtol=1e-5)
    weighted = to_float64(loss(IDS, masked(LOGITS, MASK[:, None]), WEIGHTS))
    np.testing.assert_allclose(weighted, (WEIGHTS * entropies)[MASK].sum() / 3, rtol=1e-5)
    assert to_float64(loss(IDS, masked(LOGITS, np.zeros(4, bool)))) == 0
    assert to_float64(loss(IDS, masked(LOGITS, MASK), np.zeros(4))) == 0


def test_duplicate_rows_change_nothing():
    """`test_mask_and_sample_weight_rank2`."""
    loss = FocalLoss(0, from_logits=True)
    once = to_float64(loss(IDS, masked(LOGITS, MASK), WEIGHTS))
    twice = to_float64(
        loss(np.tile(IDS, (2, 1)), masked(np.tile(LOGITS, (2, 1, 1)), np.tile(MASK, (2, 1))), np.tile(WEIGHTS, (2, 1)))
    )
    np.testing.assert_allclose(twice, once, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 2), (1, 2, 1)])
def test_ignored_class(shape):
    """`test_ignore_class` of Keras's sparse cross-entropy, with its value."""
    logits = np.array([[[0.854, 0.698, 0.598], [0.088, 0.86, 0.018]]], "float32")
    loss = FocalLoss(0, from_logits=True, ignore_class=-1, reduction=None)
    np.testing.assert_allclose(to_float64(loss(np.array([-1, 2]).reshape(shape), logits)), [[0.0, 1.480129]], rtol=1e-5)


def test_a_mask_of_one_column_in_a_model_that_squeezes():
    """`Embedding(mask_zero=True)` on ids `(N, 1)`: 2.785 in place of 0.514 once."""
    ids = np.array([[1], [0], [2], [3]])
    inputs = keras.Input((1,))
    embedded = keras.layers.Embedding(4, 3, mask_zero=True, embeddings_initializer="glorot_uniform")(inputs)

    class Squeeze(keras.layers.Layer):
        supports_masking = True

        def call(self, x):
            return x[:, 0]

        def compute_output_shape(self, shape):
            return (shape[0], shape[2])

    model = keras.Model(inputs, Squeeze()(embedded))
    model.compile("sgd", FocalLoss(0, from_logits=True))
    value = model.evaluate(ids, IDS, verbose=0)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    np.testing.assert_allclose(value, model.evaluate(ids, IDS, verbose=0), rtol=1e-5)
    if not IS_TF_KERAS:  # which weighs this mask in a way of its own
        kept = ids[:, 0] != 0
        expected = to_float64(FocalLoss(0, from_logits=True)(IDS[kept], model.predict(ids, verbose=0)[kept]))
        np.testing.assert_allclose(value, expected, rtol=1e-5)
