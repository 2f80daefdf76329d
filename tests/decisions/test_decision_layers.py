"""Layers that decide, against the NumPy functions that they stand for."""

import json

import numpy as np
import pytest

from keras_imbalance import MinimumCostDecision, PriorCorrection, correct_prior, minimum_cost_decision
from keras_imbalance._keras import keras, ops

NAN = float("nan")
TRAIN, TRUE = [0.4, 0.3, 0.3], [0.9, 0.07, 0.03]
COSTS = [[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [25.0, 30.0, 0.0]]


def softmaxes(shape=(200,), num_classes=3, seed=0):
    logits = 4 * np.random.default_rng(seed).normal(size=(*shape, num_classes)).astype("float32")
    return logits, ops.convert_to_numpy(ops.softmax(logits))


def test_corrected_probabilities_are_those_of_the_function():
    logits, p = softmaxes((50, 4))
    layer = PriorCorrection(TRAIN, TRUE)
    expected = correct_prior(p, TRAIN, TRUE)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(p)), expected, rtol=1e-5)
    shifted = PriorCorrection(TRAIN, TRUE, from_logits=True)(logits)
    np.testing.assert_allclose(ops.convert_to_numpy(ops.softmax(shifted)), expected, rtol=1e-4, atol=1e-9)


def test_one_sigmoid_is_corrected_as_the_function_does():
    logits = np.linspace(-30, 30, 121, dtype="float32")[:, None]
    p = ops.convert_to_numpy(ops.sigmoid(logits))
    for train, true in (("balanced", [0.99, 0.01]), ([99, 1], "balanced")):
        expected = correct_prior(p, train, true)
        np.testing.assert_allclose(ops.convert_to_numpy(PriorCorrection(train, true)(p)), expected, rtol=1e-5)
        shifted = ops.convert_to_numpy(PriorCorrection(train, true, from_logits=True)(logits)).astype("float64")
        np.testing.assert_allclose(
            1 / (1 + np.exp(-shifted)), correct_prior(1 / (1 + np.exp(-logits.astype(float))), train, true), rtol=1e-5
        )


def test_classes_may_go_by_name_and_are_saved_as_shares():
    layer = PriorCorrection({"b": 1, "a": 1}, {"a": 9, "b": 1}, class_names=["a", "b"])
    p = np.array([[0.3, 0.7]], "float32")
    again = PriorCorrection.from_config(json.loads(json.dumps(layer.get_config())))
    for one in (layer, again):
        np.testing.assert_allclose(ops.convert_to_numpy(one(p)), correct_prior(p, [1, 1], [9, 1]), rtol=1e-5)


@pytest.mark.parametrize("per_label", [False, True])
def test_several_labels_are_corrected_one_by_one(per_label, tmp_path):
    """Each as one sigmoid by itself, by the function of one sigmoid; never as a softmax."""
    logits = 4 * np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    p = 1 / (1 + np.exp(-logits.astype(float)))
    train = [[0.9, 0.1], [0.5, 0.5], [98, 2]] if per_label else "balanced"
    true = [0.97, 0.03]
    expected = np.stack([correct_prior(p[:, j], train[j] if per_label else train, true) for j in range(3)], axis=1)
    np.testing.assert_allclose(correct_prior(p, train, true, multi_label=True), expected, rtol=1e-12)
    layer = PriorCorrection(train, true, multi_label=True)
    model = keras.Sequential([keras.Input((3,)), layer])
    np.testing.assert_allclose(model.predict(p, verbose=0), expected, rtol=1e-5)
    shifted = PriorCorrection(train, true, multi_label=True, from_logits=True)(logits)
    np.testing.assert_allclose(1 / (1 + np.exp(-ops.convert_to_numpy(shifted).astype(float))), expected, rtol=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(p, verbose=0), model.predict(p, verbose=0))


@pytest.mark.parametrize(
    ("train", "true", "channels", "message"),
    [
        ([[0.5, 0.5]] * 3, [0.9, 0.1], 2, "`train_prior` must be for as many labels"),
        ([[0.5, 0.5]] * 3, [[0.9, 0.1]] * 2, 3, "`true_prior` must be for 3 labels"),
        ([0.2, 0.3, 0.5], "balanced", 3, "`train_prior` must be 'balanced' or hold 2"),
        ("balanced", 0.1, 3, "`true_prior` must be 'balanced' or one share"),
        ("balanced", [[0.9, 0.1, 0.2]] * 3, 3, "`true_prior` must be 'balanced' or hold 2"),
    ],
)
def test_priors_of_labels_are_checked(train, true, channels, message):
    with pytest.raises(ValueError, match=message):
        PriorCorrection(train, true, multi_label=True)(np.full((2, channels), 0.5, "float32"))


def test_sure_probabilities_stay_sure_under_any_prior():
    p = np.eye(3, dtype="float32")
    extreme = PriorCorrection([1e-60, 1, 1], [1, 1e-60, 1])
    np.testing.assert_array_equal(ops.convert_to_numpy(extreme(p)), p)
    one = ops.convert_to_numpy(PriorCorrection([1, 1e-60], "balanced")(np.array([[0.0], [1.0]], "float32")))
    np.testing.assert_array_equal(one, [[0], [1]])


def test_decisions_are_those_of_the_function():
    logits, p = softmaxes((50, 4))
    layer = MinimumCostDecision(COSTS)
    decisions = ops.convert_to_numpy(layer(p))
    np.testing.assert_array_equal(decisions, minimum_cost_decision(p, COSTS))
    np.testing.assert_array_equal(ops.convert_to_numpy(MinimumCostDecision(COSTS, from_logits=True)(logits)), decisions)
    assert decisions.dtype == np.int32
    assert set(decisions.ravel()) == {0, 1, 2}
    assert layer.compute_output_shape((50, 4, 3)) == decisions.shape
    one_channel = p[..., :1]
    pair = [[0, 1], [7, 0]]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(MinimumCostDecision(pair)(one_channel)), minimum_cost_decision(one_channel, pair)
    )
    sigmoids = ops.convert_to_numpy(ops.sigmoid(logits[..., :1]))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(MinimumCostDecision(pair, from_logits=True)(logits[..., :1])),
        minimum_cost_decision(sigmoids, pair),
    )


def test_costs_of_0_and_1_give_the_first_of_the_likeliest():
    p = np.array([[0.3, 0.1, 0.3, 0.3], [0.1, 0.4, 0.4, 0.1], [0.25] * 4, [0, 0, 0.5, 0.5]], "float32")
    decisions = MinimumCostDecision((1 - np.eye(4)).tolist())(p)
    np.testing.assert_array_equal(ops.convert_to_numpy(decisions), [0, 1, 0, 2])


def test_a_row_with_nan_is_no_class():
    p = np.array([[0.2, NAN, 0.3], [0.2, 0.5, 0.3]], "float32")
    assert ops.convert_to_numpy(MinimumCostDecision(COSTS)(p)).tolist() == [-1, 2]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_no_policy_rounds_the_probabilities(policy):
    p = np.array([[1e-6, 1 - 1e-6], [3e-5, 1 - 3e-5]]).astype("float32")
    corrected = ops.convert_to_numpy(PriorCorrection([1, 99], [99, 1], dtype=policy)(p))
    widest = ops.convert_to_numpy(ops.ones((), "float64")).dtype  # JAX has float64 only where it is switched on
    assert corrected.dtype == (widest if policy == "float64" else "float32")
    np.testing.assert_allclose(corrected, correct_prior(p, [1, 99], [99, 1]), rtol=1e-5)
    near = MinimumCostDecision([[0, 1.0], [1e-5, 0]], dtype=policy)(p)
    assert ops.convert_to_numpy(near).tolist() == [1, 0]


def trained(channels, activation):
    """A model that gives its input's activation; a stand-in for one that was trained on balanced batches."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(channels, activation=activation)])


@pytest.mark.parametrize(
    ("channels", "activation", "train", "true", "costs"),
    [(3, "softmax", TRAIN, TRUE, COSTS), (1, "sigmoid", "balanced", [0.8, 0.2], [[0, 1], [9, 0]])],
)
def test_one_file_holds_the_model_and_its_decision(channels, activation, train, true, costs, tmp_path):
    base = trained(channels, activation)
    model = keras.Sequential([base, PriorCorrection(train, true), MinimumCostDecision(costs)])
    x = np.random.default_rng(1).normal(size=(300, 4)).astype("float32")
    decisions = model.predict(x, verbose=0)
    corrected = correct_prior(base.predict(x, verbose=0), train, true)
    np.testing.assert_array_equal(decisions, minimum_cost_decision(corrected, costs))
    assert len(set(decisions)) == len(costs)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), decisions)
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    assert again.layers[-2].get_config() == model.layers[-2].get_config()
    assert tuple(again.output_shape) == (None,)


def test_arrays_are_stored_as_lists_that_json_knows():
    layer = PriorCorrection(np.array([3, 1]), {np.int64(1): np.float64(0.1), 0: 0.9})
    config = json.loads(json.dumps(layer.get_config()))
    assert (config["train_prior"], config["true_prior"]) == ([3, 1], [0.9, 0.1])
    again = PriorCorrection.from_config(config)
    p = np.array([[0.3], [0.8]], "float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(again(p)), ops.convert_to_numpy(layer(p)))
    assert PriorCorrection("balanced", [1, 2, 3]).get_config()["train_prior"] == "balanced"
    assert MinimumCostDecision(np.eye(2)).get_config()["cost_matrix"] == [[1.0, 0.0], [0.0, 1.0]]


def test_what_lies_below_a_correction_trains_on_through_it():
    base = trained(3, "softmax")
    model = keras.Sequential([base, PriorCorrection(TRAIN, TRUE)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = base.get_weights()[0]
    model.fit(np.ones((6, 4), "float32"), np.arange(6) % 3, verbose=0)
    assert np.isfinite(base.get_weights()[0]).all()
    assert (base.get_weights()[0] != before).any()


@pytest.mark.parametrize(
    "prior", [0.0, 1.0, NAN, [0.5, 0.5, 0.0], [1, NAN], "natural", None, [1], 1, {1: 0.5}, [[1, 1]]]
)
def test_priors_are_checked(prior):
    with pytest.raises(ValueError, match="`train_prior`"):
        PriorCorrection(prior, [0.5, 0.5])
    with pytest.raises(ValueError, match="`true_prior`"):
        PriorCorrection([0.5, 0.5], prior)


@pytest.mark.parametrize("number", [0.01, 0.5, 1, np.float32(0.5)])
def test_a_bare_number_is_refused_with_the_remedy(number):
    for argument, given in (("train_prior", (number, [0.5, 0.5])), ("true_prior", ("balanced", number))):
        with pytest.raises(ValueError, match=rf"`{argument}`.*\[1 - p, p\]"):
            PriorCorrection(*given)


def test_equal_shares_twice_leave_the_count_of_classes_open():
    with pytest.raises(ValueError, match="`train_prior` must hold shares"):
        PriorCorrection("balanced", "balanced")


@pytest.mark.parametrize("flag", ["False", 1, None])
def test_flags_are_true_or_false(flag):
    for build in (
        lambda: PriorCorrection([1, 2], [2, 1], from_logits=flag),
        lambda: MinimumCostDecision(COSTS, from_logits=flag),
    ):
        with pytest.raises(ValueError, match="`from_logits` must be True or False"):
            build()


@pytest.mark.parametrize("costs", [[[0, 1]], [[0, -1], [1, 0]], [[0, NAN], [1, 0]], 3, None, [[0]]])
def test_costs_are_checked(costs):
    with pytest.raises(ValueError, match="`cost_matrix`"):
        MinimumCostDecision(costs)


def test_priors_and_costs_must_be_for_the_channels():
    with pytest.raises(ValueError, match=r"`true_prior` must .* 3 positive shares"):
        PriorCorrection([1, 1, 1], [0.5, 0.5])
    for layer, argument in ((PriorCorrection(TRAIN, TRUE), "train_prior"), (MinimumCostDecision(COSTS), "cost_matrix")):
        for channels in (1, 2, 4):
            with pytest.raises(ValueError, match=f"`{argument}` must be for as many classes"):
                layer(np.full((2, channels), 0.5, "float32"))
