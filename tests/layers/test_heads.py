"""What is done to the last layer: a bias from the class shares, and corrections folded into its weights."""

import json
import zipfile

import numpy as np
import pytest

from keras_imbalance import PriorCorrection, Temperature, class_prior, correct_prior, fold_into_head, initial_bias
from keras_imbalance._keras import keras, ops

COUNTS = [70, 20, 10]
X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")


def model_of(*last, inputs=(4,)):
    """Nested: the head lies in an inner model."""
    keras.utils.set_random_seed(0)
    head = keras.Sequential([keras.Input((8,)), *last])
    return keras.Sequential([keras.Input(inputs), keras.layers.Dense(8, "tanh"), head])


def dense(units, activation=None, **options):
    return keras.layers.Dense(units, activation, kernel_initializer="random_normal", **options)


CASES = {
    "softmax": (lambda: model_of(dense(3, "softmax")), lambda: PriorCorrection(COUNTS, "balanced")),
    "softmax in a layer": (
        lambda: model_of(dense(3), keras.layers.Softmax()),
        lambda: PriorCorrection("balanced", COUNTS),
    ),
    "activation in a layer": (
        lambda: model_of(dense(3), keras.layers.Activation("softmax")),
        lambda: PriorCorrection("balanced", COUNTS),
    ),
    "sigmoid": (lambda: model_of(dense(1, "sigmoid")), lambda: PriorCorrection("balanced", [0.99, 0.01])),
    "sigmoids": (
        lambda: model_of(dense(3, "sigmoid")),
        lambda: PriorCorrection([[9, 1], [8, 2], [1, 1]], [0.5, 0.5], multi_label=True),
    ),
    "temperature": (lambda: model_of(dense(3, "softmax")), lambda: Temperature(1.7)),
    "temperature of sigmoids": (lambda: model_of(dense(3, "sigmoid")), lambda: Temperature(0.6, multi_label=True)),
    "temperature without a bias": (lambda: model_of(dense(3, "softmax", use_bias=False)), lambda: Temperature(1.7)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_folded_model_gives_the_probabilities_of_the_layer_without_it(case, tmp_path):
    build, correction = CASES[case][0], CASES[case][1]()
    model = build()
    expected = ops.convert_to_numpy(keras.Sequential([model, correction])(X))
    before = model.predict(X, verbose=0)
    assert np.abs(expected - before).max() > 0.01
    fold_into_head(model, correction)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert "keras_imbalance" not in archive.read("config.json").decode()
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(ops.convert_to_numpy(again(X)), expected, atol=1e-6)


def test_a_folded_head_needs_no_initializer_of_this_package(tmp_path):
    model = model_of(dense(1, "sigmoid", bias_initializer=initial_bias([95, 5])))
    fold_into_head(model, PriorCorrection([95, 5], "balanced"))
    expected = model.predict(X, verbose=0)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert "keras_imbalance" not in archive.read("config.json").decode()
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), expected)


def test_logits_and_masks_are_folded_too():
    model, correction = model_of(dense(3)), PriorCorrection(COUNTS, "balanced", from_logits=True)
    expected = keras.Sequential([model, correction]).predict(X, verbose=0)
    fold_into_head(model, correction)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-6)
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 1)).astype("float32")
    keras.utils.set_random_seed(0)
    masks = keras.Sequential([keras.Input((5, 5, 1)), keras.layers.Conv2D(3, 3, activation="softmax")])
    expected = correct_prior(masks.predict(images, verbose=0), COUNTS, "balanced")
    fold_into_head(masks, PriorCorrection(COUNTS, "balanced", axis=3))
    np.testing.assert_allclose(masks.predict(images, verbose=0), expected, atol=1e-6)


def test_calls_add_up_in_their_order():
    model = model_of(dense(3, "softmax"))
    first, then = Temperature(2.0), PriorCorrection("balanced", COUNTS)
    expected = correct_prior(first(model.predict(X, verbose=0)), "balanced", COUNTS)
    fold_into_head(model, first)
    fold_into_head(model, then)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-6)


BALANCED = PriorCorrection("balanced", COUNTS)


@pytest.mark.parametrize(
    ("build", "correction", "message"),
    [
        (lambda: model_of(dense(3, "softmax")), keras.layers.Softmax(), "`correction` must be a PriorCorrection"),
        (lambda: model_of(dense(4, "softmax")), BALANCED, "`train_prior` must be for as many classes"),
        (lambda: model_of(dense(1, "sigmoid")), BALANCED, "`train_prior` must be for as many classes"),
        (lambda: model_of(dense(3, "sigmoid")), BALANCED, "`correction` must .* multi_label=True"),
        (lambda: model_of(dense(3, "softmax", use_bias=False)), BALANCED, "`model` must have a bias"),
        (lambda: model_of(dense(3, "tanh")), BALANCED, "`model` must end in a Dense layer"),
        (lambda: model_of(dense(3, "softmax"), BALANCED), BALANCED, "`model` must end in a Dense layer"),
        (lambda: model_of(dense(3, "softmax"), keras.layers.Dropout(0.5)), BALANCED, "`model` must end in"),
        (lambda: model_of(dense(3, "sigmoid"), keras.layers.Softmax()), BALANCED, "`model` must end in"),
        (lambda: keras.Sequential([dense(3, "softmax")]), BALANCED, "`model` must be a built model"),
        (
            lambda: model_of(dense(3, "softmax")),
            PriorCorrection("balanced", COUNTS, axis=0),
            "`correction` must have its channels on the last axis",
        ),
    ],
)
def test_what_cannot_be_folded_is_refused(build, correction, message):
    model = build()
    with pytest.raises(ValueError, match=message):
        fold_into_head(model, correction)


@pytest.mark.parametrize(
    ("units", "activation", "counts", "expected"),
    [
        (3, "softmax", COUNTS, class_prior(COUNTS)),
        (2, "softmax", [98, 2], [0.98, 0.02]),
        (1, "sigmoid", [98, 2], [0.02]),
        (3, "sigmoid", [[90, 10], [50, 50], [1, 3]], [0.1, 0.5, 0.75]),
    ],
)
def test_an_untrained_model_predicts_the_class_shares(units, activation, counts, expected):
    initializer = initial_bias(np.array(counts))
    config = json.loads(json.dumps(keras.initializers.serialize(initializer)))
    for one in (initializer, keras.initializers.deserialize(config)):
        layer = keras.layers.Dense(units, activation, kernel_initializer="zeros", bias_initializer=one)
        np.testing.assert_allclose(ops.convert_to_numpy(layer(X[:1]))[0], expected, rtol=1e-5)


def test_a_first_loss_is_the_entropy_of_the_shares():
    labels = np.repeat(np.arange(3), COUNTS)
    layer = keras.layers.Dense(3, "softmax", kernel_initializer="zeros", bias_initializer=initial_bias(COUNTS))
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(loss="sparse_categorical_crossentropy")
    prior = class_prior(COUNTS)
    found = model.evaluate(np.zeros((100, 4), "float32"), labels, verbose=0)
    assert found == pytest.approx(-(prior * np.log(prior)).sum(), rel=1e-5)


def test_a_bias_of_another_size_is_refused():
    for counts, units in ((COUNTS, 4), (COUNTS, 1), ([[9, 1], [5, 5]], 3)):
        with pytest.raises(ValueError, match="`class_counts` must be for as many classes as the layer has units"):
            keras.layers.Dense(units, bias_initializer=initial_bias(counts))(X)
    for wrong in ([5, 0], [[5, 5, 5]], 3):
        with pytest.raises(ValueError, match="`class_counts` must"):
            initial_bias(wrong)
