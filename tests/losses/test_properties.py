"""What the formulas of the losses imply, and what Keras's own losses say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kerases import IS_TF_KERAS, examples
from loss_gradients import keeps_logits_in_fit, loss_and_gradient, to_float64

from keras_imbalance import (
    AsymmetricLoss,
    ClassBalancedLoss,
    CostMatrixLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    WeightedSum,
    class_weights,
    target_distribution,
)
from keras_imbalance._keras import keras

C = 5
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(scale=4, size=(64, C)).astype("float32")
LABELS = RNG.integers(0, C, 64)
ONE_HOT = np.eye(C, dtype="float32")[LABELS]
SOFT = RNG.dirichlet(np.ones(C), 64).astype("float32")
COUNTS = [500, 200, 100, 40, 7]
PAIRS = [[90, 10], [80, 20], [70, 30], [50, 50], [99, 1]]
COSTS = RNG.uniform(0.1, 5, (C, C)) * (1 - np.eye(C))
seeds = st.integers(0, 2**32 - 1)


def same(loss, other, y_true, y_pred, tolerance=1e-5):
    values, gradients = loss_and_gradient(loss, y_true, y_pred)
    expected, expected_gradients = loss_and_gradient(other, y_true, y_pred)
    np.testing.assert_allclose(values, expected, rtol=tolerance, atol=1e-6)
    np.testing.assert_allclose(gradients, expected_gradients, rtol=tolerance, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        FocalLoss(gamma=0, from_logits=True),
        LogitAdjustedLoss(COUNTS, output_prior=COUNTS, from_logits=True),
        LogitAdjustedLoss(np.ones(C), from_logits=True),
        LDAMLoss(COUNTS, max_margin=0, scale=1),
        CostMatrixLoss(COSTS, formulation="regularized", weight=0, from_logits=True),
        CostMatrixLoss(np.zeros((C, C)), formulation="softmax_margin", from_logits=True),
        ClassBalancedLoss(np.full(C, 8), scheme="balanced", from_logits=True),
    ],
    ids=["gamma=0", "prior of the data", "even counts", "max_margin=0", "weight=0", "no costs", "even weights"],
)
def test_the_limit_is_cross_entropy_of_keras(loss):
    same(loss, keras.losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, LOGITS)
    for labels in (ONE_HOT, SOFT):
        same(loss, keras.losses.CategoricalCrossentropy(from_logits=True), labels, LOGITS)


def test_label_smoothing_equals_that_of_keras():
    ours = FocalLoss(0, from_logits=True, label_smoothing=0.2)
    same(ours, keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2), ONE_HOT, LOGITS)
    binary = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)
    ours = FocalLoss(0, from_logits=True, label_smoothing=0.2, multi_label=True)
    same(ours, binary, ONE_HOT, LOGITS)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("one_hot", [False, True])
def test_smoothing_of_the_regularized_cost_is_of_the_cross_entropy_alone(one_hot, multi_label):
    costs = [[0, 1], [5, 0]] if multi_label else COSTS
    options = {"from_logits": True, "multi_label": multi_label}
    parts = [
        FocalLoss(0, label_smoothing=0.2, **options),
        CostMatrixLoss(costs, formulation="expected_cost", **options),
    ]
    whole = CostMatrixLoss(costs, formulation="regularized", weight=0.5, label_smoothing=0.2, **options)
    labels = ONE_HOT if one_hot or multi_label else LABELS
    same(whole, WeightedSum(parts, weights=[1.0, 0.5]), labels, LOGITS)


def test_binary_gamma_0_is_binary_cross_entropy_of_keras():
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    same(FocalLoss(0, from_logits=True, multi_label=True), binary, SOFT, LOGITS)
    same(AsymmetricLoss(0, gamma_negative=0, clip=0, from_logits=True), binary, SOFT, LOGITS)
    same(LDAMLoss([5, 5], max_margin=0, scale=1), binary, ONE_HOT[:, :1], LOGITS[:, :1])


def test_focal_equals_that_of_keras_where_keras_is_right():
    small = LOGITS / 4  # Keras clips probabilities at 1e-7
    ours = FocalLoss(2, from_logits=True)
    same(ours, keras.losses.CategoricalFocalCrossentropy(alpha=1, gamma=2, from_logits=True), ONE_HOT, small, 1e-3)
    ours = FocalLoss(2, alpha=0.25, from_logits=True)
    theirs = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, gamma=2, from_logits=True)
    same(ours, theirs, ONE_HOT[:, :1], small[:, :1], 1e-3)


@pytest.mark.parametrize(
    ("softmax", "sigmoid"),
    [
        (FocalLoss(2, alpha=[0.75, 0.25], from_logits=True), FocalLoss(2, alpha=0.25, from_logits=True)),
        (ClassBalancedLoss([90, 10], from_logits=True),) * 2,
        (CostMatrixLoss([[0, 1], [5, 0]], from_logits=True),) * 2,
        (CostMatrixLoss([[0, 1], [5, 0]], formulation="regularized", from_logits=True),) * 2,
        (CostMatrixLoss([[0, 1], [5, 0]], formulation="softmax_margin", from_logits=True),) * 2,
        (LogitAdjustedLoss([90, 10], from_logits=True),) * 2,
        (LDAMLoss([90, 10], scale=2, class_weights=[1, 4]),) * 2,
    ],
    ids=lambda loss: loss.name,
)
def test_two_softmax_channels_equal_the_sigmoid_of_their_difference(softmax, sigmoid):
    pair, labels = LOGITS[:, :2], LABELS % 2
    values, gradients = loss_and_gradient(softmax, labels, pair)
    difference = pair[:, 1:] - pair[:, :1]
    expected, expected_gradients = loss_and_gradient(sigmoid, labels.astype("float32"), difference)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    np.testing.assert_allclose(gradients[:, 1:], expected_gradients, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(gradients[:, :1], -expected_gradients, rtol=1e-4, atol=1e-7)


def test_costs_of_0_and_1_give_the_probability_of_an_error():
    p = np.exp(LOGITS.astype("float64"))
    p /= p.sum(axis=1, keepdims=True)
    loss = CostMatrixLoss(1 - np.eye(C), from_logits=True, reduction=None)
    np.testing.assert_allclose(to_float64(loss(LABELS, LOGITS)), 1 - p[np.arange(64), LABELS], rtol=1e-5)


@pytest.mark.parametrize("formulation", ["expected_cost", "regularized", "softmax_margin"])
@pytest.mark.parametrize("labels", [LABELS, ONE_HOT], ids=["ids", "one_hot"])
def test_a_constant_in_a_row_of_costs_shifts_the_loss_and_no_gradient(formulation, labels):
    shifted = COSTS + np.arange(C)[:, None]
    one = CostMatrixLoss(COSTS, formulation=formulation, from_logits=True, reduction=None)
    other = CostMatrixLoss(shifted, formulation=formulation, from_logits=True, reduction=None)
    values, gradients = loss_and_gradient(one, labels, LOGITS)
    moved, moved_gradients = loss_and_gradient(other, labels, LOGITS)
    np.testing.assert_allclose(moved, values + LABELS, rtol=1e-5)
    np.testing.assert_allclose(moved_gradients, gradients, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("formulation", ["expected_cost", "regularized", "softmax_margin"])
def test_costs_are_read_as_true_then_predicted(formulation):
    costs = np.zeros((C, C))
    costs[1, 3] = 7.0  # a row of class 1 taken for class 3
    loss = CostMatrixLoss(costs, formulation=formulation, from_logits=True)
    transposed = CostMatrixLoss(costs.T, formulation=formulation, from_logits=True)
    sure_of_3 = np.eye(C, dtype="float32")[[3]] * 30
    cost = 30 * (formulation == "regularized") + 7.0 if formulation != "softmax_margin" else 37.0
    np.testing.assert_allclose(float(loss(np.array([1]), sure_of_3)), cost, rtol=1e-5)
    assert abs(float(transposed(np.array([1]), sure_of_3)) - cost) > 1


@settings(max_examples=examples(60))
@given(seeds)
def test_softmax_margin_bounds_the_cost_of_the_decision(seed):
    rng = np.random.default_rng(seed)
    costs = rng.uniform(0, 20, (C, C)) * (1 - np.eye(C))
    logits = rng.normal(scale=rng.uniform(0.1, 20), size=(50, C)).astype("float32")
    labels = rng.integers(0, C, 50)
    loss = CostMatrixLoss(costs, formulation="softmax_margin", from_logits=True, reduction=None)
    assert (to_float64(loss(labels, logits)) >= costs[labels, logits.argmax(axis=1)] * (1 - 1e-5)).all()


@settings(max_examples=examples(30))
@given(seeds)
def test_permuting_the_classes_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(C)
    counts = rng.integers(1, 1000, C)
    costs = rng.uniform(0, 5, (C, C))
    for build in (
        lambda i: FocalLoss(2, alpha=counts[i], from_logits=True),
        lambda i: ClassBalancedLoss(counts[i], from_logits=True),
        lambda i: CostMatrixLoss(costs[np.ix_(i, i)], formulation="regularized", from_logits=True),
        lambda i: LogitAdjustedLoss(counts[i], from_logits=True),
        lambda i: LDAMLoss(counts[i], scale=3),
    ):
        plain = float(build(np.arange(C))(LABELS, LOGITS))
        permuted = float(build(order)(np.argsort(order)[LABELS], LOGITS[:, order]))
        np.testing.assert_allclose(permuted, plain, rtol=1e-4)


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 1.0, 1.5])
def test_outputs_speak_for_the_shares_that_were_asked_for(q):
    """Cross-entropy of z + tau log prior with Menon's tau = 1 - q; a shift of every logit changes nothing."""
    shifted = LOGITS + (1 - q) * np.log(np.array(COUNTS) / np.sum(COUNTS)).astype("float32")
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    shares = target_distribution(COUNTS, q)
    for prior in (shares, 100 * shares, dict(enumerate(shares))):
        loss = LogitAdjustedLoss(COUNTS, output_prior=prior, from_logits=True)
        np.testing.assert_allclose(float(loss(LABELS, LOGITS)), float(plain(LABELS, shifted)), rtol=1e-5)
        np.testing.assert_allclose(loss.output_prior, shares, rtol=1e-12)
    if q == 0:
        same(LogitAdjustedLoss(COUNTS, from_logits=True), loss, LABELS, LOGITS)


def test_each_label_of_several_has_its_own_output_prior():
    rare = [[99, 1], [5, 5], [3, 1], [1, 3], [1, 1]]
    loss = LogitAdjustedLoss(PAIRS, output_prior=rare, from_logits=True, multi_label=True)
    odds = np.log([pair[1] / pair[0] for pair in PAIRS]) - np.log([pair[1] / pair[0] for pair in rare])
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    expected = float(binary(ONE_HOT, LOGITS + odds.astype("float32")))
    np.testing.assert_allclose(float(loss(ONE_HOT, LOGITS)), expected, rtol=1e-5)
    for one in ([3, 1], [0.75, 0.25], {0: 3, 1: 1}):
        alike = LogitAdjustedLoss(PAIRS, output_prior=one, from_logits=True, multi_label=True)
        same(
            alike,
            LogitAdjustedLoss(PAIRS, output_prior=[[3, 1]] * C, from_logits=True, multi_label=True),
            ONE_HOT,
            LOGITS,
        )
        np.testing.assert_array_equal(alike.output_prior, [[0.75, 0.25]] * C)


def test_a_bare_number_as_output_prior_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"`output_prior`.*target_distribution\(class_counts, q\)"):
        LogitAdjustedLoss(COUNTS, output_prior=0.5)


def test_arguments_after_the_first_are_named():
    for build in (FocalLoss, AsymmetricLoss, ClassBalancedLoss, CostMatrixLoss, LogitAdjustedLoss, LDAMLoss):
        with pytest.raises(TypeError, match="positional"):
            build([5, 5], 1.0)


def test_weights_stand_outside_the_focal_modulator():
    weighted = ClassBalancedLoss(COUNTS, loss=FocalLoss(2, from_logits=True, reduction=None), reduction=None)
    plain = FocalLoss(2, from_logits=True, reduction=None)
    expected = class_weights(COUNTS, scheme="balanced")[LABELS] * to_float64(plain(LABELS, LOGITS))
    for labels in (LABELS, ONE_HOT):
        np.testing.assert_allclose(to_float64(weighted(labels, LOGITS)), expected, rtol=1e-5)


def test_alpha_and_class_weights_multiply():
    alpha = np.array([1, 2, 3, 4, 5.0])
    both = ClassBalancedLoss(COUNTS, loss=FocalLoss(2, alpha=alpha, from_logits=True, reduction=None), reduction=None)
    plain = FocalLoss(2, from_logits=True, reduction=None)
    expected = (class_weights(COUNTS, scheme="balanced") * alpha)[LABELS] * to_float64(plain(LABELS, LOGITS))
    np.testing.assert_allclose(to_float64(both(LABELS, LOGITS)), expected, rtol=1e-5)


KERAS_LOSSES = [
    (keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none"), LABELS),
    (keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none"), LABELS[:, None]),
    (keras.losses.CategoricalCrossentropy(from_logits=True, reduction="none"), ONE_HOT),
    (keras.losses.CategoricalFocalCrossentropy(from_logits=True, reduction="none"), ONE_HOT),
    (keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction="none"), ONE_HOT),
    (keras.losses.KLDivergence(reduction="none"), ONE_HOT),
]


@pytest.mark.parametrize(("inner", "labels"), KERAS_LOSSES, ids=lambda value: getattr(value, "name", None))
def test_a_keras_loss_is_weighted_by_the_true_class(inner, labels):
    y_pred = SOFT if isinstance(inner, keras.losses.KLDivergence) else LOGITS
    loss = ClassBalancedLoss(COUNTS, scheme="sqrt", loss=inner, reduction="sum")
    weights = class_weights(COUNTS, scheme="sqrt")[LABELS]
    expected = (weights * to_float64(inner(labels, y_pred))).sum()
    np.testing.assert_allclose(to_float64(loss(labels, y_pred)), expected, rtol=1e-5)


def test_a_keras_loss_over_sigmoids_is_weighted_element_by_element():
    inner = keras.losses.BinaryCrossentropy(from_logits=True, reduction="none")
    pairs = np.stack([np.arange(1, C + 1), np.arange(C, 0, -1)], axis=1)
    ours = ClassBalancedLoss(pairs, from_logits=True, multi_label=True)
    same(ClassBalancedLoss(pairs, loss=inner, multi_label=True), ours, ONE_HOT, LOGITS)
    weights = np.array([class_weights(pair, scheme="balanced") for pair in pairs])
    wide = LOGITS.astype("float64")
    terms = np.where(ONE_HOT == 1, weights[:, 1] * np.log1p(np.exp(-wide)), weights[:, 0] * np.log1p(np.exp(wide)))
    np.testing.assert_allclose(float(ours(ONE_HOT, LOGITS)), terms.mean(), rtol=1e-5)
    same(
        ClassBalancedLoss([3, 1], loss=inner),
        ClassBalancedLoss([3, 1], from_logits=True),
        ONE_HOT[:, :1],
        LOGITS[:, :1],
    )


@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", "mean", "mean_with_sample_weight"])
def test_a_loss_that_reduces_is_refused_with_the_remedy(reduction):
    builders = [FocalLoss] + [keras.losses.CategoricalCrossentropy] * (not IS_TF_KERAS or reduction.startswith("sum"))
    for inner in (build(reduction=reduction) for build in builders):
        with pytest.raises(ValueError, match="reduction=None"):
            ClassBalancedLoss(COUNTS, loss=inner)


def test_arguments_of_the_wrapped_loss_are_refused_outside_it():
    for argument in ({"from_logits": True}, {"label_smoothing": 0.1}):
        with pytest.raises(ValueError, match=f"`{next(iter(argument))}` must be given to the wrapped loss"):
            ClassBalancedLoss(COUNTS, loss=FocalLoss(reduction=None), **argument)


def test_several_outputs_have_their_own_weights_in_one_compile():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((C,))
    outputs = {"a": keras.layers.Dense(C, name="a")(inputs), "b": keras.layers.Dense(1, name="b")(inputs)}
    model = keras.Model(inputs, outputs)
    losses = {"a": ClassBalancedLoss(COUNTS, from_logits=True), "b": ClassBalancedLoss([9, 1], from_logits=True)}
    model.compile("sgd", loss=losses)
    y = {"a": LABELS, "b": (LABELS == 0).astype("float32")}
    weights = np.linspace(0.5, 2, 64)
    logs = model.evaluate(LOGITS, y, sample_weight=weights, batch_size=64, verbose=0, return_dict=True)
    predicted = model.predict(LOGITS, verbose=0)
    parts = [float(losses[k](y[k], predicted[k], weights)) for k in ("a", "b")]
    np.testing.assert_allclose(logs["loss"], sum(parts), rtol=1e-5)
    model.fit(LOGITS, y, sample_weight=weights, epochs=1, verbose=0)


def test_keras_class_weight_refuses_several_outputs_still():
    inputs = keras.Input((C,))
    model = keras.Model(inputs, [keras.layers.Dense(C)(inputs), keras.layers.Dense(C)(inputs)])
    model.compile("sgd", loss=[keras.losses.SparseCategoricalCrossentropy(from_logits=True)] * 2)
    with pytest.raises(ValueError, match="class_weight"):
        model.fit(LOGITS, [LABELS, LABELS], class_weight={0: 2.0}, verbose=0)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_logits_that_keras_keeps_are_used_instead_of_probabilities(activation):
    # A margin of 40 leaves a float32 probability of exactly 1, and nothing to learn from when it is wrong.
    units = C if activation == "softmax" else 1
    kernel = np.zeros((1, units), "float32")
    kernel[0, 0] = 40.0
    x, y = np.ones((4, 1), "float32"), np.full(4, 1) if activation == "softmax" else np.zeros((4, 1), "float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(units, activation=activation, use_bias=False)])
    model.layers[0].set_weights([kernel])
    model.compile(keras.optimizers.SGD(1.0), loss=FocalLoss(0))
    # A softmax says e^-40 of the true class. A sigmoid says 1, where Keras cannot keep its logit.
    known = activation == "softmax" or keeps_logits_in_fit()
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), 40.0 if known else 25 * np.log(2), rtol=1e-3)
    model.fit(x, y, epochs=1, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0][0, 0], 39.0 if known else 40.0, rtol=1e-3)


def test_probabilities_give_what_their_logits_give_where_float32_holds_them():
    p = np.exp(LOGITS / 2) / np.exp(LOGITS / 2).sum(axis=1, keepdims=True)
    for labels in (LABELS, ONE_HOT, SOFT):
        expected = float(FocalLoss(2, from_logits=True)(labels, LOGITS / 2))
        np.testing.assert_allclose(float(FocalLoss(2)(labels, p)), expected, rtol=1e-4)
    sigmoid = 1 / (1 + np.exp(-LOGITS / 2))
    expected = float(FocalLoss(2, from_logits=True, multi_label=True)(ONE_HOT, LOGITS / 2))
    np.testing.assert_allclose(float(FocalLoss(2, multi_label=True)(ONE_HOT, sigmoid)), expected, rtol=1e-4)


def test_certain_probabilities_give_finite_losses():
    certain = np.eye(C, dtype="float32")
    for labels in (np.arange(C), (np.arange(C) + 1) % C):
        for loss in (FocalLoss(2), FocalLoss(0.5), CostMatrixLoss(COSTS), LogitAdjustedLoss(COUNTS)):
            values, gradients = loss_and_gradient(loss, labels, certain)
            assert np.isfinite(values).all()
            assert np.isfinite(gradients).all()


def test_ldam_needs_logits():
    with pytest.raises(ValueError, match="from_logits"):
        LDAMLoss(COUNTS, from_logits=False)


@pytest.mark.parametrize(
    ("build", "argument"),
    [
        (lambda: FocalLoss(gamma=-1), "gamma"),
        (lambda: FocalLoss(gamma=float("nan")), "gamma"),
        (lambda: FocalLoss(alpha=-0.1), "alpha"),
        (lambda: FocalLoss(alpha=1.5), "alpha"),
        (lambda: FocalLoss(alpha=["a"]), "alpha"),
        (lambda: FocalLoss(alpha=[1.0, 2.0])(LABELS, LOGITS), "alpha"),
        (lambda: FocalLoss(label_smoothing=2), "label_smoothing"),
        (lambda: FocalLoss(ignore_class=1.5), "ignore_class"),
        (lambda: FocalLoss(axis=3)(LABELS, LOGITS), "axis"),
        (lambda: ClassBalancedLoss([1, 0]), "class_counts"),
        (lambda: ClassBalancedLoss([1, 2])(LABELS, LOGITS), "class_counts"),
        (lambda: ClassBalancedLoss([1, 2], multi_label=True), "class_counts"),
        (lambda: ClassBalancedLoss([1, 2], scheme="no"), "scheme"),
        (lambda: ClassBalancedLoss([1, 2], scheme="effective_number", beta=1), "beta"),
        (lambda: ClassBalancedLoss([1, 2], loss="mse"), "loss"),
        (lambda: CostMatrixLoss(np.zeros((2, 3))), "cost_matrix"),
        (lambda: CostMatrixLoss([[0, -1], [1, 0]]), "cost_matrix"),
        (lambda: CostMatrixLoss([[0, np.inf], [1, 0]]), "cost_matrix"),
        (lambda: CostMatrixLoss(np.eye(2))(LABELS, LOGITS), "cost_matrix"),
        (lambda: CostMatrixLoss(np.eye(2), formulation="no"), "formulation"),
        (lambda: CostMatrixLoss(np.eye(2), weight=-1), "weight"),
        (lambda: LogitAdjustedLoss([1, -1]), "class_counts"),
        *[
            (lambda p=p: LogitAdjustedLoss([1, 1], output_prior=p), "output_prior")
            for p in (0.5, 1, "natural", [1, 0], [1, 1, 1], [1, float("inf")], {0: 1}, {0: 1, 2: 1}, None)
        ],
        (lambda: LogitAdjustedLoss(PAIRS, output_prior=PAIRS[:2], multi_label=True), "output_prior"),
        (lambda: FocalLoss(from_logits="False"), "from_logits"),
        (lambda: FocalLoss(multi_label=1), "multi_label"),
        (lambda: FocalLoss(reduction="average"), "reduction"),
        (lambda: FocalLoss(alpha=[[1.0, 2.0]]), "alpha"),
        (lambda: FocalLoss(alpha=[])(LABELS, LOGITS), "alpha"),
        (lambda: FocalLoss(alpha=[0.1, 2.0, 0.1, 0.1, 0.1], multi_label=True)(ONE_HOT, LOGITS), "alpha"),
        (lambda: LDAMLoss([1, 1], class_weights=[1, -1]), "class_weights"),
        (lambda: LogitAdjustedLoss([1, 1])(LABELS, LOGITS), "class_counts"),
        (lambda: LDAMLoss([1, float("nan")]), "class_counts"),
        (lambda: LDAMLoss([1, 1], max_margin=-1), "max_margin"),
        (lambda: LDAMLoss([1, 1], scale=0), "scale"),
        (lambda: LDAMLoss([1, 1], class_weights=[1, 2, 3]), "class_weights"),
        (lambda: AsymmetricLoss(gamma_negative=-1), "gamma_negative"),
        (lambda: AsymmetricLoss(clip=1), "clip"),
        (lambda: AsymmetricLoss(multi_label=False), "multi_label"),
        (lambda: FocalLoss()(LABELS, LOGITS, np.ones((64, 3))), "sample_weight"),
        (lambda: FocalLoss()(LABELS[:9], LOGITS), "y_true"),
        (lambda: FocalLoss()(SOFT * 2, LOGITS), "y_true"),
        (lambda: FocalLoss()(LABELS + 0.5, LOGITS), "y_true"),
        (lambda: FocalLoss()(LABELS + 1, LOGITS[:, :1]), "y_true"),
    ],
)
def test_bad_input_raises_and_names_the_argument(build, argument):
    with pytest.raises(ValueError, match=f"`{argument}`"):
        build()
