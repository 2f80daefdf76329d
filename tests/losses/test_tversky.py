"""TverskyLoss against a float64 formula, Keras's Tversky and Dice; WeightedSum against the sum of its parts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import examples, keras_3_only
from loss_gradients import compiled, loss_and_gradient, to_float64

from keras_imbalance import ClassBalancedLoss, FocalLoss, TverskyLoss, WeightedSum
from keras_imbalance._keras import keras, ops

C = 3
rng = np.random.default_rng(0)
MASKS = rng.choice(C, (4, 5, 6), p=[0.7, 0.25, 0.05])
MASKS[0], MASKS[1, MASKS[1] == 2] = 0, 1  # images without a true pixel of some class
LOGITS = rng.normal(scale=2, size=(4, 5, 6, C)).astype("float32")
P = np.exp(LOGITS.astype(float)) / np.exp(LOGITS.astype(float)).sum(axis=-1, keepdims=True)
ONE_HOT = np.eye(C)[MASKS]
PIXELS = rng.uniform(0, 2, MASKS.shape) * (rng.random(MASKS.shape) < 0.8)


def shares(t, p, alpha=0.5, beta=0.5, weights=1.0, axis=None):
    """1 - T of each class, Salehi et al. 2017, over the given axes; NaN for a class without true pixels."""
    w = np.broadcast_to(np.expand_dims(weights, -1), t.shape)
    axis = tuple(range(t.ndim - 1)) if axis is None else axis
    found, true = (w * t * p).sum(axis), (w * t).sum(axis)
    index = found / (found + alpha * (w * (1 - t) * p).sum(axis) + beta * (w * t * (1 - p)).sum(axis))
    return np.where(true > 0, 1 - index, np.nan)


@pytest.mark.parametrize("form", ["ids", "one_hot", "probabilities", "channels first", "graph"])
@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(0.5, 0.5, 1), (0.3, 0.7, 1), (0.3, 0.7, 0.75), (1, 0, 2)])
def test_value_and_gradient_are_those_of_the_formula(alpha, beta, gamma, form):
    arguments = {"beta": beta, "gamma": gamma, "from_logits": form != "probabilities"}
    loss = TverskyLoss(alpha, **arguments, axis=1 if form == "channels first" else -1)
    labels = ONE_HOT.astype("float32") if form == "one_hot" else MASKS
    predictions = {"probabilities": P.astype("float32"), "channels first": np.moveaxis(LOGITS, -1, 1)}.get(form, LOGITS)
    weights = PIXELS
    if form == "graph":
        loss = compiled(loss)
        labels, predictions, weights = map(ops.convert_to_tensor, (labels, predictions, PIXELS.astype("float32")))
    expected = np.mean(shares(ONE_HOT, P, alpha, beta, PIXELS) ** gamma)
    np.testing.assert_allclose(to_float64(loss(labels, predictions, weights)), expected, rtol=1e-5)
    if form == "ids":
        gradient = loss_and_gradient(loss, labels, predictions, PIXELS)[1]
        for place in [(0, 0, 0, 1), (3, 4, 5, 2), (2, 2, 2, 0)]:
            sides = []
            for step in (1e-6, -1e-6):
                z = LOGITS.astype(float)
                z[place] += step
                p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
                sides.append(np.mean(shares(ONE_HOT, p, alpha, beta, PIXELS) ** gamma))
            np.testing.assert_allclose(gradient[place], (sides[0] - sides[1]) / 2e-6, rtol=1e-3, atol=1e-7)


def test_each_image_has_its_own_classes():
    each = shares(ONE_HOT, P, 0.3, 0.7, axis=(1, 2))
    assert np.isnan(each).any()
    expected = np.nanmean(each, axis=1)
    loss = TverskyLoss(0.3, beta=0.7, per_image=True, from_logits=True, reduction=None)
    np.testing.assert_allclose(to_float64(loss(MASKS, LOGITS)), expected, rtol=1e-5)
    of_images = np.array([1.0, 0.0, 2.0, 0.5])
    for weights in (of_images, of_images[:, None, None]):
        np.testing.assert_allclose(to_float64(loss(MASKS, LOGITS, weights)), of_images * expected, rtol=1e-5)
    pixels = np.nanmean(shares(ONE_HOT, P, 0.3, 0.7, PIXELS, axis=(1, 2)), axis=1)
    np.testing.assert_allclose(to_float64(loss(MASKS, LOGITS, PIXELS)), pixels, rtol=1e-5)
    reductions = {
        "sum": (of_images * expected).sum(),
        "mean": (of_images * expected).sum() / 3,
        "mean_with_sample_weight": (of_images * expected).sum() / 3.5,
    }
    for reduction, wanted in reductions.items():
        again = TverskyLoss(0.3, beta=0.7, per_image=True, from_logits=True, reduction=reduction)
        np.testing.assert_allclose(to_float64(again(MASKS, LOGITS, of_images)), wanted, rtol=1e-5)


@pytest.mark.parametrize("per_image", [False, True])
def test_an_image_without_the_class_leaves_the_mean(per_image):
    """One sigmoid channel: an image without foreground has no Dice, and its false alarms count only in the batch."""
    truth, p = (MASKS == 2).astype("float32")[..., None], P[..., 2:]
    assert list(truth.any(axis=(1, 2, 3))) == [False, False, True, True]
    axis = (1, 2) if per_image else (0, 1, 2)
    expected = np.nanmean(shares(truth, p, axis=axis))
    loss = TverskyLoss(per_image=per_image)
    for labels in (truth, truth[..., 0]):
        np.testing.assert_allclose(to_float64(loss(labels, p.astype("float32"))), expected, rtol=1e-5)
    value, gradient = loss_and_gradient(loss, 0 * truth, p.astype("float32"))
    assert value == 0
    assert (gradient == 0).all()


def test_class_weight_weighs_the_mean():
    each = shares(ONE_HOT, P)
    for weights in ([0, 1, 1], [1, 2, 5.5]):
        found = to_float64(TverskyLoss(class_weight=weights, from_logits=True)(MASKS, LOGITS))
        np.testing.assert_allclose(found, np.average(each, weights=weights), rtol=1e-5)
    without_rare = np.where(MASKS == 2, 0, MASKS)
    expected = np.average(shares(np.eye(C)[without_rare], P)[:2], weights=[1, 2])
    found = to_float64(TverskyLoss(class_weight=[1, 2, 5.5], from_logits=True)(without_rare, LOGITS))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_independent_sigmoids_soft_labels_and_smoothing():
    p, soft = 1 / (1 + np.exp(-LOGITS.astype(float))), rng.random(LOGITS.shape).astype("float32")
    loss = TverskyLoss(0.3, beta=0.7, multi_label=True, from_logits=True)
    np.testing.assert_allclose(to_float64(loss(soft, LOGITS)), shares(soft, p, 0.3, 0.7).mean(), rtol=1e-5)
    smooth = TverskyLoss(0.3, beta=0.7, label_smoothing=0.1, from_logits=True)
    expected = shares(ONE_HOT * 0.9 + 0.1 / C, P, 0.3, 0.7).mean()
    np.testing.assert_allclose(to_float64(smooth(MASKS, LOGITS)), expected, rtol=1e-5)


@keras_3_only("tf-keras has no Tversky and no Dice")
@pytest.mark.parametrize("axis", [(0, 1, 2), (1, 2)], ids=["batch", "image"])
def test_equal_to_dice_and_tversky_of_keras(axis):
    """Of one class, and of several by their per-class values; Keras's alpha multiplies what is missed, see below."""
    truth, p = ONE_HOT.astype("float32"), P.astype("float32")
    per_image = axis == (1, 2)
    dice, tversky = keras.losses.Dice, keras.losses.Tversky
    for alpha, beta, theirs in (
        (0.5, 0.5, dice(axis=axis, reduction=None)),
        (0.5, 0.5, tversky(axis=axis, reduction=None)),
        (0.3, 0.7, tversky(alpha=0.7, beta=0.3, axis=axis, reduction=None)),
    ):
        values = to_float64(theirs(truth, p))
        counted = ONE_HOT.any(axis=axis)
        expected = np.average(values, weights=counted, axis=-1)
        loss = TverskyLoss(alpha, beta=beta, per_image=per_image, reduction=None)
        np.testing.assert_allclose(to_float64(loss(truth, p)), expected, rtol=1e-5)
        one = TverskyLoss(alpha, beta=beta, per_image=per_image, reduction=None)(truth[..., 1:2], p[..., 1:2])
        np.testing.assert_allclose(to_float64(one) * counted[..., 1], values[..., 1] * counted[..., 1], rtol=1e-5)


@keras_3_only("tf-keras has no Tversky")
def test_what_keras_calls_alpha_weighs_false_negatives():
    """Its documentation says the opposite. The day this fails, our docstring and the table of the guide change."""
    only_false_negatives = keras.losses.Tversky(alpha=1.0, beta=0.0)(np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    only_false_positives = keras.losses.Tversky(alpha=1.0, beta=0.0)(np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    assert float(only_false_negatives) > 0.49
    assert float(only_false_positives) < 1e-6


def test_alpha_weighs_false_positives_and_beta_false_negatives():
    truth, predicted = np.array([1.0, 1.0, 0.0]), np.array([[1.0], [0.0], [0.0]])
    assert float(TverskyLoss(1.0, beta=0.0)(truth, predicted)) == 0
    assert float(TverskyLoss(0.0, beta=1.0)(truth, predicted)) == 0.5
    truth, predicted = np.array([1.0, 0.0, 0.0]), np.array([[1.0], [1.0], [0.0]])
    assert float(TverskyLoss(1.0, beta=0.0)(truth, predicted)) == 0.5
    assert float(TverskyLoss(0.0, beta=1.0)(truth, predicted)) == 0


@settings(max_examples=examples(30))
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_weight_of_two_is_the_pixel_twice_and_permuting_classes_changes_nothing(seed, per_image):
    rng = np.random.default_rng(seed)
    masks, logits = rng.integers(0, C, (3, 8)), rng.normal(scale=3, size=(3, 8, C)).astype("float32")
    weights = np.where(np.arange(8) < 3, 2.0, 1.0) * np.ones((3, 1))
    loss = TverskyLoss(0.2, beta=0.6, gamma=0.75, per_image=per_image, from_logits=True)
    twice = [np.concatenate([x, x[:, :3]], axis=1) for x in (masks, logits)]
    np.testing.assert_allclose(to_float64(loss(masks, logits, weights)), to_float64(loss(*twice)), rtol=1e-4)
    order = rng.permutation(C)
    permuted = to_float64(loss(np.argsort(order)[masks], logits[..., order]))
    np.testing.assert_allclose(permuted, to_float64(loss(masks, logits)), rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_a_perfect_and_a_lost_mask_have_finite_gradients(gamma):
    loss = TverskyLoss(gamma=gamma, from_logits=True)
    for sign in (1, -1):
        value, gradient = loss_and_gradient(loss, MASKS, (sign * 200 * ONE_HOT).astype("float32"))
        np.testing.assert_allclose(value, 0 if sign == 1 else 1, atol=1e-6)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TverskyLoss(-0.1), "`alpha` must"),
        (lambda: TverskyLoss(0.0, beta=0.0), "`beta` must be more than 0"),
        (lambda: TverskyLoss(gamma=0), "`gamma` must"),
        (lambda: TverskyLoss(per_image="yes"), "`per_image` must be True or False"),
        (lambda: TverskyLoss(class_weight=[1, -1, 1]), "`class_weight` must"),
        (lambda: TverskyLoss(class_weight=[1, 1], from_logits=True)(MASKS, LOGITS), "`class_weight` must hold 3"),
        (lambda: TverskyLoss(pos_weight=2.0, multi_label=True), "`pos_weight` must be None"),
        (lambda: TverskyLoss(reduction="sum_over_positives"), "`reduction` must be one of Keras's"),
        (lambda: TverskyLoss(reduction="mean_with_class_weight"), "`reduction` must be one of Keras's"),
        (lambda: ClassBalancedLoss([5, 5], loss=TverskyLoss(reduction=None)), "`loss` must give one value a position"),
        (lambda: WeightedSum([FocalLoss()]), "`losses` must hold two"),
        (lambda: WeightedSum(FocalLoss()), "`losses` must be a list"),
        (lambda: WeightedSum([FocalLoss(), "mse"]), "`losses` must hold loss objects"),
        (lambda: WeightedSum([FocalLoss(), FocalLoss(reduction=None)]), "`losses` must have reductions"),
        (lambda: WeightedSum([FocalLoss(), TverskyLoss()], weights=[1]), "`weights` must hold 2 numbers"),
        (lambda: WeightedSum([FocalLoss(), TverskyLoss()], weights=[1, -1]), "`weights` must be a finite number"),
        (lambda: WeightedSum([FocalLoss(), TverskyLoss()], weights=2.0), "`weights` must be a list"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_weighted_sum_is_the_sum_of_its_parts_in_value_and_gradient():
    parts = [
        TverskyLoss(0.3, beta=0.7, from_logits=True, ignore_class=1),
        FocalLoss(from_logits=True, reduction="sum"),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ]
    weights = [1.0, 0.25, 3.0]
    value, gradient = loss_and_gradient(WeightedSum(parts, weights=weights), MASKS, LOGITS, PIXELS)
    each = [loss_and_gradient(part, MASKS, LOGITS, PIXELS) for part in parts]
    np.testing.assert_allclose(value, sum(w * v for w, (v, _) in zip(weights, each, strict=True)), rtol=1e-5)
    expected = sum(w * g for w, (_, g) in zip(weights, each, strict=True))
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_weighted_sum_in_fit_with_a_keras_mask():
    """The mask reaches every part, those of Keras too."""
    parts = [TverskyLoss(from_logits=True), keras.losses.SparseCategoricalCrossentropy(from_logits=True)]
    x = np.concatenate([LOGITS[0], np.zeros((5, 2, C), "float32")], axis=1)
    y = np.concatenate([MASKS[1], np.zeros((5, 2), int)], axis=1)
    model = keras.Sequential([keras.Input((8, C)), keras.layers.Masking(0.0)])
    model.add(keras.layers.Dense(C, kernel_initializer="identity"))
    model.compile(keras.optimizers.SGD(0.0), WeightedSum(parts))
    expected = sum(to_float64(part(MASKS[1], LOGITS[0])) for part in parts)
    np.testing.assert_allclose(model.fit(x, y, batch_size=5, verbose=0).history["loss"], [expected], rtol=1e-5)
