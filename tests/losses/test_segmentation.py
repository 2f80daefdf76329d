"""A segmentation fit with a rare class: TverskyLoss and a focal loss find more of it than cross-entropy does."""

import numpy as np
import pytest

from keras_imbalance import FocalLoss, TverskyLoss, WeightedSum
from keras_imbalance._keras import keras

SIZE, VOID = 32, 255


def images(rng, number=64):
    """Noisy images of a disc and, on 0.9 % of the pixels, a small square; two rows of each are void."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    masks = np.zeros((number, SIZE, SIZE), int)
    for mask in masks:
        (i, j), radius = rng.uniform(8, SIZE - 8, 2), rng.uniform(6, 11)
        mask[(rows - i) ** 2 + (columns - j) ** 2 < radius**2] = 1
        i, j = rng.integers(1, SIZE - 4, 2)
        mask[i : i + 3, j : j + 3] = 2
    x = np.array([0.0, 1.0, 2.2])[masks] + rng.normal(scale=0.5, size=masks.shape)
    masks[:, [0, -1]] = VOID
    return x.astype("float32")[..., None], masks


def rare_iou(loss, seed):
    """Intersection over union of class 2 on new images after a fit."""
    rng = np.random.default_rng(seed)
    (x, y), (x_test, y_test) = images(rng), images(rng)
    keras.utils.set_random_seed(seed)
    layers = [keras.layers.Conv2D(8, 3, padding="same", activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 1)), *layers, keras.layers.Conv2D(3, 1)])
    model.compile(keras.optimizers.Adam(1e-2), loss)
    history = model.fit(x, y, epochs=15, batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    found = (model.predict(x_test, verbose=0).argmax(axis=-1) == 2) & (y_test != VOID)
    return (found & (y_test == 2)).sum() / (found | (y_test == 2)).sum()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_iou_of_the_rare_class_rises_above_that_of_cross_entropy(seed):
    options = {"from_logits": True, "ignore_class": VOID}
    plain = rare_iou(keras.losses.SparseCategoricalCrossentropy(**options), seed)
    assert rare_iou(WeightedSum([TverskyLoss(**options), FocalLoss(**options)]), seed) > plain + 0.1
