"""TwoPhaseLearning: what is drawn, the learning rate and what is frozen, before and after the switch."""

import numpy as np
import pytest
from phase_runs import Seen, Tap

from keras_imbalance import ArraySampler, TwoPhaseLearning
from keras_imbalance._keras import keras

LossScaleOptimizer = getattr(keras.optimizers, "LossScaleOptimizer", None) or keras.mixed_precision.LossScaleOptimizer
COUNTS = (60, 30, 10)


def data():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], COUNTS))
    return (rng.normal(size=(100, 4)) + labels[:, None]).astype("float32"), labels


def make_model(optimizer=None, jit_compile=False, metrics=()):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(6, name="backbone"),
            layers.BatchNormalization(name="norm"),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    optimizer = optimizer or keras.optimizers.AdamW(0.05, weight_decay=0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics), jit_compile=jit_compile)
    return model


class Recorder(keras.callbacks.Callback):
    """Weights, learning rate and distribution at the end of each epoch."""

    def __init__(self, sampler):
        super().__init__()
        self.sampler = sampler
        self.weights, self.rates, self.shares = [], [], []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append({layer.name: layer.get_weights() for layer in self.model.layers})
        self.rates.append(float(self.model.optimizer.learning_rate))
        self.shares.append(self.sampler.distribution)


def fit(model, sampler, epochs=4, initial_epoch=0, more=(), **arguments):
    recorder = Recorder(sampler)
    callbacks = [TwoPhaseLearning(sampler, **arguments), recorder, *more]
    model.fit(sampler.dataset(), epochs=epochs, initial_epoch=initial_epoch, callbacks=callbacks, verbose=0)
    return recorder


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_natural_distribution_is_drawn_from_the_switch_on():
    sampler, tap = ArraySampler(*data(), batch_size=20, seed=0), Tap()
    fit(make_model(metrics=[Seen()]), sampler, more=[tap], switch_epoch=2)
    drawn = np.array([counts for _, counts in tap.batches])
    assert len(drawn) == 20
    assert (np.abs(drawn[:10] - 20 / 3) <= 1).all()
    np.testing.assert_array_equal(drawn[10:], np.tile([12, 6, 2], (10, 1)))


def test_the_learning_rate_is_multiplied_once():
    factor = 0.1
    recorder = fit(make_model(), ArraySampler(*data(), seed=0), switch_epoch=2, learning_rate_factor=factor)
    np.testing.assert_allclose(recorder.rates, [0.05, 0.05, 0.05 * factor, 0.05 * factor], rtol=1e-6)


def test_frozen_layers_stay_as_they_are_to_the_bit():
    """Under weight decay, momentum from the first phase, and BatchNorm, whose statistics would move by themselves."""
    model = make_model()
    recorder = fit(model, ArraySampler(*data(), seed=0), epochs=5, switch_epoch=2, freeze=["backbone", model.layers[1]])
    for name in ("backbone", "norm", "head"):
        weights = [epoch[name] for epoch in recorder.weights]
        assert not equal(weights[0], weights[1])
        assert [equal(weights[k], weights[k + 1]) for k in (1, 2, 3)] == [name != "head"] * 3
    assert all(layer.trainable for layer in model.layers)


def test_one_layer_may_be_frozen_by_itself():
    model = make_model()
    recorder = fit(model, ArraySampler(*data(), seed=0), epochs=2, switch_epoch=1, freeze=model.layers[0])
    assert equal(recorder.weights[0]["backbone"], recorder.weights[1]["backbone"])
    assert not equal(recorder.weights[0]["norm"], recorder.weights[1]["norm"])


def test_after_fit_everything_trains_again():
    model = make_model()
    model.get_layer("norm").trainable = False
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    sampler = ArraySampler(*data(), seed=0)
    fit(model, sampler, switch_epoch=1, freeze=["backbone", "norm"])
    assert [layer.trainable for layer in model.layers] == [True, False, True]
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.fit(sampler.dataset(), verbose=0)
    changed = {layer.name: not equal(before[layer.name], layer.get_weights()) for layer in model.layers}
    assert changed == {"backbone": True, "norm": False, "head": True}


def test_training_may_start_in_the_second_phase():
    model = make_model()
    before = model.get_layer("backbone").get_weights()
    recorder = fit(model, ArraySampler(*data(), seed=0), 6, 4, switch_epoch=2, freeze=["backbone"])
    np.testing.assert_allclose(recorder.rates, [0.005, 0.005], rtol=1e-6)
    np.testing.assert_allclose(recorder.shares, np.tile([0.6, 0.3, 0.1], (2, 1)))
    assert equal(before, model.get_layer("backbone").get_weights())


def test_training_that_ends_before_the_switch_changes_nothing():
    model = make_model()
    recorder = fit(model, ArraySampler(*data(), seed=0), epochs=2, switch_epoch=2, freeze=["backbone"])
    np.testing.assert_allclose(recorder.rates, [0.05, 0.05])
    np.testing.assert_allclose(recorder.shares, np.full((2, 3), 1 / 3))
    assert not equal(recorder.weights[0]["backbone"], recorder.weights[1]["backbone"])


def test_without_frozen_layers_it_equals_two_fits():
    """The oracle is Keras: fit on the balanced sampler, then on the natural one at a tenth of the rate."""
    optimizers = [keras.optimizers.SGD(0.02, momentum=0.9) for _ in range(2)]
    one, two = (make_model(optimizer) for optimizer in optimizers)
    fit(one, ArraySampler(*data(), seed=3), epochs=4, switch_epoch=3)
    sampler = ArraySampler(*data(), seed=3)
    two.fit(sampler.dataset(), epochs=3, verbose=0)
    sampler.target = [0.6, 0.3, 0.1]
    optimizers[1].learning_rate = 0.002
    two.fit(sampler.dataset(), verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_scaled_optimizer_is_slowed_down_too():
    optimizer = LossScaleOptimizer(keras.optimizers.SGD(0.05))
    recorder = fit(make_model(optimizer), ArraySampler(*data(), seed=0), epochs=2, switch_epoch=1)
    np.testing.assert_allclose(recorder.rates, [0.05, 0.005], rtol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_schedule_is_refused_before_training(scaled):
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 100))
    model = make_model(LossScaleOptimizer(optimizer) if scaled else optimizer)
    before = model.get_weights()
    with pytest.raises(
        ValueError, match="`learning_rate_factor` cannot change a learning rate that follows a schedule"
    ):
        fit(model, ArraySampler(*data(), seed=0), switch_epoch=1)
    assert equal(before, model.get_weights())


@pytest.mark.parametrize("freeze", [["backbone", "spine"], "spine", [keras.layers.Dense(2, name="backbone")]])
def test_a_layer_that_the_model_lacks_is_an_error_before_training(freeze):
    model = make_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"`freeze` must name layers of the model.*\['backbone', 'head', 'norm'\]"):
        fit(model, ArraySampler(*data(), seed=0), switch_epoch=1, freeze=freeze)
    assert equal(before, model.get_weights())
