"""Second derivatives of every loss against differences of float64 gradients, certain and wrong predictions among them."""

import numpy as np
import pytest
import reference
from loss_gradients import second_derivatives

from keras_imbalance import (
    AsymmetricLoss,
    CostMatrixLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    TverskyLoss,
)

COUNTS = np.array([50.0, 20.0, 3.0])
COSTS = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 1.0], [9.0, 4.0, 0.0]])
KEPT = {"from_logits": True}
Y = np.array([1])


def focal(gamma):
    return FocalLoss(gamma, **KEPT), lambda z, y: reference.focal(z, y, gamma)


def tversky(z, y):
    """Of one pixel, of the class y."""
    e = np.exp(z - z.real.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    q = (e.sum(axis=1) - e[np.arange(len(z)), y]) / e.sum(axis=1)
    return 0.7 * q / (p[np.arange(len(z)), y] + 0.7 * q)


SOFTMAX = {
    **{f"focal-{gamma}": focal(gamma) for gamma in (0, 0.5, 2)},
    "expected_cost": (CostMatrixLoss(COSTS, **KEPT), lambda z, y: reference.expected_cost(z, y, COSTS)),
    "regularized": (
        CostMatrixLoss(COSTS, formulation="regularized", **KEPT),
        lambda z, y: reference.cross_entropy(z, y) + reference.expected_cost(z, y, COSTS),
    ),
    "margin": (
        CostMatrixLoss(COSTS, formulation="softmax_margin", **KEPT),
        lambda z, y: reference.softmax_margin(z, y, COSTS),
    ),
    "adjusted": (LogitAdjustedLoss(COUNTS, **KEPT), lambda z, y: reference.logit_adjusted(z, y, COUNTS, 1.0)),
    "ldam": (LDAMLoss(COUNTS, scale=2.0), lambda z, y: reference.ldam(z, y, COUNTS, 0.5, 2.0)),
    "tversky": (TverskyLoss(0.3, beta=0.7, **KEPT), tversky),
}
BINARY = {
    **{
        f"focal-{gamma}": (FocalLoss(gamma, **KEPT), lambda z, y, gamma=gamma: reference.binary_focal(z, y, gamma))
        for gamma in (0, 0.5, 2)
    },
    "asymmetric": (AsymmetricLoss(1, gamma_negative=4, **KEPT), lambda z, y: reference.asymmetric(z, y, 1, 4, 0.05)),
    "adjusted": (LogitAdjustedLoss([9, 1], **KEPT), lambda z, y: reference.binary_focal(z - np.log(9), y, 0)),
    "cost": (
        CostMatrixLoss([[0, 1], [5, 0]], formulation="regularized", **KEPT),
        lambda z, y: reference.binary_focal(z, y, 0) + np.where(y == 1, 5 * sigmoid(-z), sigmoid(z)),
    ),
}
LEADS = (0.0, 1.0, 44.0, 60.0, 100.0, -44.0, -100.0)


def sigmoid(z):
    return np.exp(-reference.softplus(-z))


def differences(loss, z, step=1e-4):
    """Central differences of the float64 gradient of a row of logits `(C,)`."""
    columns = []
    for j in range(len(z)):
        moved = [z + sign * step * np.eye(len(z))[j] for sign in (1, -1)]
        up, down = (np.reshape(reference.gradient(loss, m[None] if len(z) > 1 else m), -1) for m in moved)
        columns.append((up - down) / (2 * step))
    return np.array(columns)


def check(loss, formula, labels, z):
    found = second_derivatives(loss, labels, z.astype("float32")[None])
    expected = differences(formula, z.astype("float32").astype(float))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("one_hot", [False, True], ids=["ids", "one_hot"])
@pytest.mark.parametrize("name", SOFTMAX)
def test_softmax(name, one_hot):
    loss, formula = SOFTMAX[name]
    for lead in LEADS:
        z = np.array([0.3, 0.5 + lead, -0.4])
        check(loss, lambda row: formula(row, Y), np.eye(3, dtype="float32")[Y] if one_hot else Y, z)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("name", BINARY)
def test_sigmoid(name, label):
    loss, formula = BINARY[name]
    for lead in LEADS:
        check(loss, lambda z: formula(z, np.array([label])), np.array([[label]], "float32"), np.array([lead]))


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
def test_soft_labels(gamma):
    soft = np.array([[0.2, 0.7, 0.1]], "float32")
    loss = FocalLoss(gamma, **KEPT)
    for lead in (0.0, 1.0, 44.0, 100.0):
        z = np.array([0.3, 0.5 + lead, -0.4])
        check(loss, lambda row: sum(soft[0, j] * reference.focal(row, np.array([j]), gamma) for j in range(3)), soft, z)
