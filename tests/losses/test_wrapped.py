"""ClassBalancedLoss around losses that it did not write: what it hands them, and what it refuses."""

import numpy as np
import pytest
from kerases import keras_3_only
from loss_gradients import to_float64

from keras_imbalance import ClassBalancedLoss, FocalLoss, class_weights
from keras_imbalance._keras import keras, ops

LOSSES = keras.losses
COUNTS = [50, 30, 20]
PAIRS = [[90, 10], [80, 20], [70, 30]]


def available(*kinds):
    """Those of the losses that the Keras in use has."""
    return [kind for kind in kinds if hasattr(LOSSES, kind)]


def data(rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, rows), rng.normal(size=(rows, 3)).astype("float32")


@pytest.mark.parametrize("rows", [1, 3, 8])
@pytest.mark.parametrize("kind", ["CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge"])
def test_class_ids_reach_a_categorical_loss_as_one_hot_rows(kind, rows):
    # Class ids of shape (3,) and logits (3, 3) would broadcast in silence.
    labels, logits = data(rows)
    inner = getattr(LOSSES, kind)(reduction="none", **({} if kind == "CategoricalHinge" else {"from_logits": True}))
    expected = (
        to_float64(inner(np.eye(3, dtype="float32")[labels], logits)) * class_weights(COUNTS, scheme="balanced")[labels]
    )
    got = to_float64(ClassBalancedLoss(COUNTS, loss=inner, reduction=None)(labels, logits))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_one_hot_rows_for_a_loss_of_class_ids_are_refused(rows):
    labels, logits = data(rows)
    for kind in available("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"):
        loss = ClassBalancedLoss(COUNTS, loss=getattr(LOSSES, kind)(reduction="none"))
        with pytest.raises(ValueError, match="takes class ids"):
            loss(np.eye(3, dtype="float32")[labels], logits)


class MeanOfAll(LOSSES.Loss):
    """Claims not to reduce, and does."""

    def call(self, y_true, y_pred):
        return ops.mean(y_pred)


def test_a_loss_that_mixes_rows_is_refused():
    labels, logits = data(8)
    with pytest.raises(ValueError, match="one value a position"):
        ClassBalancedLoss(COUNTS, loss=MeanOfAll(reduction="none"))(labels, logits)
    for kind in available("Dice", "Tversky"):
        with pytest.raises(ValueError, match="cannot be weighted"):
            ClassBalancedLoss(COUNTS, loss=getattr(LOSSES, kind)(reduction="none"))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"multi_label": True}, FocalLoss(reduction=None)),
        ({"ignore_class": 255}, FocalLoss(reduction=None, ignore_class=-1)),
        ({"ignore_class": 255}, LOSSES.SparseCategoricalCrossentropy(reduction="none", ignore_class=-1)),
        ({"axis": 1}, LOSSES.CategoricalCrossentropy(reduction="none", axis=2)),
    ],
    ids=["multi_label", "ignore_class", "keras ignore_class", "axes"],
)
def test_arguments_that_contradict_the_wrapped_loss_are_refused(outer, inner):
    argument = next(iter(outer))
    with pytest.raises(ValueError, match=f"`{argument}` must be the same"):
        ClassBalancedLoss(PAIRS if outer.get("multi_label") else COUNTS, loss=inner, **outer)


def test_a_wrapped_loss_of_keras_finds_the_logits_that_keras_keeps():
    y, x = np.zeros((1, 1), "float32"), np.full((1, 1), 30.0, "float32")
    values = []
    for loss in (
        LOSSES.BinaryCrossentropy(),
        ClassBalancedLoss([5, 5], scheme="balanced"),
        ClassBalancedLoss([5, 5], scheme="balanced", loss=LOSSES.BinaryCrossentropy(reduction="none")),
    ):
        layer = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")
        values.append(float(loss(y, layer(x))))
    alone, ours, wrapped = values
    np.testing.assert_allclose(ours, 30, rtol=1e-4)
    np.testing.assert_allclose(wrapped, alone, rtol=1e-6)  # 30 on TensorFlow, where Keras looks for the logits as well


@keras_3_only("its losses take no dtype")
def test_half_precision_inside_is_widened_outside():
    labels, logits = data(8)
    inner = LOSSES.SparseCategoricalCrossentropy(from_logits=True, reduction="none", dtype="float16")
    loss = ClassBalancedLoss(COUNTS, loss=inner)
    wide = ClassBalancedLoss(COUNTS, from_logits=True)
    np.testing.assert_allclose(float(loss(labels, logits)), float(wide(labels, logits)), rtol=1e-2)


def test_the_channel_axis_is_that_of_the_outer_loss():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 3, 3)).astype("float32"), rng.integers(0, 3, (3, 3))
    moved = np.moveaxis(logits, -1, 1)
    expected = to_float64(ClassBalancedLoss(COUNTS, from_logits=True, reduction=None)(labels, logits))
    for inner in (
        LOSSES.SparseCategoricalCrossentropy(from_logits=True, reduction="none"),
        LOSSES.CategoricalCrossentropy(from_logits=True, reduction="none"),
        LOSSES.CategoricalCrossentropy(from_logits=True, reduction="none", axis=1),
    ):
        got = to_float64(ClassBalancedLoss(COUNTS, loss=inner, axis=1, reduction=None)(labels, moved))
        np.testing.assert_allclose(got, expected, rtol=1e-4)
    yes = (logits > 0.5).astype("float32")
    plain = ClassBalancedLoss(PAIRS, from_logits=True, multi_label=True)
    inner = LOSSES.BinaryCrossentropy(from_logits=True, reduction="none")
    wrapped = ClassBalancedLoss(PAIRS, loss=inner, axis=1, multi_label=True)
    np.testing.assert_allclose(float(wrapped(np.moveaxis(yes, -1, 1), moved)), float(plain(yes, logits)), rtol=1e-5)
    inner = LOSSES.BinaryCrossentropy(from_logits=True, reduction="none", axis=1)
    with pytest.raises(ValueError, match="axis=-1"):
        ClassBalancedLoss(PAIRS, loss=inner, multi_label=True)(yes, logits)
