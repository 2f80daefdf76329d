"""Every loss and gradient against float64 formulas over the whole range of float32 logits that training meets."""

import contextlib

import numpy as np
import pytest
import reference
from loss_gradients import loss_and_gradient

from keras_imbalance import (
    AsymmetricLoss,
    ClassBalancedLoss,
    CostMatrixLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
)
from keras_imbalance._keras import keras, ops

C = 10
COUNTS = np.array([5000, 2000, 1000, 500, 300, 100, 50, 20, 10, 5.0])
COSTS = np.random.default_rng(5).uniform(0, 10, (C, C)) * (1 - np.eye(C))
GAMMAS = (0, 0.5, 1, 2, 5)
KEPT = {"from_logits": True, "reduction": None}

SOFTMAX = {
    **{f"focal-{g}": (FocalLoss(g, **KEPT), lambda z, y, g=g: reference.focal(z, y, g)) for g in GAMMAS},
    "focal-alpha": (FocalLoss(2, alpha=COUNTS, **KEPT), lambda z, y: COUNTS[y] * reference.focal(z, y, 2)),
    "class_balanced": (
        ClassBalancedLoss(COUNTS, scheme="inverse_frequency", loss=FocalLoss(1, **KEPT), reduction=None),
        lambda z, y: (COUNTS.sum() / COUNTS)[y] * reference.focal(z, y, 1),
    ),
    "softmax_margin": (
        CostMatrixLoss(COSTS, formulation="softmax_margin", **KEPT),
        lambda z, y: reference.softmax_margin(z, y, COSTS),
    ),
    "logit_adjusted": (LogitAdjustedLoss(COUNTS, **KEPT), lambda z, y: reference.logit_adjusted(z, y, COUNTS, 1.0)),
    "ldam": (LDAMLoss(COUNTS, reduction=None), lambda z, y: reference.ldam(z, y, COUNTS, 0.5, 30.0)),
}
COST = {
    "expected_cost": (CostMatrixLoss(COSTS, **KEPT), lambda z, y: reference.expected_cost(z, y, COSTS), 0.0, 1.0),
    "regularized": (
        CostMatrixLoss(COSTS, formulation="regularized", weight=0.5, **KEPT),
        lambda z, y: reference.cross_entropy(z, y) + 0.5 * reference.expected_cost(z, y, COSTS),
        1.0,
        0.5,
    ),
}
BINARY = {
    **{f"focal-{g}": (FocalLoss(g, **KEPT), lambda z, y, g=g: reference.binary_focal(z, y, g)) for g in GAMMAS},
    "focal-alpha": (FocalLoss(2, alpha=0.25, **KEPT), lambda z, y: reference.binary_focal(z, y, 2, 0.25)),
    "asymmetric": (
        AsymmetricLoss(1, gamma_negative=4, clip=0, **KEPT),
        lambda z, y: reference.asymmetric(z, y, 1, 4, 0),
    ),
    "asymmetric-clip": (
        AsymmetricLoss(0, gamma_negative=4, **KEPT),
        lambda z, y: reference.asymmetric(z, y, 0, 4, 0.05),
    ),
    "asymmetric-root": (
        AsymmetricLoss(0, gamma_negative=0.5, clip=0.05, **KEPT),
        lambda z, y: reference.asymmetric(z, y, 0, 0.5, 0.05),
    ),
    "logit_adjusted": (
        LogitAdjustedLoss([9, 1], **KEPT),
        lambda z, y: reference.binary_focal(z - np.log(9), y, 0),
    ),
    "class_balanced": (
        ClassBalancedLoss([9, 1], scheme="inverse_frequency", **KEPT),
        lambda z, y: np.where(y == 1, 10, 10 / 9) * reference.binary_focal(z, y, 0),
    ),
}


def softmax_logits():
    """Random rows, and a sweep of the true class's logit and of another one's, all in [-100, 100]."""
    rng = np.random.default_rng(0)
    line = np.linspace(-100, 100, 4001)
    true, other = np.zeros((4001, C)), np.zeros((4001, C))
    true[:, 3], other[:, 7] = line, line
    logits = np.concatenate([rng.uniform(-100, 100, (8000, C)), true, other]).astype("float32")
    return logits, np.concatenate([rng.integers(0, C, 8000), np.full(8002, 3)])


@pytest.mark.parametrize("one_hot", [False, True], ids=["ids", "one_hot"])
@pytest.mark.parametrize("name", SOFTMAX)
def test_softmax_loss_and_gradient_equal_float64(name, one_hot):
    loss, formula = SOFTMAX[name]
    logits, labels = softmax_logits()
    values, gradients = loss_and_gradient(loss, np.eye(C, dtype="float32")[labels] if one_hot else labels, logits)
    wide = logits.astype("float64")
    assert reference.worst_relative_error(values, formula(wide, labels)) <= 1e-4
    assert reference.worst_relative_error(gradients, reference.gradient(lambda z: formula(z, labels), wide)) <= 1e-4


@pytest.mark.parametrize("one_hot", [False, True], ids=["ids", "one_hot"])
@pytest.mark.parametrize("name", COST)
def test_cost_loss_and_gradient_equal_float64(name, one_hot):
    # The gradient is a difference of costs and crosses 0; there the error counts against the terms of the difference.
    loss, formula, entropy_part, cost_part = COST[name]
    logits, labels = softmax_logits()
    values, gradients = loss_and_gradient(loss, np.eye(C, dtype="float32")[labels] if one_hot else labels, logits)
    wide = logits.astype("float64")
    assert reference.worst_relative_error(values, formula(wide, labels)) <= 1e-4
    expected = reference.gradient(lambda z: formula(z, labels), wide)
    p = np.exp(wide - wide.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    others = 1 - np.eye(C)
    spread = np.abs(COSTS[labels][:, :, None] - COSTS[labels][:, None, :])
    terms = cost_part * p * (spread * others * p[:, None, :]).sum(axis=2)
    terms += entropy_part * np.where(others[labels] == 0, (p[:, None, :] * others).sum(axis=2), p)
    counted = np.abs(expected) >= 1e-30
    assert np.isfinite(gradients).all()
    assert (np.abs(gradients - expected)[counted] <= 1e-4 * terms[counted]).all()
    plain = np.abs(gradients - expected)[counted] / np.abs(expected)[counted]
    assert (plain > 1e-4).mean() < 1e-3


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("name", BINARY)
def test_binary_loss_and_gradient_equal_float64(name, label):
    loss, formula = BINARY[name]
    logits = np.linspace(-100, 100, 4001).astype("float32")
    labels = np.full(4001, label)
    values, gradients = loss_and_gradient(loss, labels[:, None].astype("float32"), logits[:, None])
    wide = logits.astype("float64")
    # Beside its clip the asymmetric loss is a power of p - clip, which no float32 p knows to 1e-4.
    counted = (
        np.abs(1 / (1 + np.exp(-wide)) - 0.05) > 1e-3 if name in ("asymmetric-clip", "asymmetric-root") else wide < 200
    )
    expected = reference.gradient(lambda z: formula(z, labels), wide)
    assert reference.worst_relative_error(values[counted], formula(wide, labels)[counted]) <= 1e-4
    assert reference.worst_relative_error(gradients[:, 0][counted], expected[counted]) <= 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", [*SOFTMAX, *COST])
def test_softmax_losses_stay_finite(name, dtype):
    loss = {**SOFTMAX, **COST}[name][0]
    largest = 1e4 if dtype != "float16" else 3e4
    logits = np.zeros((6, C), "float32")
    logits[:3, 0], logits[3:, 0] = largest, -largest
    logits[2, 1] = largest
    rebuilt = type(loss).from_config({**loss.get_config(), "dtype": dtype})
    for labels in (np.arange(6) % 3, np.eye(C, dtype="float32")[np.arange(6) % 3]):
        values, gradients = loss_and_gradient(rebuilt, labels, ops.cast(logits, dtype))
        assert np.isfinite(values).all()
        assert np.isfinite(gradients).all()


@pytest.mark.parametrize("name", BINARY)
def test_binary_losses_stay_finite(name):
    values, gradients = loss_and_gradient(
        BINARY[name][0], np.array([[0.0], [1.0], [0.0], [1.0]]), np.array([[1e4], [1e4], [-1e4], [-1e4]], "float32")
    )
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize("name", [name for name in {**SOFTMAX, **COST} if name != "expected_cost"])
def test_a_surely_wrong_row_keeps_its_gradient(name):
    logits = np.zeros((1, C), "float32")
    logits[0, 0] = 50
    _, gradients = loss_and_gradient({**SOFTMAX, **COST}[name][0], np.array([1]), logits)
    assert abs(gradients[0, 1]) > 0.5


def wrong_by_20():
    """A model whose every row is wrong by 20, and its data."""
    keras.utils.set_random_seed(0)
    x = np.eye(3, dtype="float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.layers[0].set_weights([20 * np.roll(np.eye(3, dtype="float32"), 1, axis=1)])
    return model, x, np.arange(3)


@pytest.mark.slow
def test_a_fit_in_which_every_row_is_wrong_by_20_learns_where_keras_stands_still():
    model, x, y = wrong_by_20()
    model.compile(keras.optimizers.SGD(5.0), loss=FocalLoss(from_logits=True))
    model.fit(x, y, epochs=60, verbose=0)
    assert (model.predict(x, verbose=0).argmax(axis=1) == y).all()

    model, x, y = wrong_by_20()
    before = model.get_weights()[0]
    model.compile(keras.optimizers.SGD(5.0), loss=keras.losses.CategoricalFocalCrossentropy(from_logits=True))
    model.fit(x, np.eye(3, dtype="float32")[y], epochs=60, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)  # the day this fails, Keras has mended it


def separated(loss):
    keras.utils.set_random_seed(0)
    x = np.array([[-30.0], [-20.0], [20.0], [30.0]], "float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.1), loss=loss)
    model.fit(x, np.array([0, 0, 1, 1], "float32")[:, None], epochs=2, verbose=0)
    return model.get_weights()


def test_a_well_separated_fit_keeps_finite_weights_where_keras_gets_nan():
    assert all(np.isfinite(w).all() for w in separated(FocalLoss(gamma=0.5, from_logits=True)))
    keras_weights = [np.array(np.nan)]
    with contextlib.suppress(RuntimeError):  # PyTorch stops at the NaN
        keras_weights = separated(keras.losses.BinaryFocalCrossentropy(gamma=0.5, from_logits=True))
    assert not all(np.isfinite(w).all() for w in keras_weights)  # the day this fails, Keras has mended it
