"""Reductions, weights of labels and pos_weight, against float64 formulas, PyTorch and Keras."""

import numpy as np
import pytest
from loss_gradients import BACKEND, compiled, loss_and_gradient, to_float64

from keras_imbalance import (
    AsymmetricLoss,
    ClassBalancedLoss,
    CostMatrixLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
)
from keras_imbalance._keras import keras, ops

C = 4
rng = np.random.default_rng(0)
LOGITS = rng.normal(scale=3, size=(40, C)).astype("float32")
IDS = rng.integers(0, C, 40)
LABELS = (rng.random((40, C)) < 0.3).astype("float32")
WEIGHTS = np.array([0.2, 1.0, 3.0, 7.0])
INVERSE = WEIGHTS * (1 / WEIGHTS).sum()  # N / n_i
ROW_WEIGHTS = rng.uniform(0, 2, 40)
LABEL_WEIGHTS = rng.uniform(0, 2, (40, C)) * (rng.random((40, C)) < 0.8)
CROSS_ENTROPY = np.logaddexp.reduce(LOGITS.astype(float), axis=1) - LOGITS[np.arange(40), IDS]
ELEMENTS = np.logaddexp(0, np.where(LABELS == 1, -LOGITS, LOGITS).astype(float))  # of binary cross-entropy


def binary(**arguments):
    return FocalLoss(0, from_logits=True, multi_label=True, **arguments)


def test_mean_with_class_weight_is_the_weighted_mean_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    z, y = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True), torch.tensor(IDS)
    expected = torch.nn.CrossEntropyLoss(weight=torch.tensor(WEIGHTS))(z, y)
    expected.backward()
    loss = FocalLoss(0, alpha=WEIGHTS, from_logits=True, reduction="mean_with_class_weight")
    for labels in (IDS, np.eye(C, dtype="float32")[IDS]):
        value, gradient = loss_and_gradient(loss, labels, LOGITS)
        np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
        np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(
    ("build", "weights"),
    [
        (lambda **kw: FocalLoss(2, alpha=WEIGHTS, from_logits=True, **kw), WEIGHTS),
        (lambda **kw: ClassBalancedLoss(1 / WEIGHTS, scheme="inverse_frequency", from_logits=True, **kw), INVERSE),
        (lambda **kw: LDAMLoss([9, 5, 2, 1], class_weights=WEIGHTS, scale=3, **kw), WEIGHTS),
    ],
    ids=["focal", "balanced", "ldam"],
)
@pytest.mark.parametrize("ignore_class", [None, 1])
def test_mean_with_class_weight_divides_by_the_weights_of_rows_that_count(build, weights, ignore_class):
    counted = ignore_class != IDS
    losses = to_float64(build(reduction=None)(IDS, LOGITS)) * counted
    loss = build(reduction="mean_with_class_weight", ignore_class=ignore_class)
    factors = counted * weights[IDS]
    np.testing.assert_allclose(to_float64(loss(IDS, LOGITS)), losses.sum() / factors.sum(), rtol=1e-5)
    expected = (ROW_WEIGHTS * losses).sum() / (ROW_WEIGHTS * factors).sum()
    np.testing.assert_allclose(to_float64(loss(IDS, LOGITS, ROW_WEIGHTS)), expected, rtol=1e-5)


def test_mean_with_class_weight_of_sigmoids():
    pairs = np.array([[90, 10], [50, 50], [99, 1], [5, 95]])
    table = pairs.sum(axis=1, keepdims=True) / (2 * pairs)
    weights = np.where(LABELS == 1, table[:, 1], table[:, 0])
    loss = ClassBalancedLoss(pairs, from_logits=True, multi_label=True, reduction="mean_with_class_weight")
    np.testing.assert_allclose(to_float64(loss(LABELS, LOGITS)), (weights * ELEMENTS).sum() / weights.sum(), rtol=1e-5)
    for alpha, pair in ((0.25, [0.75, 0.25]), ([2.0, 5.0], [2.0, 5.0])):
        one = FocalLoss(0, alpha=alpha, from_logits=True, reduction="mean_with_class_weight")
        weights = np.array(pair)[LABELS[:, 0].astype(int)]
        expected = (weights * ELEMENTS[:, 0]).sum() / weights.sum()
        np.testing.assert_allclose(to_float64(one(LABELS[:, :1], LOGITS[:, :1])), expected, rtol=1e-5)
        np.testing.assert_allclose(to_float64(one(LABELS[:, 0], LOGITS[:, :1])), expected, rtol=1e-5)
    each = FocalLoss(0, alpha=[0.1, 0.2, 0.3, 0.4], from_logits=True, multi_label=True)
    each = type(each).from_config({**each.get_config(), "reduction": "mean_with_class_weight"})
    alpha = np.array([0.1, 0.2, 0.3, 0.4])
    weights = np.where(LABELS == 1, alpha, 1 - alpha)
    np.testing.assert_allclose(to_float64(each(LABELS, LOGITS)), (weights * ELEMENTS).sum() / weights.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        FocalLoss(from_logits=True, reduction="mean_with_class_weight"),
        LDAMLoss([9, 5, 2, 1], reduction="mean_with_class_weight"),
        LogitAdjustedLoss([9, 5, 2, 1], reduction="mean_with_class_weight", from_logits=True),
        CostMatrixLoss(np.ones((C, C)), reduction="mean_with_class_weight", from_logits=True),
    ],
    ids=lambda loss: loss.name,
)
def test_a_loss_without_class_weights_has_no_mean_with_class_weight(loss):
    with pytest.raises(ValueError, match="`reduction` must be another for a loss without class weights"):
        loss(IDS, LOGITS)


def test_sum_over_positives_is_the_focal_loss_of_a_dense_detector():
    """Lin et al. 2017: the sum over all anchors, normalised by the number of anchors assigned to a box."""
    boxes = np.array([2, -1, 0, 255, 1, -1, -1, 3] * 5).reshape(4, 10)  # -1: background, 255: neither
    targets = (boxes[..., None] == np.arange(C)).astype("float32")
    logits = LOGITS.reshape(4, 10, C)
    p = 1 / (1 + np.exp(-logits.astype(float)))
    p_t, alpha = np.where(targets == 1, p, 1 - p), np.where(targets == 1, 0.25, 0.75)
    counted = boxes != 255
    total = (-alpha * (1 - p_t) ** 2 * np.log(p_t) * counted[..., None]).sum()
    loss = FocalLoss(2, alpha=0.25, from_logits=True, multi_label=True, reduction="sum_over_positives")
    number = (counted & (boxes >= 0)).sum()
    np.testing.assert_allclose(to_float64(loss(targets, logits, counted)), total / number, rtol=1e-5)
    marked = np.where(counted[..., None], targets, -1.0)
    ignoring = type(loss).from_config({**loss.get_config(), "ignore_class": -1})
    np.testing.assert_allclose(to_float64(ignoring(marked, logits)), total / number, rtol=1e-5)
    if BACKEND != "torch":  # whose compiler breaks the graph at a gradient written by hand
        in_graph = compiled(lambda labels, predictions: ignoring(labels, predictions))
        arguments = ops.convert_to_tensor(marked.astype("float32")), ops.convert_to_tensor(logits)
        np.testing.assert_allclose(to_float64(in_graph(*arguments)), total / number, rtol=1e-5)
    background = to_float64(loss(0 * targets, logits))  # no positive anchor: the sum itself
    np.testing.assert_allclose(background, (0.75 * p**2 * -np.log1p(-p)).sum(), rtol=1e-5)
    one = FocalLoss(0, from_logits=True, reduction="sum_over_positives")
    expected = ELEMENTS[:, 0].sum() / LABELS[:, 0].sum()
    np.testing.assert_allclose(to_float64(one(LABELS[:, :1], LOGITS[:, :1])), expected, rtol=1e-5)


def test_sum_over_positives_of_a_softmax_is_an_error():
    with pytest.raises(ValueError, match=r"`reduction` must be another for a softmax.*multi_label=True"):
        FocalLoss(from_logits=True, reduction="sum_over_positives")(IDS, LOGITS)


def test_weights_of_labels_as_in_metrics():
    """One weight a label `(N, C)`: the mean over rows of the mean over labels, as those of Keras over `(N, C, 1)`."""
    theirs = keras.losses.BinaryCrossentropy(from_logits=True)
    for weights in (LABEL_WEIGHTS, np.repeat(ROW_WEIGHTS[:, None], C, axis=1)):
        expected = to_float64(theirs(LABELS[..., None], LOGITS[..., None], weights))
        np.testing.assert_allclose(expected, (weights * ELEMENTS).mean(), rtol=1e-5)
        np.testing.assert_allclose(to_float64(binary()(LABELS, LOGITS, weights)), expected, rtol=1e-5)
    by_hand = {
        "sum": (LABEL_WEIGHTS * ELEMENTS).sum(),
        "mean_with_sample_weight": (LABEL_WEIGHTS * ELEMENTS).sum() / LABEL_WEIGHTS.sum(),
        None: (LABEL_WEIGHTS * ELEMENTS).mean(axis=1),
    }
    for reduction, expected in by_hand.items():
        found = to_float64(binary(reduction=reduction)(LABELS, LOGITS, LABEL_WEIGHTS))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    in_a_row = binary()(LABELS, LOGITS, np.repeat(ROW_WEIGHTS[:, None], C, axis=1))
    np.testing.assert_allclose(to_float64(in_a_row), to_float64(binary()(LABELS, LOGITS, ROW_WEIGHTS)), rtol=1e-5)


def test_weights_of_labels_beside_ignored_labels():
    kept = rng.random((40, C)) < 0.7
    kept[0] = False
    marked = np.where(kept, LABELS, -1.0)
    rows = (LABEL_WEIGHTS * ELEMENTS * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    counted = kept.any(axis=1)
    found = to_float64(binary(ignore_class=-1)(marked, LOGITS, LABEL_WEIGHTS))
    np.testing.assert_allclose(found, rows.sum() / counted.sum(), rtol=1e-5)
    assert not np.isclose(found, rows.mean(), rtol=1e-3)


@pytest.mark.parametrize("axis", [-1, 1])
def test_weights_of_labels_of_masks_train_like_those_of_rows(axis):
    """Positions `(N, 2, 5)`; weights have the channels where the labels have them."""
    logits, labels, weights = (np.moveaxis(x.reshape(4, 2, 5, C), -1, axis) for x in (LOGITS, LABELS, LABEL_WEIGHTS))
    found = to_float64(binary(axis=axis)(labels, logits, weights))
    np.testing.assert_allclose(found, (LABEL_WEIGHTS * ELEMENTS).mean(), rtol=1e-5)


def test_weights_of_labels_in_fit():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((C,)), keras.layers.Dense(C, kernel_initializer="identity")])
    model.compile(keras.optimizers.SGD(0.0), binary())
    history = model.fit(LOGITS, LABELS, sample_weight=LABEL_WEIGHTS, batch_size=40, verbose=0).history
    np.testing.assert_allclose(history["loss"], [(LABEL_WEIGHTS * ELEMENTS).mean()], rtol=1e-5)


POS_WEIGHT = np.array([1.0, 5.0, 0.5, 20.0])
PAIRS = [[50, 50]] * C
MULTI_LABEL = {
    "focal": lambda **kw: FocalLoss(0, from_logits=True, multi_label=True, **kw),
    "asymmetric": lambda **kw: AsymmetricLoss(0, gamma_negative=0, clip=0, from_logits=True, **kw),
    "balanced": lambda **kw: ClassBalancedLoss(PAIRS, from_logits=True, multi_label=True, **kw),
    "adjusted": lambda **kw: LogitAdjustedLoss(PAIRS, from_logits=True, multi_label=True, **kw),
    "ldam": lambda **kw: LDAMLoss(PAIRS, max_margin=0, scale=1, multi_label=True, **kw),
    "cost": lambda **kw: CostMatrixLoss(
        np.zeros((2, 2)), formulation="softmax_margin", from_logits=True, multi_label=True, **kw
    ),
    "balanced focal": lambda **kw: ClassBalancedLoss(
        PAIRS, loss=FocalLoss(0, from_logits=True, multi_label=True, reduction=None, **kw)
    ),
}


@pytest.mark.parametrize("name", MULTI_LABEL)
def test_pos_weight_is_that_of_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    for given in (POS_WEIGHT, 3.0):
        z = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
        theirs = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(np.broadcast_to(given, C).copy()))
        expected = theirs(z, torch.tensor(LABELS, dtype=torch.float64))
        expected.backward()
        value, gradient = loss_and_gradient(MULTI_LABEL[name](pos_weight=given), LABELS, LOGITS)
        np.testing.assert_allclose(value, expected.item(), rtol=1e-5)
        np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-4, atol=1e-8)


def test_pos_weight_of_one_channel_and_of_soft_labels():
    soft = rng.random((40, 1)).astype("float32")
    z = LOGITS[:, :1].astype(float)
    expected = (3 * soft * np.logaddexp(0, -z) + (1 - soft) * np.logaddexp(0, z)).mean()
    loss = FocalLoss(0, from_logits=True, pos_weight=3.0)
    np.testing.assert_allclose(to_float64(loss(soft, LOGITS[:, :1])), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("build", "labels", "message"),
    [
        (lambda: FocalLoss(from_logits=True, pos_weight=2.0), IDS, "`pos_weight` must be None for a softmax"),
        (lambda: binary(pos_weight=[1.0, 2.0]), LABELS, "`pos_weight` must be one number or hold 4"),
        (lambda: binary(pos_weight=-1.0), LABELS, "`pos_weight` must hold finite weights"),
        (lambda: binary(pos_weight="balanced"), LABELS, "`pos_weight`"),
        (
            lambda: ClassBalancedLoss(PAIRS, loss=FocalLoss(multi_label=True, reduction=None), pos_weight=2.0),
            LABELS,
            "`pos_weight` must be given to the wrapped loss",
        ),
    ],
)
def test_a_pos_weight_that_does_not_suit_is_an_error(build, labels, message):
    with pytest.raises(ValueError, match=message):
        build()(labels, LOGITS)
