"""LDAM-DRW as it was published, 50 steps of SGD before and after the switch, against the training step in float64 NumPy."""

import contextlib

import numpy as np
import pytest
from loss_gradients import double_precision

from keras_imbalance import CosineDense, DeferredReweighting, LDAMLoss
from keras_imbalance._keras import keras

COUNTS = np.array([200, 40, 8, 2])
ROWS, FEATURES, BATCH, EPOCHS, START = 250, 6, 25, 5, 3  # 10 steps an epoch
RATE, MOMENTUM, SCALE = 0.02, 0.9, 30.0


def data():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(4), COUNTS))
    return rng.normal(size=(4, FEATURES))[y] + rng.normal(size=(ROWS, FEATURES)), y


def unit(vectors, axis):
    length = np.linalg.norm(vectors, axis=axis, keepdims=True)
    return vectors / length, length


def step_of_the_paper(kernel, x, y, weights):
    """Loss and gradient of a batch: margins m_j = K n_j^(-1/4), largest .5, scale 30, and PyTorch's weighted mean.

    Cao et al. 2019: LDAMLoss is cross_entropy(s * (cosines - margins of the true class), target, weight=per class weights).
    """
    margins = COUNTS**-0.25
    margins *= 0.5 / margins.max()
    rows, (columns, length) = unit(x, 1)[0], unit(kernel, 0)
    one_hot = np.eye(4)[y]
    z = SCALE * (rows @ columns - margins * one_hot)
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    w = weights[y]
    loss = (w * -np.log(p[np.arange(len(y)), y])).sum() / w.sum()
    by_columns = rows.T @ (SCALE * (w / w.sum())[:, None] * (p - one_hot))
    return loss, (by_columns - columns * (columns * by_columns).sum(axis=0)) / length


def trained_by_the_paper(kernel, x, y):
    """Mean loss and kernel after every epoch."""
    effective = (1 - 0.9999) / (1 - 0.9999**COUNTS)
    effective = effective / effective.sum() * 4
    velocity, found = np.zeros_like(kernel), []
    for epoch in range(EPOCHS):
        weights, losses = effective if epoch >= START else np.ones(4), []
        for first in range(0, ROWS, BATCH):
            batch = slice(first, first + BATCH)
            loss, gradient = step_of_the_paper(kernel, x[batch], y[batch], weights)
            velocity = MOMENTUM * velocity - RATE * gradient
            kernel = kernel + velocity
            losses.append(loss)
        found.append((np.mean(losses), kernel))
    return found


class Kernels(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.found = []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.model.get_weights()[0])


def test_every_step_is_that_of_the_paper():
    x, y = data()
    with double_precision() if keras.backend.backend() == "jax" else contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((FEATURES,), dtype="float64"), CosineDense(4, dtype="float64")])
        start = model.get_weights()[0].astype(float)
        loss = LDAMLoss(COUNTS, scale=SCALE, dtype="float64")
        model.compile(keras.optimizers.SGD(RATE, momentum=MOMENTUM), loss)
        kernels = Kernels()
        callbacks = [DeferredReweighting(START), kernels]
        history = model.fit(
            x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, callbacks=callbacks, verbose=0
        ).history
    expected = trained_by_the_paper(start, x, y)
    for epoch, (mean_loss, kernel) in enumerate(expected):
        np.testing.assert_allclose(kernels.found[epoch], kernel, rtol=1e-5, atol=1e-6, err_msg=f"epoch {epoch}")
        assert history["loss"][epoch] == pytest.approx(mean_loss, rel=1e-5)
    assert np.abs(expected[-1][1] - expected[START - 1][1]).max() > 0.01  # the second stage moved
