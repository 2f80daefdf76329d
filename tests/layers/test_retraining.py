"""tau_normalize against its formula, layerwise_optimizer against steps of SGD by hand."""

import numpy as np
import pytest
from kerases import HAS_MULTI_OPTIMIZER, needs_multi_optimizer
from loss_gradients import double_precision

from keras_imbalance import layerwise_optimizer, tau_normalize
from keras_imbalance._keras import dtype_name, keras, ops

rng = np.random.default_rng(0)


def dense(kernel, bias):
    layer = keras.layers.Dense(np.shape(kernel)[-1], name="logits")
    layer.build((None, np.shape(kernel)[0]))
    layer.set_weights([np.asarray(kernel), bias])
    return layer


@pytest.mark.parametrize("tau", [0, 0.3, 1.0, -0.5])
@pytest.mark.parametrize("bias", ["zero", "keep"])
def test_weights_are_divided_by_a_power_of_their_length(tau, bias):
    kernel = rng.normal(size=(6, 4)) * [1e-3, 1.0, 30.0, 5.0]
    layer = dense(kernel, np.arange(4.0))
    tau_normalize(layer, tau=tau, bias=bias)
    got, got_bias = layer.get_weights()
    np.testing.assert_allclose(got, kernel / np.linalg.norm(kernel, axis=0) ** tau, rtol=1e-5)
    np.testing.assert_array_equal(got_bias, np.arange(4.0) if bias == "keep" else np.zeros(4))


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_weights_keep_their_dtype_and_its_digits(dtype):
    kernel = rng.normal(size=(6, 4)) * [1e-3, 1.0, 30.0, 5.0]
    with double_precision():
        layer = keras.layers.Dense(4, dtype=dtype)
        layer.build((None, 6))
        layer.kernel.assign(ops.cast(kernel, dtype))
        rounded = np.asarray(ops.convert_to_numpy(ops.cast(layer.kernel, "float64")))
        tau_normalize(layer, tau=0.5)
        assert dtype_name(layer.kernel) == dtype_name(layer.bias) == dtype
        found = np.asarray(ops.convert_to_numpy(ops.cast(layer.kernel, "float64")))
    digits = {"float64": 1e-14, "float32": 1e-7, "bfloat16": 4e-3}[dtype]
    np.testing.assert_allclose(found, rounded / np.linalg.norm(rounded, axis=0) ** 0.5, rtol=digits)


def test_scores_of_a_model_follow_and_all_lengths_are_one():
    x = rng.normal(size=(20, 6)).astype("float32")
    kernel = rng.normal(size=(6, 3)) * [1.0, 4.0, 0.1]
    layer = dense(kernel, np.zeros(3))
    model = keras.Sequential([keras.Input((6,)), layer])
    tau_normalize(layer)
    expected = x @ kernel / np.linalg.norm(kernel, axis=0)
    np.testing.assert_allclose(ops.convert_to_numpy(model(x)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(layer.get_weights()[0], axis=0), 1, rtol=1e-6)


def test_a_kernel_of_any_rank_and_a_layer_without_bias():
    layer = keras.layers.Conv2D(3, 2, use_bias=False)
    layer.build((None, 5, 5, 2))
    kernel = layer.get_weights()[0].astype(float)
    tau_normalize(layer, tau=0.5)
    norms = np.sqrt((kernel.reshape(-1, 3) ** 2).sum(axis=0))
    np.testing.assert_allclose(layer.get_weights()[0], kernel / np.sqrt(norms), rtol=1e-5)


def test_bad_arguments_of_tau_normalize():
    good = dense(np.ones((2, 2)), np.zeros(2))
    flat = dense([[1.0, 0.0], [1.0, 0.0]], np.zeros(2))
    for layer, arguments, message in (
        (keras.layers.Dense(2), {}, "`layer` must be a built layer"),
        (keras.layers.Dropout(0.5), {}, "`layer` must be a built layer"),
        (good, {"tau": float("nan")}, "`tau`"),
        (good, {"tau": "1"}, "`tau`"),
        (good, {"tau": True}, "`tau`"),
        (good, {"bias": "drop"}, "`bias`.*'keep'"),
        (flat, {}, r"`layer`.*\[1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            tau_normalize(layer, **arguments)
    np.testing.assert_array_equal(good.get_weights()[0], np.ones((2, 2)))


def linear_model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    trunk = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="a"), layers.Dense(4, name="b")], name="trunk")
    return keras.Sequential([keras.Input((4,)), trunk, layers.Dense(2, name="head")])


X = rng.normal(size=(12, 4)).astype("float32")
Y = rng.normal(size=(12, 2)).astype("float32")


def steps_by_hand(weights, rates, steps, momentum):
    """Mean squared error of three linear layers, SGD with momentum, in float64."""
    w = [np.asarray(part, float) for part in weights]
    m = [np.zeros_like(part) for part in w]
    for _ in range(steps):
        h1 = X @ w[0] + w[1]
        h2 = h1 @ w[2] + w[3]
        d = 2 * (h2 @ w[4] + w[5] - Y) / Y.size
        d2 = d @ w[4].T
        d1 = d2 @ w[2].T
        gradients = [X.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d, d.sum(0)]
        for i, g in enumerate(gradients):
            m[i] = momentum * m[i] - rates[i // 2] * g
            w[i] = w[i] + m[i]
    return w


FACTORS = {
    "names": ({"a": 0.1, "b": 0.5}, [0.1, 0.5, 1]),
    "path": ({"trunk/a": 3.0}, [3, 1, 1]),
    "pattern": ({"trunk*": 0.25}, [0.25, 0.25, 1]),
    "container": ({"trunk": 0.2, "head": 2}, [0.2, 0.2, 2]),
}


@needs_multi_optimizer
@pytest.mark.parametrize("name", FACTORS)
def test_every_layer_takes_steps_at_its_own_rate(name):
    factors, expected = FACTORS[name]
    model = linear_model()
    weights = model.get_weights()
    model.compile(layerwise_optimizer(model, keras.optimizers.SGD(0.05, momentum=0.9), factors), "mean_squared_error")
    model.fit(X, Y, batch_size=12, epochs=4, shuffle=False, verbose=0)
    by_hand = steps_by_hand(weights, 0.05 * np.array(expected), 4, 0.9)
    for got, wanted in zip(model.get_weights(), by_hand, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


@needs_multi_optimizer
def test_layers_may_be_given_themselves():
    model = linear_model()
    head = model.get_layer("head")
    optimizer = layerwise_optimizer(model, keras.optimizers.Adam(0.5), {head: 0.5})
    assert [float(part.learning_rate) for part in optimizer.optimizers] == [0.25, 0.5]
    assert optimizer._optimizer_map(head.kernel) is optimizer.optimizers[0]
    assert optimizer._optimizer_map(model.get_layer("trunk").get_layer("a").kernel) is optimizer.optimizers[1]


def rates_of(optimizer):
    return [(type(part).__name__, round(float(part.learning_rate), 7)) for part in optimizer.optimizers]


@needs_multi_optimizer
@pytest.mark.parametrize("given", ["AdamW", "adamw", {"class_name": "AdamW", "config": {"learning_rate": 0.001}}])
def test_an_optimizer_is_given_as_compile_takes_it(given):
    model = linear_model()
    by_name = layerwise_optimizer(model, given, {"a": 0.5})
    assert rates_of(by_name) == rates_of(layerwise_optimizer(model, keras.optimizers.AdamW(), {"a": 0.5}))
    assert rates_of(by_name) == [("AdamW", 0.0005), ("AdamW", 0.001)]


@needs_multi_optimizer
@pytest.mark.parametrize("factor", [np.float32(0.5), np.float64(0.5), np.int64(2), 2])
def test_factors_are_numbers_of_numpy_too(factor):
    optimizer = layerwise_optimizer(linear_model(), keras.optimizers.SGD(0.25), {"a": factor})
    assert float(optimizer.optimizers[0].learning_rate) == 0.25 * float(factor)


@needs_multi_optimizer
def test_a_layer_that_is_frozen_now_has_its_factor_when_it_trains():
    model = linear_model()
    weights, trunk = model.get_weights(), model.get_layer("trunk")
    trunk.trainable = False
    optimizer = layerwise_optimizer(model, keras.optimizers.SGD(0.05, momentum=0.9), {"trunk": 0.2})
    trunk.trainable = True
    model.compile(optimizer, "mean_squared_error")
    model.fit(X, Y, batch_size=12, epochs=3, shuffle=False, verbose=0)
    by_hand = steps_by_hand(weights, 0.05 * np.array([0.2, 0.2, 1]), 3, 0.9)
    for got, wanted in zip(model.get_weights(), by_hand, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


@needs_multi_optimizer
def test_a_model_without_weights_is_refused():
    model = keras.Sequential([keras.layers.Dense(2, name="a")])
    with pytest.raises(ValueError, match="layerwise_optimizer needs a model that has its weights"):
        layerwise_optimizer(model, "sgd", {"a": 0.1})


@needs_multi_optimizer
def test_bad_arguments_of_layerwise_optimizer():
    model, sgd = linear_model(), keras.optimizers.SGD(0.1)
    schedule = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))
    for optimizer, factors, message in (
        (sgd, {"tail": 0.1}, r"`factors` must name layers of the model. Received: 'tail'.*'trunk/a'"),
        (sgd, {"a": 0}, r"`factors\['a'\]` must be a finite number of more than 0"),
        (sgd, {"a": float("inf")}, r"`factors\['a'\]` must be a finite number"),
        (sgd, {"a": "slow"}, r"`factors\['a'\]` must be a finite number"),
        (sgd, {"trunk": 0.1, "trunk/a": 0.2}, "`factors` must name each layer once.*'a'"),
        (schedule, {"a": 0.1}, "`optimizer` must have a learning rate that is a number"),
        ("adma", {"a": 0.1}, "`optimizer` must be one that Keras knows. .*adma.*keras.optimizers.Adam"),
        (None, {"a": 0.1}, "`optimizer` must be an optimizer, its name or its configuration.*None"),
        (keras.optimizers.SGD, {"a": 0.1}, "`optimizer` must be an optimizer.*<class"),
        (sgd, ["a"], r"`factors` must map layers to numbers.*Received: factors=\['a'\]"),
        (sgd, None, "`factors` must map layers to numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            layerwise_optimizer(model, optimizer, factors)


@pytest.mark.skipif(HAS_MULTI_OPTIMIZER, reason="Keras 3.15 and later have MultiOptimizer")
def test_a_keras_without_multi_optimizer_is_named():
    with pytest.raises(
        ValueError, match=r"needs keras.optimizers.MultiOptimizer, new in Keras 3.15. Received: .*keras "
    ):
        layerwise_optimizer(linear_model(), keras.optimizers.SGD(0.1), {"a": 0.1})


@needs_multi_optimizer
def test_layers_that_share_a_path_are_an_error_or_share_a_factor():
    def tower(name):
        inputs = keras.Input((4,))
        return keras.Model(inputs, keras.layers.Dense(2, name="a")(inputs), name=name)

    inputs, left, right = keras.Input((4,)), tower("left"), tower("right")
    model = keras.Model(inputs, keras.layers.Add()([left(inputs), right(inputs)]))
    assert [v.path for v in left.weights] == [v.path for v in right.weights]
    with pytest.raises(ValueError, match="two variables of the path 'a/kernel'"):
        layerwise_optimizer(model, keras.optimizers.SGD(0.1), {"left/a": 0.1})
    optimizer = layerwise_optimizer(model, keras.optimizers.SGD(0.1), {"a": 0.1})
    assert all(optimizer._optimizer_map(v) is optimizer.optimizers[0] for v in model.weights)
